"""The messages that a device without a server sends to its own app.

They are those that `p2pl_flower.flower.coordinator.Coordinator` sends over Flower: the app
cannot tell the difference.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from flwr.app import ConfigRecord, Context, RecordDict

from ..errors import DeviceError, P2PLError
from ..flower import failures, messages
from ..flower._compat import instruct
from ..flower.peer_app import PeerApp
from ..flower.told import Told
from ..options import Options
from ..system.allocator import give_back
from ..topology.neighborhood import Neighbor
from .own_failures import FunctionError

log = logging.getLogger("flwr.p2pl")

ARRAYS_KEY, CONFIG_KEY = "arrays", "config"


class Instructions:
    """Calls a PeerApp on one device, message by message.

    Parameters
    ----------
    app : PeerApp
        The app.
    context : Context
        Its context on this device.
    options : Options
        The algorithm's options, which the app is told of.
    train_config, evaluate_config : Mapping[str, Any]
        What the app's functions get as config, as from a strategy's ``start``.
    """

    def __init__(
        self,
        app: PeerApp,
        context: Context,
        options: Options,
        train_config: Mapping[str, Any],
        evaluate_config: Mapping[str, Any],
    ) -> None:
        self._app, self._context = app, context
        self._train_config, self._evaluate_config = train_config, evaluate_config
        self._options = messages.options_to_config(options)
        self._told = Told()

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
        news = self._told.news(me, neighbors, self._options)
        content = RecordDict({messages.RECORD: ConfigRecord({**order, **news})})
        content.update(self._configs(kind, config or {}))
        message = instruct(kind, content, self._context, int(order.get(messages.ROUND, 0)))
        try:
            reply = self._app(message, self._context)
        except P2PLError as error:
            if failures.is_the_functions(str(error)):
                raise FunctionError(str(failures.failure(me.id, kind, str(error)))) from error
            raise
        except Exception as error:
            log.debug("%s", kind, exc_info=True)
            said = f"{type(error).__name__}: {error}"
            raise DeviceError(f"device {me.id} failed at {kind}: {said}") from error
        finally:
            # Flower's records refer to themselves, and hold models until they are collected.
            gc.collect()
            give_back()
        if reply.has_error():
            raise DeviceError(f"device {me.id} failed at {kind}: {reply.error.reason}")
        return reply.content

    def _configs(self, kind: str, config: Mapping[str, Any]) -> dict[str, ConfigRecord]:
        """Return the config of a function, and that of the scoring after training."""
        scoring = {**self._evaluate_config, **config}
        if kind == messages.EVALUATE:
            return {CONFIG_KEY: ConfigRecord(scoring)}
        if kind != messages.TRAIN:
            return {}
        own = {CONFIG_KEY: ConfigRecord({**self._train_config, **config})}
        score = {messages.SCORE_CONFIG: ConfigRecord(scoring)} if self._evaluate_config else {}
        return {**own, **score}
