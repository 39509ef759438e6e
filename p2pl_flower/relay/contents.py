"""How a device keeps its model, its message and its algorithm's state in its mailbox.

A publication holds each array once. One that is both the model's and the message's lies there
under its name; one that is only the model's is private, and one that only the message has is
marked, so that neither hides the other. Where a codec is used, all of these are private, and what
it makes of the message, marked too, is what neighbors may have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import LayoutError
from ..named_arrays import Model
from .parts import Gathered

MODEL, STATE, COPY = "model", "state", "copy"
"""Channels of a mailbox; the last has messages as neighbors know them, where they keep copies."""

State = Mapping[str, Model]
"""What a device keeps, by what it is."""

_MODEL_ONLY, _MESSAGE_ONLY, _ENCODED = _MARKS = ("~", "+", "=")


class Holding(NamedTuple):
    """What a device holds at one moment.

    Attributes
    ----------
    model : Model
        All of its model.
    message : Model
        What its neighbors may have.
    state : State
        What its algorithm keeps.
    """

    model: Model
    message: Model
    state: State


def to_publication(
    model: Model, message: Model, encoded: Model | None = None
) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Return the arrays to publish, in the model's order, and which of them are private.

    Parameters
    ----------
    model, message : Model
        What the device holds.
    encoded : Model, optional
        What neighbors may have, if it is not the message.
    """
    publication: dict[str, NDArray[Any]] = {}
    for name, array in model.items():
        both = message.get(name) is array and not name.startswith(_MARKS)
        publication[name if both else f"{_MODEL_ONLY}{name}"] = array
    for name, array in message.items():
        if name not in publication:
            publication[f"{_MESSAGE_ONLY}{name}"] = array
    if encoded is None:
        return publication, [name for name in publication if name.startswith(_MODEL_ONLY)]
    shown = {f"{_ENCODED}{name}": array for name, array in encoded.items()}
    return {**publication, **shown}, list(publication)


def from_publication(publication: Model) -> tuple[Model, Model]:
    """Return the model and the message that a device itself has published."""
    model: dict[str, NDArray[Any]] = {}
    message: dict[str, NDArray[Any]] = {}
    for name, array in publication.items():
        if name.startswith(_ENCODED):
            continue
        if not name.startswith(_MESSAGE_ONLY):
            model[name.removeprefix(_MODEL_ONLY)] = array
        if not name.startswith(_MODEL_ONLY):
            message[name.removeprefix(_MESSAGE_ONLY)] = array
    return model, message


def check_names(model: Model) -> None:
    """Refuse arrays whose names would be mistaken for marks.

    Raises
    ------
    LayoutError
        Names the first of them.
    """
    for name in model:
        if name.startswith(_MARKS) or name == "__metadata__":
            raise LayoutError(
                f"array {name!r}: names that begin with '~', '+' or '=', and '__metadata__', mean "
                "something in what devices publish; give it another name"
            )


def message_of(publication: Model) -> Model:
    """Return the message in a publication, as it is for neighbors: looked up array by array."""
    return _marked(publication, lambda name: not name.startswith(_MODEL_ONLY), _MESSAGE_ONLY)


def encoded_of(publication: Model) -> Model:
    """Return what a codec made of the message in a publication; nothing where it is no codec's."""
    return _marked(publication, lambda name: name.startswith(_ENCODED), _ENCODED)


def is_encoded(publication: Model) -> bool:
    """Return whether neighbors have of a publication what a codec made, and not the message."""
    return any(name.startswith(_ENCODED) for name in publication)


def _marked(publication: Model, takes: Callable[[str], bool], mark: str) -> Model:
    found = Gathered()
    for name in filter(takes, publication):
        found.add(name.removeprefix(mark), publication, name)
    return found


def adopted(own: Model, publication: Model) -> dict[str, NDArray[Any]]:
    """Return a model whose arrays are a neighbor's, as far as it shows them, and else the own."""
    shown, message = from_publication(publication)  # a message may hold more than a model
    theirs = {**message, **shown}
    return {**own, **{n: theirs[n] for n in own or shown or message if n in theirs}}


def flattened(state: State) -> dict[str, NDArray[Any]]:
    """Return a state as one level of names."""
    return {
        f"{part}/{name}": np.asarray(array)
        for part, arrays in state.items()
        for name, array in arrays.items()
    }


def unflattened(arrays: Model) -> dict[str, dict[str, NDArray[Any]]]:
    """Return the state that `flattened` has made one level of."""
    state: dict[str, dict[str, NDArray[Any]]] = {}
    for key, array in arrays.items():
        part, _, name = key.partition("/")
        state.setdefault(part, {})[name] = array
    return state


def models_of(publications: Mapping[int, Model]) -> dict[int, Model]:
    """Return the models of devices from what they have published."""
    return {device: from_publication(entry)[0] for device, entry in publications.items()}
