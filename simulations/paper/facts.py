"""What theory says of a variant's mixing matrix, beside what the runs measured."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from p2pl_flower.topology import schedule
from p2pl_flower.weights import mixing_matrix, spectral_gap, stationary_distribution

from ..samples import device_samples
from ..scenario import Scenario


def gap(scenario: Scenario) -> float | None:
    """Return the spectral gap of the mixing matrix; None for graphs that change."""
    found = _matrix(scenario)
    return None if found is None else spectral_gap(found[0])


def bias(scenario: Scenario) -> float | None:
    r"""Return how far the devices' weights in the consensus are from their data shares.

    The total variation distance :math:`\frac{1}{2} \sum_k |\pi_k - n_k / n|`, from 0 to 1,
    with :math:`\pi` the stationary distribution of the mixing matrix.
    """
    found = _matrix(scenario)
    if found is None:
        return None
    matrix, samples = found
    return float(0.5 * np.abs(stationary_distribution(matrix) - samples / samples.sum()).sum())


FACTS: dict[str, Callable[[Scenario], float | None]] = {"spectral gap": gap, "bias": bias}


def _matrix(scenario: Scenario) -> tuple[NDArray[np.float64], NDArray[np.int64]] | None:
    graphs = schedule(scenario.topology, scenario.num_devices, scenario.seed)
    if not graphs.static:
        return None
    sizes = [len(part) for part in device_samples(scenario, scenario.num_devices)]
    options, graph = scenario.options, graphs.graph(1)
    known = dict(enumerate(sizes))
    return mixing_matrix(graph, options.weights, known, options.matrix), np.array(sizes)
