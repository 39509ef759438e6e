"""A device's state in one file, written so that a crash at any instant leaves a whole one.

The file is a safetensors document: arrays are arrays, and all else is JSON in its metadata.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import RecordDict

from ..errors import ConfigError, RelayError
from ..history import History, Run
from ..named_arrays import Model
from ..relay import Slot
from ..relay.contents import MODEL, from_publication
from ..relay.grpc.own_publications import OwnPublications, StoredPublication
from ..relay.parts import Gathered, join
from ..relay.spool import Document
from ..relay.tensors import metadata_of, pieces
from ..system.files import check_same_run, replacing
from . import random_state, records_json

_FORMAT = 1
_FILE = "checkpoint.safetensors"
_UNREADABLE = (OSError, RelayError, KeyError, ValueError)


@dataclass
class State:
    """What a device goes on from.

    Attributes
    ----------
    round : int
        The last round that is over.
    run : Run
        What was measured so far, and the rounds that were skipped.
    context : RecordDict
        The app's ``Context.state``.
    """

    round: int
    run: Run
    context: RecordDict


class Checkpoint:
    """The file that a device saves its state in after a round.

    Parameters
    ----------
    folder : Path
        Where the file is.
    identity : Mapping[str, Any]
        What must be the same for a run to be continued, in JSON's types.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self.path = folder / _FILE
        self._identity = dict(identity)

    def save(self, state: State, publications: OwnPublications, channels: Collection[str]) -> None:
        """Write the state, channels of the mailbox and the random state, or leave the old file."""
        arrays = Gathered()
        content: dict[str, Any] = {"format": _FORMAT, "identity": self._identity}
        content["round"] = state.round
        content["history"] = History({}, {}, [state.run]).to_json()
        content["mail"] = [
            {"slot": list(slot), **_store_publication(arrays, f"mail/{i}", stored)}
            for i, (slot, stored) in enumerate(
                entry for channel in channels for entry in publications.stored(channel)
            )
        ]
        content["context"], context_arrays = records_json.to_json(state.context)
        _store(arrays, "context", context_arrays)
        content["random"], random_arrays = random_state.capture()
        _store(arrays, "random", random_arrays)
        try:
            self._write(arrays, json.dumps(content))
        except OSError as error:
            rule = f"cannot be written: {error.strerror}"
            raise ConfigError("checkpoint", str(self.path), rule) from None

    def load(self, publications: OwnPublications) -> State | None:
        """Restore the mailbox and the random state; None where there is no file yet.

        Raises
        ------
        ConfigError
            The file cannot be read, or is of another run.
        """
        if not self.path.is_file():
            return None
        try:
            content, arrays = _read(self.path)
        except _UNREADABLE as error:
            rule = f"cannot be read ({error}); delete it to begin anew"
            raise ConfigError("checkpoint", str(self.path), rule) from None
        self._compare(content)
        for i, entry in reversed(list(enumerate(content["mail"]))):
            publications.put_parts(Slot(*entry["slot"]), *_fetch_parts(arrays, i, entry))
        random_state.restore(content["random"], _within(arrays, "random"))
        context = records_json.from_json(content["context"], _within(arrays, "context"))
        [run] = History.from_json(content["history"]).runs
        return State(content["round"], run, context)

    def _write(self, arrays: Model, content: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path, durable=True) as part, part.open("wb") as file:
            for piece in pieces(arrays, {"p2pl": content}):
                file.write(piece)

    def _compare(self, content: Mapping[str, Any]) -> None:
        if content.get("format") != _FORMAT:
            rule = "is of another version of p2pl-flower; delete it to begin anew"
            raise ConfigError("checkpoint", str(self.path), rule)
        check_same_run(self.path, self._identity, content["identity"])


def find(state: Path) -> Path:
    """Return the file of a checkpoint, given that file or the folder that holds it.

    Raises
    ------
    ConfigError
        It is not there.
    """
    path = state / _FILE if state.is_dir() else state
    if not path.is_file():
        within = sorted(file.parent.name for file in state.glob(f"*/{_FILE}"))
        rule = f"holds no {_FILE}: name the folder that a device's `checkpoint` names"
        rule = (
            f"holds several devices' folders: name one of {', '.join(within)}" if within else rule
        )
        raise ConfigError("state", str(state), rule)
    return path


def model_in(path: Path) -> Model:
    """Return the model in a device's checkpoint, whatever its run.

    Raises
    ------
    ConfigError
        It cannot be read, or holds no model.
    """
    try:
        content, arrays = _read(path)
        kept = enumerate(content["mail"])  # newest first
        place, entry = next((i, entry) for i, entry in kept if entry["slot"][0] == MODEL)
        return from_publication(join(*_fetch_parts(arrays, place, entry)))[0]
    except (*_UNREADABLE, TypeError, StopIteration):
        rule = f"is no whole checkpoint of a peer: name its {_FILE}"
        raise ConfigError("state", str(path), rule) from None


def _read(path: Path) -> tuple[dict[str, Any], Model]:
    """Return what a checkpoint says, and its arrays; raises any of `_UNREADABLE`."""
    document = Document.at(path)
    return json.loads(metadata_of(document.buffer())["p2pl"]), document.model()


def _fetch_parts(arrays: Model, place: int, entry: Mapping[str, Any]) -> tuple[Model, Model | None]:
    """Return what neighbors may have of a publication, and what they may not."""
    private = entry["private"]
    rest = None if private is None else _fetch(arrays, f"mail/{place}/private", private)
    return _fetch(arrays, f"mail/{place}/public", entry["public"]), rest


def _store_publication(
    arrays: Gathered, prefix: str, stored: StoredPublication
) -> dict[str, list[str] | None]:
    public, private = stored.parts()
    rest = None if private is None else _store(arrays, f"{prefix}/private", private)
    return {"public": _store(arrays, f"{prefix}/public", public), "private": rest}


def _store(arrays: Gathered, prefix: str, model: Model) -> list[str]:
    """Put a model's arrays among the file's and return their names, in order."""
    for name in model:
        arrays.add(f"{prefix}/{name}", model, name)
    return list(model)


def _fetch(arrays: Model, prefix: str, names: list[str]) -> Model:
    found = Gathered()
    for name in names:
        found.add(name, arrays, f"{prefix}/{name}")
    return found


def _within(arrays: Model, prefix: str) -> Model:
    """Return copies: whose they are may change them, and the file's cannot be changed."""
    start = f"{prefix}/"
    return {name[len(start) :]: np.array(arrays[name]) for name in arrays if name.startswith(start)}
