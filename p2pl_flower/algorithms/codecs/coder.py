"""One device's part in an exchange through a codec: what it sends, and what it makes of others'."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...named_arrays import Layout, Model, check_exactly, is_finite, layout
from ..base import Arrays, State
from .base import EXACT, Codec, StepKey, layout_of, size_of
from .memory import Memory, NoMemory, Public

BASE = "base"
"""Array in what is sent: the copy that it is to be added to, by the round in which that came to be
and the digest of what was sent for it, this array among it; for the initial model 0 and its digest.
So what is named is all that was added: a device that goes on from an older state, and sends other
numbers in a step than it did before, has another copy, and nobody takes one for the other."""

NOTHING = NoMemory()

_MARK = "codec: "
_BEGUN, _SENT, _COPIED, _COPY_OF = "begun", "sent", "copied", "copy of "
_BASE_LAYOUT = ((2,), "int64")

Kept = Mapping[str, Mapping[str, NDArray[Any]]]
Fetch = Callable[[Sequence[int]], Mapping[int, Model]]
Refuse = Callable[[int, Exception], None]

_UNREADABLE = (ValueError, ArithmeticError, LookupError, TypeError)
"""What a codec may raise of numbers that it has not made."""


class Sent(NamedTuple):
    """What a device shows of a message.

    Attributes
    ----------
    encoded : Model
        What neighbors collect.
    public : Model
        The message that they make of it.
    kept : Kept
        What the device keeps for the next.
    """

    encoded: Model
    public: Model
    kept: Kept


class Heard(NamedTuple):
    """What a device makes of its neighbors' messages.

    Attributes
    ----------
    messages : dict[int, Model]
        The public messages, by device; those that were refused are missing.
    fetched : Mapping[int, Model]
        Whole copies that had to be fetched.
    kept : Kept
        What the device keeps for the next.
    """

    messages: dict[int, Model]
    fetched: Mapping[int, Model]
    kept: Kept


@dataclass(frozen=True)
class Coder:
    """A codec and its memory.

    Parameters
    ----------
    codec : Codec
        What is sent of a message.
    memory : Memory
        What is kept of it.
    """

    codec: Codec = EXACT
    memory: Memory = NOTHING

    @property
    def is_exact(self) -> bool:
        """Whether messages are sent as they are."""
        return self.codec.is_exact

    @property
    def keeps(self) -> bool:
        """Whether devices keep anything from one message to the next."""
        return not self.is_exact and not isinstance(self.memory, NoMemory)

    def public(self, message: Arrays, kept: State, key: StepKey, shape: tuple[int, ...]) -> Public:
        """Return the public messages of stacked devices, and what they keep; for the swarm.

        Parameters
        ----------
        message, key, shape
            As for `Codec.encode`.
        kept : State
            What was kept, from `Memory.start`.
        """
        offered = self.memory.offered(message, kept)
        sent = self.codec.rounded(offered, key, shape)
        return self.memory.public(message, offered, sent, kept)

    def begin(self, model: Model, kept: Kept) -> Kept:
        """Return what is kept from the first training on, given the model that it begins with."""
        if not self.memory.adds_up or _BEGUN in kept:
            return kept
        version = np.array([0, digest(model)], np.int64)
        return {**kept, _BEGUN: model, _SENT: {"": version}, _COPIED: {_BEGUN: version}}

    def message_bytes(self, layout: Layout, key: StepKey) -> int:
        """Return the size in bytes of what one device sends of a message of a layout."""
        return size_of(self._expected(layout, key))

    def send(self, message: Model, kept: Kept, key: StepKey) -> Sent:
        """Return what a device sends, what that is worth, and what it keeps from then on."""
        before = {part: kept[part] for part in ("error", "copy") if part in kept}
        state = before or self.memory.start(message, kept.get(_BEGUN, {}))
        offered = self.memory.offered(message, state)
        encoded = self.codec.encode(offered, key)
        sent = self.codec.decode(encoded, layout_of(message), key)
        public, after = self.memory.public(message, offered, sent, state)
        if self.memory.adds_up:
            encoded = {**encoded, BASE: kept[_SENT][""]}
            after = {**after, _SENT: {"": _version(encoded, key)}}
        return Sent(encoded, public, {**kept, **after})

    def own(self, encoded: Model | None, message: Model, kept: Kept, key: StepKey) -> Model:
        """Return the public message of a device, or what it would be of one that sent none.

        Parameters
        ----------
        encoded : Model or None
            What `send` returned.
        message, kept, key
            The message, what was kept when it was sent, and the step.
        """
        if encoded is None:
            return self.send(message, kept, key).public
        if self.memory.adds_up:
            return kept["copy"]
        return self.codec.decode(encoded, layout_of(message), key)

    def hear(
        self,
        arrived: Mapping[int, Model],
        message: Model,
        kept: Kept,
        key: StepKey,
        fetch: Fetch,
        refuse: Refuse,
    ) -> Heard:
        """Decode what arrived; what is no encoded message of the own layout is refused.

        Parameters
        ----------
        arrived : Mapping[int, Model]
            What neighbors sent in this step, by device.
        message : Model
            The own message, for its layout.
        kept : Kept
            What the device keeps.
        key : StepKey
            The step in which it was sent.
        fetch : Callable
            Returns the whole copies of devices as they are after this step; some may be missing.
        refuse : Callable
            Is told of a device what is wrong with what it sent.
        """
        due, decoded = layout(message), dict[int, Model]()
        for j, encoded in sorted(arrived.items()):
            try:
                decoded[j] = self._decoded(encoded, due, key, j)
            except _UNREADABLE as error:
                refuse(j, error)
        if not self.memory.adds_up:
            return Heard(decoded, {}, kept)
        return self._added(decoded, arrived, message, kept, key, fetch, refuse)

    def _added(
        self,
        decoded: Mapping[int, Model],
        arrived: Mapping[int, Model],
        message: Model,
        kept: Kept,
        key: StepKey,
        fetch: Fetch,
        refuse: Refuse,
    ) -> Heard:
        """Add what arrived to the copies; one that missed a step is fetched as a whole."""
        messages, now = dict[int, Model](), {j: _version(arrived[j], key) for j in decoded}
        begun = self.memory.start(message, kept[_BEGUN])["copy"]
        for j, differs in decoded.items():
            copy: Model = kept.get(f"{_COPY_OF}{j}", begun)
            known = kept[_COPIED].get(str(j), kept[_COPIED][_BEGUN]).tolist()
            if known == now[j].tolist():  # the step is made once more
                messages[j] = copy
            elif known == arrived[j][BASE].tolist():
                with np.errstate(over="ignore", invalid="ignore"):
                    messages[j] = {name: copy[name] + differs[name] for name in message}
        due = layout(message)
        missing = [j for j in decoded if j not in messages]
        fetched: dict[int, Model] = {}
        for j, whole in sorted(fetch(missing).items()) if missing else ():
            try:
                check_exactly(due, layout(whole), f"device {j}")
                messages[j] = fetched[j] = {name: whole[name] for name in due}
            except ValueError as error:
                refuse(j, error)
        for j in [j for j in messages if _is_spoiled(messages[j], decoded[j])]:
            del messages[j]
            refuse(j, ValueError(f"the copy of device {j} is no longer made of finite numbers"))
        copies = {f"{_COPY_OF}{j}": dict(copy) for j, copy in messages.items()}
        versions = {str(j): now[j] for j in messages}
        after = {**kept, **copies, _COPIED: {**kept[_COPIED], **versions}}
        return Heard(dict(sorted(messages.items())), fetched, after)

    def _decoded(self, encoded: Model, due: Layout, key: StepKey, j: int) -> Model:
        whose = f"device {j}"
        check_exactly(self._expected(due, key), layout(encoded), whose)
        content = {name: encoded[name] for name in encoded if name != BASE}
        decoded = self.codec.decode(content, due, key)
        if _is_spoiled(decoded, content):
            raise ValueError(f"what {whose} sent are numbers, and what comes of it are none")
        return decoded

    def _expected(self, due: Layout, key: StepKey) -> Layout:
        expected = self.codec.encoded_layout(due, key)
        return {**expected, BASE: _BASE_LAYOUT} if self.memory.adds_up else expected


def _version(encoded: Model, key: StepKey) -> NDArray[np.int64]:
    """Return what names the copy that comes of what was sent in a step."""
    return np.array([key.round, digest(encoded)], np.int64)


def _is_spoiled(made: Model, of: Model) -> bool:
    """Tell whether what is made of finite numbers is none."""
    return not all(map(is_finite, made.values())) and all(map(is_finite, of.values()))


def without_codec(state: State) -> State:
    """Return what an algorithm keeps, of all that a device keeps."""
    return {part: arrays for part, arrays in state.items() if not part.startswith(_MARK)}


def of_codec(state: State) -> Kept:
    """Return what a codec's memory keeps, of all that a device keeps."""
    return {p.removeprefix(_MARK): arrays for p, arrays in state.items() if p.startswith(_MARK)}


def with_codec(state: State, kept: Kept) -> State:
    """Return what an algorithm and a codec's memory keep, as one."""
    return {**without_codec(state), **{f"{_MARK}{part}": arrays for part, arrays in kept.items()}}


def digest(model: Model) -> int:
    """Return a number of 63 bits that is the same for models whose numbers are the same."""
    found = hashlib.blake2b(digest_size=8)
    for name in sorted(model):
        found.update(np.ascontiguousarray(model[name]).reshape(-1).view(np.uint8).data)
    return int.from_bytes(found.digest()) >> 1
