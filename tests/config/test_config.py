"""One declaration of an option: what it takes, from wherever it is given."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from p2pl_flower.config import (
    Option,
    add_argument,
    at_least,
    build,
    change,
    check_fields,
    described,
    group,
    keys,
    one_of,
    option,
    read_toml,
    rows,
    within,
)
from p2pl_flower.errors import ConfigError

COLOR = Option("its color", one_of("red", "blue"), default="red", name="color", kind=str)


@described
@dataclass(frozen=True)
class Lid:
    """What closes a box."""

    thick: float = option(1.0, rule=within("(0, 2]", "cm"), help="how thick")
    color: str = COLOR.field("blue")


@described
@dataclass(frozen=True)
class Box:
    """A box."""

    size: int = option(rule=at_least(1), help="how large")
    lid: Lid = group(Lid, table="lid", thick=0.5)
    heavy: bool = option(False, help="whether it is heavy")
    limit: int | None = option(None, help="most that it holds")
    color: str = COLOR.field()
    labels: Mapping[str, object] = option({}, kind=dict, help="what is written on it")

    def __post_init__(self) -> None:
        check_fields(self)


def test_a_class_is_made_from_flat_keys() -> None:
    assert list(keys(Box)) == [
        "size",
        "lid.thick",
        "lid.color",
        "heavy",
        "limit",
        "color",
        "labels",
    ]
    assert build(Box, {"size": 3}) == Box(3, Lid(0.5, "blue"))
    made = build(Box, {"size": np.int64(3), "lid": {"thick": 2}, "labels": {"a": 1}})
    assert made == Box(3, Lid(2.0, "blue"), labels={"a": 1})
    assert type(made.size) is int
    assert type(made.lid.thick) is float
    assert build(Box, {"size": 1, "lid.thick": 2}) == build(Box, {"size": 1, "lid": {"thick": 2}})
    assert Box(np.int64(3), limit=np.int8(4)) == Box(3, limit=4)
    assert Box(1, limit=None).limit is None


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({}, "size=None: must be given"),
        ({"size": 0}, "size=0: must be at least 1"),
        ({"size": 1, "shape": 2}, "shape=2: unknown key; choose one of: color, heavy, labels, lid"),
        ({"size": 1, "lid": 3}, "lid=3: must be a table"),
        ({"size": 1, "lid": {"shape": 2}}, "lid.shape=2: unknown key; choose one of: thick, color"),
        ({"size": 1, "lid": {"thick": 3}}, "lid.thick=3: must be in (0, 2] (cm)"),
        ({"size": 1, "color": "green"}, "color='green': unknown name; choose one of: red, blue"),
        ({"size": 1, "limit": None}, ""),
    ],
)
def test_bad_keys_are_named(values, complaint) -> None:
    if not complaint:
        assert build(Box, values).limit is None
        return
    with pytest.raises(ConfigError) as caught:
        build(Box, values)
    assert str(caught.value).startswith(complaint)


def test_settings_are_toml_or_plain_text() -> None:
    settings = [
        "rounds=3",
        "learning-rate = 0.1",
        "topology=regular:d=4",
        'data-dir="a b"',
        "a.b=1",
    ]
    parsed = {"rounds": 3, "learning-rate": 0.1, "topology": "regular:d=4", "data-dir": "a b"}
    assert change({}, settings) == {**parsed, "a": {"b": 1}}
    assert change({"a": {"c": 2}, "d": 1}, ["a.b=x", "d=yes"]) == {
        "a": {"c": 2, "b": "x"},
        "d": "yes",
    }
    for bad, complaint in (("rounds", "key=value"), ("d.x=1", "d is no table")):
        with pytest.raises(ConfigError, match=complaint):
            change({"d": 1}, [bad])


def test_files(tmp_path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("a = 1")
    assert read_toml("file", path) == {"a": 1}
    path.write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigError, match=r"file='.*a\.toml': is not valid TOML"):
        read_toml("file", path)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_toml("file", tmp_path / "b.toml")


def test_tables_and_docstrings_are_made_from_the_declarations() -> None:
    header, size, thick, lid_color, heavy, limit, color, labels = rows(Box)
    assert header == ("key", "default", "meaning")
    assert size == ("`size`", "required", "how large")
    assert thick == ("`lid.thick`", "`0.5`", "how thick")
    assert lid_color == ("`lid.color`", "`blue`", "its color: `red`, `blue`")
    assert [row[1] for row in (heavy, limit, color, labels)] == ["`false`", "", "`red`", ""]
    assert "size : int\n    how large\n" in Box.__doc__
    assert Box.__doc__.startswith("A box.\n\nAttributes\n")


def test_command_lines_are_made_from_the_declarations(capsys) -> None:
    parser = argparse.ArgumentParser()
    for known in keys(Box).values():
        if known.kind is not dict:
            add_argument(parser, known)
    parsed = vars(parser.parse_args(["--size=3", "--heavy", "--lid.thick=2"]))
    assert parsed == {"size": 3, "lid.thick": 2.0, "lid.color": "blue", "heavy": True} | {
        "limit": None,
        "color": "red",
    }
    with pytest.raises(SystemExit):
        parser.parse_args([])
    assert "--size" in capsys.readouterr().err
