"""What every relay does: it moves models between devices, and nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Any

from ..errors import RelayError
from ..named_arrays import Model
from .entries import RunEntries
from .entry_mailbox import EntryMailbox
from .mailbox import Mailbox

_NOT_OBSERVABLE = (
    "devices' models cannot be observed over a network: each device holds its own model, and "
    "only its neighbors may have it"
)


class Relay(ABC):
    """A way for models to get from device to device.

    The same kind of relay is given to `P2PL`, which opens it for a run and closes it at the
    end, and to `PeerApp`, which asks it for devices' mailboxes.

    Whoever makes one writes two methods, `put` and `get`: a relay is a place that keeps arrays
    under names. All else is made of these. What a relay can do better it overrides.

    Attributes
    ----------
    observable : bool
        Whether one process may look at all devices' models, for measuring.

    Examples
    --------
    ::

        class RedisRelay(Relay):
            def __init__(self, client: Redis) -> None:
                self.client = client

            def put(self, run: int, key: str, arrays: Model | None) -> None:
                if arrays is None:
                    self.client.delete(f"{run}/{key}")
                else:
                    self.client.set(f"{run}/{key}", pack(arrays))

            def get(self, run: int, key: str) -> Model | None:
                found = self.client.get(f"{run}/{key}")
                return None if found is None else unpack(found)
    """

    observable: bool = True

    @abstractmethod
    def put(self, run: int, key: str, arrays: Model | None) -> None:
        """Keep arrays under a key of a run, in place of those that were there.

        When this returns, `get` gives all of them, in this order, in whatever process it is
        called. While it runs, `get` gives what was there before. One process at a time puts
        under a key.

        Parameters
        ----------
        run : int
            The run.
        key : str
            Names of devices and channels with ``/`` between them.
        arrays : Model or None
            The arrays, which may be none at all. None forgets the key, if there is one.
        """

    @abstractmethod
    def get(self, run: int, key: str) -> Model | None:
        """Return the arrays that were put under a key; None where there are none."""

    def at(self, node_config: Mapping[str, Any]) -> Relay:
        """Return the relay as one node sees it: the same for all, unless a subclass says else."""
        return self

    def address(self) -> str:
        """Return where neighbors reach this node's mailbox; empty where nobody needs to know."""
        return ""

    def mailbox(self, run: int, device: int) -> Mailbox:
        """Return the mailbox of ``device`` in ``run``.

        Raises
        ------
        RelayError
            Nobody has opened the relay for this run.
        """
        return EntryMailbox(self._opened(run), device)

    def open(self, run: int) -> None:
        """Make the relay ready for ``run``, with empty mailboxes."""
        RunEntries(self, run).forget()
        RunEntries(self, run).admit({})

    def admit(self, run: int, neighbors: Mapping[int, Collection[int]]) -> None:
        """Set who may collect from each device's mailbox, from now on."""
        self._opened(run).admit(neighbors)

    def observe(self, run: int, channel: str) -> dict[int, Model]:
        """Return every device's newest publication of a channel: for measuring only.

        A simulation has all models in one place and can look at them there, with no
        message sent. No device ever calls this.

        Raises
        ------
        RelayError
            The relay is not ``observable``, or not open for this run.
        """
        if not self.observable:
            raise RelayError(_NOT_OBSERVABLE)
        return self._opened(run).newest(channel)

    def close(self, run: int) -> None:
        """Forget everything about ``run``; harmless if it was never opened."""
        RunEntries(self, run).forget()

    def _opened(self, run: int) -> RunEntries:
        entries = RunEntries(self, run)
        if not entries.is_open():
            raise RelayError(
                f"{type(self).__name__} is not open for run {run}: P2PL opens its relay when its "
                "start() is called; give PeerApp(relay=...) one that finds the same entries"
            )
        return entries


class MailboxRelay(Relay):
    """A relay with mailboxes of its own making, that keeps no entries under names.

    Whoever makes one writes `mailbox`. Opening, admitting and closing do nothing unless they
    are overridden, and models cannot be observed.
    """

    observable = False

    @abstractmethod
    def mailbox(self, run: int, device: int) -> Mailbox:
        """Return the mailbox of ``device`` in ``run``."""

    def open(self, run: int) -> None:
        """Do nothing: mailboxes are ready."""

    def admit(self, run: int, neighbors: Mapping[int, Collection[int]]) -> None:
        """Do nothing: each mailbox is told of its own neighbors, by its device."""

    def close(self, run: int) -> None:
        """Do nothing: mailboxes forget by themselves."""

    def put(self, run: int, key: str, arrays: Model | None) -> None:
        """Refuse.

        Raises
        ------
        RelayError
            Always.
        """
        raise self._no_entries()

    def get(self, run: int, key: str) -> Model | None:
        """Refuse.

        Raises
        ------
        RelayError
            Always.
        """
        raise self._no_entries()

    def _no_entries(self) -> RelayError:
        return RelayError(f"{type(self).__name__} keeps no entries: use its mailboxes")


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
