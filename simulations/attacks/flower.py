"""Attacks on Flower's engine: attackers' mailboxes show neighbors something else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import torch
from flwr.app import ArrayRecord, Context, Message
from numpy.typing import NDArray
from torch import Tensor

from p2pl_flower import PeerApp, Relay
from p2pl_flower.errors import ConfigError
from p2pl_flower.named_arrays import Model
from p2pl_flower.relay import Mailbox, Slot, make_relay
from p2pl_flower.relay.contents import MODEL
from p2pl_flower.relay.mailbox import Collected
from p2pl_flower.seeding import Stream, derive
from strategies import Contender, Task
from strategies.base import PeerToPeer

from ..scenario import Scenario
from .base import Attack, NoAttack, Omniscient, Tensors, Where

_HONEST, _FIRST = "honest", "first"
"""Channels of an attacker's mailbox: what it would have shown, and what in its first round."""

_MODEL_ONLY = "~"
"""What begins the names of a publication's arrays that no neighbor is given."""


def relay_of(scenario: Scenario, given: Relay | str) -> Relay | str:
    """Return a scenario's relay, of which its attackers are a part."""
    if isinstance(scenario.attacking, NoAttack):
        return given
    return HostileRelay(make_relay(given), scenario.attacking, scenario.seed)


def attacked(task: Task, attack: Attack, contender: Contender) -> Task:
    """Return a task as it can be set to a contender under attack.

    Under a server, trained models are not scored then: Flower's FedAvg wants the same metrics of
    all devices, and attackers have none.

    Raises
    ------
    ConfigError
        The attackers know more than a device on a grid can.
    """
    if isinstance(attack, Omniscient):
        rule = "is for the swarm (--engine swarm): on a grid a device hears others once it has sent"
        raise ConfigError("attack", type(attack).__name__, rule)
    if isinstance(attack, NoAttack) or isinstance(contender, PeerToPeer):
        return task
    return replace(task, evaluate_trained=False)


class HostileRelay(Relay):
    """A relay in which some devices' mailboxes lie.

    Parameters
    ----------
    inner : Relay
        The relay that moves the models.
    attack : Attack
        What attackers do.
    seed : int
        The run's seed.
    devices : int
        K; 0 where it is used by nobody but a server.
    """

    def __init__(self, inner: Relay, attack: Attack, seed: int, devices: int = 0) -> None:
        self._inner, self._attack, self._seed, self._devices = inner, attack, seed, devices
        self.observable = inner.observable

    def at(self, node_config: Mapping[str, Any]) -> Relay:
        """Return the relay as one node sees it."""
        count = int(node_config["num-partitions"])
        return HostileRelay(self._inner.at(node_config), self._attack, self._seed, count)

    def address(self) -> str:
        """Return where neighbors reach this node's mailbox."""
        return self._inner.address()

    def mailbox(self, run: int, device: int) -> Mailbox:
        """Return the mailbox of a device, which lies if it attacks."""
        inner = self._inner.mailbox(run, device)
        if device not in self._attack.attackers(self._seed, self._devices):
            return inner
        return HostileMailbox(inner, self._attack, self._seed)

    def open(self, run: int) -> None:
        """Open the inner relay."""
        self._inner.open(run)

    def admit(self, run: int, neighbors: Mapping[int, Collection[int]]) -> None:
        """Set who may collect from whom."""
        self._inner.admit(run, neighbors)

    def observe(self, run: int, channel: str) -> dict[int, Model]:
        """Return every honest device's newest publication."""
        found = self._inner.observe(run, channel)
        attackers = self._inner.observe(run, _HONEST)
        return {device: model for device, model in found.items() if device not in attackers}

    def close(self, run: int) -> None:
        """Close the inner relay."""
        self._inner.close(run)

    def put(self, run: int, key: str, arrays: Model | None) -> None:
        """Keep arrays in the inner relay."""
        self._inner.put(run, key, arrays)

    def get(self, run: int, key: str) -> Model | None:
        """Return arrays of the inner relay."""
        return self._inner.get(run, key)


