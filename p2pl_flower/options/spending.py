"""What devices have spent of their privacy: Opacus' accountant."""

from __future__ import annotations

import functools
import importlib.util
import warnings
from collections import Counter
from collections.abc import Iterable

from ..algorithms.privacy import Gaussian, Privacy
from ..errors import ConfigError

_INSTALL = "needs Opacus' accountant: pip install 'p2pl-flower[privacy]'"


class Spending:
    r"""Counts the rounds in which devices let an update out, and says what epsilon that makes.

    A round is one Gaussian mechanism whose sensitivity is the clipping norm, however many
    consensus steps follow: what these send is made of what neighbors know already. T rounds are T
    of them, composed by Opacus' Renyi accountant, with sampling rate 1.

    Parameters
    ----------
    privacy : Privacy
        That of the run.

    Raises
    ------
    ConfigError
        Opacus is not installed, or the mechanism is one that it has no accountant for.
    """

    def __init__(self, privacy: Privacy) -> None:
        self._privacy = privacy
        self._rounds: Counter[int] = Counter()
        check_accountant(privacy)

    def trained(self, devices: Iterable[int]) -> None:
        """Note devices that were to train, and so to let an update out."""
        self._rounds.update(devices)

    @property
    def rounds(self) -> int:
        """In how many rounds the device that let out most did."""
        return max(self._rounds.values(), default=0)

    @property
    def epsilon(self) -> float | None:
        """What the device that let out most has spent so far; None where nothing is private."""
        return self.of(self.rounds)

    @property
    def each(self) -> dict[str, float]:
        """What a history says of one round: ``epsilon_per_round``; nothing without privacy."""
        once = self.of(1)
        return {} if once is None else {"epsilon_per_round": once}

    def of(self, rounds: int) -> float | None:
        """Return the epsilon of so many rounds of one device; None where nothing is private."""
        if not isinstance(self._privacy, Gaussian):
            return None
        return epsilon_of(self._privacy.noise, self._privacy.delta, rounds)


def check_accountant(privacy: Privacy) -> None:
    """Refuse a mechanism whose epsilon cannot be worked out.

    Raises
    ------
    ConfigError
        As `Spending` does.
    """
    if not privacy.is_private:
        return
    if not isinstance(privacy, Gaussian):
        rule = "has no accountant: derive it from p2pl_flower.algorithms.privacy.Gaussian"
        raise ConfigError("privacy", type(privacy).__name__, rule)
    if importlib.util.find_spec("opacus") is None:
        raise ConfigError("privacy", "gaussian", _INSTALL)


@functools.lru_cache(maxsize=1 << 12)
def epsilon_of(noise: float, delta: float, rounds: int) -> float:
    r"""Return :math:`\epsilon` of so many Gaussian mechanisms at :math:`\delta`."""
    if not rounds:
        return 0.0
    from opacus.accountants import RDPAccountant

    accountant = RDPAccountant()
    accountant.history = [(noise, 1.0, rounds)]
    with warnings.catch_warnings():  # it tells where another order would give a smaller bound
        warnings.simplefilter("ignore", UserWarning)
        return float(accountant.get_epsilon(delta))
