"""A relay for Flower's Ray simulation.

Models lie in Ray's object store, in shared memory; a small actor, one for each run, knows
where each publication lies and holds nothing but references. Devices read neighbors'
models from shared memory without a copy.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import RelayError
from ..named_arrays import Model
from .base import MailboxRelay
from .mailbox import Mailbox, Slot, collect_until
from .parts import join, split
from .publications import Publication, Publications

if TYPE_CHECKING:
    from ray.actor import ActorHandle

_POLL_SECONDS = 0.1


def cluster_nodes(timeout: float = 60.0) -> int:
    """Return how many nodes the Ray cluster has that this process is in; 1 where it is in none.

    Parameters
    ----------
    timeout : float
        Seconds to wait for Ray where ``RAY_ADDRESS`` says that it is to come.
    """
    end = time.monotonic() + timeout
    while os.environ.get("RAY_ADDRESS") and not _has_started() and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)
    return sum(node["Alive"] for node in _import_ray().nodes()) if _has_started() else 1


def _has_started() -> bool:
    """Tell whether somebody in this process has connected it to Ray."""
    ray = sys.modules.get("ray")
    return bool(ray and getattr(ray, "is_initialized", lambda: False)())  # it may load just now


class RayRelay(MailboxRelay):
    """Moves models between devices that Flower simulates on Ray.

    Parameters
    ----------
    start_timeout : float
        Seconds to wait for Ray. Flower starts the ServerApp's thread before Ray.
    """

    observable = True

    def __init__(self, start_timeout: float = 120.0) -> None:
        self._start_timeout = start_timeout
        # A named actor ends with its last handle: whoever opens the relay holds it.
        self._held: dict[int, ActorHandle[Any]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave the handle behind: a copy in another process does not hold the actor."""
        return {"_start_timeout": self._start_timeout, "_held": {}}

    def open(self, run: int) -> None:
        """Start the run's actor, once Ray is there."""
        ray = _import_ray()
        self._wait_for_ray(ray)
        # No CPU is reserved: it only hands out references, and Flower's own actors need all.
        actor = ray.remote(num_cpus=0)(Publications).options(name=_name(run)).remote()
        self._held[run] = actor

    def admit(self, run: int, neighbors: Mapping[int, Collection[int]]) -> None:
        """Set who may collect from whom."""
        _import_ray().get(self._actor(run).admit.remote(dict(neighbors)))

    def mailbox(self, run: int, device: int) -> Mailbox:
        """Return a device's mailbox, from any process of the simulation."""
        return _RayMailbox(device, run)

    def observe(self, run: int, channel: str) -> dict[int, Model]:
        """Return every device's newest publication, straight from shared memory."""
        publications = _import_ray().get(self._actor(run).newest.remote(channel))
        return dict(zip(publications, _fetch(publications.values()), strict=True))

    def close(self, run: int) -> None:
        """Stop the run's actor."""
        actor = self._held.pop(run, None)
        ray = _import_ray()
        if actor is not None and ray.is_initialized():
            ray.kill(actor)

    def _actor(self, run: int) -> Any:
        if run not in self._held:
            raise RelayError(f"RayRelay is not open for run {run}")
        return self._held[run]

    def _wait_for_ray(self, ray: Any) -> None:
        end = time.monotonic() + self._start_timeout
        while not ray.is_initialized():
            if time.monotonic() >= end:
                raise RelayError(
                    f"Ray did not start within {self._start_timeout:g} s: RayRelay serves "
                    "Flower's simulation (a federation with simulated SuperNodes) only"
                )
            time.sleep(_POLL_SECONDS)


class _RayMailbox(Mailbox):
    def __init__(self, device: int, run: int) -> None:
        super().__init__(device)
        self._run, self._ray = run, _import_ray()
        _find(run)

    def publish(self, slot: Slot, model: Model, private: Collection[str] = ()) -> None:
        # References travel inside the publication: Ray replaces a bare reference among an actor
        # call's arguments by the object itself, which would move the model to the actor.
        parts = [None if part is None else self._ray.put(part) for part in split(model, private)]
        self._ask("put", self.device, slot, Publication(*parts))

    def recall(self, channel: str, newest: int | None = None) -> list[tuple[Slot, Model]]:
        kept = self._ask("own", self.device, channel)[:newest]
        models = _fetch(publication for _, publication in kept)
        return [(slot, model) for (slot, _), model in zip(kept, models, strict=True)]

    def collect(
        self, senders: Collection[int], slot: Slot, deadline: float | None = None
    ) -> dict[int, Model]:
        return collect_until(deadline, senders, lambda missing: self._take(missing, slot))

    def _take(self, senders: list[int], slot: Slot) -> dict[int, Model]:
        found = self._ask("take", self.device, senders, slot)
        return dict(zip(found, _fetch(found.values()), strict=True))

    def _ask(self, method: str, *arguments: Any) -> Any:
        """Call the run's actor; if the one we knew has ended, there may be a new one."""
        try:
            return self._ray.get(getattr(_find(self._run), method).remote(*arguments))
        except self._ray.exceptions.RayActorError:
            _find.cache_clear()
            return self._ray.get(getattr(_find(self._run), method).remote(*arguments))


def _fetch(publications: Iterable[Publication[Any]]) -> list[Model]:
    """Read the models behind references, all in one call."""
    listed = list(publications)
    references = [part for publication in listed for part in publication if part is not None]
    parts = iter(_import_ray().get(references))
    return [join(next(parts), p.private and next(parts)) for p in listed]


def _name(run: int) -> str:
    return f"p2pl-relay-{run}"


@functools.lru_cache(maxsize=4)
def _find(run: int) -> Any:
    ray = _import_ray()
    try:
        return ray.get_actor(_name(run))
    except ValueError:
        raise RelayError(
            f"no RayRelay is open for run {run}: P2PL opens it when its start() is called"
        ) from None


def _import_ray() -> Any:
    try:
        import ray
    except ImportError:
        raise RelayError("RayRelay needs ray: pip install 'p2pl-flower[simulation]'") from None
    return ray
