from __future__ import annotations

from dataclasses import dataclass

import pytest

from p2pl_flower.config import Table
from p2pl_flower.errors import ConfigError, TopologyError


@dataclass(frozen=True)
class Box:
    size: int
    weight: float = 1.0
    label: str = ""
    fragile: bool = False


def bag(n: int, color: str = "red") -> tuple[str, int, str]:
    if n < 0:
        raise TopologyError("n", n, "must not be negative")
    return ("bag", n, color)


TABLE: Table[object] = Table("publication", {"box": Box, "bag": bag})


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("box:3", Box(3)),
        (" box:3 ", Box(3)),
        ("box:size=3", Box(3)),
        ("box:3,0.5", Box(3, 0.5)),
        ("box: 3 , fragile = yes", Box(3, fragile=True)),
        ("box:weight=1e-3,size=4", Box(4, 0.001)),
        ("box:3,label=a=b", Box(3, label="a=b")),
        ("box:3,fragile=FALSE", Box(3)),
        ("box:3,", Box(3)),
        ("bag:2", ("bag", 2, "red")),
    ],
)
def test_text_becomes_an_object(text, made):
    assert TABLE.make(text) == made


@pytest.mark.parametrize("text", ["box:1,fragile=1", "box:1,fragile=True", "box:1,fragile=yes"])
def test_truth(text):
    assert TABLE.make(text).fragile is True


def test_bind_gives_the_factory_and_only_what_was_set():
    assert TABLE.bind("box:3,label=x") == (Box, {"size": 3, "label": "x"})


def test_dashes_and_underscores_are_alike():
    def factory(loss_bad: float) -> float:
        return loss_bad

    table = Table("links", {"x": factory})
    assert table.make("x:loss-bad=0.5") == table.make("x:loss_bad=0.5") == 0.5


def test_reserved_parameters_are_not_the_users():
    table = Table("publication", {"bag": bag}, reserved=("n",))
    assert table.bind("bag:blue") == (bag, {"color": "blue"})
    with pytest.raises(ConfigError, match="unknown parameter 'n'; choose one of: color"):
        table.bind("bag:n=3")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("crate", "publication='crate': unknown name; choose one of: bag, box"),
        ("", "publication='': unknown name"),
        ("box", r"publication='box': needs size, as in 'box:size=\.\.\.'"),
        ("box:3,depth=1", "unknown parameter 'depth'; choose one of: size, weight"),
        ("box:x", "size must be of type int, got 'x'"),
        ("box:1.5", "size must be of type int, got '1.5'"),
        ("box:1,weight=", "weight must be of type float, got ''"),
        ("box:1,fragile=maybe", "fragile must be of type bool, got 'maybe'"),
        ("box:1,2,3,0,5", r"takes at most 4 value\(s\)"),
        ("bag:-1", "publication='bag:-1': n=-1: must not be negative"),
    ],
)
def test_refusals_say_what_is_wrong(text, message):
    with pytest.raises(ConfigError, match=message):
        TABLE.make(text)


def test_blame_keeps_the_kind_of_error_and_does_not_stack():
    once = TABLE.blame("bag:-1", TopologyError("n", -1, "no"))
    assert type(once) is TopologyError
    assert str(once) == "publication='bag:-1': n=-1: no"
    assert str(TABLE.blame("bag:-1", once)) == str(once)
