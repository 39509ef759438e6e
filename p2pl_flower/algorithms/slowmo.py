"""SlowMo: momentum on whole rounds, outside of training."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import check_fields, option, within
from .base import Arrays, Mixed, State
from .outer_momentum import OuterMomentum, outer_step


@dataclass(frozen=True)
class SlowMomentum(OuterMomentum):
    r"""After consensus, a device goes on in the direction that its rounds have had.

    .. math:: \tilde w_k = \sum_j a_{kj} \, \mathrm{train}(w_j^t), \qquad
              w_k^{t+1} = w_k^t + \alpha (\tilde w_k - w_k^t) + \beta (w_k^t - w_k^{t-1})

    from rest. This is [1]_ with its slow momentum u written out, at a constant rate, where
    :math:`w^{t+1} - w^t = -\alpha \gamma_t u_{t+1}`. In [1]_ the average before the outer step is
    exact, or left out; here it is the round's S consensus steps with neighbors, which is our
    reading. On a complete graph with `Metropolis` weights it is exact.

    Its fixed points are those of P2PL: with a constant step and data that differ, the same bias is
    left. Training is a black box, with any optimizer; weights are as free as P2PL's. Nothing is
    sent beyond the model; two models are kept.

    Parameters
    ----------
    beta : float
        :math:`\beta`, the slow momentum, in [0, 1); with 0 and alpha = 1 it is P2PL.
    alpha : float
        :math:`\alpha`, the slow learning rate, above 0.

    References
    ----------
    .. [1] Wang, Tantia, Ballas and Rabbat, "SlowMo: Improving Communication-Efficient Distributed
       SGD with Slow Momentum", arXiv 1910.00643.
    """

    name = "slowmo"

    beta: float = option(0.5, rule=within("[0, 1)"), help="the slow momentum")
    alpha: float = option(1.0, rule=within("(0, inf)"), help="the slow learning rate")

    def __post_init__(self) -> None:
        check_fields(self)

    def after_mixing(self, sent: Arrays, mixed: Arrays, state: State, gamma: float) -> Mixed:
        """Make the outer step."""
        return Mixed(outer_step(state, mixed, self.alpha, self.beta), state)
