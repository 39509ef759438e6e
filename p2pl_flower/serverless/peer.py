"""The rounds of one device that has no server: it gives its own app its instructions."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Context, MetricRecord, RecordDict

from ..errors import DeviceError, P2PLError
from ..flower import messages
from ..flower.metrics import as_number, sample_count
from ..flower.records import only_metrics, received_in, told_in, unscored_why
from ..history import Round, Run
from ..named_arrays import Model
from ..options import ScoredRounds, Spending
from ..relay import Slot
from ..relay.contents import MODEL, from_publication
from ..relay.grpc import EndpointMailbox, EndpointRelay
from ..relay.grpc.own_publications import KEPT_FAR_AHEAD, KEPT_FOR_THE_SLOW
from . import model_file
from .handshake import Handshake
from .healing import Healing
from .instructions import ARRAYS_KEY, Instructions
from .loading import load_app
from .membership import Membership
from .opening import open_endpoint
from .own_failures import FunctionError, OwnFailures
from .recorder import Recorder
from .reports import Report
from .settings import Settings
from .spent import RoundsBegun
from .starting import Start
from .status import StatusSocket, description
from .watch import Watch
from .watched import pages_of, summary

log = logging.getLogger("flwr.p2pl")

_SAMPLES = "samples"
_COUNT = "num-examples"
_LINGER_STEP_SECONDS = 0.5
_PATIENCE_SECONDS = 10.0


class ServerlessPeer:
    """One device, from its first greeting to its last round.

    Parameters
    ----------
    settings : Settings
        What the device is told.
    on_round : Callable[[Report], None], optional
        Called at the end of every round.

    Attributes
    ----------
    model_file : Path or None
        Where the trained model is written to at the end.

    Raises
    ------
    ConfigError
        Something in the settings cannot be used.
    """

    def __init__(
        self, settings: Settings, on_round: Callable[[Report], None] | None = None
    ) -> None:
        self._settings, self._on_round, self._running = settings, on_round, False
        self._closing = contextlib.ExitStack()
        self.model_file = settings.model_file
        if self.model_file is not None:
            model_file.prepare(self.model_file)
        self.endpoint = open_endpoint(settings, lambda: self._known.membership)
        self._closing.callback(self.endpoint.close)
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
        kept = KEPT_FAR_AHEAD if settings.links_change else KEPT_FOR_THE_SLOW
        self.endpoint.open(self._run, settings.rounds, kept)
        self.endpoint.meet(self._run, settings.neighbors)
        self._mailbox = EndpointMailbox(self.endpoint, self._run)
        self._publications = self.endpoint.publications(self._run)
        address = settings.address or self.endpoint.address
        told = settings.device, address, settings.neighbors, settings.joining, settings.options.seed
        self._known = Handshake(settings, self.endpoint, self._run, Membership(*told))
        places = {"partition-id": settings.device, "num-partitions": settings.num_devices}
        self._context = Context(
            run_id=run_id,
            node_id=settings.device + 2,
            node_config={**places, **settings.node_config},
            state=RecordDict(),
            run_config=dict(settings.run_config),
        )
        self._watch = Watch(self.endpoint, self._known)
        self._closing.callback(self._watch.close)
        self._recorder = Recorder(settings, self._publications, self.endpoint.statistics)
        self._closing.callback(self._recorder.close)
        self._metrics, self._setup = self._recorder.metrics, self._recorder.setup
        self._failures = OwnFailures(settings.on_failure, self._setup)
        self._done, self._begun = 0, False
        self._spending = Spending(settings.options.privacy)
        self._counted = RoundsBegun(Path(settings.checkpoint) if settings.checkpoint else None)
        self._resume()
        configs = settings.train_config, settings.evaluate_config
        self._instructions = Instructions(app, self._context, settings.options, *configs)
        every = settings.evaluate_every if self._instructions.evaluates else 0
        self._scored = ScoredRounds(every, settings.rounds)

    def close(self) -> None:
        """Leave the network."""
        if self._running:
            self._known.leave()
        self._closing.close()

    def model(self) -> Model:
        """Return the device's model as it is now: read-only arrays by the app's own names.

        Raises
        ------
        P2PLError
            It has none yet.
        """
        kept = self._mailbox.recall(MODEL, newest=1)
        if not kept:
            raise P2PLError(f"device {self._settings.device} has no model yet")
        return from_publication(kept[0][1])[0]

    def describe(self) -> dict[str, Any]:
        """Return what the peer says of itself, in JSON's types."""
        rounds = list(self._recorder.metrics.rounds)
        return description(self._settings, self.endpoint, self._done, rounds)

    def run(self) -> Run:
        """Run all rounds that are left, write the model, and return what was measured."""
        self.endpoint.start()
        own = self._settings
        if own.checkpoint:
            self._closing.callback(StatusSocket(Path(own.checkpoint), self.describe).close)
        if own.watch:
            pages = pages_of(own.watch, lambda: [summary(self.describe())], own.watch_token)
            self._closing.callback(pages.close)
            log.info("device %d: may be watched at %s", own.device, pages.url)
        self._running = True
        self._meet_all()
        self._watch.start()
        if not self._begun:
            self._begin()
        while self._done < self._settings.rounds:
            self._run_round(self._next_round())
        if self.model_file is not None:
            model_file.write(self.model_file, self.model())
        self._linger()
        self._save()
        self._running = False
        return self._recorder.run()

    def _resume(self) -> None:
        state = self._recorder.resume()
        if state is not None:
            log.info("device %d: goes on after round %d", self._settings.device, state.round)
            self._done, self._context.state, self._begun = state.round, state.context, True
            seconds = [r.seconds for r in self._recorder.metrics.rounds]
            self._known.restore(self._recorder.known, seconds)
            self._publications.round = max(self._publications.round, state.round)
            self._count_spent(len(state.run.rounds))

    def _count_spent(self, rounds: int) -> None:
        """Count what was let out before, in rounds too that the checkpoint does not know of."""
        if self._settings.options.privacy.is_private:
            begun = self._counted.read()
            known = rounds + 1 if begun is None else max(rounds, begun)
            self._spending.trained([self._settings.device] * known)

    def _spend(self) -> None:
        """Count the round that begins, before anything of it leaves the device."""
        self._spending.trained([self._settings.device])
        if self._settings.options.privacy.is_private:
            self._counted.write(self._spending.rounds)

    def _meet_all(self) -> None:
        """Wait for the neighbors, and say who is not there."""
        everybody = self._known.neighbors
        met = self._known.meet(self._settings.start, everybody, _PATIENCE_SECONDS)
        if absent := everybody - met:
            listed = ", ".join(map(str, sorted(absent)))
            rule = "device %d: goes on without neighbors that did not answer in %g seconds: %s"
            log.warning(rule, self._settings.device, self._settings.start, listed)

    def _begin(self) -> None:
        parts = self._settings, self.endpoint, self._mailbox, self._known
        self._setup |= {**Start(*parts, self._send).begin(), **self._spending.each}
        self._begun = True
        self._save()

    def _next_round(self) -> int:
        """Return the round to run; those that neighbors have left behind are skipped."""
        if self.endpoint.standing is not None:
            self.endpoint.standing.look()
            self._known.tell()
        self._known.change(self._done + 1)
        self._known.meet(0, self._known.with_newer_revocations() & self._known.neighbors)
        self._known.compare()
        late = "model_from" in self._setup and not self._setup["skipped_rounds"]
        least = max(self._done + 1, self._setup.get("model_of_round", 0))  # earlier ones are over
        number = self._known.round_to_join(least, late)
        if self._settings.options.mode == "async":
            number = least  # nobody is behind
        skipped = list(range(self._done + 1, number))
        if skipped:
            own = self._settings.device
            log.info("device %d: skips rounds %d to %d", own, skipped[0], skipped[-1])
            self._setup["skipped_rounds"] += skipped
        return number

    def _run_round(self, number: int) -> None:
        self._publications.round = number
        self._metrics.begin(number, 0)
        report = Report(Round(number))
        self._spend()
        try:
            trained = self._train(number)
        except FunctionError as error:
            self._failures.sit_out(error, len(self._metrics.rounds))
        else:
            self._exchange_sample_counts(number, trained)
            self._mix_all(number, report)
        self._metrics.spent(self._spending.epsilon)
        report.measured = self._metrics.end(0)
        report.measured.bytes_sent = sum(report.received.values())
        self._recorder.count(report)
        own = self._settings
        healing = Healing(own.device, self._mailbox, own.options)
        healing.look(self._setup, number, self._known.fitting())
        self._done = number
        self._known.pace.ended(report.measured.seconds or 0.0)
        self._save()
        if self._on_round is not None:
            self._on_round(report)

    def _train(self, number: int) -> MetricRecord:
        order = {messages.ROUND: number, messages.ARRAYS_KEY: ARRAYS_KEY}
        order |= {messages.SCORED: True} if self._scored.due_after_training(number) else {}
        reply = self._send(messages.TRAIN, order, {messages.SERVER_ROUND: number})
        if reason := unscored_why(reply):
            kind = messages.AFTER_TRAINING + "evaluate"
            self._failures.unscored(self._settings.device, kind, reason)
        trained = only_metrics(reply)
        self._metrics.after_training([trained])
        return trained

    def _mix_all(self, number: int, report: Report) -> None:
        """Make the round's consensus steps, and score the model where that is due."""
        for step in range(1, self._settings.options.consensus_steps + 1):
            reply = self._mix(number, step)
            asked = self._links_up(number, step)
            report.add(received_in(reply), told_in(reply), asked)
        if not self._settings.options.consensus_steps and self._scored.due(number):
            self._evaluate(number, {})

    def _mix(self, number: int, step: int) -> RecordDict:
        """Make a consensus step; the last of the round goes with the evaluation, if it is due."""
        order: dict[str, Any] = {messages.ROUND: number}
        order |= {messages.MIX_ROUND: number, messages.MIX_STEP: step}
        if self._settings.options.tells_heard:
            self._send(messages.HEAR, order)
        last = step == self._settings.options.consensus_steps
        if last and self._scored.due(number):
            return self._evaluate(number, order)
        return self._send(messages.MIX, order)

    def _evaluate(self, number: int, order: dict[str, Any]) -> RecordDict:
        order |= {messages.ROUND: number, messages.ARRAYS_KEY: ARRAYS_KEY, messages.SAY_WHY: True}
        reply = self._send(messages.EVALUATE, order, {messages.SERVER_ROUND: number})
        if reason := unscored_why(reply):
            self._failures.unscored(self._settings.device, messages.EVALUATE, reason)
        elif reply.metric_records:
            self._metrics.after_consensus(reply.metric_records.values())
        return reply

    def _exchange_sample_counts(self, number: int, trained: MetricRecord) -> None:
        """Tell neighbors the number of samples, where the weights depend on theirs."""
        own, count = self._settings.device, trained.get(_COUNT)
        weighed = self._settings.options.needs_samples
        if weighed and not isinstance(count, int | float):
            rule = "weights by numbers of samples need a number in every reply"
            raise DeviceError(f"device {own} trained, and returned {_COUNT}={count!r}: {rule}")
        self._known.samples[own] = sample_count(own, _COUNT, count) if weighed else as_number(count)
        if not weighed:
            return
        slot = Slot(_SAMPLES, number, 0)
        self._mailbox.publish(slot, {_SAMPLES: np.array(self._known.samples[own])})
        told = self._mailbox.collect(self._known.fitting(), slot)
        counts = {j: float(entry[_SAMPLES]) for j, entry in told.items()}
        self._known.samples |= {j: count for j, count in counts.items() if count >= 0}

    def _links_up(self, number: int, step: int) -> int:
        """Return how many neighbors a consensus step asks: links may be down on purpose."""
        _, listed = self._known.listed(number, step)
        linked = self._known.neighbors
        if self._settings.schedule is not None:
            linked = {neighbor.id for neighbor in listed}
        ids = np.array(sorted(linked), dtype=np.int64)
        up = self._settings.options.links.up(self._settings.device, ids, number, step)
        return int(np.broadcast_to(up, ids.shape).sum())

    def _send(
        self, kind: str, order: dict[str, Any], config: dict[str, Any] | None = None
    ) -> RecordDict:
        number = int(order.get(messages.ROUND, 0))
        listed = self._known.listed(number, int(order.get(messages.MIX_STEP, 1)))
        return self._instructions.send(kind, order, *listed, config)

    def _save(self) -> None:
        self._setup |= self._known.agreement.to_setup()
        self._recorder.save(self._done, self._context.state, self._known.to_json())

    def _linger(self) -> None:
        """Serve neighbors that are still behind, for a while."""
        everybody = self._known.neighbors
        self._known.finish()
        end = time.monotonic() + self._settings.linger
        while time.monotonic() < end:
            self._known.meet(
                0, everybody, _PATIENCE_SECONDS
            )  # which tells them, and asks whether they are through
            if everybody <= self.endpoint.finished:
                return
            time.sleep(_LINGER_STEP_SECONDS)
        behind = ", ".join(map(str, sorted(everybody - self.endpoint.finished)))
        rule = "device %d: leaves after %g seconds, though neighbors have not said that they are "
        log.info(rule + "through: %s", self._settings.device, self._settings.linger, behind)
