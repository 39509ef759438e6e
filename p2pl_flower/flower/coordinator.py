"""The coordination of one run: who is told what when. No model passes through it.

Everything that belongs to one run and not to the strategy's configuration lives here.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import networkx as nx
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict

from ..errors import ConfigError, DeviceError
from ..named_arrays import Model
from ..options import Options, check_direction, check_spectrum
from ..relay import Relay
from ..relay.contents import MODEL, models_of
from ..topology import Schedule, diameter, schedule
from . import failures, messages, records
from .due import Due
from .initial_models import check_finite, check_layouts, check_seeds, given_arrays
from .lists import Lists
from .membership import Membership

log = logging.getLogger("flwr.p2pl")

_SYNC_PATIENCE = 10
"""Over unreliable links, synchronization may take so many steps for each device."""


class Coordinator:
    """Sends devices their neighbor lists and their instructions.

    Parameters
    ----------
    membership : Membership
        The devices; they have been gathered.
    topology : str, networkx.Graph, Schedule or callable
        Their graph, or graphs.
    options : Options
        The algorithm's options.
    relay : Relay
        The open relay of the run.
    run : int
        The run's id.
    arrays_key : str
        Key under which users' functions expect the model.
    addresses : Mapping[int, str], optional
        Where devices' mailboxes are, for relays that need to know.
    on_failure : str
        What becomes of the run in which a device's own function fails.

    Attributes
    ----------
    sent : dict[int, Counter[int]]
        Model bytes that went from device to device, by round and sender.
    late : set[int]
        Those that have trained for too long, by the simulated clock, to be heard in the round.
    """

    def __init__(
        self,
        membership: Membership,
        topology: str | nx.Graph | Schedule | Callable[..., nx.Graph],
        options: Options,
        relay: Relay,
        run: int,
        arrays_key: str = "arrays",
        addresses: Mapping[int, str] | None = None,
        on_failure: str = failures.RAISE,
    ) -> None:
        count = len(membership.devices)
        self.schedule = schedule(topology, count, options.seed)
        static = self.schedule.graph(1) if self.schedule.static else None
        options.check_matrix(static, count)
        check_spectrum(options, static)
        check_direction(options, self.schedule)
        self._membership, self._options, self._relay, self._run = membership, options, relay, run
        self._arrays_key, self._on_failure = arrays_key, on_failure
        self._lists = Lists(self.schedule.graph(1), options, relay, run, addresses or {})
        self._silent: set[int] = set()
        self._untrained: set[int] = set()
        self._initial_arrays, self._draws = ArrayRecord(), set[int]()
        self._due: Due | None = None
        self._due_is_sent = False
        self.late: set[int] = set()
        self.sent: dict[int, Counter[int]] = defaultdict(Counter)

    def open(
        self, initial_arrays: ArrayRecord, draws: Mapping[int, bool], offers: bool = False
    ) -> dict[str, int]:
        """Give every device a start, and synchronize where the options ask for it.

        Parameters
        ----------
        initial_arrays : ArrayRecord
            The common start, for devices that draw none of their own.
        draws : Mapping[int, bool]
            Whether each device has an init function.
        offers : bool
            Whether one that has none can start from parameters of its own, where there are no
            initial arrays, and neighbors hand those on.

        Returns
        -------
        dict[str, int]
            ``synchronization_steps`` and ``bytes_sent`` between devices.
        """
        given = given_arrays(draws, self._options)
        if given and not len(initial_arrays) and not offers:
            raise ConfigError("initial_arrays", "empty", "must hold the model devices start from")
        if len(initial_arrays):
            self._options.shared.check(messages.to_model(initial_arrays))
        self._enter(1)
        self._initial_arrays = initial_arrays
        self._draws = {device for device, drawing in draws.items() if drawing}
        contents = self._starts(self._membership.devices, given)
        sent = self._membership.messages(messages.INIT, contents, 0)
        replies = self.hear(messages.INIT, contents, self._membership.send(sent))
        check_layouts(initial_arrays, replies, self._options.shared)
        check_finite(replies, self._options.init)
        check_seeds(replies)
        if self._options.init in ("independent", "seed") and any(draws.values()):
            return {"synchronization_steps": 0, "bytes_sent": 0}
        return self._synchronize()

    def instruct(
        self,
        kind: str,
        devices: Collection[int],
        round_number: int,
        given: RecordDict,
        scored: Collection[int] = (),
    ) -> list[Any]:
        """Return the messages that tell ``devices`` to run a user's function.

        Those that are ``scored`` are asked to evaluate what they have trained. A consensus step
        that is still due goes along: one message less for each device.
        """
        due = self._due if self._due and self._due.devices <= set(devices) else None
        if due is None:
            self.make_due()
        self._due_is_sent = due is not None
        order = {messages.ROUND: round_number, messages.ARRAYS_KEY: self._arrays_key}
        orders = self._lists.orders(devices, **order)
        for device, content in orders.items():
            own = content.config_records[messages.RECORD]
            own.update(due.order() if due and device in due.devices else {})
            own.update({messages.SCORED: True} if device in scored else {})
            content.update(given)
        return self._membership.messages(kind, orders, round_number)

    def hear(
        self, kind: str, asked: Collection[int], replies: Any, needed: bool = True
    ) -> dict[int, RecordDict]:
        """Sort replies by device; who is silent sits out the rest of the round."""
        arrived = self._membership.sort(kind, asked, replies, self._on_failure, needed)
        if self._due:
            self._count(self._due.round_number, arrived.values())
        self._due, self._due_is_sent = None, False
        self._leave_out(set(asked) - set(arrived), kind)
        return arrived

    def not_sent(self, kind: str, devices: Collection[int]) -> None:
        """Go on without devices to which a strategy of the project's has sent no message.

        The consensus step that was to come with it is told by a message of its own.
        """
        for device in devices:
            self._lists.forget(device)  # it was not told what the message would have told it
        due = self._due if self._due_is_sent else None
        if due and (late := due.devices & set(devices)):
            replies = self._tell(messages.MIX, due, late)
            arrived = self._membership.sort(messages.MIX, late, replies, self._on_failure, False)
            self._count(due.round_number, arrived.values())
        if kind == messages.TRAIN:
            self._leave_out(devices, kind)

    def go_on_unheard(self) -> None:
        """Take it that devices did what they were told, where somebody else heard them."""
        if self._due_is_sent:
            self._due, self._due_is_sent = None, False

    def begin_round(self, round_number: int) -> list[int]:
        """Change to the round's graph and return the devices that are there to train."""
        for device, said in self._membership.readmit(self._silent).items():
            self._lists.addresses[device] = str(said.get(messages.ADDRESS, ""))
            self._lists.forget(device)
        self._silent.clear()
        self._untrained.clear()
        self.late = set()
        steps = max(self._options.consensus_steps, 1)
        first = self.schedule.links(round_number, 1, steps)
        self._change(first, self.schedule.of_round(round_number, steps))
        self._begin_again(round_number)
        return self.present(round_number)

    def present(self, round_number: int) -> list[int]:
        """Return the devices that are connected, not away, and not silent in this round."""
        online = [d for d in self._membership.online() if d not in self._silent]
        return [d for d in online if bool(self._options.links.present(d, round_number))]

    def know_samples(self, samples: Mapping[int, float]) -> None:
        """Note the devices' numbers of samples, for neighbors to be told."""
        self._lists.samples.update(samples)

    def consensus_step(self, round_number: int, step: int) -> None:
        """Let all devices that are present mix once: when they are next sent a message."""
        self.make_due()
        steps = self._options.consensus_steps
        self._change(self.schedule.links(round_number, step, steps), self._lists.admitted)
        if self._options.tells_heard:
            heard = self._step(round_number, step)
            self._order_step(messages.HEAR, heard)
        self._due = self._step(round_number, step)

    def make_due(self) -> None:
        """Make the consensus step that is due, if there is one, now."""
        due = self._due
        if due is not None and not self._due_is_sent:
            self._order_step(messages.MIX, due)

    def _step(self, round_number: int, step: int) -> Due:
        there, without = self.present(round_number), sorted(self._untrained | self.late)
        return Due(round_number, step, frozenset(there), tuple(without))

    def _order_step(self, kind: str, due: Due) -> None:
        """Let devices do their part of a consensus step, and hear of it."""
        self.hear(kind, due.devices, self._tell(kind, due, due.devices))

    def _tell(self, kind: str, due: Due, devices: Collection[int]) -> Iterable[Message]:
        """Tell devices to do their part of a consensus step, and return their replies."""
        orders = self._lists.orders(sorted(devices), **due.order())
        return self._membership.send(self._membership.messages(kind, orders, due.round_number))

    def models(self) -> dict[int, Model]:
        """Return all devices' current models, for measuring: read from the relay."""
        self.make_due()
        return models_of(self._relay.observe(self._run, MODEL))

    def models_in_round(self) -> dict[int, Model]:
        """Return the current models of the devices that have not sat out the round.

        Those are the ones that are mixed and scored; all, where nobody has trained.
        """
        models = self.models()
        return {d: m for d, m in models.items() if d not in self._untrained} or models

    def ask_for_models(self, devices: Collection[int] | None = None) -> dict[int, Model]:
        """Ask devices for the arrays that neighbors may see.

        All that have not sat out the round are asked, unless some are named.
        """
        self.make_due()
        every = self._membership.devices
        there = [device for device in every if device not in self._untrained] or every
        asked = there if devices is None else [device for device in every if device in devices]
        replies = (
            self._membership.exchange(messages.MODEL, self._lists.orders(asked)) if asked else {}
        )
        return {
            device: messages.to_model(next(iter(reply.array_records.values())))
            for device, reply in replies.items()
        }

    def _leave_out(self, devices: Collection[int], kind: str) -> None:
        """Let devices sit out the rest of the round, and know nothing of what they were told."""
        self._silent.update(devices)
        if kind == messages.TRAIN:
            self._untrained.update(devices)
        for device in devices:
            self._lists.forget(device)

    def _starts(
        self, devices: Collection[int], given: Collection[int], **order: int
    ) -> dict[int, RecordDict]:
        """Return orders to begin, with the initial arrays for those that are given them."""
        contents = self._lists.orders(devices, **order)
        for device in set(given) & set(devices):
            if len(self._initial_arrays):
                contents[device][self._arrays_key] = self._initial_arrays
            else:
                contents[device].config_records[messages.RECORD][messages.OWN_PARAMETERS] = True
        return contents

    def _begin_again(self, round_number: int) -> None:
        """Let devices that may have lost their models take one from a neighbor, if they have."""
        steps, there = self._options.consensus_steps, set(self._membership.online())
        again = sorted(self._membership.bereft & there)
        if not again or round_number < 2 or not steps:
            return  # in the first round neighbors have no model to hand over
        self._membership.bereft -= set(again)
        self.make_due()
        slot = {messages.ADOPT_ROUND: round_number - 1, messages.ADOPT_STEP: steps}
        contents = self._starts(again, set(again) - self._draws, **slot)
        sent = self._membership.messages(messages.INIT, contents, round_number)
        self.hear(messages.INIT, again, self._membership.send(sent), needed=False)

    def _synchronize(self) -> dict[str, int]:
        """Flood the strongest initial model until all devices hold it."""
        certain = self.schedule.static and self._options.to_config()["links"] == "perfect"
        count = len(self._membership.devices)
        limit = diameter(self._lists.graph) if certain else _SYNC_PATIENCE * count
        origins: set[Any] = {None} if count > 1 else set()
        step = 0
        while len(origins) > 1 or origins & {None, ()}:
            if step == limit:
                self._give_up(origins, step)
                break
            step += 1
            self._enter(step)
            there = [d for d in self._membership.devices if d not in self._silent]
            orders = self._lists.orders(there, **{messages.STEP: step})
            sent = self._membership.messages(messages.SYNC, orders, 0)
            replies = self.hear(messages.SYNC, orders, self._membership.send(sent))
            self._count(0, replies.values())
            origins = {_tuple(reply, messages.ORIGINS) for reply in replies.values()}
        return {"synchronization_steps": step, "bytes_sent": sum(self.sent[0].values())}

    def _give_up(self, origins: set[Any], steps: int) -> None:
        if () in origins:
            raise DeviceError(f"after {steps} steps some devices have no initial model yet")
        log.warning("after %d steps devices still hold %d initial models", steps, len(origins))

    def _count(self, round_number: int, replies: Iterable[RecordDict]) -> None:
        for reply in replies:
            self.sent[round_number].update(records.received_in(reply))
            self.sent[round_number].update(records.told_in(reply))

    def _enter(self, number: int) -> None:
        """Change to graph ``number`` of the schedule (the same one, where it is static)."""
        graph = self.schedule.graph(number)
        self._change(graph, graph)

    def _change(self, graph: nx.Graph, admitted: nx.Graph) -> None:
        """Change to other links, once the step that is due over the ones before has been made."""
        if not self._lists.follow(graph, admitted):
            self.make_due()
        self._lists.change(graph, admitted)


def _tuple(reply: RecordDict, column: str) -> tuple[int, ...]:
    record = reply.config_records.get(messages.RECORD, ConfigRecord())
    values: Any = record.get(column, [])
    return tuple(values)
