"""Push-sum: averaging over one-way links, by weights that keep sums."""

from __future__ import annotations

from dataclasses import dataclass

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

MASS = "mass of push-sum"


@dataclass(frozen=True)
class PushSum(Algorithm):
    r"""Stochastic gradient push: a device sends its model times a mass, and the mass beside it.

    .. math:: x_k = m_k z_k + (\mathrm{train}(z_k) - z_k), \qquad
              x_k^+ = \sum_j c_{kj} x_j, \qquad m_k^+ = \sum_j c_{kj} m_j, \qquad
              z_k^+ = x_k^+ / m_k^+

    from m = 1, where the columns of C sum to 1: a device knows how many hear it, and not what
    others do. z is the model, which is trained and scored; the masses, of sum K, take out how much
    more some devices are heard than others, so that all agree on the unweighted mean, on any
    strongly connected graph of one-way links, and on schedules of such. `OutDegree` weights are
    such; symmetric ones are, too, on which m stays 1 and this is `P2PL`.

    Over links that lose messages, a share that did not arrive must stay with its sender, or mass
    gets lost and the mean with it. So receivers acknowledge, a few bytes against the link's
    direction: whoever asks for a message says that it has got it. The other way is to send running
    sums of all that was ever sent, of which the next to arrive makes up for those that were
    lost [2]_; it needs no acknowledgment, but a device then keeps a model for each of its
    neighbors, and sums that grow from round to round lose digits in single precision. An
    acknowledgment that is lost itself leaves a share with both.

    With a constant step and data that differ, a bias is left, as `P2PL`'s. With S steps of size
    gamma, the matrix is :math:`(I - \gamma (I - C))^S`. One number is sent, and
    kept, beyond the model.

    References
    ----------
    .. [1] Assran, Loizou, Ballas and Rabbat, "Stochastic Gradient Push for Distributed Deep
       Learning", arXiv 1811.10792.
    .. [2] Hadjicostis, Vaidya and Dominguez-Garcia, "Robust distributed average consensus via
       exchange of running sums", IEEE Trans. Automatic Control 61, 2016.
    """

    name = "push-sum"
    column_weights = True

    def start(self, model: Arrays, shape: tuple[int, ...]) -> State:
        """Begin with a mass of 1."""
        one = next(iter(model.values()))
        library = library_of(one)
        mass = library.ones(shape, dtype=library.float32, device=one.device)
        return {"mass": {MASS: mass}}

    def before_training(self, model: Arrays, state: State) -> Training:
        """Note where the round begins."""
        return Training(model, None, {**state, "begun": model})

    def after_training(self, trained: Arrays, state: State) -> Sending:
        """Send x = m z + (trained - z), and m."""
        mass = state["mass"][MASS]
        moved = each(
            lambda new, z: in_precision_of(new + (beside(mass, z) - 1) * z, z),
            trained,
            state["begun"],
        )
        return Sending({**moved, MASS: mass}, {"mass": state["mass"]})

    def after_mixing(self, sent: Arrays, mixed: Arrays, state: State, gamma: float) -> Mixed:
        """Take z = x / m."""
        mass = mixed[MASS]
        model = {n: in_precision_of(x / beside(mass, x), x) for n, x in mixed.items() if n != MASS}
        return Mixed(model, {"mass": {MASS: mass}})

    @property
    def looks_back(self) -> bool:
        """No: what was sent is not compared with what came of it."""
        return False
