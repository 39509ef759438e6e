"""Decentralized SGD: P2PL without the synchronization that comes first."""

from __future__ import annotations

from dataclasses import dataclass

from .base import Algorithm


@dataclass(frozen=True)
class DecentralizedSGD(Algorithm):
    r"""Every device starts from the model that it drew itself, trains, and averages.

    .. math:: w_k \leftarrow w_k + \gamma \sum_j a_{kj} (w_j - w_k)

    With one local step it is decentralized SGD in its form adapt-then-combine. Where all devices
    start from one model (``init="shared"``) it is P2PL from a common start.

    References
    ----------
    .. [1] Lian et al., "Can Decentralized Algorithms Outperform Centralized Algorithms? A Case
       Study for Decentralized Parallel Stochastic Gradient Descent", arXiv 1705.09056.
    """

    name = "dsgd"
    init = "independent"
