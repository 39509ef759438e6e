"""The rounds of one device that has no server: it gives its own app its instructions."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Context, RecordDict

from ..flower import messages
from ..flower.records import only_metrics
from ..history import Round, Run
from ..options import ScoredRounds
from ..relay import Slot
from ..relay.contents import MODEL, message_of
from ..relay.grpc import Credentials, Endpoint, EndpointMailbox, EndpointRelay, Waiting
from ..relay.grpc.streams import MOST_STREAMS
from ..weights import needs_samples
from .handshake import Handshake
from .instructions import ARRAYS_KEY, Instructions
from .loading import load_app
from .recorder import Recorder
from .reports import Report, as_number, finite, received_in
from .settings import Settings

log = logging.getLogger("flwr.p2pl")

CARD = "card"
_COUNT = "num-examples"
_LINGER_STEP_SECONDS = 0.5


class Node:
    """One device, from its first greeting to its last round.

    Parameters
    ----------
    settings : Settings
        What the device is told.
    on_round : Callable[[Report], None], optional
        Called at the end of every round.

    Raises
    ------
    ConfigError
        Something in the settings cannot be used.
    """

    def __init__(
        self, settings: Settings, on_round: Callable[[Report], None] | None = None
    ) -> None:
        self._settings, self._on_round = settings, on_round
        credentials = None
        if not settings.insecure:
            credentials = Credentials.load(settings.certificates, settings.device)
        self.endpoint = Endpoint(
            settings.device,
            settings.listen,
            credentials,
            settings.waiting,
            most_calls=MOST_STREAMS * len(settings.neighbors) + 16,
            folder=Path(settings.checkpoint) if settings.checkpoint else None,
        )
        if settings.insecure:
            rule = "device %d: insecure, as asked for: whoever reaches %s can read and send models"
            log.warning(rule, settings.device, self.endpoint.address)
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        settings = self._settings
        run_id = int.from_bytes(hashlib.sha256(settings.run.encode()).digest()[:7])
        self._run = str(run_id)
        initial = Path(settings.initial_arrays) if settings.initial_arrays else None
        relay = EndpointRelay(self.endpoint)
        app = load_app(settings.app, settings.init_function, initial, relay)
        self.endpoint.open(self._run, settings.rounds)
        self.endpoint.meet(self._run, settings.neighbors)
        self._mailbox = EndpointMailbox(self.endpoint, self._run)
        self._publications = self.endpoint.publications(self._run)
        self._known = Handshake(settings, self.endpoint, self._run)
        places = {"partition-id": settings.device, "num-partitions": settings.num_devices}
        self._context = Context(
            run_id=run_id,
            node_id=settings.device + 2,
            node_config={**places, **settings.node_config},
            state=RecordDict(),
            run_config=dict(settings.run_config),
        )
        self._recorder = Recorder(settings, self._publications, self.endpoint.statistics)
        self._keeper, self._setup = self._recorder.keeper, self._recorder.setup
        self._done = 0
        self._resume()
        self._instructions = Instructions(app, self._context)
        every = settings.evaluate_every if self._instructions.evaluates else 0
        self._scored = ScoredRounds(every, settings.rounds)

    def close(self) -> None:
        """Leave the network."""
        self.endpoint.close()

    def run(self) -> Run:
        """Run all rounds that are left, and return what was measured."""
        self.endpoint.start()
        everybody = set(self._settings.neighbors)
        self._known.meet(self._settings.start, everybody)
        if not self._context.state:
            self._begin()
        while self._done < self._settings.rounds:
            self._play(self._next_round())
        self._part(everybody)
        return self._recorder.run()

    def _resume(self) -> None:
        state = self._recorder.resume()
        if state is not None:
            log.info("device %d: goes on after round %d", self._settings.device, state.round)
            self._done, self._context.state = state.round, state.context
            self._known.samples = self._recorder.samples()
            self._publications.round = max(self._publications.round, state.round)

    def _begin(self) -> None:
        """Draw an initial model and synchronize; or take a neighbor's, if the rest has begun."""
        started = time.perf_counter()
        options = messages.options_to_config(self._settings.options)
        self._send(messages.INIT, dict(options))
        under_way = {j: at for j, at in self._known.newest.items() if at[0] > 0}
        steps, received = 0, 0
        if under_way and self._settings.options.init != "independent":
            self._adopt(under_way)
        elif self._settings.options.init != "independent":
            steps = self._settings.sync_steps or self._settings.num_devices - 1
            received = self._synchronize(steps)
        self._setup |= {"synchronization_steps": steps, "bytes_sent": received}
        self._setup["seconds"] = time.perf_counter() - started
        self._save()

    def _synchronize(self, steps: int) -> int:
        """Make the steps of max norm synchronization: for these, all neighbors are waited for."""
        patient = Waiting(deadline=max(self._settings.start, self._settings.waiting.deadline))
        self.endpoint.waiting = patient
        received = 0
        for step in range(1, steps + 1):
            reply = self._send(messages.SYNC, {"step": step})
            received += sum(received_in(reply).values())
        self.endpoint.waiting = self._settings.waiting
        return received

    def _adopt(self, under_way: dict[int, tuple[int, int]]) -> None:
        """Start from the model of a neighbor that is already in some round."""
        for j, (number, step) in sorted(under_way.items()):
            arrived = self._mailbox.collect([j], Slot(MODEL, number, step))
            if arrived:
                own = self._mailbox.recall(MODEL, newest=1)
                model = {**(own[0][1] if own else {}), **message_of(arrived[j])}
                private = model.keys() - self._settings.options.shared.part(model).keys()
                self._mailbox.publish(Slot(MODEL, 0, 1), model, private)
                self._setup["model_from"] = j
                log.info("device %d: begins late, from device %d's", self._settings.device, j)
                return

    def _next_round(self) -> int:
        """Return the round to run; those that neighbors have left behind are skipped."""
        brief = self._known.strangers() | self.endpoint.unreachable
        self._known.meet(0, brief)
        number = self._known.round_to_join(self._done + 1)
        skipped = list(range(self._done + 1, number))
        if skipped:
            own = self._settings.device
            log.info("device %d: skips rounds %d to %d", own, skipped[0], skipped[-1])
            self._setup["skipped_rounds"] += skipped
        return number

    def _play(self, number: int) -> None:
        self._publications.round = number
        self._keeper.begin(number, 0)
        report = Report(Round(number))
        metrics = only_metrics(self._train(number))
        self._keeper.after_training([finite(metrics)])
        self._exchange_cards(number, int(as_number(metrics.get(_COUNT, 0))))
        for step in range(1, self._settings.options.consensus_steps + 1):
            reply = self._mix(number, step)
            self._note(report, received_in(reply))
            if scored := [finite(record) for record in reply.metric_records.values()]:
                self._keeper.after_consensus(scored)
        if not self._settings.options.consensus_steps and self._scored.due(number):
            order = {"round": number, "arrays-key": ARRAYS_KEY}
            reply = self._send(messages.EVALUATE, order, {"server-round": number})
            self._keeper.after_consensus(map(finite, reply.metric_records.values()))
        report.measured = self._keeper.end(0)
        report.measured.bytes_sent = sum(report.received.values())
        self._done = number
        self._save()
        if self._on_round is not None:
            self._on_round(report)

    def _train(self, number: int) -> RecordDict:
        config: dict[str, Any] = {"server-round": number}
        config |= self._scored.to_config()
        return self._send(messages.TRAIN, {"round": number, "arrays-key": ARRAYS_KEY}, config)

    def _mix(self, number: int, step: int) -> RecordDict:
        """Make a consensus step; the last of the round goes with the evaluation, if it is due."""
        order: dict[str, Any] = {"round": number}
        order |= {messages.MIX_ROUND: number, messages.MIX_STEP: step}
        last = step == self._settings.options.consensus_steps
        if last and self._scored.due(number):
            order["arrays-key"] = ARRAYS_KEY
            return self._send(messages.EVALUATE, order, {"server-round": number})
        return self._send(messages.MIX, order)

    def _exchange_cards(self, number: int, samples: int) -> None:
        """Tell neighbors the number of samples, where the weights depend on theirs."""
        self._known.samples[self._settings.device] = samples
        if not needs_samples(self._settings.options.weights):
            return
        slot = Slot(CARD, number, 0)
        self._mailbox.publish(slot, {"samples": np.array(samples)})
        cards = self._mailbox.collect(list(self._settings.neighbors), slot)
        told = {j: int(card["samples"]) for j, card in cards.items()}
        self._known.samples |= {j: count for j, count in told.items() if count >= 0}

    def _note(self, report: Report, received: dict[int, int]) -> None:
        report.asked += len(self._settings.neighbors)
        report.arrived += len(received)
        for sender, size in received.items():
            report.received[sender] = report.received.get(sender, 0) + size

    def _send(
        self, kind: str, order: dict[str, Any], config: dict[str, Any] | None = None
    ) -> RecordDict:
        return self._instructions.send(kind, order, *self._known.listed(), config)

    def _save(self) -> None:
        self._recorder.save(self._done, self._context.state, self._known.samples)

    def _part(self, everybody: set[int]) -> None:
        """Serve neighbors that are still behind, for a while."""
        self._known.tell(finished=True)
        end = time.monotonic() + self._settings.linger
        while time.monotonic() < end:
            self._known.meet(0, everybody)  # which tells them, and asks whether they are through
            if everybody <= self.endpoint.finished:
                return
            time.sleep(_LINGER_STEP_SECONDS)
