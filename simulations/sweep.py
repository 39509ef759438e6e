"""What sweeps over settings share: the settings, and where runs of several times were made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any


def combinations(tables: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield every combination of the values in each table, the last key running fastest."""
    for table in tables:
        lists = [value if isinstance(value, list) else [value] for value in table.values()]
        yield from (dict(zip(table, values, strict=True)) for values in product(*lists))


def joined_environment(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the environment of runs made in two: where they differ, all values, by commas."""
    merged = dict(old)
    for key, value in new.items():
        known = str(old.get(key)).split(", ")
        if key not in old:
            merged[key] = value
        elif str(value) not in known:
            merged[key] = ", ".join([*known, str(value)])
    return merged
