"""What a device knows of its neighbors, by exchanging greetings with them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..relay.grpc import Endpoint
from ..relay.grpc.protocol import Refusal, RefusedError
from ..relay.grpc.remote import Remote
from ..topology.neighborhood import Neighbor, neighborhood
from .agreement import Agreement, InitialModel
from .membership import Membership
from .pace import Pace
from .settings import Settings

log = logging.getLogger("flwr.p2pl")

_RETRY_SECONDS = 0.2
_MOST_LINKS = 10_000  # where others may join
_BRIEF_SECONDS = 1.0


class Handshake:
    """A device's neighbors: their degrees, their samples, and how far they are.

    Parameters
    ----------
    settings : Settings
        The device's settings.
    endpoint : Endpoint
        The way to the neighbors.
    run : str
        The run's key at the endpoint.
    membership : Membership
        Who its neighbors are.

    Attributes
    ----------
    samples : dict[int, float]
        Numbers of samples that are known, by device.
    newest : dict[int, tuple[int, int]]
        Round and step of neighbors' newest models, as they last said.
    settled : dict[int, InitialModel]
        What neighbors start from, as far as they have come to it and have said so.
    agreement : Agreement
        What the device and its neighbors start from.
    pace : Pace
        How long the device's rounds take.
    """

    def __init__(
        self, settings: Settings, endpoint: Endpoint, run: str, membership: Membership
    ) -> None:
        self._settings, self._endpoint, self._run = settings, endpoint, run
        self.membership = membership
        self._degrees: dict[int, int] = {}
        self.samples: dict[int, float] = {}
        self.newest: dict[int, tuple[int, int]] = {}
        self.agreement = Agreement(settings.device)
        self.pace = Pace()
        self.settled: dict[int, InitialModel] = {}
        self._misfits: set[int] = set()
        self._finished, self._leaving = False, False
        self._lock = threading.RLock()
        self.tell()
        if membership.changes:
            endpoint.receive_guests(self._greeted)

    @property
    def neighbors(self) -> set[int]:
        """The neighbors but for those whose certificates have been taken back."""
        return set(self.membership.linked) - self._endpoint.revoked

    def with_newer_revocations(self) -> set[int]:
        """Return the neighbors that have said that they know a newer list of revocations."""
        own = self._endpoint.standing
        if own is None:
            return set()
        return {j for j, way in self._ways().items() if way.revocations > own.version}

    def finish(self) -> None:
        """Tell neighbors from now on that this device is through."""
        self._finished = True
        self.tell()

    def tell(self) -> None:
        """Set what neighbors are told of this device, as things stand."""
        own, number = self.agreement.own, self._endpoint.publications(self._run).round
        greeting = {
            "degree": len(self.neighbors),
            "finished": self._finished,
            "settings": {**self._settings.common(), **self._steps()},
            "initial": None if own is None else own.to_json(),
            **self.membership.card(number),
            **({"leaving": True} if self._leaving else {}),
        }
        self._endpoint.introduce(self._run, greeting)

    def meet(self, seconds: float, whom: set[int], patience: float = _BRIEF_SECONDS) -> set[int]:
        """Exchange greetings with neighbors, trying for some seconds; return who answered.

        Each try takes ``patience`` seconds at most, and not much longer than there is time.
        """
        end = time.monotonic() + seconds
        waiting, met = set(whom), set[int]()
        while waiting:
            left = min(patience, max(_BRIEF_SECONDS, end - time.monotonic()))
            pool = self._endpoint.pool
            futures = {j: pool.submit(self.greet, j, left) for j in sorted(waiting)}
            answers = {j: future.result() for j, future in futures.items()}
            met |= {j for j, answer in answers.items() if answer is None}
            self.compare()
            waiting = {j for j, answer in answers.items() if answer is Refusal.ABSENT}
            if time.monotonic() >= end:
                break
            if waiting:
                time.sleep(_RETRY_SECONDS)
        return met

    def change(self, number: int) -> None:
        """Let neighbors be others in a round, where they may be, and greet them.

        Those that are absent are greeted beside the rounds: see `Watch`.
        """
        if not self.membership.changes:
            return
        out = self._endpoint.revoked | self._misfits | self._endpoint.finished
        self.membership.begin_round(number, self._endpoint.unreachable, out)
        self._follow()
        self.meet(0, self.neighbors - self._endpoint.unreachable)
        self._follow()

    def seek(self, attempt: int) -> None:
        """Greet others, where those that were greeted have as many links as they want."""
        self.membership.seek(attempt)
        self._follow()
        self.meet(0, self.neighbors)
        self._follow()

    def leave(self) -> None:
        """Say to all neighbors that this device goes."""
        if self.membership.changes:
            self._leaving = True
            self.tell()
            self.meet(0, self.neighbors)

    def compare(self) -> None:
        """Compare what neighbors have said that they start from."""
        self.agreement.hear(dict(self.settled))

    def unmet(self) -> set[int]:
        """Return the neighbors whose degree is not known yet."""
        return self.neighbors - set(self._degrees)

    def fitting(self) -> list[int]:
        """Return the neighbors but for those that are known to have other settings."""
        return sorted(self.neighbors - self._misfits)

    def listed(self, round_number: int = 0, step: int = 1) -> tuple[Neighbor, tuple[Neighbor, ...]]:
        """Return the device's own entry and its neighbor list.

        A neighbor that has not been met counts as one with the device's own degree; one whose
        settings differ is left out. Where a schedule says who is linked in a step of a round,
        those are listed; before round 1, all neighbors are.
        """
        own, fitting = self._settings.device, self.fitting()
        knows = self._settings.options.algorithm.knows_place
        devices = self._settings.num_devices if knows else None
        if self._settings.schedule is not None and round_number:
            steps = max(self._settings.options.consensus_steps, 1)
            graph = self._settings.schedule.links(round_number, step, steps)
            me, others = neighborhood(graph, own)
            me, *listed = (
                replace(entry, samples=self.samples.get(entry.id, 0)) for entry in (me, *others)
            )
            return replace(me, devices=devices), tuple(
                entry for entry in listed if entry.id in fitting
            )
        degree = len(self.neighbors)
        neighbors = tuple(
            Neighbor(j, self._degrees.get(j, degree), self.samples.get(j, 0)) for j in fitting
        )
        return Neighbor(own, degree, self.samples.get(own, 0), devices=devices), neighbors

    def round_to_join(self, next_round: int, began_late: bool = False) -> int:
        """Return the round that the device is to run: later than the next, if it lags behind.

        It is the lower median of the rounds in which reachable neighbors are, so that one
        neighbor alone cannot make the device skip any: where it is the only one, no more rounds
        are skipped than there was time for, unless the device ``began_late`` and skips those
        that were over by then.
        """
        away = self._endpoint.unreachable
        there = {j: way.round for j, way in self._ways().items() if j not in away}
        last = self._settings.rounds
        rounds = sorted(r for r in there.values() if r is not None and r <= last)
        median = rounds[(len(rounds) - 1) // 2] if rounds else next_round
        if len(rounds) == 1 and not began_late and median > (most := self.pace.latest(next_round)):
            [neighbor] = [j for j, number in there.items() if number == median]
            self._doubt(neighbor, median, most)
            median = most
        return max(next_round, median)

    def is_under_way(self) -> bool:
        """Return whether most neighbors that answered, or half of them, are in some round."""
        numbers = sorted(number for number, _ in self.newest.values())
        return bool(numbers) and numbers[len(numbers) // 2] > 0

    def is_contested(self) -> bool:
        """Return whether half of the neighbors that answered, or more, are in no round yet."""
        numbers = sorted(number for number, _ in self.newest.values())
        return bool(numbers) and numbers[(len(numbers) - 1) // 2] == 0

    def _doubt(self, neighbor: int, number: int, most: int) -> None:
        reason = f"says it is in round {number}, where there was time for {most} at most"
        self._endpoint.statistics.refused(neighbor, Refusal.BEYOND, reason)

    def to_json(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of it."""
        samples = {str(j): count for j, count in self.samples.items()}
        links = {"links": self.membership.to_json()} if self.membership.changes else {}
        told = {"samples": samples, "initial-models": self.agreement.to_json(), **links}
        return {**told, "ended-at": self.pace.ended_at}

    def restore(self, content: Mapping[str, Any], seconds: Sequence[float | None] = ()) -> None:
        """Take over what `to_json` returned, and how long rounds took; tell it from now on."""
        self.samples = {int(j): count for j, count in content.get("samples", {}).items()}
        self.agreement.restore(content.get("initial-models", {}))
        self.pace.restore(content.get("ended-at"), seconds)
        self.membership.restore(content.get("links", {}))
        self.tell()

    def greet(self, neighbor: int, patience: float) -> Refusal | None:
        """Exchange greetings with one neighbor; return why not, or None."""
        try:
            said = self._endpoint.hello(self._run, neighbor, patience)
            if not self.membership.hear(neighbor, said, asked=True):
                return Refusal.STRANGER  # it has as many links as it wants
            self._degrees[neighbor] = self._degree(said)
            self.newest[neighbor] = self._place(said)
            if (initial := InitialModel.from_json(said.get("initial"))) is not None:
                self.settled[neighbor] = initial
        except RefusedError as refused:
            if refused.refusal in (Refusal.ABSENT, Refusal.LATE):
                self._endpoint.out_of_reach(neighbor)
                return Refusal.ABSENT
            self._endpoint.statistics.refused(neighbor, refused.refusal, refused.reason)
            self._admit(neighbor, refused.refusal is not Refusal.MISMATCH)
            return refused.refusal
        self._admit(neighbor, True)
        self._refuse_future(neighbor)
        return None

    def _greeted(self, device: int, said: Mapping[str, Any]) -> None:
        """Take in a greeting of a device that may be none of the neighbors yet."""
        linked = self.membership.linked
        if self.membership.hear(device, said, asked=False):
            self._degrees[device] = self._degree(said)
            self.newest[device] = self._place(said)
        if self.membership.linked is not linked:
            self._follow()

    def _follow(self) -> None:
        """Call and serve those who are neighbors now, and tell others who they are."""
        with self._lock:
            for j in set(self._endpoint.remotes) - set(self.membership.linked):
                self._endpoint.part(j)
                for known in (self.newest, self.settled, self._degrees):
                    known.pop(j, None)
            linked, revoked = self.membership.linked, self._endpoint.revoked
            there = {j: address for j, address in linked.items() if j not in revoked}
            self._endpoint.meet(self._run, there)
            self._endpoint.publications(self._run).admit(self.fitting())
            self.tell()

    def _admit(self, neighbor: int, fits: bool) -> None:
        """Give models to a neighbor, and take its, only while its settings are the same."""
        with self._lock:
            self._misfits = self._misfits - {neighbor} if fits else self._misfits | {neighbor}
            self._endpoint.publications(self._run).admit(self.fitting())

    def _steps(self) -> dict[str, int]:
        """Return the steps of synchronization, which neighbors wait for: those of all devices."""
        if self._settings.options.init in ("independent", "seed"):
            return {}
        return {"sync-steps": self._settings.synchronization_steps}

    def _ways(self) -> dict[int, Remote]:
        """Return the ways to those who are neighbors now."""
        return {j: way for j, way in list(self._endpoint.remotes.items()) if j in self.neighbors}

    def _refuse_future(self, neighbor: int) -> None:
        way = self._ways().get(neighbor)  # it may have been parted from in the meantime
        number = None if way is None else way.round
        if number is not None and number > self._settings.rounds:
            reason = f"says it is in round {number} of {self._settings.rounds}"
            self._endpoint.statistics.refused(neighbor, Refusal.BEYOND, reason)

    def _degree(self, said: Mapping[str, Any]) -> int:
        degree, most = said.get("degree"), self._settings.num_devices - 1
        most = _MOST_LINKS if self.membership.changes else most
        if type(degree) is not int or not 1 <= degree <= most:
            raise RefusedError(Refusal.MALFORMED, f"says that its degree is {degree!r:.50}")
        return degree

    def _place(self, said: Mapping[str, Any]) -> tuple[int, int]:
        newest = said.get("newest")
        if not isinstance(newest, list) or [type(n) for n in newest] != [int, int]:
            return 0, 0
        number, step = newest
        return (number, step) if 0 <= number <= self._settings.rounds and step >= 0 else (0, 0)
