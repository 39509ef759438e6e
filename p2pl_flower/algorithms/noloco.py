"""NoLoCo: outer momentum with partial averaging in small groups."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import check_fields, option, within
from .base import Arrays, Mixed, Sending, State, each
from .outer_momentum import OuterMomentum, outer_step


@dataclass(frozen=True)
class NoLoCo(OuterMomentum):
    r"""Outer momentum that moves towards the neighbors' models and along their movements.

    .. math:: \Delta_k = \mathrm{train}(w_k^t) - w_k^t, \qquad
              \delta_k^t = \alpha \delta_k^{t-1} + \beta \sum_j a_{kj} \Delta_j
              - \gamma \Big(w_k^t - \sum_j a_{kj} w_j^t\Big), \qquad
              w_k^{t+1} = w_k^t + \delta_k^t

    from :math:`\delta = 0`. Both sums have the same weights, so one model is sent in place of
    two, :math:`m_k = w_k + (\beta / \gamma) \Delta_k`, and
    :math:`\delta_k^t = \alpha \delta_k^{t-1} + \gamma (\sum_j a_{kj} m_j - w_k^t)`: with
    beta = gamma it is `SlowMomentum`. In [1]_ the sums are plain means of random pairs, which
    ``random-matchings`` with `Metropolis` weights is, on rounds of training of other parts of
    a pipeline, which this leaves out; other graphs, S consensus steps, and the defaults are our
    reading. The full text was not at hand.

    Its fixed points are those of P2PL whose rounds move beta / gamma as far: with a constant step
    and data that differ, a bias is left. Disagreement dies out without training for any
    symmetric weights where gamma is below 1 + alpha. Training is a black box; weights are free as
    P2PL's. Nothing is sent beyond the model; two models are kept.

    Parameters
    ----------
    alpha : float
        :math:`\alpha`, the outer momentum, in [0, 1).
    beta : float
        :math:`\beta`, the outer learning rate, above 0.
    gamma : float
        :math:`\gamma`, how strongly neighbors' models pull, above 0.

    References
    ----------
    .. [1] Kolehmainen, Blagoev, Donaghy, Ersoy and Nies, "NoLoCo: No-all-reduce Low Communication
       Training Method for Large Models", arXiv 2506.10911.
    """

    name = "noloco"

    alpha: float = option(0.5, rule=within("[0, 1)"), help="the outer momentum")
    beta: float = option(0.7, rule=within("(0, inf)"), help="the outer learning rate")
    gamma: float = option(1.0, rule=within("(0, inf)"), help="the pull of neighbors' models")

    def __post_init__(self) -> None:
        check_fields(self)

    def after_training(self, trained: Arrays, state: State) -> Sending:
        """Send w + (beta / gamma) Delta."""
        share = self.beta / self.gamma
        message = each(lambda w, new: w + share * (new - w), state["begun"], trained)
        return Sending(message, state)

    def after_mixing(self, sent: Arrays, mixed: Arrays, state: State, gamma: float) -> Mixed:
        """Make the outer step."""
        return Mixed(outer_step(state, mixed, self.gamma, self.alpha), state)
