"""What a device does to what it has trained before anything of it leaves the device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import Table, take, within
from ..named_arrays import Model, check_layout, check_real, square_norm


class Privacy(ABC):
    """How a trained model is made private, before an algorithm makes its message of it."""

    @property
    def is_private(self) -> bool:
        """Whether anything is done."""
        return True

    @abstractmethod
    def applied(
        self, begun: Model, trained: Model, draw: np.random.Generator
    ) -> dict[str, NDArray[Any]]:
        """Return what takes the place of a trained model's shared arrays.

        Parameters
        ----------
        begun : Model
            What training started from: a function of what neighbors know already.
        trained : Model
            What came of it.
        draw : numpy.random.Generator
            What noise is drawn from.
        """


@dataclass(frozen=True)
class NotPrivate(Privacy):
    """Nothing is done."""

    @property
    def is_private(self) -> bool:
        """Return false."""
        return False

    def applied(
        self, begun: Model, trained: Model, draw: np.random.Generator
    ) -> dict[str, NDArray[Any]]:
        """Return the trained arrays."""
        return dict(trained)


NOT_PRIVATE = NotPrivate()


@dataclass(frozen=True)
class Gaussian(Privacy):
    r"""A round's update is clipped, and Gaussian noise is added to every number of it.

    .. math::

        w \leftarrow b + \min\left(1, \frac{C}{\|t - b\|}\right) (t - b) + N(0, \sigma^2 C^2 I)

    with b what training started from, t what came of it, and the L2 norm over all shared arrays
    together. An update that is no finite number counts as none.

    Parameters
    ----------
    clip : float
        C, the largest norm of an update.
    noise : float
        :math:`\sigma`, the noise multiplier: the noise's standard deviation in units of C.
    delta : float
        :math:`\delta` of the guarantee.

    References
    ----------
    H. B. McMahan et al., "Learning differentially private recurrent language models", ICLR 2018,
    arXiv 1710.06963: there with a server, here each device for itself.
    """

    clip: float
    noise: float
    delta: float = 1e-5

    def __post_init__(self) -> None:
        take("clip", self.clip, float, within("(0, inf)"))
        take("noise", self.noise, float, within("(0, inf)"))
        take("delta", self.delta, float, within("(0, 1)"))

    def applied(
        self, begun: Model, trained: Model, draw: np.random.Generator
    ) -> dict[str, NDArray[Any]]:
        """Return the clipped and noised arrays.

        Raises
        ------
        LayoutError
            Training changed the arrays, or an array is complex.
        """
        check_layout(begun, trained, "training")
        check_real(trained, "leave privacy out")
        updates = {n: array.astype(np.float64) - begun[n] for n, array in trained.items()}
        factor = self.factor(sum(square_norm(update) for update in updates.values()) ** 0.5)
        made = {}
        for name, update in updates.items():
            clipped = factor * update if factor else np.zeros_like(update)
            noise = self.clip * self.noise * draw.standard_normal(update.shape)
            made[name] = np.asarray(begun[name] + clipped + noise, dtype=trained[name].dtype)
        return made

    def factor(self, norm: float) -> float:
        """Return what an update of a norm is scaled by; 0 where that is no finite number."""
        if not np.isfinite(norm):
            return 0.0
        return min(1.0, self.clip / norm) if norm else 1.0


PRIVACIES: Table[Privacy] = Table(
    "privacy",
    {"none": NotPrivate, "gaussian": Gaussian},
    group="p2pl_flower.privacies",
    base=(Privacy,),
)
