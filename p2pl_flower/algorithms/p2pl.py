"""P2PL: max norm synchronization, local training, consensus with neighbors."""

from __future__ import annotations

from dataclasses import dataclass

from .base import Algorithm


@dataclass(frozen=True)
class P2PL(Algorithm):
    r"""Peer-to-peer learning: every device trains, then averages with its neighbors.

    .. math:: w_k \leftarrow w_k + \gamma \sum_j a_{kj} (w_j - w_k) \quad \text{S times a round}

    from the model with the largest norm among all that devices have drawn. For convex losses, a
    constant step and data that differ from device to device, what it converges to is off the
    optimum by a bias that grows with the local steps (see `ExactDiffusion`). Synonyms: diffusion,
    adapt then combine; local SGD on a graph.

    References
    ----------
    .. [1] Pranav and Moura, "Peer-to-Peer Deep Learning for Beyond-5G IoT", arXiv 2310.18861.
    """

    name = "p2pl"
