"""A two-state Markov chain whose state at any time is a pure function of seed and time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ConfigError
from ..seeding import Stream, uniform


@dataclass(frozen=True)
class TwoState:
    """The chain good <-> bad, stationary from round 0 on.

    With r = P(bad -> good) and p = P(good -> bad) in one round, a bad run lasts 1/r
    rounds in the mean, and the chain is good in the share r / (p + r) of all rounds.
    Hence r = 1 / bad_run and p = r (1 - good) / good.

    Parameters
    ----------
    good : float
        Long-run share of rounds in the good state, in (0, 1].
    bad_run : float
        Mean length of a bad run in rounds, at least 1 and at least (1 - good) / good
        (shorter runs cannot be bad that often: p would exceed 1).
    """

    good: float
    bad_run: float

    @property
    def recover(self) -> float:
        """P(bad -> good) in one round."""
        return 1 / self.bad_run

    @property
    def fail(self) -> float:
        """P(good -> bad) in one round."""
        return min(1.0, (1 - self.good) / (self.good * self.bad_run))

    def check_run(self, argument: str) -> None:
        """Refuse a mean length of bad runs that no chain has.

        Raises
        ------
        ConfigError
            About ``argument``: ``bad_run`` is too small, or infinite.
        """
        odds = (1 - self.good) / self.good
        if not max(1.0, odds * (1 - 1e-12)) <= self.bad_run < np.inf:
            rule = f"must be finite and at least {max(1.0, odds):.6g} rounds (mean length)"
            raise ConfigError(argument, self.bad_run, rule)

    def state(
        self, seed: int, stream: Stream, *chain: ArrayLike, round_number: ArrayLike
    ) -> NDArray[np.bool_]:
        """Return whether chains are in the good state at a round, without walking from round 0.

        One number u_t, uniform in [0, 1), moves a chain into round t from either state:
        from good it goes to good where u_t >= p, from bad where u_t >= 1 - r. So
        u_t >= max(p, 1 - r) means good and u_t < min(p, 1 - r) means bad, whatever came
        before; any other u_t keeps the state where p <= 1 - r, and flips it otherwise.
        Walking back until such a u_t settles it is coupling from the past; it takes
        1 / (1 - |1 - p - r|) steps in the mean. Round 0 is drawn from the stationary
        distribution: good where u_0 >= 1 - good.

        Parameters
        ----------
        seed : int
            Seed of everything.
        stream : Stream
            What the numbers are for.
        *chain : ArrayLike
            Coordinates that tell the chains apart, non-negative integers.
        round_number : ArrayLike
            Rounds, from 0; broadcast with ``chain``.

        References
        ----------
        J. G. Propp and D. B. Wilson, "Exact sampling with coupled Markov chains and
        applications to statistical mechanics", Random Structures and Algorithms 9, 1996.
        """
        *names, rounds = np.broadcast_arrays(*chain, np.asarray(round_number, dtype=np.int64))
        shape, (*names, rounds) = rounds.shape, [a.ravel() for a in (*names, rounds)]
        low, high = sorted((self.fail, 1 - self.recover))
        flipping, flipped = self.fail > 1 - self.recover, False
        good = np.empty(rounds.size, dtype=np.bool_)
        pending = np.arange(rounds.size)
        while pending.size:
            u = uniform(seed, stream, *(name[pending] for name in names), rounds)
            is_good = u >= np.where(rounds > 0, high, 1 - self.good)
            settled = is_good | (u < low) | (rounds <= 0)
            good[pending[settled]] = is_good[settled] ^ flipped
            pending, rounds = pending[~settled], rounds[~settled] - 1
            flipped ^= flipping
        return good.reshape(shape)
