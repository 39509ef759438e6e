"""The README's tables are those of the histories they name."""

from __future__ import annotations

import re
import tomllib

import pytest
from histories import small

from p2pl_flower.doctor.dependency import LEAST_PYTHON
from p2pl_flower.errors import ConfigError
from simulations import readme
from simulations.report import table

TEXT = "# Title\n\n<!-- table: results/a.json -->\nold\n<!-- end -->\n\nMore.\n"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "a.json").write_text(small().to_json(), encoding="utf-8")
    (tmp_path / "README.md").write_text(TEXT, encoding="utf-8")
    return tmp_path


def test_render(root):
    new = readme.render(TEXT, root)
    inner = f"<!-- table: results/a.json -->\n\n{table(small())}\n<!-- end -->"
    assert new == f"# Title\n\n{inner}\n\nMore.\n"
    assert readme.render(new, root) == new


def test_several_tables(root):
    new = readme.render(TEXT + TEXT, root)
    assert new.count(table(small())) == 2
    assert new.count("More.") == 2


def test_text_without_tables_stays(root):
    assert readme.render("<!-- end --> a \\1 table:\n", root) == "<!-- end --> a \\1 table:\n"


def test_check_then_render(root, capsys):
    assert readme.main(["--check", "--root", str(root)]) == 1
    assert "run python -m simulations.readme" in capsys.readouterr().err
    assert (root / "README.md").read_text() == TEXT
    assert readme.main(["--root", str(root)]) == 0
    assert readme.main(["--check", "--root", str(root)]) == 0


def test_docs_are_rendered_too(root, capsys):
    (root / "docs").mkdir()
    (root / "docs" / "more.md").write_text(TEXT, encoding="utf-8")
    assert readme.main(["--root", str(root)]) == 0
    assert table(small()) in (root / "docs" / "more.md").read_text(encoding="utf-8")
    (root / "docs" / "more.md").write_text(TEXT, encoding="utf-8")
    assert readme.main(["--check", "--root", str(root)]) == 1
    assert "docs/more.md has stale tables" in capsys.readouterr().err


def test_a_history_that_is_not_there(root, capsys):
    with pytest.raises(ConfigError, match=r"table='results/b.json': names no file"):
        readme.render(TEXT.replace("a.json", "b.json"), root)
    (root / "results" / "a.json").unlink()
    assert readme.main(["--root", str(root)]) == 1
    assert "README.md: table=" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("<!-- end -->", ""),
        TEXT.replace("<!-- end -->", "<!-- table: results/a.json -->\n<!-- end -->"),
    ],
)
def test_a_marker_without_its_end(root, text):
    with pytest.raises(ConfigError, match="needs an <!-- end --> after it"):
        readme.render(text, root)


def test_the_readme_is_current():
    assert readme.main(["--check"]) == 0


def test_versions_are_those_of_pyproject(root):
    (root / "pyproject.toml").write_text(
        '[project]\nrequires-python = ">=3.12"\ndependencies = ["flwr>=1.31,<2", "numpy>=2"]\n'
        'classifiers = ["Programming Language :: Python :: 3.12", "Typing :: Typed",\n'
        '"Programming Language :: Python :: 3.13", "Programming Language :: Python :: 3.14"]\n',
        encoding="utf-8",
    )
    new = readme.render("<!-- table: pyproject.toml -->\n<!-- end -->\n", root)
    assert [line.split("|")[1:4] for line in new.splitlines() if line.startswith("| ")] == [
        ["  ", " supported ", " tested "],
        [" --- ", " --- ", " --- "],
        [
            " Python ",
            " `>=3.12` ",
            " 3.12 (`make test`); 3.13, 3.14, what is quick (`make test-pythons`) ",
        ],
        [
            " flwr ",
            " `>=1.31,<2` ",
            " 1.31 (`make test-oldest`), the newest that installs (`make test`) ",
        ],
    ]


def test_every_place_that_names_the_least_versions_agrees():
    project = tomllib.loads((readme.ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    least = project["requires-python"].removeprefix(">=")
    assert least == LEAST_PYTHON
    assert f"Programming Language :: Python :: {least}" in project["classifiers"]
    for name in ("README.md", "Makefile", "docs/network.md", "docs/start.md"):
        text = (readme.ROOT / name).read_text(encoding="utf-8")
        assert set(re.findall(r"(?:Python |\()(\d\.\d+) or newer", text)) == {least}, name
    extra = project["optional-dependencies"]["simulation"]
    [flwr] = [d.removeprefix("flwr") for d in project["dependencies"] if d.startswith("flwr")]
    assert f"flwr[simulation]{flwr}" in extra


def test_a_named_table_of_a_file_has_columns_of_text(root):
    (root / "a.json").write_text('{"table": [["a"]], "gone": [["system", "why"], ["x", "late"]]}')
    new = readme.render("<!-- table: a.json#gone -->\n<!-- end -->\n", root)
    assert "| system | why |\n| --- | --- |\n| x | late |\n" in new


CHOSEN = '{"table": [["a", "b", "c"], ["1", "2", "3"], ["4", "5", "6"]]}'


def test_columns_are_chosen_and_turned(root):
    (root / "a.json").write_text(CHOSEN)
    chosen = readme.render("<!-- table: a.json [c, a] -->\n<!-- end -->\n", root)
    assert "| c | a |" in chosen
    assert "| 3 | 1 |\n| 6 | 4 |" in chosen
    turned = readme.render("<!-- table: a.json [a, c] turned -->\n<!-- end -->\n", root)
    assert "| c | 3 | 6 |" in " ".join(turned.split())
    with pytest.raises(ConfigError, match="no such column"):
        readme.render("<!-- table: a.json [d] -->\n<!-- end -->\n", root)


def test_the_readme_is_for_a_stranger_in_a_hurry():
    lines = (readme.ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) < 150
    cells = [cell for line in lines if line.startswith("|") for cell in line.split("|")]
    assert max(len(cell.strip()) for cell in cells) < 100


def test_pages_beside_benchmarks_are_rendered(root):
    (root / "benchmarks").mkdir()
    page = root / "benchmarks" / "more.md"
    page.write_text(TEXT, encoding="utf-8")
    assert readme.main(["--root", str(root)]) == 0
    assert table(small()) in page.read_text(encoding="utf-8")
