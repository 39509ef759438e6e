"""Every code block of README and site is run, or read by what would run it."""

from __future__ import annotations

from pathlib import Path

import code_blocks
import numpy as np
import pytest
from code_blocks import PAGES, ROOT, Block, blocks
from docs_given import adding_one, given
from local_grid import LocalGrid
from toy_app import record

import p2pl_flower
from p2pl_flower import MemoryRelay

BLOCKS = [block for page in PAGES for block in blocks(page)]
ELSEWHERE = "docs/extend.md"
"""Its Python and its commands are run, a section at a time, by ``tests/test_docs_extend.py``."""

READ = {
    "toml": code_blocks.check_toml,
    "diff": code_blocks.check_diff,
    "ini": code_blocks.check_ini,
}
RUN = sorted({b.page for b in BLOCKS if b.kind == "python" and b.page != ELSEWHERE})


def of_kinds(*kinds: str) -> list:
    return [pytest.param(b, id=b.id) for b in BLOCKS if b.kind in kinds]


@pytest.mark.parametrize("block", [pytest.param(b, id=b.id) for b in BLOCKS])
def test_somebody_checks_a_block(block: Block) -> None:
    assert block.kind in {"console", "python", "math", "text", *READ}


CONSOLE = [p for p in of_kinds("console") if not p.id.startswith(ELSEWHERE)]


@pytest.mark.parametrize("block", CONSOLE)
def test_command_lines_are_accepted(block: Block) -> None:
    lines = list(code_blocks.commands(block.code))
    assert lines
    for words in lines:
        code_blocks.parse(words)


@pytest.mark.parametrize("page", [pytest.param(p, id=p.name) for p in PAGES])
def test_commands_in_sentences_are_known(page: Path) -> None:
    for span in code_blocks.spans(page):
        code_blocks.known_options(span)


@pytest.mark.parametrize("block", of_kinds(*READ))
def test_files_are_read(block: Block) -> None:
    READ[block.kind](block.code)


def test_formulas_are_drawn() -> None:
    latex2mathml = pytest.importorskip("latex2mathml.converter")
    formulas = [block for block in BLOCKS if block.kind == "math"]
    assert all(latex2mathml.convert(block.code).startswith("<math") for block in formulas)
    assert formulas


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN)
def test_python_runs(page: str, tmp_path: Path, monkeypatch, capsys) -> None:
    made = []

    class Noted(p2pl_flower.P2PL):
        def __init__(self, *args, **options) -> None:
            super().__init__(*args, **options)
            made.append(self)

    monkeypatch.setattr(p2pl_flower, "P2PL", Noted)
    monkeypatch.chdir(tmp_path)
    names = given(page, tmp_path, monkeypatch)
    for block in blocks(ROOT / page):
        if block.kind == "python":
            exec(compile(block.code, f"{page}:{block.line}", "exec"), names)
            while made:  # whatever strategy a block makes trains two rounds
                train(made.pop())


def train(strategy: p2pl_flower.P2PL) -> None:
    strategy.relay = MemoryRelay()
    start = record({"body.w": np.zeros(2), "head.w": np.zeros(1)})
    strategy.start(LocalGrid(adding_one(strategy.relay), 4), start, 2)
    assert len(strategy.rounds) == 2


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["p2pl-flower", "cluster", "--devices", "8"], "--devices"),
        (["python", "-m", "benchmarks.nothing"], "no such module"),
        (["make", "coffee"], "no such target"),
        (["curl", "x"], "nobody checks"),
    ],
)
def test_what_would_be_refused_is_found(words: list[str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        code_blocks.parse(words)
