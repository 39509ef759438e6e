"""The messages that a device without a server sends to its own app.

They are those that `p2pl_flower.conductor.Conductor` sends over Flower: the app cannot tell
the difference.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from flwr.app import DEFAULT_TTL, ConfigRecord, Context, Message, Metadata, RecordDict

from .. import wire
from ..errors import DeviceError, P2PLError
from ..neighbors import Neighbor
from ..peer_app import PeerApp

log = logging.getLogger("flwr.p2pl")

ARRAYS_KEY, CONFIG_KEY = "arrays", "config"


class Cues:
    """Calls a PeerApp on one device, message by message.

    Parameters
    ----------
    app : PeerApp
        The app.
    context : Context
        Its context on this device.
    """

    def __init__(self, app: PeerApp, context: Context) -> None:
        self._app, self._context = app, context
        self._told: dict[str, Any] = {}

    @property
    def evaluates(self) -> bool:
        """Whether the app has an evaluate function."""
        return self._app.evaluates

    def send(
        self,
        kind: str,
        order: dict[str, Any],
        me: Neighbor,
        neighbors: Sequence[Neighbor],
        config: dict[str, Any] | None = None,
    ) -> RecordDict:
        """Send an order, with the neighbor list where it is news, and return the reply's content.

        Raises
        ------
        DeviceError
            The user's function failed.
        """
        listed = wire.neighbors_to_config(me, neighbors)
        news = {} if listed == self._told else listed
        self._told = listed
        content = RecordDict({wire.RECORD: ConfigRecord({**order, **news})})
        if config is not None:
            content[CONFIG_KEY] = ConfigRecord(config)
        message = _message(kind, content, self._context, int(order.get("round", 0)))
        try:
            reply = self._app(message, self._context)
        except P2PLError:
            raise
        except Exception as error:
            log.debug("%s", kind, exc_info=True)
            said = f"{type(error).__name__}: {error}"
            raise DeviceError(f"device {me.id} failed at {kind}: {said}") from error
        if reply.has_error():
            raise DeviceError(f"device {me.id} failed at {kind}: {reply.error.reason}")
        return reply.content


def _message(kind: str, content: RecordDict, context: Context, round_number: int) -> Message:
    metadata = Metadata(
        run_id=context.run_id,
        message_id=str(uuid4()),
        src_node_id=1,  # where Flower's server would be
        dst_node_id=context.node_id,
        reply_to_message_id="",
        group_id=str(round_number),
        created_at=time.time(),
        ttl=DEFAULT_TTL,
        message_type=kind,
    )
    return Message(content=content, metadata=metadata)
