"""A device's place in the network: its own mailbox's server, and calls to its neighbors."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import RelayError
from ..spool import Spool
from . import protocol
from .credentials import Credentials
from .own_publications import OwnPublications
from .protocol import Refusal, RefusedError
from .remote import Remote
from .server import Server
from .transfer_statistics import TransferStatistics
from .waiting import Waiting

if TYPE_CHECKING:
    from ..group.standing import Standing
    from ..tunnel import Tunnels

MOST_BYTES = 4 << 30
"""Size of the largest model that is taken where the own one's size is not known yet."""


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
        self.statistics = TransferStatistics(device)
        self.remotes: dict[int, Remote] = {}
        self.unreachable: set[int] = set()
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
        port = self._server.port if tunnels is None else tunnels.port
        self.address = f"{listen.rpartition(':')[0]}:{port}" if port else listen
        if standing is not None:
            standing.tell(self._expel)

    def start(self) -> None:
        """Begin to answer neighbors."""
        self._server.start()
        if self._tunnels is not None:
            self._tunnels.start()

    def open(self, run: str, last_round: int | None = None) -> None:
        """Take part in a run, with an empty mailbox."""
        self._runs[run] = OwnPublications(self.device, last_round, self.spool)

    def end(self, run: str) -> None:
        """Forget a run."""
        self._runs.pop(run, None)

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
            self._tunnels.meet(self.remotes)
        self.publications(run).admit(neighbors)

    def introduce(self, run: str, card: Mapping[str, Any]) -> None:
        """Set what neighbors are told, and what must be the same on all devices.

        Under ``settings`` are those that must; a neighbor that differs is refused.
        """
        self._cards[run] = dict(card)

    def hello(self, run: str, neighbor: int, timeout: float) -> dict[str, Any]:
        """Exchange greetings with a neighbor and return what it says of itself.

        Raises
        ------
        RefusedError
            It is not there, or takes part in something else.
        """
        self.check_standing(neighbor)
        said = self.remotes[neighbor].hello(run, self._card(run), timeout)
        self._heard(run, neighbor, said)
        return said

    def check_standing(self, device: int) -> None:
        """Refuse a device whose certificate has been taken back."""
        if self.standing is not None:
            self.standing.check(device)

    @property
    def revoked(self) -> frozenset[int]:
        """The devices whose certificates count no longer."""
        return frozenset() if self.standing is None else self.standing.revoked

    def close(self) -> None:
        """Stop listening and end all calls."""
        if self._tunnels is not None:
            self._tunnels.close()
        self._server.close()
        for remote in self.remotes.values():
            remote.close()
        self.pool.shutdown(cancel_futures=True)

    def _greet(
        self, publications: OwnPublications, sender: int, fields: dict[str, Any]
    ) -> dict[str, Any]:
        run = protocol.text(fields, "run")
        self._heard(run, sender, fields)
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
        return {**self._cards.get(run, {}), **card, "revoked": revoked}

    def _expel(self, devices: frozenset[int]) -> None:
        """Call these devices no more: what is under way from them ends now."""
        for device in devices & self.remotes.keys():
            self.remotes[device].close()
        if self._tunnels is not None:
            self._tunnels.expel(devices)

    def _heard(self, run: str, neighbor: int, said: Mapping[str, Any]) -> None:
        if self.standing is not None:
            self.standing.hear(said.get("revoked"))
        self._check(run, neighbor, said)
        self.unreachable.discard(neighbor)
        if said.get("finished") is True:
            self.finished.add(neighbor)

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
