"""How a device comes to the model that it starts from."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from flwr.app import RecordDict

from ..errors import DeviceError
from ..flower import messages
from ..flower.records import received_in
from ..named_arrays import Model, square_norm
from ..relay import Slot
from ..relay.contents import MODEL, adopted, from_publication, is_encoded
from ..relay.grpc import Endpoint, EndpointMailbox, Waiting
from ..relay.grpc.protocol import Refusal
from .agreement import InitialModel
from .handshake import Handshake
from .reports import origins_in
from .settings import Settings

log = logging.getLogger("flwr.p2pl")

_INITIAL = "initial"
_RETRY_SECONDS = 0.2
_LARGER = 1000  # times as large as the own one: no start

Send = Callable[[str, dict[str, Any]], RecordDict]


class Start:
    """Draws a device's initial model, and synchronizes or, if the rest has begun, takes another.

    Parameters
    ----------
    settings : Settings
        The device's settings.
    endpoint : Endpoint
        The way to the neighbors.
    mailbox : EndpointMailbox
        The device's mailbox.
    handshake : Handshake
        What it knows of them.
    send : Callable
        Sends an order to the device's app, and returns the reply's content.
    """

    def __init__(
        self,
        settings: Settings,
        endpoint: Endpoint,
        mailbox: EndpointMailbox,
        handshake: Handshake,
        send: Send,
    ) -> None:
        self._settings, self._endpoint, self._mailbox = settings, endpoint, mailbox
        self._handshake, self._send = handshake, send

    def begin(self) -> dict[str, Any]:
        """Come to an initial model, and return what a history says of it."""
        started = time.perf_counter()
        self._send(messages.INIT, {})
        setup: dict[str, Any] = {"synchronization_steps": 0, "bytes_sent": 0}
        if self._settings.options.init == "independent":
            setup["initial_model_of"] = [self._settings.device]
        elif self._handshake.membership.changes:
            setup |= self._settle()
        elif self._handshake.is_under_way():
            setup |= self._join()
        else:
            setup |= self._begin_with_others()
        return {**setup, "seconds": time.perf_counter() - started}

    def _begin_with_others(self) -> dict[str, Any]:
        """Come to the model that all start from."""
        if self._settings.options.init == "seed":
            self._agree()
            return {}
        if self._settings.options.init == "bounded-norm":
            self._drawn()
        return self._synchronize()

    def _synchronize(self) -> dict[str, Any]:
        """Make the steps of max norm synchronization: for these, all neighbors are waited for."""
        seconds = max(self._settings.start, self._settings.waiting.deadline)
        self._endpoint.waiting = Waiting(deadline=seconds)
        steps, received = self._settings.synchronization_steps, 0
        origins: list[int] = []
        for step in range(1, steps + 1):
            reply = self._send(messages.SYNC, {messages.STEP: step})
            received += sum(received_in(reply).values())
            origins = origins_in(reply)
        self._start_from(self._described(origins))
        self._compare()
        self._endpoint.waiting = self._settings.waiting
        return {"synchronization_steps": steps, "bytes_sent": received}

    def _agree(self) -> None:
        """Start from the model that all draw of the run's seed, and see whether neighbors do."""
        drawn = self._drawn()
        seconds = max(self._settings.start, self._settings.waiting.deadline)
        self._endpoint.waiting = Waiting(deadline=seconds)
        self._start_from(drawn)
        self._compare()
        self._endpoint.waiting = self._settings.waiting

    def _drawn(self) -> InitialModel:
        """Describe the model that the device has drawn, which some starts cannot do without.

        Raises
        ------
        DeviceError
            The app draws none.
        """
        drawn = self._described([])
        if drawn is None:
            init = self._settings.options.init
            raise DeviceError(
                f"device {self._settings.device} draws no initial model, which init={init!r} "
                "takes: give the app an @app.init() or an init-function, or set init = 'max-norm' "
                "on all devices"
            )
        return drawn

    def _compare(self) -> None:
        """Ask neighbors what they start from."""
        own, slot = self._handshake.agreement.own, Slot(_INITIAL, 0, 0)
        if own is None:
            return
        self._mailbox.publish(slot, own.to_arrays())
        said = self._mailbox.collect(self._handshake.fitting(), slot)
        self._handshake.agreement.hear({j: InitialModel.from_arrays(s) for j, s in said.items()})

    def _settle(self) -> dict[str, Any]:
        """Start from a neighbor's model; who was told of nobody with a lower id, from its own.

        Where devices may join nobody knows the graph's diameter. But every device came to the
        group by one that was there before it, and has a lower id: so all start from one model.
        """
        device, handshake = self._settings.device, self._handshake
        others = any(j < device for j in self._settings.neighbors)
        end, attempt = time.monotonic() + self._settings.start, 0
        while others:
            for j in sorted(handshake.neighbors & handshake.settled.keys()):
                slot = Slot(MODEL, *handshake.newest.get(j, (0, 0)))
                if self._adopt(j, slot):
                    self._start_from(handshake.settled[j])
                    return {"model_from": j, "model_of_round": slot.round}
            if time.monotonic() >= end:
                rule = "device %d: nobody has handed over a model in %g seconds: it starts from %s"
                log.warning(rule, device, self._settings.start, "the model that it has drawn")
                break
            time.sleep(_RETRY_SECONDS)
            attempt += 1
            handshake.seek(attempt)
        self._start_from(self._described([device]))
        return {"model_from": None} if others else {}

    def _join(self) -> dict[str, Any]:
        """Start from the model of a neighbor that is already in some round."""
        end = time.monotonic() + self._settings.waiting.deadline
        device = self._settings.device
        while True:
            for j, (number, step) in sorted(self._handshake.newest.items()):
                if number > 0 and self._adopt(j, Slot(MODEL, number, step)):
                    log.info("device %d: begins late, from device %d's model", device, j)
                    self._start_from(self._handshake.agreement.heard_of(j))
                    self._handshake.agreement.hear({})
                    return {"model_from": j, "model_of_round": number}
            if time.monotonic() >= end:
                break
            time.sleep(_RETRY_SECONDS)  # what was newest a moment ago may be past by now
            self._handshake.meet(0, set(self._handshake.newest))
        if self._handshake.is_contested():
            rule = "device %d: some neighbors say that the run has begun, and none of them hands "
            log.warning(rule + "over a model: it begins with the others", device)
            return self._begin_with_others()
        self._start_from(self._described([device]))
        log.warning(
            "device %d begins late, and none of its neighbors %s handed over a model within %g "
            "seconds: it starts from the model that it has drawn; look for what was refused, "
            "above, and start it again without its checkpoint",
            device,
            ", ".join(map(str, sorted(self._handshake.newest))),
            self._settings.waiting.deadline,
        )
        self._handshake.agreement.hear({})
        return {"model_from": None}

    def _adopt(self, neighbor: int, slot: Slot) -> bool:
        """Take what neighbors may have of a neighbor's model, if it is handed over."""
        seconds = self._settings.waiting.deadline  # which leaves no choice of another slot
        arrived = self._mailbox.collect([neighbor], slot, seconds).get(neighbor)
        # It is whole after a round's last step.
        if arrived is None or is_encoded(arrived) or not self._is_plausible(neighbor, arrived):
            return False
        kept = self._mailbox.recall(MODEL, newest=1)
        own = from_publication(kept[0][1])[0] if kept else {}
        model = adopted(own, arrived)
        private = model.keys() - self._settings.options.shared.part(model).keys()
        self._mailbox.publish(Slot(MODEL, 0, 1), model, private)
        return True

    def _is_plausible(self, neighbor: int, arrived: Model) -> bool:
        """Refuse to start from numbers of another kind than those that the device has drawn."""
        kept = self._mailbox.recall(MODEL, newest=1)
        if not kept:
            return True
        own, theirs = (sum(map(square_norm, m.values())) ** 0.5 for m in (kept[0][1], arrived))
        if theirs <= _LARGER * max(own, 1.0):
            return True
        reason = f"hands over a model of norm {theirs:.3g}, where {own:.3g} was drawn here"
        self._endpoint.statistics.refused(neighbor, Refusal.NOT_FINITE, reason)
        return False

    def _described(self, origins: Iterable[int]) -> InitialModel | None:
        """Describe the model that the device holds; None while it has none."""
        kept = self._mailbox.recall(MODEL, newest=1)
        if not kept:
            return None
        model, _ = from_publication(kept[0][1])
        return InitialModel.of(self._settings.options.shared.part(model), origins)

    def _start_from(self, initial: InitialModel | None) -> None:
        self._handshake.agreement.own = initial
        self._handshake.tell()
