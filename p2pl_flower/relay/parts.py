"""Models in parts: what neighbors may have and what is the device's own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from numpy.typing import NDArray

from ..named_arrays import Model


def split(model: Model, private: Collection[str]) -> tuple[Model, Model | None]:
    """Part a model into what neighbors may have and, if there is any, what they may not.

    The private part remembers where in the model its arrays belong, for `join`.
    """
    if not private:
        return dict(model), None
    places = {name: f"{place}/{name}" for place, name in enumerate(model) if name in private}
    public = {name: array for name, array in model.items() if name not in private}
    return public, {place: model[name] for name, place in places.items()}


def join(public: Model, private: Model | None) -> Model:
    """Put together what `split` has parted, every array in its place."""
    if private is None:
        return public
    entries = [(name, public, name) for name in public]
    for place_and_name in private:
        place, _, name = place_and_name.partition("/")
        entries.insert(int(place), (name, private, place_and_name))
    joined = Gathered()
    for entry in entries:
        joined.add(*entry)
    return joined


class Gathered(Mapping[str, NDArray[Any]]):
    """Arrays of several models under names of its own, looked up when they are asked for.

    It holds no array: models that are mapped from files stay there until somebody looks.
    """

    def __init__(self) -> None:
        self._sources: dict[str, tuple[Model, str]] = {}

    def add(self, name: str, model: Model, key: str) -> None:
        """Give the array ``key`` of ``model`` a name here, after all others."""
        self._sources[name] = model, key

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return an array."""
        model, key = self._sources[name]
        return model[key]

    def __iter__(self) -> Iterator[str]:
        """Return the names in the order in which they were added."""
        return iter(self._sources)

    def __len__(self) -> int:
        """Return the number of arrays."""
        return len(self._sources)
