"""What every relay does: it moves models between devices, and nothing else.

A device publishes its model in its own mailbox; its neighbors come and collect it (pull,
not push). A mailbox keeps the last few publications of each channel, so that a device
that goes ahead does not take away what a slower neighbor still needs.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Any, NamedTuple

from ..consensus import Model

KEPT = 2
"""Publications that a mailbox keeps in each channel: this consensus step's and the last's."""

_POLL_SECONDS = 0.01


class Slot(NamedTuple):
    """The place of a publication in the run.

    Attributes
    ----------
    channel : str
        ``model``, or the name of something that travels beside it.
    round : int
        Round, from 1; 0 is the synchronization before the first.
    step : int
        Consensus steps made in the round; 0 is the model after training.
    """

    channel: str
    round: int
    step: int


class Mailbox(ABC):
    """One device's access to the relay of a run.

    Attributes
    ----------
    device : int
        The device to which the mailbox belongs.
    """

    def __init__(self, device: int) -> None:
        self.device = device

    def meet(self, neighbors: Mapping[int, str]) -> None:  # noqa: B027 - most need not know
        """Note who the neighbors are and where their mailboxes are, where that matters."""

    @abstractmethod
    def publish(self, slot: Slot, model: Model, private: Collection[str] = ()) -> None:
        """Put a model into the own mailbox; when this returns, neighbors can collect it.

        Arrays named in ``private`` are kept with it, for the device itself alone.
        """

    @abstractmethod
    def recall(self, channel: str) -> list[tuple[Slot, Model]]:
        """Return what the own mailbox keeps of a channel, newest first."""

    def collect(
        self, senders: Collection[int], slot: Slot, deadline: float | None = None
    ) -> dict[int, Model]:
        """Fetch what devices have published in a slot.

        Parameters
        ----------
        senders : Collection[int]
            The devices to ask. Only those whose neighbor this device is answer, and its
            own mailbox, which gives the private arrays too.
        slot : Slot
            What to ask for.
        deadline : float
            Seconds to wait for publications that are not there yet. None leaves it to the
            relay: those within a machine do not wait, those over a network have a policy.

        Returns
        -------
        dict[int, Model]
            The models that arrived, by sender; their arrays are read-only.
        """
        arrived: dict[int, Model] = {}
        end = time.monotonic() + (deadline or 0.0)
        while True:
            arrived |= self._take([j for j in senders if j not in arrived], slot)
            if len(arrived) == len(senders) or time.monotonic() >= end:
                return arrived
            time.sleep(_POLL_SECONDS)

    @abstractmethod
    def _take(self, senders: list[int], slot: Slot) -> dict[int, Model]:
        """Fetch what is there now, without waiting."""


class Relay(ABC):
    """A way for models to get from device to device.

    The same kind of relay is given to `P2PL`, which opens it for a run and closes it at the
    end, and to `PeerApp`, which asks it for devices' mailboxes.

    Attributes
    ----------
    observable : bool
        Whether one process can look at all devices' models.
    """

    observable: bool = True

    def at(self, node_config: Mapping[str, Any]) -> Relay:
        """Return the relay as one node sees it: the same for all, unless a subclass says else."""
        return self

    def address(self) -> str:
        """Return where neighbors reach this node's mailbox; empty where nobody needs to know."""
        return ""

    @abstractmethod
    def mailbox(self, run: int, device: int) -> Mailbox:
        """Return the mailbox of ``device`` in ``run``.

        Raises
        ------
        RelayError
            Nobody has opened the relay for this run.
        """

    @abstractmethod
    def open(self, run: int) -> None:
        """Make the relay ready for ``run``."""

    @abstractmethod
    def admit(self, run: int, neighbors: Mapping[int, Collection[int]]) -> None:
        """Set who may collect from each device's mailbox, from now on."""

    @abstractmethod
    def observe(self, run: int, channel: str) -> dict[int, Model]:
        """Return every device's newest publication of a channel: for measuring only.

        A simulation has all models in one place and can look at them there, with no
        message sent. No device ever calls this.

        Raises
        ------
        RelayError
            The relay is not ``observable``.
        """

    @abstractmethod
    def close(self, run: int) -> None:
        """Forget everything about ``run``; harmless if it was never opened."""


class OpenRelay:
    """Context manager that holds a relay open for a run."""

    def __init__(self, relay: Relay, run: int) -> None:
        self._relay, self._run = relay, run

    def __enter__(self) -> None:
        self._relay.open(self._run)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._relay.close(self._run)
