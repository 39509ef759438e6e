"""The relay of a device whose station is in this process."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ...consensus import Model
from ...errors import RelayError
from ..base import Mailbox, Relay, Slot
from . import collecting
from .station import Station

NOT_OBSERVABLE = (
    "devices' models cannot be observed over a network: each device holds its own model, and "
    "only its neighbors may have it"
)


class StationMailbox(Mailbox):
    """The mailbox of the device whose station is in this process."""

    def __init__(self, station: Station, run: str) -> None:
        super().__init__(station.device)
        station.office(run)  # raises where there is none
        self._station, self._run = station, run

    def publish(self, slot: Slot, model: Model, private: Collection[str] = ()) -> None:
        """Pack a model and keep it for neighbors to fetch."""
        self._station.office(self._run).put(slot, model, private)

    def recall(self, channel: str) -> list[tuple[Slot, Model]]:
        """Return the own publications, newest first."""
        return self._station.office(self._run).own(channel)

    def collect(
        self, senders: Collection[int], slot: Slot, deadline: float | None = None
    ) -> dict[int, Model]:
        """Fetch from all senders at once, and go on as the station's waiting policy says.

        With a ``deadline``, all are waited for that many seconds instead.
        """
        office = self._station.office(self._run)
        kept = dict(office.own(slot.channel)) if self.device in senders else {}
        own = {self.device: kept[slot]} if slot in kept else {}
        others = [j for j in senders if j != self.device]
        return own | collecting.collect(self._station, self._run, others, slot, deadline)

    def _take(self, senders: list[int], slot: Slot) -> dict[int, Model]:
        return self.collect(senders, slot, deadline=0.0)


class StationRelay(Relay):
    """The relay of the devices whose stations are in this process: one, outside of tests.

    Parameters
    ----------
    stations : Station
        In any order.
    """

    observable = False

    def __init__(self, *stations: Station) -> None:
        self._stations = {station.device: station for station in stations}

    def open(self, run: int) -> None:
        """Open the own mailboxes."""
        for station in self._stations.values():
            station.open(str(run))

    def admit(self, run: int, neighbors: Mapping[int, Collection[int]]) -> None:
        """Set who may collect; stations of this process find each other."""
        addresses = {device: station.address for device, station in self._stations.items()}
        for device, station in self._stations.items():
            ids = neighbors.get(device, ())
            station.meet(str(run), {j: addresses[j] for j in ids})

    def mailbox(self, run: int, device: int) -> Mailbox:
        """Return the mailbox of a device of this process."""
        if device not in self._stations:
            raise RelayError(f"device {device} is not in this process: no relay is open for it")
        return StationMailbox(self._stations[device], str(run))

    def observe(self, run: int, channel: str) -> dict[int, Model]:
        """Refuse: models of devices on a network are nowhere together.

        Raises
        ------
        RelayError
            Always.
        """
        raise RelayError(NOT_OBSERVABLE)

    def close(self, run: int) -> None:
        """Forget the run."""
        for station in self._stations.values():
            station.end(str(run))