class HostileMailbox(Mailbox):
    """An attacker's mailbox: to itself it shows what an honest one would, to neighbors lies."""

    def __init__(self, inner: Mailbox, attack: Attack, seed: int) -> None:
        super().__init__(inner.device)
        self._inner, self._attack, self._seed = inner, attack, seed

    def meet(self, neighbors: Mapping[int, str]) -> None:
        """Note who the neighbors are."""
        self._inner.meet(neighbors)

    def publish(self, slot: Slot, model: Model, private: Collection[str] = ()) -> None:
        """Publish a lie, and keep what would have been published."""
        if slot.channel != MODEL:
            self._inner.publish(slot, model, private)
            return
        self._inner.publish(slot._replace(channel=_HONEST), model, list(model))
        shown = {} if slot.round == 0 else self._lie(slot, model)
        self._inner.publish(slot, {**model, **shown}, private)

    def recall(self, channel: str, newest: int | None = None) -> list[tuple[Slot, Model]]:
        """Return what an honest mailbox would keep."""
        if channel != MODEL:
            return self._inner.recall(channel, newest)
        kept = self._inner.recall(_HONEST, newest)
        return [(slot._replace(channel=MODEL), model) for slot, model in kept]

    def collect(
        self, senders: Collection[int], slot: Slot, deadline: float | None = None
    ) -> dict[int, Model]:
        """Fetch what devices have published, and the own as an honest one would have."""
        if slot.channel != MODEL or self.device not in senders:
            return self._inner.collect(senders, slot, deadline)
        own = self._inner.collect([self.device], slot._replace(channel=_HONEST), deadline)
        others = [j for j in senders if j != self.device]
        heard = self._inner.collect(others, slot, deadline)
        ages = heard.ages if isinstance(heard, Collected) else {}
        return Collected({**own, **heard}, ages)

    def _lie(self, slot: Slot, model: Model) -> dict[str, NDArray[Any]]:
        """Return the lie in the place of the arrays that neighbors are given."""
        own = {n: torch.tensor(a) for n, a in model.items() if not n.startswith(_MODEL_ONLY)}
        channel = f"{_FIRST} {slot.step}"
        kept = self._inner.recall(channel, newest=1)
        if not kept:
            arrays = {name: tensor.numpy() for name, tensor in own.items()}
            self._inner.publish(Slot(channel, 0, 0), arrays, list(arrays))
        first = {n: torch.tensor(a) for n, a in kept[0][1].items()} if kept else own
        where = Where(self._seed, self.device, slot.round, slot.step)
        return {n: t.numpy() for n, t in self._attack.message(own, first, where).items()}


class AttackedApp(PeerApp):
    """A `PeerApp` that lies to a server, too, if its device attacks.

    Parameters
    ----------
    read : Callable[[Context], Scenario]
        Finds the scenario, given a device's context.
    relay : Relay, optional
        How models move; the scenario's unless given.
    """

    def __init__(self, read: Callable[[Context], Scenario], relay: Relay | None = None) -> None:
        def found(context: Context) -> Relay:
            scenario = read(context)
            return make_relay(relay_of(scenario, relay or scenario.relay))

        super().__init__(relay=found)
        self._read = read

    def __call__(self, message: Message, context: Context) -> Message:
        """Answer one message; what an attacker trained for a server is replaced by a lie."""
        reply = super().__call__(message, context)
        scenario = self._read(context)
        lies = scenario.attacking.lies and message.metadata.message_type == "train"
        if not lies or not attacks(scenario, context) or reply.has_error():
            return reply
        [key] = reply.content.array_records
        own = reply.content.array_records[key].to_torch_state_dict()
        if _FIRST not in context.state:
            context.state[_FIRST] = ArrayRecord(_mixed(own))
        first = context.state.array_records[_FIRST].to_torch_state_dict()
        where = Where(scenario.seed, _device(context), _round(message), 0)
        lie = scenario.attacking.message(_mixed(own), first, where)
        reply.content[key] = ArrayRecord({**own, **lie})
        return reply


def attacks(scenario: Scenario, context: Context) -> bool:
    """Return whether a context's device attacks."""
    if isinstance(scenario.attacking, NoAttack):
        return False
    count = int(context.node_config["num-partitions"])
    return _device(context) in scenario.attacking.attackers(scenario.seed, count)


def claims(scenario: Scenario, context: Context, seed: int) -> bool:
    """Return whether what is drawn from a seed is an attacker's own claim on the start."""
    own = derive(scenario.seed, Stream.INIT, _device(context))
    return scenario.options.init != "seed" and seed == own and attacks(scenario, context)


def _device(context: Context) -> int:
    return int(context.node_config["partition-id"])


def _mixed(model: Tensors) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in model.items() if tensor.is_floating_point()}


def _round(message: Message) -> int:
    key = "server-round"
    [number] = [c[key] for c in message.content.config_records.values() if key in c]
    return int(str(number))
