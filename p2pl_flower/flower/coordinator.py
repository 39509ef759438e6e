"""The coordination of one run: who is told what when. No model passes through it.

Everything that belongs to one run and not to the strategy's configuration lives here.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import networkx as nx
from flwr.app import ArrayRecord, ConfigRecord, RecordDict

from ..algorithms.max_norm import FLOODS
from ..errors import ConfigError, DeviceError, LayoutError
from ..named_arrays import Model
from ..options import Options, check_spectrum
from ..relay import Relay
from ..relay.contents import MODEL, models_of
from ..topology import Schedule, diameter, schedule
from ..topology.neighborhood import neighborhood
from ..weights import check_matrix
from . import failures, messages, records
from .membership import Membership
from .told import Told

log = logging.getLogger("flwr.p2pl")

_SYNC_PATIENCE = 10
"""Over unreliable links, synchronization may take so many steps for each device."""


@dataclass(frozen=True)
class _Due:
    """A consensus step that devices have still to make."""

    round_number: int
    step: int
    devices: frozenset[int]

    def order(self) -> dict[str, int]:
        return {messages.MIX_ROUND: self.round_number, messages.MIX_STEP: self.step}


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
        if options.matrix is not None:
            check_matrix(options.matrix, static, n=count)
        check_spectrum(options, static)
        self._membership, self._options, self._relay, self._run = membership, options, relay, run
        self._arrays_key, self._addresses = arrays_key, addresses or {}
        self._on_failure = on_failure
        self._listed_options = messages.options_to_config(options)
        self._graph = self.schedule.graph(1)
        # until a device has trained
        self._samples: dict[int, float] = dict.fromkeys(membership.devices, 0)
        self._told = Told()
        self._silent: set[int] = set()
        self._due: _Due | None = None
        self._due_is_sent = False
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
        given = self._given(draws)
        if given and not len(initial_arrays) and not offers:
            raise ConfigError("initial_arrays", "empty", "must hold the model devices start from")
        if len(initial_arrays):
            self._options.shared.check(messages.to_model(initial_arrays))
        self._enter(1)
        contents = self._orders(self._membership.devices)
        for device in given:
            if len(initial_arrays):
                contents[device][self._arrays_key] = initial_arrays
            else:
                contents[device].config_records[messages.RECORD][messages.OWN_PARAMETERS] = True
        replies = self._membership.exchange(messages.INIT, contents)
        self._check_layouts(initial_arrays, replies)
        self._check_finite(replies)
        self._check_seeds(replies)
        if self._options.init in ("independent", "seed") and any(draws.values()):
            return {"synchronization_steps": 0, "bytes_sent": 0}
        return self._synchronize()

    def instruct(
        self, kind: str, devices: Collection[int], round_number: int, given: RecordDict
    ) -> list[Any]:
        """Return the messages that tell ``devices`` to run a user's function.

        A consensus step that is still due goes with them: one message less for each device.
        """
        due = self._due if self._due and self._due.devices <= set(devices) else None
        if due is None:
            self.make_due()
        self._due_is_sent = due is not None
        order = {messages.ROUND: round_number, messages.ARRAYS_KEY: self._arrays_key}
        orders = self._orders(devices, **order)
        for device, content in orders.items():
            own = content.config_records[messages.RECORD]
            own.update(due.order() if due and device in due.devices else {})
            own.update(given.config_records.get(messages.RECORD, {}))
            content.update({k: v for k, v in given.items() if k != messages.RECORD})
        return self._membership.messages(kind, orders, round_number)

    def hear(self, kind: str, asked: Collection[int], replies: Any) -> dict[int, RecordDict]:
        """Sort replies by device; who is silent sits out the rest of the round."""
        arrived = self._membership.sort(kind, asked, replies, self._on_failure)
        if self._due:
            self._count(self._due.round_number, arrived.values())
        self._due, self._due_is_sent = None, False
        for device in set(asked) - set(arrived):
            self._silent.add(device)
            self._told.forget(device)
        return arrived

    def go_on_unheard(self) -> None:
        """Take it that devices did what they were told, where somebody else heard them."""
        if self._due_is_sent:
            self._due, self._due_is_sent = None, False

    def begin_round(self, round_number: int) -> list[int]:
        """Change to the round's graph and return the devices that are there to train."""
        self._silent.clear()
        self._enter(round_number)
        return self.present(round_number)

    def present(self, round_number: int) -> list[int]:
        """Return the devices that are connected, not away, and not silent in this round."""
        online = [d for d in self._membership.online() if d not in self._silent]
        return [d for d in online if bool(self._options.links.present(d, round_number))]

    def know_samples(self, samples: Mapping[int, float]) -> None:
        """Note the devices' numbers of samples, for neighbors to be told."""
        self._samples.update(samples)

    def consensus_step(self, round_number: int, step: int) -> None:
        """Let all devices that are present mix once: when they are next sent a message."""
        self.make_due()
        self._due = _Due(round_number, step, frozenset(self.present(round_number)))

    def make_due(self) -> None:
        """Make the consensus step that is due, if there is one, now."""
        due = self._due
        if due is not None and not self._due_is_sent:
            orders = self._orders(sorted(due.devices), **due.order())
            sent = self._membership.messages(messages.MIX, orders, due.round_number)
            self.hear(messages.MIX, due.devices, self._membership.send(sent))

    def models(self) -> dict[int, Model]:
        """Return all devices' current models, for measuring: read from the relay."""
        self.make_due()
        return models_of(self._relay.observe(self._run, MODEL))

    def ask_for_models(self, devices: Collection[int] | None = None) -> dict[int, Model]:
        """Ask devices, all unless some are named, for the arrays that neighbors may see."""
        self.make_due()
        asked = [d for d in self._membership.devices if devices is None or d in devices]
        replies = self._membership.exchange(messages.MODEL, self._orders(asked)) if asked else {}
        return {
            device: messages.to_model(next(iter(reply.array_records.values())))
            for device, reply in replies.items()
        }

    def _given(self, draws: Mapping[int, bool]) -> list[int]:
        """Return the devices that are given the initial arrays in a message."""
        lacking = [d for d in self._membership.devices if not draws[d]]
        if self._options.init == "shared" or len(lacking) == len(draws):
            if self._options.init != "shared":
                log.warning(
                    "no device draws an initial model (PeerApp has no @app.init()): all start "
                    "from initial_arrays, as with init='shared'"
                )
            given = self._membership.devices[:1]  # neighbors hand it on from there
        else:
            # Else a neighbor hands on a whole model, if none of its arrays stay at home.
            if lacking and self._options.init in ("seed", "bounded-norm"):
                rule = (
                    f"devices {lacking} draw no initial model: give their PeerApp an @app.init(), "
                )
                raise ConfigError("init", self._options.init, rule + "or take 'max-norm'")
            hands_on = self._options.init == "max-norm" and self._options.shared.is_everything
            given = [] if hands_on else lacking
            if lacking:
                log.info("devices %s draw no initial model and are given one", lacking)
        return given

    def _check_layouts(
        self, initial_arrays: ArrayRecord, replies: Mapping[int, RecordDict]
    ) -> None:
        """Refuse devices whose own initial models differ from the others' in their arrays."""
        record = messages.RECORD
        drawn = {d: str(r.config_records[record][messages.LAYOUT]) for d, r in replies.items()}
        drawn = {d: digest for d, digest in drawn.items() if digest}
        expected = next(iter(drawn.values()))
        if len(initial_arrays):
            model = messages.to_model(initial_arrays)
            expected = messages.layout_digest(self._options.shared.part(model))
        for device, digest in drawn.items():
            if digest != expected:
                raise LayoutError(
                    f"device {device} draws a model whose array names, shapes or dtypes differ "
                    "from initial_arrays: build both from the same model class"
                )

    def _check_finite(self, replies: Mapping[int, RecordDict]) -> None:
        """Refuse to start from NaNs and infinities, if no other device's draw can replace them."""
        said = {d: r.config_records[messages.RECORD] for d, r in replies.items()}
        started = [d for d, entry in said.items() if entry[messages.LAYOUT]]
        bad = [d for d in started if messages.NOT_FINITE in said[d]]
        if not bad:
            return
        rule = f"array {said[bad[0]][messages.NOT_FINITE]!r} holds a NaN or an infinity"
        if bad == started or self._options.init not in FLOODS:
            raise DeviceError(f"the initial model of device {bad[0]} is no start: its {rule}")
        log.warning("devices %s start from others' models: in their own, %s", bad, rule)

    def _check_seeds(self, replies: Mapping[int, RecordDict]) -> None:
        """Refuse devices that draw other models of the run's seed than the rest."""
        said = {d: r.config_records[messages.RECORD] for d, r in replies.items()}
        told = {d: entry for d, entry in said.items() if messages.NUMBERS in entry}
        if not told:
            return
        first, *rest = sorted(told)
        others = [d for d in rest if told[d][messages.NUMBERS] != told[first][messages.NUMBERS]]
        if others:
            raise DeviceError(
                f"devices {others} draw other initial models from the run's seed than device "
                f"{first}: with init='seed' an init function must depend on the seed alone, not on "
                "the device, and libraries be the same on all; or take init='max-norm'"
            )
        if any(messages.SEEDLESS in entry for entry in told.values()):
            log.warning(
                "the init function returns the same arrays whatever the seed (pre-trained ones, "
                "or it seeds itself): with init='seed' that is what all devices start from"
            )

    def _synchronize(self) -> dict[str, int]:
        """Flood the strongest initial model until all devices hold it."""
        certain = self.schedule.static and self._options.to_config()["links"] == "perfect"
        count = len(self._membership.devices)
        limit = diameter(self._graph) if certain else _SYNC_PATIENCE * count
        origins: set[Any] = {None} if count > 1 else set()
        step = 0
        while len(origins) > 1 or origins & {None, ()}:
            if step == limit:
                self._give_up(origins, step)
                break
            step += 1
            self._enter(step)
            orders = self._orders(self._membership.devices, **{messages.STEP: step})
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

    def _enter(self, number: int) -> None:
        """Change to graph ``number`` of the schedule (the same one, where it is static)."""
        graph = self.schedule.graph(number)
        if graph is not self._graph or not self._told:
            self.make_due()
            self._relay.admit(self._run, {d: sorted(graph[d]) for d in graph})
        self._graph = graph

    def _orders(self, devices: Collection[int], **order: Any) -> dict[int, RecordDict]:
        """Return an order for each device, with its neighbor list where that is news to it."""
        contents = {}
        for device in devices:
            me, neighbors = neighborhood(self._graph, device, self._samples, self._options.matrix)
            placed = [replace(n, address=self._addresses.get(n.id, "")) for n in neighbors]
            news = self._told.news(me, placed, self._listed_options)
            contents[device] = RecordDict({messages.RECORD: ConfigRecord({**order, **news})})
        return contents


def _tuple(reply: RecordDict, column: str) -> tuple[int, ...]:
    record = reply.config_records.get(messages.RECORD, ConfigRecord())
    values: Any = record.get(column, [])
    return tuple(values)
