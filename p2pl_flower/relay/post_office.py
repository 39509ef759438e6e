"""Mailboxes of all devices of a simulated run, side by side."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Mapping
from typing import Generic, TypeVar

from .base import KEPT, Slot

Item = TypeVar("Item")


class PostOffice(Generic[Item]):
    """Keeps publications by device and channel, and hands them to neighbors alone.

    What an item is (a model, or a reference to one) is its owner's business.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[int, str], deque[tuple[Slot, Item]]] = defaultdict(
            lambda: deque(maxlen=KEPT)
        )
        self._admitted: dict[int, frozenset[int]] = {}

    def admit(self, neighbors: Mapping[int, Collection[int]]) -> None:
        """Set who may collect from each device's mailbox."""
        self._admitted = {device: frozenset(ids) for device, ids in neighbors.items()}

    def put(self, device: int, slot: Slot, item: Item) -> None:
        """Keep a publication; one of the same slot is replaced, the oldest may go."""
        kept = self._kept[device, slot.channel]
        if kept and kept[-1][0] == slot:
            kept.pop()
        kept.append((slot, item))

    def take(self, reader: int, senders: list[int], slot: Slot) -> dict[int, Item]:
        """Return what ``senders`` have published in ``slot``, if ``reader`` may have it."""
        allowed = [j for j in senders if reader in self._admitted.get(j, ())]
        kept = {j: dict(self._kept.get((j, slot.channel), ())) for j in allowed}
        return {j: items[slot] for j, items in kept.items() if slot in items}

    def own(self, device: int, channels: tuple[str, ...]) -> list[list[tuple[Slot, Item]]]:
        """Return what ``device`` has kept in each channel, newest first."""
        return [list(reversed(self._kept.get((device, c), ()))) for c in channels]

    def newest(self, channel: str) -> dict[int, Item]:
        """Return every device's newest item of a channel, in order of devices."""
        return {d: kept[-1][1] for (d, c), kept in sorted(self._kept.items()) if c == channel}
