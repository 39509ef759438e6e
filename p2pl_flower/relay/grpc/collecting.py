"""Fetching one slot from several neighbors at once, and checking what comes."""

from __future__ import annotations

import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TYPE_CHECKING

import grpc

from ...errors import LayoutError, RelayError
from ...named_arrays import Model, check_layout
from ...system.allocator import give_back
from ..mailbox import Slot
from ..spool import Document
from ..tensors import not_finite
from .protocol import Refusal, RefusedError

if TYPE_CHECKING:
    from .endpoint import Endpoint

_RETRY_SECONDS = 0.2
_HEADER_SLACK = 1 << 16
_TRANSFER_SECONDS = 10.0  # for what is there already, where nothing is waited for


def collect(
    endpoint: Endpoint, run: str, senders: list[int], slot: Slot, deadline: float | None
) -> dict[int, Model]:
    """Return the models that arrived, by sender; all else is counted in the statistics.

    They are fetched side by side, into files, and checked one after the other.
    """
    policy = deadline is None
    seconds = endpoint.waiting.deadline if deadline is None else deadline
    enough = endpoint.waiting.enough(len(senders)) if policy else len(senders)
    end = time.monotonic() + (seconds or _TRANSFER_SECONDS)
    fetching = _Fetching(endpoint, run, slot)
    for j in senders:
        brief = policy and j in endpoint.unreachable
        fetching.begin(j, min(seconds, endpoint.waiting.grace) if brief else seconds)
    pending = set(fetching.senders)
    while pending and len(fetching.arrived) < enough:
        done, pending = wait(pending, max(0.0, end - time.monotonic()), FIRST_COMPLETED)
        for future in done:
            fetching.settle(future)
        if not done:
            break
    fetching.calls.cancel()
    for future in pending:  # their calls have been ended: this takes no time
        fetching.settle(future)
    give_back()
    return dict(sorted(fetching.arrived.items()))


class _Calls:
    """Calls in flight, to be ended when enough neighbors have answered."""

    def __init__(self) -> None:
        self._calls: list[grpc.Call] = []
        self._lock = threading.Lock()
        self.over = threading.Event()

    def add(self, call: grpc.Call) -> None:
        with self._lock:
            self._calls.append(call)
        if self.over.is_set():
            call.cancel()

    def cancel(self) -> None:
        self.over.set()
        with self._lock:
            for call in self._calls:
                call.cancel()


class _Fetching:
    """What is being fetched from whom, and what of it has arrived and was found good."""

    def __init__(self, endpoint: Endpoint, run: str, slot: Slot) -> None:
        self._endpoint, self._run, self._slot = endpoint, run, slot
        kept = endpoint.publications(run).stored(slot.channel)
        self._own = kept[0][1].document if kept else None
        self.calls = _Calls()
        self.senders: dict[Future[Document], int] = {}
        self.arrived: dict[int, Model] = {}

    def begin(self, sender: int, seconds: float) -> None:
        """Fetch from a neighbor, in a thread of its own."""
        self.senders[self._endpoint.pool.submit(self._fetch, sender, seconds)] = sender

    def settle(self, future: Future[Document]) -> None:
        """Check what came, and note it."""
        sender, statistics = self.senders[future], self._endpoint.statistics
        try:
            self.arrived[sender] = _checked(future.result(), self._own, self._slot, sender)
            statistics.arrived(sender)
        except RefusedError as refused:
            statistics.refused(sender, refused.refusal, refused.reason)

    def _fetch(self, sender: int, seconds: float) -> Document:
        """Fetch a publication; who cannot be reached is tried again and again."""
        remote, unreachable = self._endpoint.remotes.get(sender), self._endpoint.unreachable
        if remote is None:
            raise RefusedError(Refusal.STRANGER, f"device {sender} is not on the neighbor list")
        self._endpoint.check_standing(sender)
        most = self._endpoint.most_bytes if self._own is None else self._own.size + _HEADER_SLACK
        end = time.monotonic() + seconds
        absent: RefusedError | None = None
        while True:
            left = max(0.0, end - time.monotonic())
            try:
                document = remote.fetch(self._run, self._slot, left, most, self.calls.add)
            except RefusedError as refused:
                if refused.refusal is Refusal.LATE and absent is not None:
                    raise absent from None  # time ran out while it was tried again
                if refused.refusal is not Refusal.ABSENT:
                    raise
                absent = refused
                unreachable.add(sender)
                if left <= _RETRY_SECONDS or self.calls.over.wait(_RETRY_SECONDS):
                    raise
            else:
                unreachable.discard(sender)
                return document


def _checked(document: Document, own: Document | None, slot: Slot, sender: int) -> Model:
    """Return the model in a document, or refuse it; nothing of it has been used until then."""
    try:
        model = document.model()
    except RelayError as error:
        raise RefusedError(Refusal.MALFORMED, f"what it sends {error}") from None
    if own is not None:
        _check_fit(own.model(), model, slot, sender)
    if (name := not_finite(model)) is not None:
        raise RefusedError(Refusal.NOT_FINITE, f"array {name!r} holds a NaN or an infinity")
    return model


def _check_fit(own: Model, model: Model, slot: Slot, sender: int) -> None:
    """Compare with the own publication: a model exactly, what travels beside one in kind."""
    try:
        if slot.channel == "model":
            check_layout(own, model, f"device {sender}")
        elif _kinds(own) != _kinds(model):
            raise LayoutError(f"{slot.channel} has other arrays at device {sender} than here")
    except LayoutError as error:
        raise RefusedError(Refusal.LAYOUT, str(error)) from None


def _kinds(model: Model) -> dict[str, tuple[int, str]]:
    return {name: (array.ndim, str(array.dtype)) for name, array in model.items()}
