"""A value and its rule: what becomes Python's own, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from p2pl_flower.config import at_least, one_of, take, within
from p2pl_flower.errors import ConfigError, TopologyError


@pytest.mark.parametrize(
    ("value", "kind", "made"),
    [
        (3, int, 3),
        (np.int64(3), int, 3),
        (np.uint8(3), int, 3),
        (3, float, 3.0),
        (np.int32(3), float, 3.0),
        (np.float32(0.5), float, 0.5),
        (np.float64(0.5), float, 0.5),
        (np.longdouble(0.5), float, 0.5),
        (math.inf, float, math.inf),
        (np.str_("a"), str, "a"),
        (np.bool_(True), bool, True),
        ({"a": np.int64(1), "b": "x"}, dict, {"a": 1, "b": "x"}),
    ],
)
def test_values_become_pythons_own(value, kind, made) -> None:
    got = take("key", value, kind)
    assert got == made
    assert type(got) is kind


@pytest.mark.parametrize(
    ("value", "kind", "complaint"),
    [
        (True, int, "key=True: must be an integer"),
        (np.bool_(True), int, "key=True: must be an integer"),
        (2.0, int, "key=2.0: must be an integer"),
        (np.float64(2), int, "key=2.0: must be an integer"),
        ("2", int, "key='2': must be an integer"),
        (None, int, "key=None: must be an integer"),
        (math.nan, float, "key=nan: must be a number"),
        (np.float32("nan"), float, "key=nan: must be a number"),
        (10**400, float, "must be a number"),
        (False, float, "key=False: must be a number"),
        (1, bool, "key=1: must be true or false"),
        (1, str, "key=1: must be a text"),
        (np.array([1]), int, "must be an integer"),
        ([1], dict, "key=[1]: must be a table: [key]"),
        ({"a": [1]}, dict, "key.a=[1]: must be a text, a number or true or false"),
    ],
)
def test_other_types_are_refused(value, kind, complaint) -> None:
    with pytest.raises(ConfigError) as caught:
        take("key", value, kind)
    assert complaint in str(caught.value)


def test_rules() -> None:
    for interval, inside, outside in (
        ("(0, 1]", (1e-300, 1), (0, 1.5, -1)),
        ("[0, inf)", (0, 1e300), (-1e-300, math.inf)),
        ("(0, inf]", (1, math.inf), (0,)),
    ):
        rule = within(interval)
        assert all(rule.holds(x) for x in inside)
        assert not any(rule.holds(x) for x in outside)
    with pytest.raises(TopologyError, match=r"^p=2: must be in \(0, 1\] \(share\)$"):
        take("p", 2, float, within("(0, 1]", "share"), TopologyError)
    with pytest.raises(ConfigError, match=r"^k=2.5: must be an integer of at least 1$"):
        take("k", 2.5, int, at_least(1))
    with pytest.raises(ConfigError, match=r"^c='x': unknown name; choose one of: a, b$"):
        take("c", "x", str, one_of("a", "b"))
