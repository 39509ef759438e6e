"""Max norm synchronization: max-consensus on the norms of devices' initial models.

Nothing here sends anything: a device says what it holds, hears what its neighbors hold, and
takes what is strongest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..named_arrays import Model, mixed_part, square_norm

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

    def taking(self, others: Mapping[int, Candidates], holder: NDArray[np.int64]) -> Candidates:
        """Return them with the groups that ``holder`` says others hold taken over."""
        norms, origins = self.norms.copy(), self.origins.copy()
        for j, other in others.items():
            taken = holder == j
            norms[taken], origins[taken] = other.norms[taken], other.origins[taken]
        return Candidates(norms, origins)


_BEYOND_BELIEF = 1000.0
_APART = 1e-3


class Choice(NamedTuple):
    """Whose arrays a device takes.

    Attributes
    ----------
    holder : NDArray[int64], shape (G,)
        Who holds the strongest of each group, as `strongest` says.
    offers : dict[int, Model]
        What neighbors who do have handed over.
    liars : list[int]
        Neighbors that do not count: they named norms beyond belief, or sent another model.
    """

    holder: NDArray[np.int64]
    offers: dict[int, Model]
    liars: list[int]


def choose(
    device: int,
    own: Candidates,
    others: Mapping[int, Candidates],
    fetch: Callable[[Collection[int]], dict[int, Model]],
    norms_of: Callable[[Model], NDArray[np.float64]],
) -> Choice:
    """Return whose arrays a device takes, having compared what came with what was named.

    Parameters
    ----------
    device : int
        The device.
    own : Candidates
        What it holds.
    others : Mapping[int, Candidates]
        What neighbors say that they hold.
    fetch : Callable
        Returns what of these neighbors' models can be had.
    norms_of : Callable
        Returns the norm of each group of a model.
    """
    left = {j: c for j, c in others.items() if bool(are_believed(own.norms, c.norms))}
    while True:
        holder = strongest(device, own, left)
        offers = fetch(set(holder.tolist()) - {device})
        found = {j: norms_of(offer) for j, offer in offers.items()}
        liars = [j for j in found if not _are_equal(found[j], left[j].norms, holder == j)]
        if not liars:
            return Choice(holder, offers, sorted(others.keys() - left.keys()))
        for j in liars:
            del left[j]


def are_believed(own: NDArray[np.float64], claimed: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether claims are at most a thousand times the own largest norm, or 1,000.

    A device without a model has nothing to compare with, and believes.

    Parameters
    ----------
    own, claimed : NDArray[float64], shape (..., G)
        The norms that a device holds, and those that a neighbor names.
    """
    largest = own.max(axis=-1, initial=NOTHING)
    most = _BEYOND_BELIEF * np.maximum(1.0, largest)
    return np.asarray((largest < 0) | (claimed <= most[..., None]).all(axis=-1))


def _are_equal(
    found: NDArray[np.float64], named: NDArray[np.float64], groups: NDArray[np.bool_]
) -> bool:
    if found.shape != named.shape:
        return False
    return bool(np.allclose(found[groups], named[groups], rtol=_APART, atol=_APART))


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
