"""Fetching one slot from several neighbors at once, and going on with what has come."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TYPE_CHECKING

import grpc

from ...errors import RelayError
from ...named_arrays import Model
from ...system.allocator import give_back
from ..contents import MODEL
from ..mailbox import Collected, Slot
from ..spool import Partial
from .checking import checked
from .own_publications import ANY_AGE
from .protocol import Refusal, RefusedError
from .remote import Fetched

if TYPE_CHECKING:
    from .endpoint import Endpoint

MOST_STALE = 8
"""Rounds by which a model may be older or newer than the one that was asked for, and be taken."""

_RETRY_SECONDS = 0.2
_HEADER_SLACK = 1 << 16
_BROKEN_SECONDS = 60.0  # in which the rest of what has begun to come is asked for
_END_SECONDS = 0.5  # for calls that have been ended
_TRANSFER_SECONDS = 10.0  # for what is there already, where nothing is waited for


def collect(
    endpoint: Endpoint, run: str, senders: list[int], slot: Slot, deadline: float | None
) -> Collected:
    """Return the models that arrived, by sender; all else is counted in the statistics.

    They are fetched side by side, into files, and checked one after the other. A transfer that
    has begun and does not come to its end in time goes on beside what follows, and counts when
    it is next asked for. Those that are absent are not waited for longer than for the others.
    """
    policy = deadline is None
    adapts = policy and slot.round > 0 and slot.channel == MODEL
    usual = endpoint.usual.deadline(endpoint.waiting) if adapts else endpoint.waiting.deadline
    seconds = usual if deadline is None else deadline
    enough = endpoint.waiting.enough(len(senders)) if policy else len(senders)
    begun = time.monotonic()
    absent = {j for j in senders if policy and j in endpoint.unreachable}
    brief = min(seconds, endpoint.waiting.grace)
    if slot.round > 0:
        brief = min(brief, endpoint.times[run].ask(slot.round))
    fetching = _Fetching(endpoint, run, slot, waits=policy)
    for j in senders:
        fetching.begin(j, brief if j in absent else seconds, j in absent)
    fetching.settle_until(begun + (seconds or _TRANSFER_SECONDS), enough, spared=absent)
    fetching.settle_until(begun + brief, enough, spared=())
    fetching.end()
    if adapts and fetching.last_at is not None:
        endpoint.usual.note(fetching.last_at - begun)
    give_back()
    ages = fetching.ages
    return Collected(dict(sorted(fetching.arrived.items())), {j: a for j, a in ages.items() if a})


class Transfer:
    """One answer under way: another thread receives it, and this one may end it.

    Attributes
    ----------
    slot : Slot
        What was asked for.
    future : Future[Fetched]
        What will have come.
    has_begun : bool
        Whether the neighbor has begun to send.
    partial : Partial or None
        What has come, which a call after this one may go on with.
    """

    def __init__(self, slot: Slot) -> None:
        self.slot, self.has_begun = slot, False
        self.partial: Partial | None = None
        self.future: Future[Fetched]
        self.over = threading.Event()
        self._call: grpc.Call | None = None
        self._lock = threading.Lock()

    def add(self, call: grpc.Call) -> None:
        """Note the call, so that it can be ended."""
        with self._lock:
            self._call = call
        if self.over.is_set():
            call.cancel()

    def begin(self) -> None:
        """Note that the neighbor has begun to send."""
        self.has_begun = True

    def cancel(self) -> None:
        """End it."""
        self.over.set()
        with self._lock:
            if self._call is not None:
                self._call.cancel()


class _Fetching:
    """What is being fetched from whom, and what of it has arrived and was found good."""

    def __init__(self, endpoint: Endpoint, run: str, slot: Slot, waits: bool) -> None:
        self._endpoint, self._run, self._slot, self._waits = endpoint, run, slot, waits
        kept = endpoint.publications(run).stored(slot.channel)
        of_slot = dict(kept).get(slot, kept[0][1] if kept else None)
        self._own = None if of_slot is None else of_slot.document
        self._most = max((stored.document.size for _, stored in kept), default=None)
        self._within = MOST_STALE if waits and slot.channel == MODEL and slot.round > 0 else 0
        self._newest = bool(self._within) and not endpoint.for_rounds
        if self._newest:
            self._within = ANY_AGE
        self._pending: dict[int, Transfer] = {}
        self._out_of_time = False
        self.arrived: dict[int, Model] = {}
        self.ages: dict[int, int] = {}
        self.last_at: float | None = None

    def begin(self, sender: int, seconds: float, absent: bool) -> None:
        """Fetch from a neighbor, in a thread of its own, or go on with what is under way."""
        carried = self._endpoint.carried.pop((self._run, self._slot.channel, sender), None)
        if carried is not None and self._age(carried.slot, carried=True) is None:
            carried.cancel()
            carried = None
        if carried is None:
            carried = Transfer(self._slot)
            wait_for = 0.0 if self._newest or (absent and self._within) else seconds
            carried.future = self._endpoint.pool.submit(
                self._fetch, carried, sender, seconds, wait_for
            )
        self._pending[sender] = carried

    def settle_until(self, end: float, enough: int, spared: Collection[int]) -> None:
        """Check what comes until enough has, or all but that of those who are spared."""
        while len(self.arrived) < enough:
            awaited = {t.future: j for j, t in self._pending.items() if j not in spared}
            if not awaited:
                return
            done, _ = wait(awaited, max(0.0, end - time.monotonic()), FIRST_COMPLETED)
            if not done:
                self._out_of_time = self._waits
                return
            for future in done:
                self._settle(awaited[future])

    def end(self) -> None:
        """End what has not begun to come; what has is carried over."""
        for sender, transfer in list(self._pending.items()):
            if transfer.has_begun and not transfer.future.done() and self._within:
                key = self._run, self._slot.channel, sender
                self._endpoint.carried[key] = self._pending.pop(sender)
                self._refuse(sender, RefusedError(Refusal.LATE, "its model is still on its way"))
            else:
                transfer.cancel()
        wait([transfer.future for transfer in self._pending.values()], _END_SECONDS)
        for sender, transfer in list(self._pending.items()):
            if transfer.future.done():
                self._settle(sender)
            else:  # it is still finding out why a neighbor does not answer, say
                del self._pending[sender]
                self._refuse(sender, RefusedError(Refusal.LATE, "its answer has not come in time"))

    def _settle(self, sender: int) -> None:
        """Check what came, and note it."""
        endpoint, transfer = self._endpoint, self._pending.pop(sender)
        try:
            fetched = transfer.future.result()
            age = self._age(fetched.slot, carried=transfer.slot != self._slot)
            if age is None:
                raise RefusedError(Refusal.GONE, "its model is too old by now")
            self.arrived[sender] = checked(fetched.document, self._own, self._slot, sender)
            self.ages[sender] = age
            endpoint.statistics.arrived(sender, stale=age > 0)
            endpoint.taken[self._run, self._slot.channel, sender] = fetched.slot
            if not age:
                self.last_at = time.monotonic()
                endpoint.punctual(sender)
        except RefusedError as refused:
            self._refuse(sender, refused)
        except (OSError, RelayError) as error:  # no room, no more files: ours, and it may pass
            endpoint.statistics.refused(sender, Refusal.LOCAL, str(error))

    def _refuse(self, sender: int, refused: RefusedError) -> None:
        self._endpoint.statistics.refused(sender, refused.refusal, refused.reason)
        if refused.refusal is Refusal.LATE and self._out_of_time and self._slot.round > 0:
            self._endpoint.late(sender)

    def _age(self, slot: Slot, carried: bool) -> int | None:
        """Return how many rounds a publication is off; None where it is of no use.

        One that was carried over may be of any age: a link that is as slow as that has no other.
        """
        if slot == self._slot:
            return 0
        if self._newest:  # a newer one is as good as that of the round
            return max(0, self._slot.round - slot.round)
        apart = max(1, abs(self._slot.round - slot.round))
        is_of_use = bool(self._within) and (carried or apart <= self._within)
        return apart if is_of_use else None

    def _fetch(self, transfer: Transfer, sender: int, seconds: float, wait_for: float) -> Fetched:
        """Fetch a publication; who cannot be reached is tried again and again.

        Where a connection breaks in the middle, the rest is asked for, for a while longer.
        """
        remote = self._endpoint.remote(sender)
        most = self._endpoint.most_bytes if self._most is None else self._most + _HEADER_SLACK
        after = self._endpoint.taken.get((self._run, self._slot.channel, sender))
        end = time.monotonic() + seconds
        absent: RefusedError | None = None
        come = 0
        while True:
            left = max(0.0, end - time.monotonic())
            try:
                return remote.fetch(
                    self._run,
                    self._slot,
                    min(left, wait_for),
                    most,
                    transfer,
                    within=self._within,
                    after=after,
                    agreed=self._endpoint.publications(self._run).agreed,
                )
            except RefusedError as refused:
                if refused.refusal is Refusal.LATE and absent is not None:
                    raise absent from None  # time ran out while it was tried again
                if refused.refusal is not Refusal.ABSENT:
                    raise
                absent = refused
                self._endpoint.out_of_reach(sender)
                if transfer.partial is not None and transfer.partial.written > come:
                    come = transfer.partial.written
                    end = max(end, time.monotonic() + _BROKEN_SECONDS)
                    left = end - time.monotonic()
                if left <= _RETRY_SECONDS or transfer.over.wait(_RETRY_SECONDS):
                    raise
