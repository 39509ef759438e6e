"""P2PL with Affinity: local training is pulled towards the neighbors' last average."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import check_fields, option, within
from .base import Algorithm, Arrays, Mixed, State, Training, each


@dataclass(frozen=True)
class P2PLAffinity(Algorithm):
    r"""P2PL whose local steps are pulled along the last consensus step.

    .. math:: r_k = \sum_j a_{kj} (w_j - w_k), \qquad
              w_k \leftarrow w_k - \eta g + \beta r_k / H \quad \text{in each of H local steps}

    r_k is what the last consensus step of the round before brought, held fixed through the
    round: no byte more is sent. It damps the swing between training and consensus on data that
    differ from device to device; too strong a pull diverges. The form is our reading of [1]_.

    Parameters
    ----------
    strength : float
        :math:`\beta`, the affinity, 0 or more; 0 is P2PL.

    References
    ----------
    .. [1] Pranav and Moura, "Peer-to-Peer Learning + Consensus with Non-IID Data",
       arXiv 2312.13602.
    """

    name = "p2pl-affinity"

    strength: float = option(0.5, rule=within("[0, inf)"), help="the affinity; 0 is P2PL")

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def corrects(self) -> bool:
        """Whether the strength is not 0."""
        return self.strength > 0

    def before_training(self, model: Arrays, state: State) -> Training:
        """Spread the pull of the last consensus step over the round, if there was one."""
        pull = state.get("pull")
        correction = None if pull is None else each(lambda r: self.strength * r, pull)
        return Training(model, correction, state)

    def after_mixing(self, sent: Arrays, mixed: Arrays, state: State, gamma: float) -> Mixed:
        """Note what the step pulled the device towards: r = (after - before) / gamma."""
        return Mixed(mixed, {"pull": each(lambda w, before: (w - before) / gamma, mixed, sent)})
