"""Gossip without rounds: devices train, average with whom they reach, and go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ..errors import ConfigError
from ..history import Elapsed
from ..options import Pairwise, Timing, check_asynchronous, elapsed, step_of
from ..seeding import Stream, uniform
from ..topology.neighborhood import Neighbor, heard_in
from ..weights import row_of
from .block import Block
from .plans import Gossip, Plan
from .stack import rows_of
from .workers import Ids

_PREFIX = "on the way: "
"""What a checkpoint's names of this begin with."""


class Asynchronous:
    r"""All devices of a run, each in its own time: an event for each training that ends.

    When device k has trained, what that changed is added to its model as it is by then,
    :math:`w_k \leftarrow w_k + (v_k - u_k)`, where training went from :math:`u_k` to :math:`v_k`.
    It then averages S times with a neighbor j, drawn anew each time, if it reaches that:

    .. math:: w_k \leftarrow w_k + \gamma a_{kj} (w_j - w_k), \qquad
              w_j \leftarrow w_j + \gamma a_{jk} (w_k - w_j)

    at once, whatever j is doing, with the weights that the two ends of a single link have: one
    half each, or by their data. And it trains on from the result. Nobody waits for anybody.

    Trainings that are under way do not depend on each other: whenever one is needed that has not
    been computed, all are that have begun by then, as one batch for each number of rounds that
    devices have behind them. So results do not depend on the batches.

    Parameters
    ----------
    plan : Plan
        Gossip: graph, links, consensus steps and seed.
    block : Block
        The models.
    timing : Timing
        What counts time.

    Raises
    ------
    ConfigError
        An option does not suit.

    Attributes
    ----------
    sent : NDArray[int64], shape (K,)
        Bytes that each device has sent in the round, and that have arrived.
    transmitted : int
        Bytes that radios would have sent.
    copies : int
        How many models of each device are kept beside it.

    References
    ----------
    X. Lian, W. Zhang, C. Zhang and J. Liu, "Asynchronous decentralized parallel stochastic
    gradient descent", ICML 2018, arXiv 1710.06952.
    S. Boyd, A. Ghosh, B. Prabhakar and D. Shah, "Randomized gossip algorithms", IEEE Trans.
    Information Theory 52, 2006.
    """

    copies: ClassVar[int] = 3

    def __init__(self, plan: Plan, block: Block, timing: Timing) -> None:
        self._plan, self._block, self._timing = _suitable(plan), block, timing
        count = plan.devices
        self._done = np.zeros(count, dtype=np.int64)  # trainings of each device that have ended
        self._ends = np.zeros(count)  # when the one that is under way does
        self._known = np.zeros(count, dtype=np.bool_)  # whether that has been computed
        self._now, self._lap_began = 0.0, 0.0
        self._begun: dict[str, Tensor] = {}
        self._moved: dict[str, Tensor] = {}
        self._pairs = Pairwise(timing.watch)
        self.sent, self.transmitted = np.zeros(count, np.int64), 0

    @property
    def may_lose(self) -> bool:
        """Whether messages can get lost."""
        return self._plan.options.may_lose

    def begin(self, seconds: float) -> None:
        """Let all devices begin their first training, after so many seconds."""
        self._now = self._lap_began = seconds
        tensors = self._tensors()
        self._begun = {name: tensor.clone() for name, tensor in tensors.items()}
        self._moved = {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}
        for device in range(self._plan.devices):
            self._train_on(device, seconds)

    def round(self, number: int) -> None:
        """Go on until as many trainings have ended as ``number`` rounds of all devices have."""
        count = self._plan.devices
        self.sent, self.transmitted = np.zeros(count, np.int64), 0
        while self._done.sum() < number * count:
            device = int(np.argmin(self._ends))  # ties: the smallest id
            if not self._known[device]:
                self._compute()
            self._finish(device)

    def elapsed(self) -> Elapsed:
        """Return what went by since this was last asked."""
        began, self._lap_began = self._lap_began, self._now
        return elapsed(self._pairs.lap(self._now - began))

    def tensors(self) -> dict[str, Tensor]:
        """Return what is under way, for a checkpoint."""
        arrays = {"done": self._done, "ends": self._ends, "known": self._known}
        arrays["now"] = np.array([self._now])
        own = {name: torch.from_numpy(array) for name, array in arrays.items()}
        own |= {f"begun: {name}": tensor for name, tensor in self._begun.items()}
        own |= {f"moved: {name}": tensor for name, tensor in self._moved.items()}
        return {_PREFIX + name: tensor for name, tensor in own.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `tensors` returned."""
        own = {n.removeprefix(_PREFIX): t for n, t in tensors.items() if n.startswith(_PREFIX)}
        self._done, self._ends, self._known, [now] = (
            np.array(own[name].cpu().numpy()) for name in ("done", "ends", "known", "now")
        )
        self._now = self._lap_began = float(now)
        self._begun = {name: own[f"begun: {name}"] for name in self._tensors()}
        self._moved = {name: own[f"moved: {name}"] for name in self._tensors()}

    def _finish(self, device: int) -> None:
        """Add what a device's training changed, average, and let it train on."""
        self._now = max(self._now, float(self._ends[device]))
        number = int(self._done[device]) + 1
        there = self._is_there(device)
        if there:
            for name, tensor in self._tensors().items():
                tensor[device] += self._moved[name][device]
        later = self._now
        for step in range(1, self._plan.options.consensus_steps + 1 if there else 1):
            later += self._average(device, number, step)
        self._done[device] = number
        self._train_on(device, later)

    def _train_on(self, device: int, now: float) -> None:
        """Note from which model a device trains, and when it will have."""
        for name, tensor in self._tensors().items():
            self._begun[name][device] = tensor[device]
        self._known[device] = False
        [work] = self._timing.operations_of(np.array([device]), self._plan.samples)
        self._ends[device] = now + self._pairs.trains(device, work, int(self._done[device]) + 1)

    def _average(self, device: int, number: int, step: int) -> float:
        """Average with a neighbor, if it is reached; return how long that took."""
        plan, steps = self._plan, max(self._plan.options.consensus_steps, 1)
        graph = plan.schedule.links(number, step, steps)
        neighbors = heard_in(graph, device)
        if not neighbors:
            return 0.0
        drawn = float(uniform(plan.seed, Stream.PARTNER, device, number, step))
        other = neighbors[int(drawn * len(neighbors))]
        links = plan.options.links
        tried = bool(links.tried(device, other, number, step)) and self._is_there(other)
        if not tried:
            return 0.0
        heard = bool(links.up(device, other, number, step))
        size = self._block.message_bytes
        self.transmitted += 2 * size if heard else size
        if heard:
            self.sent[[device, other]] += size
            self._mix(device, other)
        ends = np.array([device]), np.array([other]), np.array([heard])
        [distance] = step_of(graph, *ends).distance
        return self._pairs.exchange(device, other, size, float(distance), heard)

    def _mix(self, device: int, other: int) -> None:
        gamma = self._plan.options.consensus_gamma * self._plan.algorithm.mixing_step
        to, back = gamma * self._weight(device, other), gamma * self._weight(other, device)
        for name in self._block.stack.mixed:
            tensor = self._block.stack.tensors[name]
            apart = tensor[other] - tensor[device]
            tensor[device] += to * apart
            tensor[other] -= back * apart

    def _weight(self, device: int, other: int) -> float:
        """Return a_kj where the link between the two is all there is."""
        matrix = self._plan.options.matrix
        own, theirs = (
            Neighbor(
                k,
                1,
                int(self._plan.samples[k]),
                weight=None if matrix is None else float(matrix[device, k]),
            )
            for k in (device, other)
        )
        return row_of(self._plan.options.weights, own, [theirs])[other]

    def _compute(self) -> None:
        """Compute all trainings that are under way: by batches of as many rounds behind them."""
        pending = np.flatnonzero(~self._known)
        there = np.array([self._is_there(device) for device in pending.tolist()])
        kept = {name: tensor.clone() for name, tensor in self._tensors().items()}
        for number in np.unique(self._done[pending]):
            chosen = pending[(self._done[pending] == number) & there]
            if len(chosen):
                self._train(chosen, int(number) + 1)
        for name, tensor in self._tensors().items():
            rows = rows_of(pending)
            self._moved[name][rows] = tensor[rows] - self._begun[name][rows]
            tensor.copy_(kept[name])
        self._known[pending] = True

    def _train(self, devices: Ids, number: int) -> None:
        rows = rows_of(devices)
        for name, tensor in self._tensors().items():
            tensor[rows] = self._begun[name][rows]
        self._block.train(devices, number)

    def _is_there(self, device: int) -> bool:
        """Tell whether a device is there in the round of its own that it is in."""
        return bool(self._plan.options.links.present(device, int(self._done[device]) + 1))

    def _tensors(self) -> dict[str, Tensor]:
        """Return what training changes: parameters, and buffers such as running statistics."""
        stack = self._block.stack
        return {name: stack.tensors[name] for name in stack.changing}


def _suitable(plan: Plan) -> Gossip:
    """Return the plan, or refuse what cannot be done without rounds.

    Raises
    ------
    ConfigError
        Names the option and what to take instead.
    """
    if not isinstance(plan, Gossip):
        raise ConfigError("mode", "async", "is for devices that gossip: take 'sync'")
    check_asynchronous(plan.options)
    if len(plan.hostile.devices) or plan.schedule.directed:
        what = "hostile devices" if len(plan.hostile.devices) else "one-way links"
        raise ConfigError("mode", "async", f"has no place for {what}: take mode='sync'")
    return plan
