"""K-GT: gradient tracking in its form for local steps."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import check_fields, option, within
from .base import Algorithm, Arrays, Mixed, Sending, State, Training, each, zeros_like

MOVED = "moved of "


@dataclass(frozen=True)
class KGradientTracking(Algorithm):
    r"""Each local step is corrected by how the neighbors' rounds differed from the own.

    .. math:: \phi_k \leftarrow \phi_k - \eta g + d_k / H
              \quad \text{in each of H local steps from } w_k, \qquad
              \Delta_k = \phi_k - w_k

    .. math:: w_k^+ = \sum_j a_{kj} (w_j + \eta_s \Delta_j), \qquad
              d_k^+ = d_k - \Delta_k + \sum_j a_{kj} \Delta_j

    from d = 0. In [1]_'s symbols d is :math:`-K \eta_c c` and Delta :math:`-K \eta_c z`: here all
    is in units of the model, so that no device needs to know its learning rate. A rate that
    changes from round to round makes d wrong by its ratio, until it is tracked anew. Two models
    are sent: where devices move to, and Delta. With S consensus steps of size gamma, the matrix is
    :math:`(I - \gamma (I - A))^S` in both sums.

    For smooth losses, gradients without noise and a small constant :math:`\eta`, all devices reach
    the optimum of the mean loss for any H, each device weighed by its number of steps. The matrix
    must be doubly stochastic; symmetric ones are asked for, with which that holds while each link
    works both ways or not at all. Its eigenvalues may be negative. Momentum in the local optimizer
    brings a small bias back, for the correction is not part of it.

    Parameters
    ----------
    step : float
        :math:`\eta_s`, the share of its own movement that a device sends, in (0, 1].

    References
    ----------
    .. [1] Liu, Lin, Koloskova and Stich, "Decentralized Gradient Tracking with Local Steps",
       arXiv 2301.01313.
    """

    name = "k-gt"
    symmetric_weights = True

    step: float = option(
        1.0, rule=within("(0, 1]"), help="share of its own movement that a device sends"
    )

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def corrects(self) -> bool:
        """Always."""
        return True

    def start(self, model: Arrays, shape: tuple[int, ...]) -> State:
        """Begin with d = 0."""
        return {"correction": zeros_like(model)}

    def before_training(self, model: Arrays, state: State) -> Training:
        """Spread d over the round's local steps; note where the round begins."""
        return Training(model, state["correction"], {**state, "begun": model})

    def after_training(self, trained: Arrays, state: State) -> Sending:
        """Send w + eta_s Delta, and Delta."""
        moved = each(lambda phi, w: phi - w, trained, state["begun"])
        sent = trained
        if self.step < 1:
            sent = each(lambda w, delta: w + self.step * delta, state["begun"], moved)
        message = {**sent, **{f"{MOVED}{name}": array for name, array in moved.items()}}
        return Sending(message, {"correction": state["correction"]})

    def after_mixing(self, sent: Arrays, mixed: Arrays, state: State, gamma: float) -> Mixed:
        """Add to d how the neighbors' Delta pulled the own; over S steps that telescopes."""
        correction = {
            name: d + (mixed[f"{MOVED}{name}"] - sent[f"{MOVED}{name}"])
            for name, d in state["correction"].items()
        }
        return Mixed({name: mixed[name] for name in correction}, {"correction": correction})
