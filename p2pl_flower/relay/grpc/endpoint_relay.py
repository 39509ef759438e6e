"""The relay of a device whose endpoint is in this process."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ...errors import RelayError
from ...named_arrays import Model
from ..base import MailboxRelay
from ..mailbox import Collected, Mailbox, Slot
from . import collecting
from .endpoint import Endpoint
from .protocol import Refusal


class EndpointMailbox(Mailbox):
    """The mailbox of the device whose endpoint is in this process."""

    def __init__(self, endpoint: Endpoint, run: str) -> None:
        super().__init__(endpoint.device)
        endpoint.publications(run)  # raises where there is none
        self._endpoint, self._run = endpoint, run

    def refuse(self, sender: int, error: Exception) -> None:
        """Count it."""
        self._endpoint.statistics.refused(sender, Refusal.MALFORMED, str(error))

    def publish(self, slot: Slot, model: Model, private: Collection[str] = ()) -> None:
        """Pack a model and keep it for neighbors to fetch."""
        self._endpoint.publications(self._run).put(slot, model, private)

    def recall(self, channel: str, newest: int | None = None) -> list[tuple[Slot, Model]]:
        """Return the own publications, newest first."""
        return self._endpoint.publications(self._run).own(channel)[:newest]

    def collect(
        self, senders: Collection[int], slot: Slot, deadline: float | None = None
    ) -> Collected:
        """Fetch from all senders at once, and go on as the endpoint's waiting policy says.

        With a ``deadline``, all are waited for that many seconds instead.
        """
        publications = self._endpoint.publications(self._run)
        kept = dict(publications.own(slot.channel)) if self.device in senders else {}
        own = {self.device: kept[slot]} if slot in kept else {}
        others = [j for j in senders if j != self.device]
        arrived = collecting.collect(self._endpoint, self._run, others, slot, deadline)
        return Collected({**own, **arrived}, arrived.ages)


class EndpointRelay(MailboxRelay):
    """The relay of the devices whose endpoints are in this process: one, outside of tests.

    Parameters
    ----------
    endpoints : Endpoint
        In any order.
    """

    def __init__(self, *endpoints: Endpoint) -> None:
        self._endpoints = {endpoint.device: endpoint for endpoint in endpoints}

    def open(self, run: int) -> None:
        """Open the own mailboxes."""
        for endpoint in self._endpoints.values():
            endpoint.open(str(run))

    def admit(self, run: int, neighbors: Mapping[int, Collection[int]]) -> None:
        """Set who may collect; endpoints of this process find each other."""
        addresses = {device: endpoint.address for device, endpoint in self._endpoints.items()}
        for device, endpoint in self._endpoints.items():
            ids = neighbors.get(device, ())
            endpoint.meet(str(run), {j: addresses[j] for j in ids})

    def mailbox(self, run: int, device: int) -> Mailbox:
        """Return the mailbox of a device of this process."""
        if device not in self._endpoints:
            raise RelayError(f"device {device} is not in this process: no relay is open for it")
        return EndpointMailbox(self._endpoints[device], str(run))

    def close(self, run: int) -> None:
        """Forget the run."""
        for endpoint in self._endpoints.values():
            endpoint.end(str(run))
