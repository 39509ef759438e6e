"""The site holds together: it builds, names what there is, and quotes what is said."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from code_blocks import ROOT

import p2pl_flower
from p2pl_flower.algorithms import ALGORITHMS
from p2pl_flower.algorithms.mixing import MIXINGS

DOCS = ROOT / "docs"


def described(page: str) -> set[str]:
    """Return the paths that a page of the reference describes."""
    return set(re.findall(r"^::: (\S+)$", (DOCS / page).read_text(encoding="utf-8"), re.M))


def paths(things: dict[str, object]) -> set[str]:
    """Return where things are defined, or, of constants, the names alone."""
    return {
        f"{t.__module__}.{t.__qualname__}" if hasattr(t, "__qualname__") else name
        for name, t in things.items()
    }


def test_the_reference_describes_what_is_exported() -> None:
    exported = {name: getattr(p2pl_flower, name) for name in p2pl_flower.__all__}
    assert described("api.md") == paths(exported)


def test_the_reference_describes_the_swarm() -> None:
    swarm = pytest.importorskip("p2pl_flower.swarm")
    exported = {name: getattr(swarm, name) for name in swarm.__all__ if name != "PRECISIONS"}
    assert described("api-swarm.md") - {"p2pl_flower.swarm.options.PRECISIONS"} == paths(exported)


def test_the_reference_describes_every_algorithm() -> None:
    assert described("api-algorithms.md") == paths(dict(ALGORITHMS.entries) | MIXINGS.entries)


def test_every_extra_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    page = (DOCS / "start.md").read_text(encoding="utf-8").partition("| extra |")[2]
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    assert set(re.findall("`(.+?)`", " ".join(rows))) == set(project["optional-dependencies"])


def said() -> list[str]:
    """Return all texts in the library's code, with … where something is filled in."""
    texts = []
    for path in (ROOT / "p2pl_flower").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [p.value if isinstance(p, ast.Constant) else "…" for p in node.values]
                texts.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return [re.sub(r"%[sdgr]", "…", text) for text in texts]


def test_every_message_that_is_explained_is_said_somewhere() -> None:
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^### (?:`` (.+) ``|`(.+)`)$", page, re.M)
    assert len(quoted) == page.count("\n### ") > 30
    every = "\n".join(said())
    for message in map("".join, quoted):
        parts = [part.strip() for part in message.split("…")]
        assert all(part in every for part in parts), message


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.glob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"(?:https?:)?//", text)
        assert "<!-- table" not in text
    assert "<math" in (tmp_path / "algorithms.html").read_text(encoding="utf-8")
