"""A device's place in the network: its own mailbox's server, and calls to its neighbors."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import RelayError
from ..mailbox import Slot
from ..spool import Spool
from . import protocol
from .collecting import Transfer
from .credentials import Credentials
from .own_publications import KEPT_FOR_THE_SLOW, OwnPublications
from .protocol import Refusal, RefusedError
from .remote import Remote
from .server import Server
from .transfer_statistics import TransferStatistics
from .waiting import RoundTimes, Usual, Waiting

if TYPE_CHECKING:
    from ..group.standing import Standing
    from ..tunnel import Tunnels

Receive = Callable[[int, Mapping[str, Any]], None]

MOST_BYTES = 4 << 30
"""Size of the largest model that is taken where the own one's size is not known yet."""


_LATE_TIMES, _LISTED = 2, 1000
_SURE_SECONDS = 3.0  # who has only just come up may not have been tried again

log = logging.getLogger("flwr.p2pl")


class Endpoint:
    """Serves one device's mailboxes over the network, and fetches from its neighbors'.

    Parameters
    ----------
    device : int
        The device.
    listen : str
        ``host:port`` to be reached at; port 0 takes a free one.
    credentials : Credentials or None
        Certificates; None goes without TLS, which must be asked for.
    waiting : Waiting
        When to go on with what has arrived.
    most_bytes : int
        Size of the largest model to take from a neighbor.
    most_calls : int
        Calls at the same time, each way; those of neighbors that wait are among them. Each
        neighbor gets `MOST_STREAMS` of them at most: more than that times the neighbors keeps
        some free for all.
    folder : Path, optional
        Where models are while they are kept; the folder for temporary files unless given.
    tunnels : Tunnels, optional
        Ways to and from devices that cannot be dialed. They listen in the endpoint's place, and
        are closed with it.
    standing : Standing, optional
        Whose certificates count no longer; neighbors are told, and say what they know.

    Attributes
    ----------
    statistics : TransferStatistics
        What arrived, and what was refused, by neighbor.
    address : str
        Where it listens.
    finished : set[int]
        The neighbors that have made their last round.
    unreachable : set[int]
        The neighbors that are absent or were late: they are not waited for until they are heard
        of, and when they were late twice until they keep up.
    carried : dict[tuple[str, str, int], Transfer]
        Models that are still on their way, by run, channel and neighbor.
    taken : dict[tuple[str, str, int], Slot]
        The newest publication that was taken, by the same.
    for_rounds : bool
        Whether models of just the round that the device is in are waited for; else each neighbor's
        newest is taken as it is, whatever round it is of.
    times : dict[str, RoundTimes]
        How long rounds take, by run.
    usual : Usual
        How long neighbors take.

    Raises
    ------
    ConfigError
        The address cannot be listened at.
    """

    def __init__(
        self,
        device: int,
        listen: str,
        credentials: Credentials | None,
        waiting: Waiting | None = None,
        most_bytes: int = MOST_BYTES,
        most_calls: int = 64,
        folder: Path | None = None,
        tunnels: Tunnels | None = None,
        standing: Standing | None = None,
    ) -> None:
        self.device, self.waiting, self.most_bytes = device, waiting or Waiting(), most_bytes
        self.for_rounds = True
        self.statistics = TransferStatistics(device)
        self.remotes: dict[int, Remote] = {}
        self.unreachable: set[int] = set()
        self.carried: dict[tuple[str, str, int], Transfer] = {}
        self.taken: dict[tuple[str, str, int], Slot] = {}
        self.times: dict[str, RoundTimes] = {}
        self.usual = Usual()
        self._lates: Counter[int] = Counter()
        self._out_of_reach: set[int] = set()
        self._told_at: dict[int, float] = {}
        self.pool = ThreadPoolExecutor(most_calls, thread_name_prefix="p2pl-fetch")
        self.spool = Spool(folder)
        self._credentials = credentials
        self._runs: dict[str, OwnPublications] = {}
        self._cards: dict[str, dict[str, Any]] = {}
        self._tunnels, self.standing = tunnels, standing
        inner = listen if tunnels is None else tunnels.inner
        self._server = Server(
            inner, credentials, self._runs, self._greet, self.statistics, most_calls, standing
        )
        self.finished: set[int] = set()
        self._receive: Receive | None = None
        port = self._server.port if tunnels is None else tunnels.port
        self.address = f"{listen.rpartition(':')[0]}:{port}" if port else listen
        if standing is not None:
            standing.tell(self._expel)

    def start(self) -> None:
        """Begin to answer neighbors."""
        self._server.start()
        if self._tunnels is not None:
            self._tunnels.start()

    def open(self, run: str, last_round: int | None = None, kept: int = KEPT_FOR_THE_SLOW) -> None:
        """Take part in a run, with an empty mailbox."""
        self._runs[run] = OwnPublications(self.device, last_round, self.spool, kept)
        self.times[run] = RoundTimes(10 * self.waiting.grace)

    def end(self, run: str) -> None:
        """Forget a run."""
        self._runs.pop(run, None)
        self.times.pop(run, None)

    def publications(self, run: str) -> OwnPublications:
        """Return the own mailbox in a run."""
        if run not in self._runs:
            raise RelayError(f"the relay of device {self.device} is not open for run {run}")
        return self._runs[run]

    def meet(self, run: str, neighbors: Mapping[int, str]) -> None:
        """Set the neighbor list: whom to call where, and who may collect from here."""
        for device, address in neighbors.items():
            known = self.remotes.get(device)
            if known is None or known.address != address:
                target = address if self._tunnels is None else self._tunnels.target(device, address)
                self.remotes[device] = Remote(
                    device, address, self.device, self._credentials, self.spool, target
                )
                if known is not None:
                    known.close()
        if self._tunnels is not None:
            self._tunnels.meet({j: remote.address for j, remote in self.remotes.items()})
        self.publications(run).admit(neighbors)

    def introduce(self, run: str, card: Mapping[str, Any]) -> None:
        """Set what neighbors are told, and what must be the same on all devices.

        Under ``settings`` are those that must; a neighbor that differs is refused.
        """
        self._cards[run] = dict(card)
        self.publications(run).agreed = protocol.agreed(card.get("settings", {}))

    def receive_guests(self, receive: Receive) -> None:
        """Let any device of the group greet: ``receive`` is told who, and what it says."""
        self._receive, self._server.open_to_guests = receive, True
        if self._tunnels is not None:
            self._tunnels.receive_guests()

    def part(self, device: int) -> None:
        """Call a device no more that is no neighbor any longer."""
        remote = self.remotes.pop(device, None)
        self.unreachable.discard(device)
        self._out_of_reach.discard(device)
        self._lates.pop(device, None)
        for key in [key for key in self.carried if key[2] == device]:
            self.carried.pop(key).cancel()
        if remote is not None:
            remote.close()

    def hello(self, run: str, neighbor: int, timeout: float) -> dict[str, Any]:
        """Exchange greetings with a neighbor and return what it says of itself.

        Raises
        ------
        RefusedError
            It is not there, or takes part in something else.
        """
        said = self.remote(neighbor).hello(run, self._card(run), timeout)
        self._out_of_reach.discard(neighbor)
        self._heard(run, neighbor, said)
        return said

    def remote(self, device: int) -> Remote:
        """Return the way to a neighbor.

        Raises
        ------
        RefusedError
            It is none, or its certificate has been taken back.
        """
        if self.standing is not None:
            self.standing.check(device)
        remote = self.remotes.get(device)
        if remote is None:
            raise RefusedError(Refusal.STRANGER, f"device {device} is not on the neighbor list")
        return remote

    @property
    def revoked(self) -> frozenset[int]:
        """The devices whose certificates count no longer."""
        return frozenset() if self.standing is None else self.standing.revoked

    def describe(self) -> dict[str, Any]:
        """Return what is known of each neighbor, for who operates this device."""
        counts = self.statistics.counts()
        return {
            str(j): {
                "address": way.address,
                "absent": j in self.unreachable,
                "finished": j in self.finished,
                "round": way.round,
                "answers": counts.get(j, {}),
            }
            for j, way in sorted(self.remotes.items())
        }

    def close(self) -> None:
        """Stop listening and end all calls."""
        if self._tunnels is not None:
            self._tunnels.close()
        self._server.close()
        for transfer in self.carried.values():
            transfer.cancel()
        for remote in self.remotes.values():
            remote.close()
        self.pool.shutdown(cancel_futures=True)

    def _greet(
        self, publications: OwnPublications, sender: int, fields: dict[str, Any]
    ) -> dict[str, Any]:
        run = protocol.text(fields, "run")
        self._heard(run, sender, fields)
        if self._receive is not None:
            self._receive(sender, fields)
        return self._card(run)

    def _card(self, run: str) -> dict[str, Any]:
        publications = self.publications(run)
        newest = publications.newest("model")
        card = {
            "protocol": protocol.VERSION,
            "round": publications.round,
            "newest": None if newest is None else [newest.round, newest.step],
        }
        revoked = None if self.standing is None else self.standing.to_json()
        told = {"revoked": revoked, "cannot-reach": sorted(self._out_of_reach)[:_LISTED]}
        return {**self._cards.get(run, {}), **card, **told}

    def _expel(self, devices: frozenset[int]) -> None:
        """Call these devices no more: what is under way from them ends now."""
        for device in devices & self.remotes.keys():
            self.remotes[device].close()
        if self._tunnels is not None:
            self._tunnels.expel(devices)

    def late(self, neighbor: int) -> None:
        """Note that a neighbor was waited for in vain: it is absent until it is heard of."""
        self._lates[neighbor] += 1
        self.unreachable.add(neighbor)

    def out_of_reach(self, neighbor: int) -> None:
        """Note that no connection to a neighbor can be opened: it is told, if it calls."""
        self.unreachable.add(neighbor)
        self._out_of_reach.add(neighbor)

    def punctual(self, neighbor: int) -> None:
        """Note that a neighbor had in time what was asked for."""
        self._lates.pop(neighbor, None)
        self._out_of_reach.discard(neighbor)
        self.unreachable.discard(neighbor)

    def _heard(self, run: str, neighbor: int, said: Mapping[str, Any]) -> None:
        if self.standing is not None:
            self.standing.hear(said.get("revoked"))
        self._check(run, neighbor, said)
        if self._lates[neighbor] < _LATE_TIMES or self._keeps_up(run, said):
            self.unreachable.discard(neighbor)
            self._lates[neighbor] = min(self._lates[neighbor], _LATE_TIMES - 1)
        self._hear_of_reach(neighbor, said)
        if said.get("finished") is True:
            self.finished.add(neighbor)

    def _hear_of_reach(self, neighbor: int, said: Mapping[str, Any]) -> None:
        """Say it once when a neighbor goes on saying that it cannot call this device."""
        listed, now = said.get("cannot-reach"), time.monotonic()
        if not isinstance(listed, list) or self.device not in listed:
            self._told_at.pop(neighbor, None)
        elif now - self._told_at.setdefault(neighbor, now) > _SURE_SECONDS:
            self._told_at[neighbor] = math.inf
            rule = "device %d: neighbor %d cannot open a connection to it: is the port of %s open, "
            rule += "and does the neighbor's file name the right address?"
            log.warning(rule, self.device, neighbor, self.address)

    def _keeps_up(self, run: str, said: Mapping[str, Any]) -> bool:
        """Return whether a neighbor that was late before has a model of about this round."""
        newest = said.get("newest")
        number = newest[0] if isinstance(newest, list) and newest else None
        return type(number) is int and number >= self.publications(run).round - 1

    def _check(self, run: str, neighbor: int, said: Mapping[str, Any]) -> None:
        if said.get("protocol") != protocol.VERSION:
            rule = f"speaks version {said.get('protocol')!r:.20} of the protocol, not "
            raise RefusedError(Refusal.MISMATCH, f"{rule}{protocol.VERSION}")
        mine, theirs = self._cards.get(run, {}).get("settings", {}), said.get("settings", {})
        for key in mine:
            if not isinstance(theirs, dict) or mine[key] != theirs.get(key):
                value = theirs.get(key) if isinstance(theirs, dict) else None
                rule = f"device {neighbor} has {key}={value!r:.80}, but device {self.device} has "
                raise RefusedError(Refusal.MISMATCH, f"{rule}{mine[key]!r:.80}")
