"""What a value of an option must be: its type, and a rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ConfigError

Scalar = str | int | float | bool
"""What a flat key can be."""

_NOUNS: Mapping[type, str] = {
    int: "an integer",
    float: "a number",
    str: "a text",
    bool: "true or false",
    dict: "a table",
}


@dataclass(frozen=True)
class Rule:
    """What a value must be besides being of its type.

    Parameters
    ----------
    text : str
        Completes "must be ...".
    holds : Callable[[Any], bool]
        Whether a value of the type is so.
    choices : tuple[str, ...]
        The valid values, where they can be listed.
    link : str
        Stands between the type and ``text``, as in "an integer of at least 1".
    """

    text: str
    holds: Callable[[Any], bool]
    choices: tuple[str, ...] = ()
    link: str = " "


ANY = Rule("", lambda _: True, link="")


def at_least(least: int) -> Rule:
    """Return the rule that an integer is ``least`` or larger."""
    return Rule(f"at least {least}", lambda value: bool(value >= least), link=" of ")


def within(interval: str, what: str = "") -> Rule:
    """Return the rule that a number is in an interval, such as ``(0, 1]`` or ``[0, inf)``.

    Parameters
    ----------
    interval : str
        Two numbers; round brackets leave the end out, square ones do not.
    what : str
        What the number is: its unit, say.
    """
    low, high = map(float, interval[1:-1].split(","))

    def holds(value: float) -> bool:
        above = value >= low if interval[0] == "[" else value > low
        return above and (value <= high if interval[-1] == "]" else value < high)

    return Rule(f"in {interval}" + (f" ({what})" if what else ""), holds)


def one_of(*choices: str) -> Rule:
    """Return the rule that a text is one of several."""
    return Rule("", lambda value: value in choices, choices, link="")


def take(
    name: str,
    value: object,
    kind: type,
    rule: Rule = ANY,
    error: type[ConfigError] = ConfigError,
) -> Any:
    """Return a value as Python's own type, or refuse it.

    NumPy's scalars count as numbers, texts and truths, and an integer as a number; a truth is
    no integer, and NaN is no number.

    Parameters
    ----------
    name : str
        What errors call the value.
    value : object
        What was given.
    kind : type
        ``int``, ``float``, ``str`` or ``bool``; ``dict`` for a table of these.
    rule : Rule
        What else it must be.
    error : type[ConfigError]
        What is raised.

    Raises
    ------
    ConfigError
        It is of another type, or not as the rule says.
    """
    plain = python(value)
    made = _table(name, plain) if kind is dict else _as(kind, plain)
    if made is None:
        hint = f": [{name}]" if kind is dict else ""
        said = f"must be {_NOUNS[kind]}{rule.link}{rule.text}{hint}"
        raise error(name, plain, said, rule.choices)
    if not rule.holds(made):
        said = "unknown name" if rule.choices else f"must be {rule.text}"
        raise error(name, plain, said, rule.choices)
    return made


def python(value: object) -> object:
    """Return a NumPy scalar as the value of Python that it is; others as they are."""
    return value.item() if isinstance(value, np.generic) else value


def _as(kind: type, value: object) -> Any:
    """Return a value as one of ``kind``; None where it is none."""
    if isinstance(value, bool):
        return value if kind is bool else None
    if kind is float and isinstance(value, int | float | np.floating):
        try:
            number = float(value)
        except OverflowError:  # an integer that no float can hold
            return None
        return None if math.isnan(number) else number
    return kind(value) if kind in (int, str) and isinstance(value, kind) else None


def _table(name: str, value: object) -> dict[str, Any] | None:
    if not isinstance(value, Mapping):
        return None
    made = {str(key): python(entry) for key, entry in value.items()}
    for key, entry in made.items():
        if not isinstance(entry, Scalar):
            raise ConfigError(f"{name}.{key}", entry, "must be a text, a number or true or false")
    return made
