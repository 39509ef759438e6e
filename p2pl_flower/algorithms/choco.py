"""CHOCO: devices mix copies that they keep of each other, to which they send what changed."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import check_fields, option, within
from .base import Algorithm


@dataclass(frozen=True)
class Choco(Algorithm):
    r"""P2PL on public copies, which any codec may keep up to date, a biased one too.

    .. math:: \hat{w}_k \leftarrow \hat{w}_k + C(w_k - \hat{w}_k), \qquad
              w_k \leftarrow w_k + \gamma \sum_j a_{kj} (\hat{w}_j - \hat{w}_k)
              \quad \text{S times a round}

    with C the run's `codec`; where that is exact this is P2PL with step size gamma. Neighbors keep
    one copy of each other, and add to it what arrives. What is sent shrinks as devices agree: so
    do its losses, and consensus is exact in the limit. Copies begin at the common initial model
    (in [1]_ at 0); where devices begin with models of their own, each sends its copy once.

    For smooth losses, a symmetric, doubly stochastic matrix, a codec that keeps a share delta of
    a vector, :math:`E\|C(x) - x\|^2 \le (1 - \delta) \|x\|^2` (top-k: delta = fraction), and
    gamma small enough, of order :math:`\delta \rho^2` with spectral gap :math:`\rho`, devices
    reach consensus linearly, and after enough rounds learn at the rate of exact mixing. Larger
    gamma than the theory's is usual; too large a one diverges.

    A device whose copy of a neighbor missed a step (a link was down, a graph changed, a message
    came late) fetches the whole copy in the next one, so that copies never differ; it costs a
    model's bytes. So this pays where links are reliable and neighbors stay.

    Parameters
    ----------
    gamma : float
        :math:`\gamma`, in (0, 1]; `consensus_gamma` multiplies it.

    References
    ----------
    .. [1] Koloskova, Stich and Jaggi, "Decentralized Stochastic Optimization and Gossip Algorithms
       with Compressed Communication", arXiv 1902.00340.
    """

    name = "choco"
    codec_memory = "public-copies"

    gamma: float = option(0.5, rule=within("(0, 1]"), help="step size of mixing")

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def mixing_step(self) -> float:  # type: ignore[override]
        """The step size."""
        return self.gamma
