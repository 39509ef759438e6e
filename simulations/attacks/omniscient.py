"""Attackers that know what all honest devices send; those of ByzFL are its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from p2pl_flower.config import take, within
from p2pl_flower.errors import ConfigError

from .base import Agreed, Omniscient, Tensors


class ByByzFL(Agreed):
    """An attack of ByzFL: one message of all attackers, from those of all honest devices."""

    kind: ClassVar[str]
    tau: float

    def __post_init__(self) -> None:
        super().__post_init__()
        take("tau", self.tau, float, within("(0, inf)"))
        self._library()

    def crafted(self, honest: Tensors) -> Tensors:
        """Return what ByzFL makes of each array."""
        attack = getattr(self._library(), self.kind)(float(self.tau))
        return {
            name: attack(tensor.reshape(len(tensor), -1)).reshape(tensor.shape[1:]).to(tensor)
            for name, tensor in honest.items()
        }

    def _library(self) -> Any:
        try:
            import byzfl
        except ImportError:
            rule = "needs ByzFL: pip install 'p2pl-flower[attacks]'"
            raise ConfigError("attack", type(self).__name__, rule) from None
        return byzfl


@dataclass(frozen=True)
class ALittleIsEnough(ByByzFL):
    r"""Attackers hide in the spread of honest messages: :math:`\mu + \tau \sigma` of each number.

    Parameters
    ----------
    tau : float
        :math:`\tau`.

    References
    ----------
    M. Baruch, G. Baruch and Y. Goldberg, "A little is enough: circumventing defenses for
    distributed learning", NeurIPS 2019.
    """

    kind = "ALittleIsEnough"
    tau: float = 1.5


@dataclass(frozen=True)
class InnerProduct(ByByzFL):
    r"""Attackers send :math:`-\tau \mu`, with :math:`\mu` the mean of honest messages.

    Parameters
    ----------
    tau : float
        :math:`\tau`.

    References
    ----------
    C. Xie, O. Koyejo and I. Gupta, "Fall of empires", UAI 2019.
    """

    kind = "InnerProductManipulation"
    tau: float = 2.0


@dataclass(frozen=True)
class Dissensus(Omniscient):
    r"""Each honest device is pushed away from its honest neighbors.

    Its attacking neighbors j, the same to it but others to others, send

    .. math::

        m_k - \epsilon \frac{\sum_{i\,\mathrm{honest}} a_{ki} (m_i - m_k)}
        {\sum_{j\,\mathrm{attacks}} a_{kj}}

    With :math:`\epsilon = 1` a weighted sum leaves the device where it is: consensus stops.

    Parameters
    ----------
    epsilon : float
        :math:`\epsilon`.

    References
    ----------
    L. He, S. P. Karimireddy and M. Jaggi, "Byzantine-robust decentralized learning via
    ClippedGossip", arXiv 2202.01545.
    """

    epsilon: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        take("epsilon", self.epsilon, float, within("(0, inf)"))

    def pushed(
        self, sent: Tensors, devices: Tensor, honest: Tensor, attacking: Tensor
    ) -> dict[str, Tensor]:
        """Return what the attackers near each of R devices send to it.

        Parameters
        ----------
        sent : Mapping[str, Tensor]
            What all devices send when honest, each tensor of shape (K, ...).
        devices : Tensor, shape (R,)
            The devices k.
        honest : Tensor, shape (R, K)
            :math:`a_{ki}` of their honest neighbors i, 0 elsewhere.
        attacking : Tensor, shape (R,)
            The sums of their attacking neighbors' weights.
        """
        own = torch.zeros_like(honest)
        own[torch.arange(len(devices)), devices] = 1.0
        pull = honest - honest.sum(1, keepdim=True) * own
        rows = own - self.epsilon * pull / attacking[:, None]
        return {n: torch.tensordot(rows.to(t), t, dims=1) for n, t in sent.items()}
