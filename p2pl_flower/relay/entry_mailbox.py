"""A device's mailbox in a relay that keeps entries under names."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from ..named_arrays import Model
from .entries import RunEntries
from .mailbox import KEPT, Mailbox, Slot, collect_until
from .parts import split


class EntryMailbox(Mailbox):
    """A device's mailbox among the entries of a run.

    Parameters
    ----------
    entries : RunEntries
        The entries.
    device : int
        The device.
    copies : bool
        Whether arrays are copied before they are put: that can be left out where they are
        written down, and not kept as they are.
    """

    def __init__(self, entries: RunEntries, device: int, copies: bool = True) -> None:
        super().__init__(device)
        self._entries, self._copies = entries, copies

    def publish(self, slot: Slot, model: Model, private: Collection[str] = ()) -> None:
        """Put the publication, then name it in the index, then forget the oldest."""
        index = self._entries.index(self.device)
        kept = [s for s in index.get(slot.channel, ()) if s != slot]
        kept, old = kept[1 - KEPT :], kept[: 1 - KEPT]
        self._entries.put(
            self.device, slot, *split(_copied(model) if self._copies else model, private)
        )
        self._entries.set_index(self.device, {**index, slot.channel: [*kept, slot]})
        for gone in old:
            self._entries.forget_slot(self.device, gone)

    def recall(self, channel: str, newest: int | None = None) -> list[tuple[Slot, Model]]:
        """Get the own publications, newest first."""
        slots = self._entries.index(self.device).get(channel, [])[::-1][:newest]
        found = [(slot, self._entries.own(self.device, slot)) for slot in slots]
        return [(slot, model) for slot, model in found if model is not None]

    def collect(
        self, senders: Collection[int], slot: Slot, deadline: float | None = None
    ) -> dict[int, Model]:
        """Get the publications of those senders whose neighbor this device is."""
        may_have = {self.device, *self._entries.senders_to(self.device)}

        def take(missing: list[int]) -> dict[int, Model]:
            found = {j: self._read(j, slot) for j in missing if j in may_have}
            return {j: model for j, model in found.items() if model is not None}

        return collect_until(deadline, senders, take)

    def _read(self, sender: int, slot: Slot) -> Model | None:
        read = self._entries.own if sender == self.device else self._entries.public
        return read(sender, slot)


def _copied(model: Model) -> Model:
    copies = {name: np.array(array) for name, array in model.items()}
    for array in copies.values():
        array.flags.writeable = False
    return copies
