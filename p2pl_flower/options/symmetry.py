"""Algorithms whose theory wants symmetric weights are refused on others."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..algorithms import ALGORITHMS, Algorithm
from ..config import described_text
from ..errors import WeightsError
from ..links import LINKS, Links
from ..weights import REWEIGHT, TOLERANCE, WEIGHTS, Custom, WeightRule


def check_symmetry(
    algorithm: Algorithm,
    rule: WeightRule,
    matrix: NDArray[np.float64] | None,
    on_missing: str,
    links: Links,
) -> None:
    """Refuse weights that an algorithm is no longer itself on.

    Parameters
    ----------
    algorithm : Algorithm
        Any; one that does not want symmetric weights takes all.
    rule : WeightRule
        How devices weigh their neighbors.
    matrix : NDArray, shape (K, K), or None
        The user's own, for `Custom`. On devices it is None: it was checked where it was given.
    on_missing : str
        Where the weight of a neighbor that did not answer goes.
    links : Links
        Which links are up when.

    Raises
    ------
    WeightsError
        The weights are not symmetric, or lost messages would make them so.
    """
    sums_kept = algorithm.column_weights and rule.column_stochastic
    if sums_kept or not (algorithm.symmetric_weights or algorithm.column_weights):
        return
    others = " or column-stochastic" if algorithm.column_weights else ""
    name = described_text(algorithm, ALGORITHMS)
    wants = f"algorithm={name!r} converges on symmetric{others} weights only"
    if isinstance(rule, Custom):
        _check_matrix(matrix, wants)
    elif not rule.symmetric:
        advice = "take weights='metropolis', or a WeightRule of yours that says `symmetric = True`"
        raise WeightsError("weights", _text(rule), f"may be asymmetric, and {wants}; {advice}")
    if on_missing == "neighbors":
        rule_text = f"weighs two ends of a link differently, and {wants}; take on_missing='self'"
        raise WeightsError("on_missing", on_missing, rule_text)
    if not links.symmetric and on_missing != REWEIGHT:
        text = described_text(links, LINKS)
        rule_text = f"loses messages one way, and {wants}; take on_missing='reweight'"
        raise WeightsError("links", text, rule_text)


def _check_matrix(matrix: NDArray[np.float64] | None, wants: str) -> None:
    if matrix is None:
        return
    apart = np.abs(matrix - matrix.T)
    if apart.max() > TOLERANCE:
        k, j = (int(index) for index in np.unravel_index(np.argmax(apart), apart.shape))
        found = f"[{k}, {j}] is {matrix[k, j]:.6g} and [{j}, {k}] is {matrix[j, k]:.6g}"
        raise WeightsError("weights", f"matrix of shape {matrix.shape}", f"{found}, but {wants}")


def _text(rule: WeightRule) -> Any:
    return described_text(rule, WEIGHTS)
