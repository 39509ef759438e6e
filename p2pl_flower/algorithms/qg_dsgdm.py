"""Quasi-global momentum: local steps follow where consensus has been going."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import check_fields, option, within
from .base import Algorithm, Arrays, State, Training, each, zeros_like


@dataclass(frozen=True)
class QuasiGlobalMomentum(Algorithm):
    r"""Momentum of how far whole rounds, training and consensus, have moved the device.

    .. math:: m_k^t = \mu m_k^{t-1} + (1 - \mu) (w_k^t - w_k^{t-1}), \qquad
              \phi_k \leftarrow \phi_k - \eta g + \beta m_k^t / H
              \quad \text{in each of H local steps from } w_k^t, \qquad
              w_k^{t+1} = \sum_j a_{kj} \phi_j

    from m = 0. It is QG-DSGDm of [1]_ with m in units of the model, times :math:`-\eta`. With
    H = 1 it is that algorithm at a constant rate; for rounds of several local steps, holding m
    fixed through the round is our reading, and m is what a *round* moved: 1/H of it goes into each
    step, as the seam's correction. The momentum is in no optimizer: local training should be
    SGD without momentum of its own, or both add up.

    Its fixed points are those of P2PL: with a constant step and data that differ, the same bias is
    left. It speeds up the way there, and the momentum is less torn by a device's own
    data than a local optimizer's. Weights are as free as P2PL's. Nothing is sent beyond the model;
    two models are kept.

    Parameters
    ----------
    beta : float
        :math:`\beta`, how much of the momentum a round adds, in [0, 1); 0 is P2PL.
    mu : float
        :math:`\mu`, how much of it stays from round to round, in [0, 1).

    References
    ----------
    .. [1] Lin, Karimireddy, Stich and Jaggi, "Quasi-Global Momentum: Accelerating Decentralized
       Deep Learning on Heterogeneous Data", arXiv 2102.04761.
    """

    name = "qg-dsgdm"

    beta: float = option(0.9, rule=within("[0, 1)"), help="how much of the momentum a round adds")
    mu: float = option(
        0.9, rule=within("[0, 1)"), help="how much of the momentum stays from round to round"
    )

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def corrects(self) -> bool:
        """Whether beta is not 0."""
        return self.beta > 0

    def start(self, model: Arrays, shape: tuple[int, ...]) -> State:
        """Begin at rest."""
        return {"momentum": zeros_like(model), "begun": model}

    def before_training(self, model: Arrays, state: State) -> Training:
        """Take the round before into the momentum; spread beta m over the local steps."""
        momentum = each(
            lambda m, w, before: self.mu * m + (1 - self.mu) * (w - before),
            state["momentum"],
            model,
            state["begun"],
        )
        correction = each(lambda m: self.beta * m, momentum) if self.corrects else None
        return Training(model, correction, {"momentum": momentum, "begun": model})
