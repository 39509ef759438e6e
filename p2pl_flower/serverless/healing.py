"""A device whose own model is no longer made of numbers, and goes on from a neighbor's."""

from __future__ import annotations

from collections.abc import Collection

from ..named_arrays import Model, square_norm
from ..options import Options
from ..relay import Mailbox, Slot
from ..relay.contents import MODEL, STATE, adopted, flattened, from_publication


class Healing:
    """Replaces a device's model.

    Parameters
    ----------
    mailbox : Mailbox
        The device's mailbox.
    options : Options
        The algorithm's options.
    """

    def __init__(self, mailbox: Mailbox, options: Options) -> None:
        self._mailbox, self._options = mailbox, options

    def heal(self, neighbors: Collection[int], number: int) -> int | None:
        """Take a neighbor's model after round ``number``, and begin the algorithm's state anew.

        Of those that arrive it is the one of the lower median norm: neither one that is all but
        nothing, nor one that is beyond measure.

        Returns
        -------
        int or None
            Whose it is; None where nobody hands one over, or arrays that stay at home are broken.
        """
        slot = Slot(MODEL, number, self._options.consensus_steps)
        if not self._options.consensus_steps or not self._options.shared.is_everything:
            return None
        arrived = self._mailbox.collect(neighbors, slot)
        if not arrived:
            return None
        ranked = sorted(arrived, key=lambda j: (_square(arrived[j]), j))
        chosen = ranked[(len(ranked) - 1) // 2]
        own = from_publication(self._mailbox.recall(MODEL, newest=1)[0][1])[0]
        model = adopted(own, arrived[chosen])
        private = model.keys() - self._options.shared.part(model).keys()
        if not self._options.algorithm.is_plain:
            state = flattened(self._options.algorithm.start(self._options.shared.part(model), ()))
            self._mailbox.publish(slot._replace(channel=STATE), state, list(state))
        self._mailbox.publish(slot, model, private)
        return chosen


def _square(model: Model) -> float:
    return float(sum(map(square_norm, model.values())))
