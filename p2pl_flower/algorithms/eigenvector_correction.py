"""Row-stochastic weights that lead to the unweighted mean: their eigenvector is divided out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config import check_fields, option, within
from .base import (
    Algorithm,
    Arrays,
    Mixed,
    Sending,
    State,
    Training,
    beside,
    each,
    in_precision_of,
    library_of,
)

SHARES = "shares of eigenvector correction"


@dataclass(frozen=True)
class EigenvectorCorrection(Algorithm):
    r"""What training moved is divided by how much the device weighs in consensus, which it learns.

    .. math:: w_k^+ = \sum_j a_{kj} \Big(w_j + \frac{\mathrm{train}(w_j) - w_j}{K y_{jj}}\Big),
              \qquad y_k^+ = \sum_j a_{kj} y_j

    with y_k a vector of K numbers, from 1 at the device's own place and 0 elsewhere. Rows of A sum
    to 1, so that y_k tends to A's left eigenvector :math:`\pi`, the weights of devices in what they
    agree on; :math:`y_{kk} \to \pi_k`, and :math:`\sum_j \pi_j \Delta_j / (K \pi_j)` is the plain
    mean of what training moved. So `Uniform` and `DataSize` weights, on links of any direction,
    lead where doubly stochastic ones do, with a device knowing nothing but whom it hears. It must
    know how many devices there are and which one it is. From a common start nothing is left of the
    weights; of independent ones, the first average is still weighted.

    The theory wants one strongly connected graph that stays; on schedules and lossy links, y
    follows products of the matrices, and the correction holds in the mean at best. A device that
    hardly anybody hears weighs next to nothing and would have to move very far: ``most`` bounds
    that, at the price of a bias. With a constant step and data that differ, `P2PL`'s bias is left.
    Adapting before combining, with rounds of several local steps, is our reading. With S steps of
    size gamma, the matrix is :math:`(I - \gamma (I - A))^S`. K numbers are sent, and kept, beyond
    the model.

    Parameters
    ----------
    most : float
        The largest factor by which training's movement is multiplied, 1 or more.

    References
    ----------
    .. [1] Mai and Abed, "Distributed optimization over weighted directed graphs using row
       stochastic matrix", ACC 2016.
    .. [2] Xi, Mai, Xin, Abed and Khan, "Linear convergence in optimization over directed graphs
       with row-stochastic matrices", IEEE Trans. Automatic Control 63, 2018.
    """

    name = "eigenvector-correction"

    most: float = option(
        10.0, rule=within("[1, inf)"), help="largest factor of what training has moved"
    )

    def __post_init__(self) -> None:
        check_fields(self)

    def start(self, model: Arrays, shape: tuple[int, ...]) -> State:
        """Begin as the only device."""
        return self.start_at(model, shape, np.ones((*shape, 1), np.float32))

    def start_at(self, model: Arrays, shape: tuple[int, ...], place: Any) -> State:
        """Begin with all weight at the own place, which is noted."""
        one = next(iter(model.values()))
        library = library_of(one)
        own = library.asarray(place, dtype=library.float32, device=one.device)
        return {"shares": {SHARES: own}, "place": {SHARES: own}}

    def before_training(self, model: Arrays, state: State) -> Training:
        """Note where the round begins."""
        return Training(model, None, {**state, "begun": model})

    def after_training(self, trained: Arrays, state: State) -> Sending:
        """Send w + (trained - w) / (K y_kk), and y."""
        shares, place = state["shares"][SHARES], state["place"][SHARES]
        factor = self._factor((shares * place).sum(-1), place.shape[-1])

        def moved(new: Any, w: Any) -> Any:
            return new + in_precision_of((beside(factor, w) - 1) * (new - w), w)

        message = each(moved, trained, state["begun"])
        kept = {"shares": state["shares"], "place": state["place"]}
        return Sending({**message, SHARES: shares}, kept)

    def after_mixing(self, sent: Arrays, mixed: Arrays, state: State, gamma: float) -> Mixed:
        """Take the model and y apart."""
        model = {name: array for name, array in mixed.items() if name != SHARES}
        return Mixed(model, {"shares": {SHARES: mixed[SHARES]}, "place": state["place"]})

    @property
    def looks_back(self) -> bool:
        """No: what was sent is not compared with what came of it."""
        return False

    def _factor(self, own: Any, devices: int) -> Any:
        """Return 1 / (K y_kk), at most ``most``."""
        return 1 / (devices * own).clip(min=1 / self.most)
