"""Max norm synchronization of all devices at once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..algorithms.max_norm import NOTHING, are_believed
from ..errors import DeviceError
from ..topology import Schedule
from .edges import Edges

if TYPE_CHECKING:
    from ..links import Links

log = logging.getLogger("p2pl.swarm")

PATIENCE = 10
"""Over unreliable links, synchronization may take so many steps for each device."""


@dataclass(frozen=True)
class Start:
    """Where the devices begin.

    Attributes
    ----------
    origins : NDArray[int64], shape (K, G)
        On which device the tensors of each group were drawn.
    setup : Mapping[str, int]
        ``synchronization_steps``, ``bytes_sent`` and ``bytes_through_server``.
    """

    origins: NDArray[np.int64]
    setup: Mapping[str, int]

    @classmethod
    def own(cls, shape: tuple[int, ...]) -> Start:
        """Return the start from every device's own draw, with no message sent."""
        origins = np.repeat(np.arange(shape[0])[:, np.newaxis], shape[1], axis=1)
        return cls(origins, _setup(0, 0))

    @classmethod
    def common(cls, shape: tuple[int, ...]) -> Start:
        """Return the start of all from one draw, which each makes itself, with no message sent."""
        return cls(np.zeros(shape, dtype=np.int64), _setup(0, 0))


def flood(
    schedule: Schedule,
    links: Links,
    norms: NDArray[np.float64],
    drew: NDArray[np.bool_],
    model_bytes: int,
) -> Start:
    """Let each device keep the strongest among its own and its neighbors' initial models.

    It is what `p2pl_flower.device.Device.synchronize` does step by step: claims of the norms are
    compared first, and a model is fetched only from a neighbor that holds a stronger one.

    Parameters
    ----------
    schedule, links
        Step s goes over the graph of round s, over links that are up in round s, step 0.
    norms : NDArray[float64], shape (K, G)
        L2 norm of each group of tensors on the device that drew it.
    drew : NDArray[bool], shape (K,)
        Which devices have an initial model of their own.
    model_bytes : int
        Size of a model in bytes.

    Raises
    ------
    DeviceError
        Over unreliable links, some devices have no initial model in the end.
    """
    ranks, origin_of = _ranks(norms, drew)
    every = np.arange(norms.shape[1])
    named = np.concatenate([norms, np.full((1, norms.shape[1]), NOTHING)])
    origin_of[-1] = len(norms)  # who has no model names nothing
    count, groups = ranks.shape
    limit = PATIENCE * count  # a static graph's diameter, which suffices there, is far less
    step = sent = 0
    done = count == 1
    while not done and step < limit:
        step += 1
        edges = Edges.of(schedule.graph(step))
        up = np.broadcast_to(links.up(edges.to, edges.source, step, 0), edges.to.shape)
        edges = edges.where(up)
        sent += _claim_bytes(ranks[edges.source, 0], count, groups)
        held = named[origin_of[ranks, every], every]
        better, fetched = _step(
            ranks, edges.where(are_believed(held[edges.to], held[edges.source]))
        )
        sent += fetched * model_bytes
        ranks = better
        done = bool((ranks == ranks[0]).all() and (ranks < count).all())
    if not done:
        _give_up(ranks, step)
    return Start(origin_of[ranks, every], _setup(step, sent))


def _ranks(
    norms: NDArray[np.float64], drew: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each device's place by falling norm, ties by id, and who has which place.

    Places are those among the devices that drew; all others have the place K: no claim.
    """
    count, groups = norms.shape
    ranks = np.full((count, groups), count, dtype=np.int64)
    origin_of = np.zeros((count + 1, groups), dtype=np.int64)
    ids = np.flatnonzero(drew)
    for group in range(groups):
        order = ids[np.argsort(-norms[ids, group], kind="stable")]
        ranks[order, group] = np.arange(len(order))
        origin_of[: len(order), group] = order
    return ranks, origin_of


def _step(ranks: NDArray[np.int64], edges: Edges) -> tuple[NDArray[np.int64], int]:
    """Return the places after a step, and how many models were fetched for it."""
    best = ranks.copy()
    np.minimum.at(best, edges.to, ranks[edges.source])
    improves = (ranks[edges.source] == best[edges.to]) & (best < ranks)[edges.to]
    fetched: set[tuple[int, int]] = set()
    for group in range(ranks.shape[1]):
        chosen = np.flatnonzero(improves[:, group])  # ascending: the smallest id comes first
        _, first = np.unique(edges.to[chosen], return_index=True)
        chosen = chosen[first]
        pairs = zip(edges.to[chosen].tolist(), edges.source[chosen].tolist(), strict=True)
        fetched.update(pairs)
    return best, len(fetched)


def _claim_bytes(places: NDArray[np.int64], count: int, groups: int) -> int:
    """Return the size of the claims: norm and origin of each group, and when it was got."""
    return len(places) * 8 + int((places < count).sum()) * 16 * groups


def _setup(steps: int, sent: int) -> Mapping[str, int]:
    return {"synchronization_steps": steps, "bytes_sent": sent, "bytes_through_server": 0}


def _give_up(ranks: NDArray[np.int64], steps: int) -> None:
    if (ranks == len(ranks)).any():
        raise DeviceError(f"after {steps} steps some devices have no initial model yet")
    kinds = len(np.unique(ranks, axis=0))
    log.warning("after %d steps devices still hold %d initial models", steps, kinds)
