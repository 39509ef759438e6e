"""A device whose own model is no longer made of numbers, and goes on from a neighbor's."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

from ..named_arrays import Model, square_norm
from ..options import Options
from ..relay import Mailbox, Slot
from ..relay.contents import MODEL, STATE, adopted, flattened, from_publication
from ..relay.tensors import not_finite

log = logging.getLogger("flwr.p2pl")


class Healing:
    """Replaces a device's model where that is no longer made of numbers.

    Parameters
    ----------
    device : int
        The device.
    mailbox : Mailbox
        The device's mailbox.
    options : Options
        The algorithm's options.
    """

    def __init__(self, device: int, mailbox: Mailbox, options: Options) -> None:
        self._device, self._mailbox, self._options = device, mailbox, options

    def look(self, setup: dict[str, Any], number: int, neighbors: Collection[int]) -> None:
        """Look at the model after round ``number``, and note in ``setup`` what is wrong with it.

        ``healed`` says by round whose model was taken, ``not_finite_since`` is the first round
        from which on none was to be had.
        """
        broken = not_finite(from_publication(self._mailbox.recall(MODEL, newest=1)[0][1])[0])
        rule = "device %d: array %r of its own model holds a NaN or an infinity after round %d: "
        healer = None if broken is None else self.heal(neighbors, number)
        if healer is not None:
            setup.setdefault("healed", {})[str(number)] = healer
            log.warning(rule + "it goes on from device %d's", self._device, broken, number, healer)
        if broken is None or healer is not None:
            setup.pop("not_finite_since", None)
        elif "not_finite_since" not in setup:
            setup["not_finite_since"] = number
            rule += "neighbors refuse the model from now on"
            log.error(rule, self._device, broken, number)

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
