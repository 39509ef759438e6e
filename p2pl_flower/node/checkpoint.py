"""A device's state in one file, written so that a crash at any instant leaves a whole one.

The file is a safetensors document: arrays are arrays, and all else is JSON in its metadata.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import RecordDict
from numpy.typing import NDArray

from ..consensus import Model
from ..errors import ConfigError, RelayError
from ..history import History, Run
from ..relay import Slot
from ..relay.grpc.office import Office
from ..relay.tensors import document, metadata_of, pack, unpack
from . import random_state, records_json

_FORMAT = 1
_FILE = "checkpoint.safetensors"


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

    def save(self, state: State, office: Office, channel: str) -> None:
        """Write the state, the mailbox's channel and the random state, or leave the old file."""
        arrays: dict[str, NDArray[Any]] = {}
        content: dict[str, Any] = {"format": _FORMAT, "identity": self._identity}
        content["round"] = state.round
        content["history"] = History({}, {}, [state.run]).to_json()
        content["mail"] = [
            {"slot": list(slot), "public": _store(arrays, f"mail/{i}/public", unpack(s.document))}
            | {"private": s.private and _store(arrays, f"mail/{i}/private", s.private)}
            for i, (slot, s) in enumerate(office.sealed(channel))
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

    def load(self, office: Office) -> State | None:
        """Restore the mailbox and the random state; None where there is no file yet.

        Raises
        ------
        ConfigError
            The file cannot be read, or is of another run.
        """
        if not self.path.is_file():
            return None
        try:
            buffer = np.fromfile(self.path, np.uint8)
            content, arrays = json.loads(metadata_of(buffer)["p2pl"]), unpack(buffer)
        except (OSError, RelayError, KeyError, ValueError) as error:
            rule = f"cannot be read ({error}); delete it to begin anew"
            raise ConfigError("checkpoint", str(self.path), rule) from None
        self._compare(content)
        for i, entry in reversed(list(enumerate(content["mail"]))):
            private = entry["private"]
            rest = None if private is None else _fetch(arrays, f"mail/{i}/private", private)
            public = pack(_fetch(arrays, f"mail/{i}/public", entry["public"]))
            office.put_document(Slot(*entry["slot"]), public, rest)
        random_state.restore(content["random"], _within(arrays, "random"))
        context = records_json.from_json(content["context"], _within(arrays, "context"))
        [run] = History.from_json(content["history"]).runs
        return State(content["round"], run, context)

    def _write(self, arrays: Mapping[str, NDArray[Any]], content: str) -> None:
        """Write beside the file, put it onto the disk, move it there, put that onto the disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(f".{_FILE}.part")
        head, ordered = document(arrays, {"p2pl": content})
        with part.open("wb") as file:
            file.write(head)
            for array in ordered:
                file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path)
        with contextlib.suppress(OSError):  # folders cannot be opened on every system
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _compare(self, content: Mapping[str, Any]) -> None:
        if content.get("format") != _FORMAT:
            rule = "is of another version of p2pl-flower; delete it to begin anew"
            raise ConfigError("checkpoint", str(self.path), rule)
        wanted, found = json.loads(json.dumps(self._identity)), content["identity"]
        for key in sorted(wanted.keys() | found.keys()):
            if wanted.get(key) != found.get(key):
                rule = f"is of a run with {key}={found.get(key)!r}, but this one has "
                rule += f"{wanted.get(key)!r}; use another folder, or delete it to begin anew"
                raise ConfigError("checkpoint", str(self.path), rule)


def _store(arrays: dict[str, NDArray[Any]], prefix: str, model: Model) -> list[str]:
    """Put a model's arrays among the file's and return their names, in order."""
    for name, array in model.items():
        arrays[f"{prefix}/{name}"] = array
    return list(model)


def _fetch(arrays: Mapping[str, NDArray[Any]], prefix: str, names: list[str]) -> Model:
    return {name: arrays[f"{prefix}/{name}"] for name in names}


def _within(arrays: Mapping[str, NDArray[Any]], prefix: str) -> Model:
    start = f"{prefix}/"
    return {name[len(start) :]: a for name, a in arrays.items() if name.startswith(start)}
