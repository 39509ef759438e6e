"""Max norm synchronization: max-consensus on the norms of devices' initial models.

Nothing here sends anything: a device says what it holds, hears what its neighbors hold, and
takes what is strongest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..named_arrays import Model, mixed_part, square_norm

log = logging.getLogger("flwr.p2pl")

NOTHING = -1.0
"""Norm that a device without a model names: it loses to every model."""

NOT_FINITE = -0.5
"""Norm of arrays with a NaN or an infinity in them, and of implausible ones: it loses to others."""

FLOODS = ("max-norm", "bounded-norm")
"""What ``init`` is where the largest norm is flooded."""

_MARGIN, _SAME = 3.0, 1e-6


@dataclass(frozen=True)
class Candidates:
    """The initial model that a device holds, group by group of its arrays.

    Attributes
    ----------
    norms : NDArray[float64], shape (G,)
        L2 norm of each group; G is 1 for scope ``model`` and the number of mixed arrays
        for scope ``tensor``.
    origins : NDArray[int64], shape (G,)
        The device on which each group was drawn.
    """

    norms: NDArray[np.float64]
    origins: NDArray[np.int64]

    @classmethod
    def of(cls, model: Model, scope: str, device: int) -> Candidates:
        """Return the candidates of ``device``, which has drawn a model itself."""
        squares = [square_norm(array) for array in mixed_part(model).values()]
        totals = squares if scope == "tensor" else [sum(squares)]
        return cls(
            comparable(np.sqrt(np.array(totals))), np.full(len(totals), device, dtype=np.int64)
        )

    @classmethod
    def nothing(cls, groups: int, device: int) -> Candidates:
        """Return those of a device that has no model: any other beats them."""
        return cls(np.full(groups, NOTHING), np.full(groups, device, dtype=np.int64))

    def beaten_by(self, other: Candidates) -> NDArray[np.bool_]:
        """Return where ``other`` has the larger norm, or an equal one of a smaller origin."""
        larger = other.norms > self.norms
        tie = (other.norms == self.norms) & (other.origins < self.origins)
        return np.asarray(larger | tie)

    @classmethod
    def claimed(cls, norms: NDArray[Any], origins: NDArray[Any], groups: int) -> Candidates | None:
        """Return what a neighbor claims to hold; None for what is no claim on as many groups."""
        real = norms.dtype.kind in "fiu" and origins.dtype.kind in "iu"
        if not real or norms.shape != (groups,) or origins.shape != (groups,):
            return None
        return cls(comparable(norms.astype(np.float64)), origins.astype(np.int64))

    def within(self, bound: NDArray[np.float64] | None) -> Candidates:
        """Return them with norms above a bound, shape (G,), such that they lose to all others."""
        return self if bound is None else Candidates(plausible(self.norms, bound), self.origins)

    def fits(self, other: Candidates, groups: NDArray[np.bool_]) -> bool:
        """Return whether some groups' norms are those of ``other``, up to rounding."""
        if self.norms.shape != other.norms.shape:
            return False
        return bool(np.allclose(self.norms[groups], other.norms[groups], rtol=_SAME, atol=0.0))

    def taking(self, others: Mapping[int, Candidates], holder: NDArray[np.int64]) -> Candidates:
        """Return them with the groups that ``holder`` says others hold taken over."""
        norms, origins = self.norms.copy(), self.origins.copy()
        for j, other in others.items():
            taken = holder == j
            norms[taken], origins[taken] = other.norms[taken], other.origins[taken]
        return Candidates(norms, origins)


def comparable(norms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return norms that can be compared: those that are no finite numbers are `NOT_FINITE`.

    Else a NaN would lose to nothing, on the device that drew it, and an infinity win everywhere.
    """
    return np.where(np.isfinite(norms), norms, NOT_FINITE)


def bound_of(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""Return the largest plausible norms, given those of draws of one's own.

    .. math:: \max_d n_d + 3 (\max_d n_d - \min_d n_d)

    for each group, some ten standard deviations above the mean: it refuses no honest draw, and
    leaves whoever lies that much. The norms of large layers hardly spread, so it is close.

    Parameters
    ----------
    drawn : NDArray[float64], shape (D, G)
        Norms of D draws.
    """
    largest, smallest = drawn.max(axis=0), drawn.min(axis=0)
    return np.asarray((largest + _MARGIN * (largest - smallest)) * (1 + _SAME))


def plausible(norms: NDArray[np.float64], bound: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return norms, shape (..., G), with those above the bound such that they lose to others."""
    return np.where(norms > bound, NOT_FINITE, norms)


def claims_of(
    entries: Mapping[int, Model], groups: int, bound: NDArray[np.float64] | None
) -> dict[int, Candidates]:
    """Return what neighbors claim to hold; those without a model claim nothing.

    Parameters
    ----------
    entries : Mapping[int, Model]
        What each has published: ``norms`` and ``origins``, and when it was ``held`` first.
    groups : int
        G, or 0 on a device that has no model to know it from.
    bound : NDArray[float64] of shape (G,), or None
        The largest plausible norms.
    """
    said = {j: e for j, e in entries.items() if _is_claim(e) and e["norms"].size}
    groups = groups or max([0, *(e["norms"].size for e in said.values())])
    read = {j: Candidates.claimed(e["norms"], e["origins"], groups) for j, e in said.items()}
    return {j: claim.within(bound) for j, claim in read.items() if claim is not None}


def _is_claim(entry: Model) -> bool:
    whole = {"norms", "origins", "held"} <= entry.keys()
    return whole and entry["held"].size == 1 and entry["held"].dtype.kind in "iu"


def strongest(device: int, own: Candidates, others: Mapping[int, Candidates]) -> NDArray[np.int64]:
    """Return, for each group, who among the device and its neighbors holds the strongest.

    This is one step of max-consensus on (norm, -origin): repeated with neighbors only, it
    floods the largest norm through a connected graph in as many steps as its diameter.

    Returns
    -------
    NDArray[int64], shape (G,)
        A key of ``others``, or ``device`` where its own group stays.
    """
    best, holder = own, np.full(own.norms.shape, device, dtype=np.int64)
    for j in sorted(others):
        holder[best.beaten_by(others[j])] = j
        best = best.taking({j: others[j]}, holder)
    return holder


def offers_of(
    device: int,
    mine: Candidates,
    others: dict[int, Candidates],
    fetch: Callable[[int], Mapping[int, Model]],
    measured: Callable[[Model, int], Candidates],
) -> tuple[NDArray[np.int64], dict[int, Model], dict[int, Model]]:
    """Return who holds the strongest, their models, and all that were fetched for it.

    Parameters
    ----------
    device : int
        Who asks.
    mine, others : Candidates, and those of neighbors
        What each claims. Who claimed a norm that its model has not is taken out.
    fetch : Callable[[int], Mapping[int, Model]]
        Returns a neighbor's model under its id; nothing where it does not arrive.
    measured : Callable[[Model, int], Candidates]
        Returns what a model amounts to in a neighbor's hands.
    """
    fetched: dict[int, Model] = {}
    while True:
        holder = strongest(device, mine, others)
        sources = sorted(set(holder.tolist()) - {device})
        for j in sources:
            if j not in fetched:
                fetched |= fetch(j)
        offers = {j: fetched[j] for j in sources if j in fetched}
        liars = [j for j, m in offers.items() if not measured(m, j).fits(others[j], holder == j)]
        if not liars:
            return holder, offers, fetched
        log.warning(
            "device %d: refuses initial models of neighbors %s, whose norms are not those that "
            "they claim",
            device,
            ", ".join(map(str, liars)),
        )
        for j in liars:
            del others[j]
