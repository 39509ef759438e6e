"""A device's access to a relay, and how its publications are called.

A device publishes its model in its own mailbox; its neighbors come and collect it (pull,
not push). A mailbox keeps the last few publications of each channel, so that a device
that goes ahead does not take away what a slower neighbor still needs.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from ..named_arrays import Model

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


class Collected(dict[int, Model]):
    """The models that arrived, by sender.

    Attributes
    ----------
    ages : Mapping[int, int]
        The senders whose models are of another slot than was asked for, and by how many rounds,
        1 at least.
    """

    def __init__(self, models: Mapping[int, Model], ages: Mapping[int, int]) -> None:
        super().__init__(models)
        self.ages = dict(ages)


def ages_of(arrived: Mapping[int, Model]) -> Mapping[int, int]:
    """Return the senders of models of another slot than was asked for: see `Collected`."""
    return arrived.ages if isinstance(arrived, Collected) else {}


def fresh(arrived: Mapping[int, Model]) -> dict[int, Model]:
    """Return those that are of just the slot that was asked for."""
    ages = ages_of(arrived)
    return {sender: model for sender, model in arrived.items() if sender not in ages}


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

    def refuse(self, sender: int, error: Exception) -> None:
        """Take note that what a device sent cannot be used.

        Within a machine, that is a mistake of the user's own.

        Raises
        ------
        Exception
            The error; over a network, where others may send what they like, it is counted instead.
        """
        raise error

    @abstractmethod
    def publish(self, slot: Slot, model: Model, private: Collection[str] = ()) -> None:
        """Put a model into the own mailbox; when this returns, neighbors can collect it.

        Arrays named in ``private`` are kept with it, for the device itself alone. A slot that
        is published again is replaced; the oldest publication of a full channel goes.
        """

    @abstractmethod
    def recall(self, channel: str, newest: int | None = None) -> list[tuple[Slot, Model]]:
        """Return what the own mailbox keeps of a channel, newest first, private arrays too.

        Parameters
        ----------
        channel : str
            The channel.
        newest : int, optional
            At most so many publications, and no others are moved; all unless given.
        """

    @abstractmethod
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
            The models that arrived, by sender; their arrays are read-only. Over a network they
            are `Collected`: where a neighbor is late its newest model may be among them.
        """


def collect_until(
    deadline: float | None,
    senders: Collection[int],
    take: Callable[[list[int]], dict[int, Model]],
) -> dict[int, Model]:
    """Ask for what is there, again and again until all of it has come or time is up.

    Parameters
    ----------
    deadline : float or None
        Seconds to go on asking; None or 0 asks once.
    senders : Collection[int]
        The devices to ask.
    take : Callable[[list[int]], dict[int, Model]]
        Returns what is there now of the senders that it is given.
    """
    arrived: dict[int, Model] = {}
    end = time.monotonic() + (deadline or 0.0)
    while True:
        arrived |= take([j for j in senders if j not in arrived])
        if len(arrived) == len(senders) or time.monotonic() >= end:
            return arrived
        time.sleep(_POLL_SECONDS)
