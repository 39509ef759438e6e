"""What a device knows of its neighbors, by exchanging greetings with them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from ..relay.grpc import Endpoint
from ..relay.grpc.protocol import Refusal, RefusedError
from ..topology.neighborhood import Neighbor
from .agreement import Agreement, InitialModel
from .settings import Settings

log = logging.getLogger("flwr.p2pl")

_RETRY_SECONDS = 0.2
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

    Attributes
    ----------
    samples : dict[int, float]
        Numbers of samples that are known, by device.
    newest : dict[int, tuple[int, int]]
        Round and step of neighbors' newest models, as they last said.
    agreement : Agreement
        What the device and its neighbors start from.
    """

    def __init__(self, settings: Settings, endpoint: Endpoint, run: str) -> None:
        self._settings, self._endpoint, self._run = settings, endpoint, run
        self._degrees: dict[int, int] = {}
        self.samples: dict[int, float] = {}
        self.newest: dict[int, tuple[int, int]] = {}
        self.agreement = Agreement(settings.device)
        self._initial: dict[int, InitialModel] = {}
        self._misfits: set[int] = set()
        self._lock = threading.Lock()
        self.tell(finished=False)

    def tell(self, *, finished: bool) -> None:
        """Set what neighbors are told of this device."""
        own = self.agreement.own
        greeting = {
            "degree": len(self._settings.neighbors),
            "finished": finished,
            "settings": {**self._settings.common(), **self._steps()},
            "initial": None if own is None else own.to_json(),
        }
        self._endpoint.introduce(self._run, greeting)

    def meet(self, seconds: float, whom: set[int]) -> set[int]:
        """Exchange greetings with neighbors, trying for some seconds; return who answered."""
        end = time.monotonic() + seconds
        waiting, met = set(whom), set[int]()
        while waiting:
            futures = {j: self._endpoint.pool.submit(self._greet, j) for j in sorted(waiting)}
            answers = {j: future.result() for j, future in futures.items()}
            met |= {j for j, answer in answers.items() if answer is None}
            self.agreement.hear({j: self._initial[j] for j in met & self._initial.keys()})
            waiting = {j for j, answer in answers.items() if answer is Refusal.ABSENT}
            if time.monotonic() >= end:
                break
            if waiting:
                time.sleep(_RETRY_SECONDS)
        return met

    def unmet(self) -> set[int]:
        """Return the neighbors whose degree is not known yet."""
        return set(self._settings.neighbors) - set(self._degrees)

    def fitting(self) -> list[int]:
        """Return the neighbors but for those that are known to have other settings."""
        return sorted(set(self._settings.neighbors) - self._misfits)

    def listed(self) -> tuple[Neighbor, tuple[Neighbor, ...]]:
        """Return the device's own entry and its neighbor list.

        A neighbor that has not been met counts as one with the device's own degree; one whose
        settings differ is left out.
        """
        own, degree = self._settings.device, len(self._settings.neighbors)
        neighbors = tuple(
            Neighbor(j, self._degrees.get(j, degree), self.samples.get(j, 0))
            for j in self.fitting()
        )
        return Neighbor(own, degree, self.samples.get(own, 0)), neighbors

    def round_to_join(self, next_round: int) -> int:
        """Return the round that the device is to run: later than the next, if it lags behind.

        It is the lower median of the rounds in which reachable neighbors are, so that one
        neighbor alone, if it is not the only one, cannot make the device skip any.
        """
        remotes = self._endpoint.remotes
        there = [remotes[j].round for j in remotes if j not in self._endpoint.unreachable]
        rounds = sorted(r for r in there if r is not None and r <= self._settings.rounds)
        median = rounds[(len(rounds) - 1) // 2] if rounds else next_round
        return max(next_round, median)

    def to_json(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of it."""
        samples = {str(j): count for j, count in self.samples.items()}
        return {"samples": samples, "initial-models": self.agreement.to_json()}

    def restore(self, content: Mapping[str, Any]) -> None:
        """Take over what `to_json` returned, and tell it from now on."""
        self.samples = {int(j): count for j, count in content.get("samples", {}).items()}
        self.agreement.restore(content.get("initial-models", {}))
        self.tell(finished=False)

    def _greet(self, neighbor: int) -> Refusal | None:
        """Exchange greetings with one neighbor; return why not, or None."""
        try:
            said = self._endpoint.hello(self._run, neighbor, _BRIEF_SECONDS)
            self._degrees[neighbor] = _degree(said)
            self.newest[neighbor] = _place(said)
            if (initial := InitialModel.from_json(said.get("initial"))) is not None:
                self._initial[neighbor] = initial
        except RefusedError as refused:
            if refused.refusal in (Refusal.ABSENT, Refusal.LATE):
                self._endpoint.unreachable.add(neighbor)
                return Refusal.ABSENT
            self._endpoint.statistics.refused(neighbor, refused.refusal, refused.reason)
            self._admit(neighbor, refused.refusal is not Refusal.MISMATCH)
            return refused.refusal
        self._admit(neighbor, True)
        self._refuse_future(neighbor)
        return None

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

    def _refuse_future(self, neighbor: int) -> None:
        number = self._endpoint.remotes[neighbor].round
        if number is not None and number > self._settings.rounds:
            reason = f"says it is in round {number} of {self._settings.rounds}"
            self._endpoint.statistics.refused(neighbor, Refusal.BEYOND, reason)


def _degree(said: Mapping[str, Any]) -> int:
    degree = said.get("degree")
    if type(degree) is not int or degree < 1:
        raise RefusedError(Refusal.MALFORMED, f"says that its degree is {degree!r:.50}")
    return degree


def _place(said: Mapping[str, Any]) -> tuple[int, int]:
    newest = said.get("newest")
    if isinstance(newest, list) and len(newest) == 2 and all(type(n) is int for n in newest):
        return newest[0], newest[1]
    return 0, 0
