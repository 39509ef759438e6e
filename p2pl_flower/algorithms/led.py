"""Local exact diffusion: the bias of data that differ is corrected in every local step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..config import check_fields, option, within
from .base import Algorithm, Arrays, Mixed, State, Training, each, zeros_like


@dataclass(frozen=True)
class LocalExactDiffusion(Algorithm):
    r"""Local steps are pulled along all that consensus has brought so far.

    .. math:: \phi_k \leftarrow \phi_k - \eta g + \beta y_k / H
              \quad \text{in each of H local steps from } w_k, \qquad
              w_k^+ = \sum_j a_{kj} \phi_j, \qquad
              y_k^+ = y_k + w_k^+ - \phi_k

    from y = 0: the pull of `P2PLAffinity`, summed over rounds instead of replaced. With S steps
    of size gamma, the matrix is :math:`(I - \gamma (I - A))^S`. In [1]_, y has the other sign and
    its step size is :math:`\beta / H`. With H = 1 and beta = 1 it is exact diffusion, without the
    halved mixing of `ExactDiffusion`. Nothing is sent beyond the model; one model is kept.

    For convex smooth losses, gradients without noise and a small constant :math:`\eta`, all
    devices reach the optimum of the mean loss for any H, each device weighed by its number of
    steps. The matrix must be symmetric and doubly stochastic, and the sum of y over devices stays
    0 only while each link works both ways or not at all. Eigenvalues of the matrix must be above
    :math:`-(2 - \beta) / (2 + \beta)`, -1/3 for beta = 1, which ``torus`` and ``regular:d=4`` miss:
    an even S, a smaller gamma or a smaller beta makes up for it. Momentum in the local optimizer
    brings a small bias back, for the correction is not part of it.

    Parameters
    ----------
    strength : float
        :math:`\beta`, in (0, 1]: smaller corrects more slowly.

    References
    ----------
    .. [1] Alghunaim, "Local Exact-Diffusion for Decentralized Optimization and Learning",
       arXiv 2302.00620.
    """

    name = "led"
    symmetric_weights = True

    strength: float = option(
        1.0, rule=within("(0, 1]"), help="share of the correction that is made in a round"
    )

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def corrects(self) -> bool:
        """Always."""
        return True

    @property
    def least_eigenvalue(self) -> float:
        """-(2 - beta) / (2 + beta): below, w and y grow in turn, whatever training does."""
        return -(2 - self.strength) / (2 + self.strength)

    def start(self, model: Arrays, shape: tuple[int, ...]) -> State:
        """Begin with y = 0."""
        return {"pull": zeros_like(model)}

    def before_training(self, model: Arrays, state: State) -> Training:
        """Spread beta y over the round's local steps."""
        pull = state["pull"]
        return Training(model, pull if self.strength == 1 else each(self._weakened, pull), state)

    def after_mixing(self, sent: Arrays, mixed: Arrays, state: State, gamma: float) -> Mixed:
        """Add to y what the step brought; over S steps that telescopes."""
        pull = each(lambda y, after, before: y + (after - before), state["pull"], mixed, sent)
        return Mixed(mixed, {"pull": pull})

    def _weakened(self, pull: Any) -> Any:
        return self.strength * pull
