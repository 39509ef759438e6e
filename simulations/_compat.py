"""What we use of flwr beyond its public API: the backend that starts Ray for a simulation.

Flower starts Ray, and processes for its devices, for every simulation, and ends them with it. A
comparison is several simulations. Which backend one takes can be told by no argument, but it is
looked up by its name in a module when a simulation begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray
from flwr.server.superlink.fleet.vce.backend import raybackend


@contextmanager
def one_ray(config: dict[str, Any], warm: Callable[[Any], object]) -> Iterator[None]:
    """Start Ray once, for all simulations that are run meanwhile, and end it.

    Parameters
    ----------
    config : dict
        Flower's backend config, which all of them share.
    warm : Callable
        Is called in every process that devices will run in, before the first simulation: what it
        loads is there then. It is given the process's actor.
    """
    made: Any = raybackend.RayBackend
    kept = _keeping(made)(config)
    try:
        made.build(kept, lambda: None)
        ready = [actor.__ray_call__.remote(warm) for actor in kept.pool.pool]
        ray.get(ready)
        raybackend.RayBackend = lambda _: kept  # type: ignore[assignment, misc]
        yield
    finally:
        raybackend.RayBackend = made  # type: ignore[misc]
        made.terminate(kept)


def _keeping(made: Any) -> Any:
    """Return a backend whose processes outlive a simulation."""

    class Kept(made):  # type: ignore[misc]
        def build(self, app_fn: Callable[[], Any]) -> None:
            self.app_fn = app_fn

        def terminate(self) -> None:
            pass

    return Kept
