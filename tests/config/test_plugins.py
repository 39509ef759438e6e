"""Names that other packages give by entry points."""

from __future__ import annotations

from pathlib import Path

import own_things
import pytest

from p2pl_flower import Options
from p2pl_flower.algorithms import ALGORITHMS, Algorithm
from p2pl_flower.config import tables, text_of
from p2pl_flower.errors import ConfigError
from p2pl_flower.links import LINKS
from p2pl_flower.topology import schedule
from p2pl_flower.weights import WEIGHTS, FunctionRule


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a package with entry points: (name, group, points)."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(package: str, group: str, **points: str) -> Path:
        folder = tmp_path / f"{package}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"{name.replace('_', '-')} = {value}" for name, value in points.items()]
        (folder / "entry_points.txt").write_text("\n".join([f"[p2pl_flower.{group}]", *lines, ""]))
        return tmp_path

    return install


def test_classes_instances_and_functions_by_name(install) -> None:
    install(
        "own",
        "weights",
        fixed="own_things:Fixed",
        quarter="own_things:QUARTER",
        smallest="own_things:smallest",
    )
    assert WEIGHTS.make("fixed:0.5,halved=yes") == own_things.Fixed(0.5, halved=True)
    assert WEIGHTS.make("quarter") is own_things.QUARTER
    assert Options(weights="smallest").weights == FunctionRule(own_things.smallest)
    assert text_of(Options(weights="quarter").weights, WEIGHTS).startswith("own_things.Fixed:")
    assert {"fixed", "quarter", "smallest", "metropolis"} <= set(WEIGHTS.names())
    with pytest.raises(
        ConfigError, match="choose one of: data-size, fixed, metropolis, out-degree, quarter"
    ):
        WEIGHTS.make("best")


def test_links_topologies_and_algorithms_by_name(install) -> None:
    install("links", "links", never="own_things:Never", even="own_things:even_rounds")
    install("graphs", "topologies", bridged="own_things:bridged")
    install("algorithms", "algorithms", averaging="own_things:Averaging")
    assert LINKS.make("never:up=0.5+even", seed=4).parts[0] == own_things.Never(0.5, seed=4)
    assert schedule("bridged:width=2", 8).graph(1).number_of_edges() == 10
    assert ALGORITHMS.make("averaging") == own_things.Averaging()
    assert isinstance(Options(algorithm="averaging").algorithm, Algorithm)
    assert (
        Options(algorithm=own_things.Averaging()).to_config()["algorithm"] == "own_things.Averaging"
    )


def test_own_names_are_not_looked_up_elsewhere(install, monkeypatch) -> None:
    install("cuckoo", "weights", metropolis="own_things:Deaf")

    def fail(**_):
        raise AssertionError("looked up")

    monkeypatch.setattr(tables, "entry_points", fail)
    assert type(WEIGHTS.make("metropolis")).__module__ == "p2pl_flower.weights.rules"
    with pytest.raises(AssertionError, match="looked up"):
        WEIGHTS.make("other")


def test_a_plugin_that_cannot_be_imported_is_named(install) -> None:
    folder = install(
        "broken-things",
        "weights",
        lost="no_such_module:Rule",
        gone="own_things:Gone",
        torn="torn_module:Rule",
        strange="own_things:np",
    )
    (folder / "torn_module.py").write_text("1 / 0\n")
    for name, why in (
        ("lost", "the plugin 'no_such_module:Rule' of broken-things cannot be imported (Module"),
        ("gone", "the plugin 'own_things:Gone' of broken-things cannot be imported (Attribute"),
        ("torn", "of broken-things cannot be imported (ZeroDivisionError: division by zero)"),
        ("strange", "must be an instance of WeightRule, a function"),
    ):
        with pytest.raises(ConfigError) as caught:
            Options(weights=name)
        assert why in str(caught.value)
        assert str(caught.value).startswith(f"weights={name!r}: ")


def test_one_name_for_two_plugins_is_refused(install) -> None:
    install("first", "weights", fixed="own_things:Fixed")
    install("second", "weights", fixed="own_things:Deaf")
    rule = "is the name of several plugins: own_things:Deaf, own_things:Fixed"
    with pytest.raises(ConfigError, match=rule):
        WEIGHTS.make("fixed:0.5")
