"""One device's mailbox: what it has published, and who may have it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from ...named_arrays import Model
from ..mailbox import Slot
from ..parts import join, split
from ..publications import Publication, Publications
from ..spool import Document, Spool
from . import protocol
from .protocol import Refusal, RefusedError

KEPT_FOR_THE_SLOW = 3
"""Publications that are kept. Nobody coordinates the devices of a network: one that is done with a
step publishes that step's result and the next round's model, while a neighbor may still be about
to fetch what the step began with."""

ANY_AGE = 1 << 30
"""Rounds by which a publication may be off for whoever takes the newest, whatever it is."""

KEPT_FAR_AHEAD = 16
"""Publications that are kept where links come and go: a device that none of its neighbors holds up
in some steps gets further ahead of one that is yet to fetch."""

_AHEAD = 1000
"""Rounds beyond the newest publication that can be waited for, where no last one is known."""


@dataclass(frozen=True)
class StoredPublication:
    """A publication: the document that goes out, and what of it stays here."""

    document: Document
    private: Document | None

    def model(self) -> Model:
        """Return all of it, as its device knows it."""
        return join(*self.parts())

    def parts(self) -> tuple[Model, Model | None]:
        """Return what neighbors may have of it, and what they may not."""
        return self.document.model(), None if self.private is None else self.private.model()


class OwnPublications:
    """A device's mailbox in one run, shared by the threads that serve its neighbors.

    Parameters
    ----------
    device : int
        Whose mailbox it is.
    last_round : int, optional
        The run's last round: whoever asks for a later one is refused.
    spool : Spool, optional
        Where publications are written to.
    kept : int
        Publications that each channel keeps.

    Attributes
    ----------
    round : int
        The round that the device is in, which neighbors are told with every answer.
    agreed : str
        What both ends of a transfer must have agreed on.
    """

    def __init__(
        self,
        device: int,
        last_round: int | None = None,
        spool: Spool | None = None,
        kept: int = KEPT_FOR_THE_SLOW,
    ) -> None:
        self.device, self.last_round = device, last_round
        self._spool = spool or Spool()
        self.round, self.agreed = 0, protocol.NOTHING_AGREED
        self._admitted: frozenset[int] = frozenset()
        self._publications: Publications[Document] = Publications(kept)
        self._changed = threading.Condition()

    def admit(self, readers: Collection[int]) -> None:
        """Set who may collect."""
        with self._changed:
            self._admitted = frozenset(readers)
            self._changed.notify_all()

    def check_admitted(self, reader: int) -> None:
        """Refuse a device that is not on the neighbor list."""
        if reader not in self._admitted:
            rule = f"device {reader} is not on the neighbor list of device {self.device}"
            raise RefusedError(Refusal.STRANGER, rule)

    def put(self, slot: Slot, model: Model, private: Collection[str] = ()) -> None:
        """Keep a copy of a model; when this returns, neighbors can collect it."""
        self.put_parts(slot, *split(model, private))

    def put_parts(self, slot: Slot, public: Model, private: Model | None) -> None:
        """Keep a model that is split already."""
        rest = None if private is None else self._spool.keep_model(private)
        self.put_stored(slot, StoredPublication(self._spool.keep_model(public), rest))

    def put_stored(self, slot: Slot, stored: StoredPublication) -> None:
        """Keep a model that is written already."""
        with self._changed:
            kept = Publication(stored.document, stored.private)
            self._publications.put(self.device, slot, kept)
            self.round = max(self.round, slot.round)
            self._changed.notify_all()

    def own(self, channel: str) -> list[tuple[Slot, Model]]:
        """Return what is kept of a channel, newest first."""
        return [(slot, stored.model()) for slot, stored in self.stored(channel)]

    def stored(self, channel: str) -> list[tuple[Slot, StoredPublication]]:
        """Return what is kept of a channel as it lies there, newest first."""
        with self._changed:
            kept = self._publications.own(self.device, channel)
        return [(slot, StoredPublication(*publication)) for slot, publication in kept]

    def newest(self, channel: str) -> Slot | None:
        """Return the slot of the newest publication in a channel."""
        kept = self.stored(channel)
        return kept[0][0] if kept else None

    def wait_for(
        self,
        reader: int,
        slot: Slot,
        seconds: float,
        alive: Callable[[], bool],
        within: int = 0,
        after: tuple[int, int] = (-1, -1),
    ) -> tuple[Slot, Document]:
        """Return the document in a slot, waiting for it while somebody is there to have it.

        Where ``within`` is `ANY_AGE` it is the newest, and nothing is waited for. Where nothing is
        in the slot, not any more or not in time, that which is nearest to it
        is returned if it is at most ``within`` rounds off and newer than ``after``.

        Raises
        ------
        RefusedError
            The reader is no neighbor, the slot is past or beyond the run, or it stays empty.
        """
        end = time.monotonic() + seconds
        while True:
            with self._changed:
                self.check_admitted(reader)
                if within >= ANY_AGE:
                    return self._newest_after(slot, after)
                found = self._find(slot, within, after)
                if found is not None:
                    return found
                left = end - time.monotonic()
                if left <= 0 or not alive():
                    older = self._nearest(slot, within, after)
                    if older is not None:
                        return older
                    raise RefusedError(
                        Refusal.LATE, f"has published nothing in {describe(slot)} yet"
                    )
                self._changed.wait(min(left, 1.0))

    def wake(self) -> None:
        """Let those who wait look whether they still should."""
        with self._changed:
            self._changed.notify_all()

    def _nearest(
        self, slot: Slot, within: int, after: tuple[int, int]
    ) -> tuple[Slot, Document] | None:
        """Return what is kept nearest to a slot, as `wait_for` says."""
        near = [
            (abs(own.round - slot.round), own, publication.public)
            for own, publication in self._publications.own(self.device, slot.channel)
            if 0 < abs(own.round - slot.round) <= within and own[1:] > after and own.round > 0
        ]
        if not near or not within:
            return None
        _, own, document = min(near, key=lambda found: found[0])
        return own, document

    def _newest_after(self, slot: Slot, after: tuple[int, int]) -> tuple[Slot, Document]:
        """Return the newest of a channel; refuse where the reader has that."""
        for own, publication in self._publications.own(self.device, slot.channel)[:1]:
            if own.round > 0 and own[1:] > after:
                return own, publication.public
        raise RefusedError(Refusal.LATE, f"has published nothing newer in {slot.channel:.50} yet")

    def _find(
        self, slot: Slot, within: int, after: tuple[int, int]
    ) -> tuple[Slot, Document] | None:
        kept = self._publications.own(self.device, slot.channel)
        for own_slot, publication in kept:
            if own_slot == slot:
                return slot, publication.public
        newest = kept[0][0] if kept else None
        if newest is not None and slot < newest:
            if (newer := self._nearest(slot, within, after)) is not None:
                return newer
            raise RefusedError(
                Refusal.GONE, f"{describe(slot)} is past: {describe(newest)} is there"
            )
        limit = self.last_round if self.last_round is not None else self.round + _AHEAD
        if not 0 <= slot.round <= limit or slot.step < 0:
            raise RefusedError(Refusal.BEYOND, f"asks for {describe(slot)}, beyond round {limit}")
        return None


def describe(slot: Slot) -> str:
    """Return a slot for people to read."""
    return f"{slot.channel:.50} of round {slot.round} step {slot.step}"
