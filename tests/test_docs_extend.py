"""What docs/extend.md shows is run as it stands."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_grid import LocalGrid
from toy_app import START, make_app

import p2pl_flower
from p2pl_flower import P2PL, Options, PeerApp
from p2pl_flower.config import text_of
from p2pl_flower.history import History
from p2pl_flower.links import LINKS
from p2pl_flower.topology import schedule
from p2pl_flower.weights import WEIGHTS
from simulations.__main__ import main

pytestmark = pytest.mark.slow

PAGE = Path(__file__).resolve().parents[1] / "docs" / "extend.md"
BLOCK = re.compile(r"```(?P<kind>\w+)\n(?P<code>.*?)```", re.S)
SECTION = re.compile(r"^## (?P<title>.+?)\n(?P<text>.*?)(?=^## |\Z)", re.S | re.M)
SECTIONS = {m["title"]: BLOCK.findall(m["text"]) for m in SECTION.finditer(PAGE.read_text())}
MODULE = "my_things"


@pytest.fixture
def things(tmp_path, monkeypatch) -> Iterator[Path]:
    """Write all of the page's ``my_things.py``, and work in its folder."""
    blocks = [code for section in SECTIONS.values() for kind, code in section if kind == "python"]
    parts = [code for code in blocks if code.startswith(f"# {MODULE}.py\n")]
    (tmp_path / f"{MODULE}.py").write_text("\n".join(parts), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop(MODULE, None)


def run(code: str) -> None:
    """Run a console block as its command would."""
    python, module, name, *arguments = shlex.split(code.replace("\\\n", " "))
    assert (python, module, name) == ("python", "-m", "simulations")
    assert main([*arguments, "--out", "results"]) == 0


@pytest.fixture
def strategies(monkeypatch) -> list[P2PL]:
    """Note the strategies that code makes."""
    made = []

    class Noted(P2PL):
        def __init__(self, *args, **options) -> None:
            super().__init__(*args, **options)
            made.append(self)

    monkeypatch.setattr(p2pl_flower, "P2PL", Noted)
    return made


@pytest.mark.parametrize("title", [t for t in SECTIONS if t != "A name of your own"])
def test_a_section_runs(title, things, strategies, capsys) -> None:
    kinds = []
    for kind, code in SECTIONS[title]:
        kinds.append(kind)
        if kind == "console":
            run(code)
        elif not code.startswith(f"# {MODULE}.py\n"):
            exec(code, {})
    for strategy in strategies:
        app, relay = make_app()
        if title == "A relay":
            app = PeerApp.adopt(app, strategy.relay)
        else:
            strategy.relay = relay
        strategy.start(LocalGrid(app, 12), START, 2)
        assert len(strategy.rounds) == 2
    assert strategies or "console" in kinds
    if "console" in kinds:
        for measured in History.load(Path("results/history.json")).runs:
            assert measured.final().after_consensus.accuracy.mean > 0


def test_names_of_ones_own(things, capsys) -> None:
    blocks = dict(SECTIONS["A name of your own"])
    package = things / "my_package-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    points = blocks["toml"].replace('[project.entry-points."', "[").replace('"]', "]")
    (package / "entry_points.txt").write_text(points.replace('"', ""))
    run(blocks["console"])
    history = History.load(Path("results/history.json"))
    assert history.scenario["topology"] == "caves:size=5"
    assert history.scenario["loggers"] == "best"
    assert history.scenario["algorithm"] == "round-momentum:beta=0.2"
    assert "p2pl round 2: " in Path("best.txt").read_text()
    options = Options(weights="stubborn:own=0.7", links="night:hours=2+perfect")
    assert text_of(options.weights, WEIGHTS) == "my_things.Stubborn:own=0.7"
    assert text_of(options.links, LINKS) == "my_things.Night:hours=2+perfect"
    assert len(schedule("alternating", 5).graph(2)) == 5


def test_what_the_page_shows_takes_effect(things) -> None:
    import my_things

    assert my_things.caves(8).number_of_edges() == 2 * 6 + 2
    assert my_things.Night(4).up(0, 1, [19, 20, 23, 24], 1).tolist() == [True, False, False, True]
    assert my_things.odd_links(1, 2, 1, 1)
    x, y, *_ = my_things.blobs(2)
    assert (x.shape, sorted(set(y.tolist()))) == ((500, 8), [0, 1])
