"""Who a device knows, and who of them are its neighbors: a fixed list, or one that changes.

Where devices may join and leave, each keeps a small view of the others, some of whom it has links
to. With every greeting two devices tell each other of a few that they know: entries have an age,
the youngest of a device counts, and the oldest make room (after Cyclon, S. Voulgaris, D. Gavidia
and M. van Steen, J. Network and Systems Management 13, 2005, in which this keeps the graph of
views connected and close to random). A link is there when both ends want it.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..config import at_least, check_fields, described, option
from ..relay.tunnel import DIAL_OUT
from .addresses import is_address

_TOLD = 8
_MOST_TEXT = 300


@described
@dataclass(frozen=True)
class Joining:
    """Whether devices may join and leave while a run goes on, and how many links they keep."""

    links: int = option(
        0,
        rule=at_least(0),
        help="links that a device looks for, and takes twice as many of if others look for it; "
        "0 keeps to `neighbors`, and nobody joins",
    )
    view: int = option(
        32, rule=at_least(1), help="devices that it knows of at most, to link to when others leave"
    )
    patience: int = option(
        3,
        rule=at_least(1),
        help="rounds in which a neighbor answers nothing, after which its link is given up",
    )

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class Entry:
    """What is known of a device.

    Attributes
    ----------
    address : str
        ``host:port``, or ``dial-out``.
    age : int
        Rounds since it was heard of, by whoever heard it last.
    """

    address: str
    age: int = 0


class Membership:
    """One device's view.

    Parameters
    ----------
    device : int
        The device.
    address : str
        What it tells others that its address is.
    neighbors : Mapping[int, str]
        Whom it begins with.
    joining : Joining
        Whether that changes.
    seed : int
        What is drawn follows from it.

    Attributes
    ----------
    linked : Mapping[int, str]
        The neighbors and their addresses.
    """

    def __init__(
        self,
        device: int,
        address: str,
        neighbors: Mapping[int, str],
        joining: Joining,
        seed: int,
    ) -> None:
        self._device, self._address, self._joining, self._seed = device, address, joining, seed
        self._known = {j: Entry(a) for j, a in neighbors.items()}
        self.linked: Mapping[int, str] = {j: neighbors[j] for j in self._first_links()}
        self._silent: Counter[int] = Counter()
        self._round = 0
        self._gone: dict[int, int] = {}  # the round in which a device left, or was given up
        self._lock = threading.Lock()

    @property
    def changes(self) -> bool:
        """Whether devices may join and leave."""
        return self._joining.links > 0

    def card(self, round_number: int) -> dict[str, Any]:
        """Return what others are told: the own address and links, and a few whom it knows."""
        if not self.changes:
            return {}
        with self._lock:
            chosen = self._some_of(self._known, _TOLD, f"told in {round_number}")
            told = [[j, self._known[j].address, self._known[j].age] for j in chosen]
            links = sorted(self.linked)
        return {"address": self._address, "links": links, "known": told}

    def hear(self, device: int, said: Mapping[str, Any], *, asked: bool) -> bool:
        """Take in what a device says of itself and of others, and tell whether it is a neighbor.

        Parameters
        ----------
        device : int
            Who says it.
        said : Mapping
            Its greeting: nothing in it is trusted but as a place to look.
        asked : bool
            Whether this device has greeted it; otherwise it wants a link, by greeting.
        """
        if not self.changes:
            return device in self.linked
        with self._lock:
            if said.get("leaving") is True:
                self._give_up(device)
                return False
            self._gone.pop(device, None)
            self._note(device, said)
            wanted = not asked or self._device in _ids(said.get("links"))
            if device not in self.linked and wanted and len(self.linked) < self._most:
                self._link(device)
            elif device in self.linked and not wanted:
                self._unlink(device)
            self._silent[device] = 0
            return device in self.linked

    def begin_round(self, number: int, silent: Collection[int], out: Collection[int]) -> None:
        """Let go of who is silent, look for others in their place, and grow a round older.

        Parameters
        ----------
        number : int
            The round.
        silent : Collection[int]
            Those that could not be reached.
        out : Collection[int]
            Those that must not be neighbors.
        """
        if not self.changes:
            return
        with self._lock:
            self._round = number
            self._known = {j: replace(e, age=e.age + 1) for j, e in self._known.items()}
            for j in list(self.linked):
                self._silent[j] = self._silent[j] + 1 if j in silent else 0
                if j in out or self._silent[j] >= self._joining.patience:
                    self._give_up(j)
            self._look_for_more(number, set(out))

    def places(self, most: int = 2 * _TOLD) -> dict[int, str]:
        """Return the own address, and those of a few devices that were heard of lately."""
        with self._lock:
            young = sorted(self._known, key=lambda j: (self._known[j].age, j))[: most - 1]
            known = {j: self._known[j].address for j in young}
        return {self._device: self._address, **known}

    def to_json(self) -> dict[str, str]:
        """Return the links, for a checkpoint."""
        return {str(j): address for j, address in self.linked.items()}

    def restore(self, content: Mapping[str, str]) -> None:
        """Take up links that `to_json` returned, besides those of the settings."""
        if self.changes:
            with self._lock:
                for j, address in content.items():
                    self._known.setdefault(int(j), Entry(address))
                    self._link(int(j))

    @property
    def _most(self) -> int:
        return 2 * self._joining.links

    def _some_of(self, devices: Collection[int], most: int, purpose: str) -> list[int]:
        """Draw some of several devices: it follows from the seed, the device and the purpose."""
        draw = random.Random(f"{self._seed} {self._device} {purpose}")  # noqa: S311
        return draw.sample(sorted(devices), min(most, len(devices)))

    def _first_links(self) -> list[int]:
        """Return whom the device begins with: some of those that it was told, where they change."""
        told = sorted(self._known)
        if self.changes and len(told) > self._joining.links:
            told = sorted(self._some_of(told, self._joining.links, "first"))
        return told

    def _look_for_more(self, number: int, out: set[int]) -> None:
        lacking = self._joining.links - len(self.linked)
        candidates = sorted(set(self._known) - set(self.linked) - out)
        if lacking > 0 and candidates:
            for j in self._some_of(candidates, lacking, f"linked in {number}"):
                self._link(j)

    def _note(self, device: int, said: Mapping[str, Any]) -> None:
        """Note where a device is, and what it says of others."""
        self._enter(device, said.get("address"), 0)
        told = said.get("known")
        for entry in told[: 2 * _TOLD] if isinstance(told, list) else []:
            if isinstance(entry, list) and len(entry) == 3 and type(entry[0]) is int:
                age = entry[2] if type(entry[2]) is int else -1
                if entry[0] not in (self._device, device) and 0 <= entry[0] < 1 << 53 and age >= 0:
                    self._enter(entry[0], entry[1], age + 1)
        for j in sorted(self._known, key=lambda j: (j in self.linked, -self._known[j].age)):
            if len(self._known) <= self._joining.view or j in self.linked:
                break
            del self._known[j]

    def _enter(self, device: int, address: object, age: int) -> None:
        known = self._known.get(device)
        if not isinstance(address, str) or len(address) > _MOST_TEXT or not is_address(address):
            return
        if known is not None and known.age < age:
            return
        if device in self._gone and age >= self._round - self._gone[device]:
            return  # that is from before it was gone
        self._known[device] = Entry(address, age)
        if device in self.linked and age == 0:
            self.linked = {**self.linked, device: address}

    def _give_up(self, device: int) -> None:
        self._unlink(device)
        self._known.pop(device, None)
        self._gone[device] = self._round

    def _link(self, device: int) -> None:
        address = self._known[device].address if device in self._known else DIAL_OUT
        self.linked = dict(sorted({**self.linked, device: address}.items()))

    def _unlink(self, device: int) -> None:
        self.linked = {j: address for j, address in self.linked.items() if j != device}
        self._silent.pop(device, None)


def _ids(said: object) -> set[int]:
    return {j for j in said if type(j) is int} if isinstance(said, list) else set()
