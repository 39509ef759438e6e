"""Mailboxes of all devices of a simulated run, side by side."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Mapping
from typing import Generic, NamedTuple, TypeVar

from .mailbox import KEPT, Slot

Item = TypeVar("Item")


class Publication(NamedTuple, Generic[Item]):
    """A publication: what neighbors may have of it, and what is the device's own."""

    public: Item
    private: Item | None


class Publications(Generic[Item]):
    """Keeps publications by device and channel, and hands them to neighbors alone.

    What an item is (a model, or a reference to one) is its user's business.

    Parameters
    ----------
    kept : int
        Publications that each channel keeps.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept: dict[tuple[int, str], deque[tuple[Slot, Publication[Item]]]] = defaultdict(
            lambda: deque(maxlen=kept)
        )
        self._admitted: dict[int, frozenset[int]] = {}

    def admit(self, neighbors: Mapping[int, Collection[int]]) -> None:
        """Set who may collect from each device's mailbox."""
        self._admitted = {device: frozenset(ids) for device, ids in neighbors.items()}

    def put(self, device: int, slot: Slot, publication: Publication[Item]) -> None:
        """Keep a publication; one of the same slot is replaced, the oldest may go."""
        kept = self._kept[device, slot.channel]
        if kept and kept[-1][0] == slot:
            kept.pop()
        kept.append((slot, publication))

    def take(self, reader: int, senders: list[int], slot: Slot) -> dict[int, Publication[Item]]:
        """Return what ``senders`` have published in ``slot``, if ``reader`` may have it."""
        found: dict[int, Publication[Item]] = {}
        for sender in senders:
            publication = dict(self._kept.get((sender, slot.channel), ())).get(slot)
            if publication is not None and sender == reader:
                found[sender] = publication
            elif publication is not None and reader in self._admitted.get(sender, ()):
                found[sender] = Publication(publication.public, None)
        return found

    def own(self, device: int, channel: str) -> list[tuple[Slot, Publication[Item]]]:
        """Return what ``device`` has kept in a channel, newest first."""
        return list(reversed(self._kept.get((device, channel), ())))

    def newest(self, channel: str) -> dict[int, Publication[Item]]:
        """Return every device's newest publication of a channel, in order of devices."""
        return {d: kept[-1][1] for (d, c), kept in sorted(self._kept.items()) if c == channel}
