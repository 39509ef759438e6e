"""A device's state in one file, written so that a crash at any instant leaves a whole one.

That of the round before is kept beside it, and taken where the last is damaged.

The file is a safetensors document: arrays are arrays, and all else is JSON in its metadata.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
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

log = logging.getLogger("flwr.p2pl")

_FORMAT = 2
_FILE, _PREVIOUS = "checkpoint.safetensors", "checkpoint-before.safetensors"
_CONTENT, _CHECKSUM = "p2pl", "checksum"
_UNREADABLE = (OSError, RelayError, KeyError, ValueError, TypeError, AttributeError, IndexError)
_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG, errno.EIO)


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
        self.path, self._previous = folder / _FILE, folder / _PREVIOUS
        self._identity = dict(identity)
        self._paused = False

    def save(self, state: State, publications: OwnPublications, channels: Collection[str]) -> None:
        """Write the state, channels of the mailbox and the random state, or leave the old file.

        Where there is no room a warning says so, and the device goes on.

        Raises
        ------
        ConfigError
            The folder cannot be written to.
        """
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
            self._pause(error)
            return
        if self._paused:
            self._paused = False
            log.info("the state is saved again, in %s", self.path)

    def _pause(self, error: OSError) -> None:
        if error.errno not in _FULL:
            rule = f"cannot be written: {error.strerror}"
            raise ConfigError("checkpoint", str(self.path), rule) from None
        if not self._paused:
            rule = "the state after this round is not saved, nor later ones until that can be done "
            log.warning(rule + "again (%s: %s); training goes on", self.path, error.strerror)
        self._paused = True

    def load(self, publications: OwnPublications) -> State | None:
        """Restore the mailbox and the random state; None where there is no file yet.

        Where the last file is damaged that before it is taken.

        Raises
        ------
        ConfigError
            Neither can be read, or it is of another run.
        """
        damaged = ""
        for path in (self.path, self._previous):
            if not path.is_file():
                continue
            try:
                found = self._load(path, publications)
            except _UNREADABLE as error:
                if isinstance(error, ConfigError):
                    raise
                damaged = damaged or f"{type(error).__name__}: {str(error)[:200]}"
                continue
            if path is self._previous:
                rule = "%s is damaged or gone (%s): goes on from the one before it, round %d"
                log.warning(rule, self.path, damaged or "no file", found.round)
            return found
        if damaged:
            rule = f"cannot be read ({damaged}); delete it to begin anew"
            raise ConfigError("checkpoint", str(self.path), rule)
        return None

    def _load(self, path: Path, publications: OwnPublications) -> State:
        """Read all of a file, and then restore what is in it."""
        content, arrays = _read(path)
        self._compare(content)
        mail = [
            (Slot(*entry["slot"]), *_fetch_parts(arrays, i, entry))
            for i, entry in enumerate(content["mail"])
        ]
        context = records_json.from_json(content["context"], _within(arrays, "context"))
        [run] = History.from_json(content["history"]).runs
        random_state.restore(content["random"], _within(arrays, "random"))
        for slot, public, private in reversed(mail):
            publications.put_parts(slot, public, private)
        return State(int(content["round"]), run, context)

    def _write(self, arrays: Model, content: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        said = {_CONTENT: content, _CHECKSUM: _checksum(content, arrays)}
        with replacing(self.path, durable=True) as part:
            with part.open("wb") as file:
                for piece in pieces(arrays, said):
                    file.write(piece)
            self._keep_previous()

    def _keep_previous(self) -> None:
        """Let the last file be the previous one, too: at no instant is there none."""
        if not self.path.is_file():
            return
        other = self._previous.with_name(f".{self._previous.name}.part")
        try:
            other.unlink(missing_ok=True)
            os.link(self.path, other)
        except OSError:  # this file system knows no second names
            self.path.replace(self._previous)
        else:
            other.replace(self._previous)

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
    except (*_UNREADABLE, StopIteration):
        rule = f"is no whole checkpoint of a peer: name its {_FILE}"
        raise ConfigError("state", str(path), rule) from None


def _read(path: Path) -> tuple[dict[str, Any], Model]:
    """Return what a checkpoint says, and its arrays; raises any of `_UNREADABLE`."""
    document = Document.at(path)
    said, arrays = metadata_of(document.buffer()), document.model()
    if said[_CHECKSUM] != _checksum(said[_CONTENT], arrays):
        raise RelayError("its checksum is another")
    return json.loads(said[_CONTENT]), arrays


def _checksum(content: str, arrays: Model) -> str:
    found = hashlib.blake2b(content.encode(), digest_size=16)
    for name in arrays:
        found.update(np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8).data)
    return found.hexdigest()


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
