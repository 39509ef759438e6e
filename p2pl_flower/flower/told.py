"""What devices are told of their neighbors and options: sent where it is news, and kept there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import ForgottenError
from ..options import Options
from ..relay import Mailbox, Slot
from ..topology.neighborhood import Neighbor
from . import messages

_CHANNEL = "told"
_SLOT = Slot(_CHANNEL, 0, 0)


class Told:
    """What each device was told last, so that it is told only what is news to it."""

    def __init__(self) -> None:
        self._told: dict[int, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}

    def __bool__(self) -> bool:
        """Return whether anybody was told anything."""
        return bool(self._told)

    def news(
        self,
        me: Neighbor,
        neighbors: Sequence[Neighbor],
        options: Mapping[str, Any],
        elsewhere: Mapping[int, str] | None = None,
    ) -> dict[str, Any]:
        """Return what an order to device ``me`` must hold: its id, and what it does not know.

        Parameters
        ----------
        me, neighbors, options
            What the device is to know of itself, its neighbors and the algorithm.
        elsewhere : Mapping[int, str], optional
            Where the mailboxes are of those that are its neighbors in the round's other steps.
        """
        listed = messages.neighbors_to_config(me, neighbors)
        listed |= messages.addresses_to_config(elsewhere or {})
        before_listed, before_options = self._told.get(me.id, ({}, {}))
        self._told[me.id] = listed, options
        return {
            messages.DEVICE: me.id,
            **({} if listed == before_listed else listed),
            **({} if options == before_options else options),
        }

    def forget(self, device: int) -> None:
        """Take it that the last message did not arrive: the next one says all again."""
        self._told.pop(device, None)


def keep(
    mailbox: Mailbox, order: Mapping[str, Any]
) -> tuple[Neighbor, tuple[Neighbor, ...], Options]:
    """Note on the device what an order tells it, and return all that it was ever told.

    It is kept in the device's own mailbox, as a private publication that no neighbor is given:
    the project's own ``Context.state`` stays the project's.

    Raises
    ------
    ForgottenError
        The order says what is news alone, and the mailbox has lost the rest.
    """
    names = messages.OPTION_NAMES
    news = {k: v for k, v in order.items() if k in names or messages.is_neighbor_key(k)}
    known = news
    if not ("id" in news and names[0] in news):
        known = {**_without_old(_recall(mailbox), news), **news}
    if not ("id" in known and names[0] in known):
        raise ForgottenError(
            f"device {order[messages.DEVICE]} no longer knows what it was told: its relay has "
            "begun anew"
        )
    me, neighbors = messages.neighbors_from_config(known)
    mailbox.meet(messages.addresses_from_config(known) | {n.id: n.address for n in neighbors})
    if news:
        text = np.frombuffer(json.dumps(known).encode(), np.uint8)
        mailbox.publish(_SLOT, {_CHANNEL: text}, [_CHANNEL])
    return me, neighbors, messages.options_from_config(known)


def _recall(mailbox: Mailbox) -> dict[str, Any]:
    kept = mailbox.recall(_CHANNEL)
    return dict(json.loads(kept[0][1][_CHANNEL].tobytes())) if kept else {}


def _without_old(kept: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was kept, without a neighbor list that the news replaces."""
    return {k: v for k, v in kept.items() if "id" not in news or not messages.is_neighbor_key(k)}
