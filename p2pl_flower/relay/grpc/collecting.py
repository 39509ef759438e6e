"""Fetching one slot from several neighbors at once, and checking what comes."""

from __future__ import annotations

import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TYPE_CHECKING

import grpc

from ...consensus import Model, check_layout
from ...errors import LayoutError, RelayError
from ..base import Slot
from ..tensors import Buffer, not_finite, unpack
from .protocol import Refusal, RefusedError

if TYPE_CHECKING:
    from .station import Station

_RETRY_SECONDS = 0.2
_HEADER_SLACK = 1 << 16
_TRANSFER_SECONDS = 10.0  # for what is there already, where nothing is waited for


def collect(
    station: Station, run: str, senders: list[int], slot: Slot, deadline: float | None
) -> dict[int, Model]:
    """Return the models that arrived, by sender; all else is counted in the ledger."""
    policy = deadline is None
    seconds = station.waiting.deadline if deadline is None else deadline
    enough = station.waiting.enough(len(senders)) if policy else len(senders)
    calls, end = _Calls(), time.monotonic() + (seconds or _TRANSFER_SECONDS)
    futures: dict[Future[Model], int] = {}
    for j in senders:
        brief = policy and j in station.unreachable
        patience = min(seconds, station.waiting.grace) if brief else seconds
        futures[station.pool.submit(_fetch, station, run, j, slot, patience, calls)] = j
    arrived: dict[int, Model] = {}
    pending = set(futures)
    while pending and len(arrived) < enough:
        done, pending = wait(pending, max(0.0, end - time.monotonic()), FIRST_COMPLETED)
        for future in done:
            _settle(station, futures[future], future, arrived)
        if not done:
            break
    calls.cancel()
    for future in pending:  # their calls have been ended: this takes no time
        _settle(station, futures[future], future, arrived)
    return dict(sorted(arrived.items()))


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


def _settle(
    station: Station, sender: int, future: Future[Model], arrived: dict[int, Model]
) -> None:
    try:
        arrived[sender] = future.result()
        station.ledger.arrived(sender)
    except RefusedError as refused:
        station.ledger.refused(sender, refused.refusal, refused.reason)


def _fetch(
    station: Station, run: str, sender: int, slot: Slot, seconds: float, calls: _Calls
) -> Model:
    """Fetch one neighbor's publication; who cannot be reached is tried again and again."""
    remote = station.remotes.get(sender)
    if remote is None:
        raise RefusedError(Refusal.STRANGER, f"device {sender} is not on the neighbor list")
    kept = station.office(run).sealed(slot.channel)
    own = kept[0][1].document if kept else None
    most = station.most_bytes if own is None else own.size + _HEADER_SLACK
    end = time.monotonic() + seconds
    while True:
        left = max(0.0, end - time.monotonic())
        try:
            document = remote.fetch(run, slot, left, most, calls.add)
            break
        except RefusedError as refused:
            if refused.refusal is Refusal.ABSENT:
                station.unreachable.add(sender)
            again = refused.refusal is Refusal.ABSENT and left > _RETRY_SECONDS
            if not again or calls.over.wait(_RETRY_SECONDS):
                raise
    station.unreachable.discard(sender)
    return _checked(document, own, slot, sender)


def _checked(document: Buffer, own: Buffer | None, slot: Slot, sender: int) -> Model:
    """Return the model in a document, or refuse it; nothing of it has been used until then."""
    try:
        model = unpack(document)
    except RelayError as error:
        raise RefusedError(Refusal.MALFORMED, f"what it sends {error}") from None
    if own is not None:
        _check_fit(unpack(own), model, slot, sender)
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
