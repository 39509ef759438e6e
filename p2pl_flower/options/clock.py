"""The options of the simulated clock, and what it makes of a round: the same in every engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..config import Converted, check_fields, described, described_text, option, within
from ..errors import ConfigError
from ..history import Elapsed, Spread
from ..links.clock import COMPUTES, NETWORKS, Compute, Lap, Network, Step, Stopwatch

if TYPE_CHECKING:
    import networkx as nx

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]

OPERATIONS_PER_PARAMETER = 6
"""Of a training sample: two to go forward through a weight, four to come back."""


@described
@dataclass(frozen=True)
class Clock:
    """What simulated time is counted by; without a network there is no clock.

    A device's training in a round takes samples times ``epochs`` times ``operations``.

    Parameters
    ----------
    epochs : float
        Passes of a round over a device's samples, where the engine does not know them: under
        Flower, where a project trains as it likes.

    Raises
    ------
    ConfigError
        Names the option, its value, the rule and the valid choices.
    """

    network: Converted[Network, str | Network] = option(
        "none",
        converted=True,
        help="what links carry, by which simulated time is counted: `none` (no clock), `wifi`, "
        "`5g-d2d`, `lora-wan`, `datacenter`, each with parameters of its own as in "
        "`wifi:up=20,delay=10,near=0.1`, or `rates:up=10,down=50` (docs/time.md)",
    )
    compute: Converted[Compute, str | Compute] = option(
        "constant",
        converted=True,
        help="how quickly devices compute, in billions of operations a second: "
        "`constant:speed=10`, `lognormal:speed=10,sigma=0.5`, `stragglers:share=0.2,factor=10`, "
        "`trace:path=speeds.csv`",
    )
    operations: float = option(
        0.0,
        rule=within("[0, inf)"),
        help="operations that training on a sample takes; 0 is six for each of the model's numbers",
    )
    deadline: float = option(
        0.0,
        rule=within("[0, inf)", "seconds"),
        help="simulated seconds from the beginning of a device's round until which it waits for "
        "neighbors that train: whoever takes longer for it is heard by nobody in that round; 0 "
        "waits for all",
    )
    epochs: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        made = {
            "network": NETWORKS.of(self.network, seed=self.seed),
            "compute": COMPUTES.of(self.compute, seed=self.seed),
        }
        for name, value in made.items():
            object.__setattr__(self, name, value)

    @classmethod
    def of(cls, given: Clock | str | None, epochs: float | None = None, seed: int = 0) -> Clock:
        """Return what users give, a clock, a network's name or None, as a clock.

        Parameters
        ----------
        given : Clock, str or None
            As users give it.
        epochs : float or None
            Passes of a round over a device's samples; None for those of a clock that is given.
        seed : int
            What rates and speeds are drawn from where only a name is given.

        Raises
        ------
        ConfigError
            It is something else.
        """
        if isinstance(given, cls):
            return given if epochs is None else replace(given, epochs=epochs)
        if given is None or isinstance(given, str):
            return cls(given or "none", epochs=1.0 if epochs is None else epochs, seed=seed)
        raise ConfigError(
            "clock", given, "must be a Clock, or the name of a network", NETWORKS.names()
        )

    def described(self) -> dict[str, Any]:
        """Return the options as flat values."""
        return {
            "network": described_text(self.network, NETWORKS),
            "compute": described_text(self.compute, COMPUTES),
            "operations": self.operations,
            "deadline": self.deadline,
        }


class Timing:
    """Counts the time of a run, round by round.

    Parameters
    ----------
    watch : Stopwatch
        Each device's time.
    operations : float
        What a device computes in a round for each of its samples.
    deadline : float
        Seconds until which devices wait for each other; 0 for as long as it takes.
    """

    def __init__(self, watch: Stopwatch, operations: float, deadline: float = 0.0) -> None:
        self.watch, self._operations, self._deadline = watch, operations, deadline

    @classmethod
    def of(cls, clock: Clock, devices: int, numbers: int) -> Timing | None:
        """Return what counts the time of a run, or None where there is no clock.

        Parameters
        ----------
        clock : Clock
            As it was given.
        devices : int
            K.
        numbers : int
            How many floating-point numbers the model has.

        Raises
        ------
        ConfigError
            Neither that nor ``operations`` is known.
        """
        if not clock.network.is_there:
            return None
        if not (clock.operations or numbers):
            rule = "must be given where the model's size is not known: there are no initial arrays"
            raise ConfigError("operations", clock.operations, rule)
        watch = Stopwatch(clock.network, clock.compute, devices)
        each = clock.operations or float(OPERATIONS_PER_PARAMETER * numbers)
        return cls(watch, clock.epochs * each, clock.deadline)

    def synchronized(self, steps: Sequence[Step], sent: float) -> float:
        """Return the seconds of the synchronization before round 1, of so many bytes in all.

        They are spread evenly over its messages.
        """
        messages = sum(len(step.to) for step in steps)
        sizes = np.full(self.watch.devices, sent / messages if messages else 0.0)
        for step in steps:
            self.watch.exchange(step, sizes)
        return self.watch.lap().seconds

    def gossip(
        self,
        number: int,
        trained: ArrayLike,
        samples: ArrayLike,
        steps: Sequence[Step],
        sent: ArrayLike,
    ) -> Elapsed:
        """Return what a round of training and of consensus steps took.

        Parameters
        ----------
        number : int
            The round.
        trained : array of int
            Which devices trained.
        samples : array, shape (K,)
            How many training samples each device has.
        steps : sequence of Step
            The messages of each consensus step.
        sent : array, shape (K,)
            Bytes of each device that have arrived, in all steps together. Its messages are taken
            for equally large.
        """
        devices = np.asarray(trained, dtype=np.int64)
        self.watch.train(devices, self.operations_of(devices, samples), number)
        sizes = message_sizes(steps, np.asarray(sent, dtype=np.float64))
        for step in steps:
            self.watch.exchange(step, sizes, self._deadline)
        return elapsed(self.watch.lap())

    def late(self, number: int, samples: ArrayLike) -> NDArray[np.bool_]:
        """Return which devices take longer to train than all wait for, shape (K,)."""
        everybody = np.arange(self.watch.devices)
        if not self._deadline:
            return np.zeros(len(everybody), dtype=np.bool_)
        work = self.operations_of(everybody, samples)
        return self.watch.training_seconds(everybody, work, number) > self._deadline

    def averaging(
        self, number: int, trained: ArrayLike, samples: ArrayLike, down: ArrayLike, up: ArrayLike
    ) -> Elapsed:
        """Return what a round of federated averaging took.

        Parameters
        ----------
        number, trained, samples
            As for `gossip`.
        down, up : array, shape (K,) or number
            Bytes that each device received from the server, and sent to it.
        """
        devices, shape = np.asarray(trained, dtype=np.int64), (self.watch.devices,)
        fetched, given = (np.broadcast_to(np.asarray(b, np.float64), shape) for b in (down, up))
        work = self.operations_of(devices, samples)
        self.watch.serve(devices, fetched[devices], given[devices], work, number)
        return elapsed(self.watch.lap())

    def operations_of(self, devices: Ids, samples: ArrayLike) -> Floats:
        """Return what devices compute in a round."""
        counts = np.asarray(samples, dtype=np.float64)[devices]
        return np.asarray(counts * self._operations, dtype=np.float64)


def elapsed(lap: Lap) -> Elapsed:
    """Return what a round took as a history has it."""
    energy = None if lap.joules is None else _spread(lap.joules)
    return Elapsed(lap.seconds, _spread(lap.busy), _spread(lap.waiting), energy)


def _spread(values: Floats) -> Spread:
    spread = Spread.over(values)
    return Spread(0.0, 0.0, 0.0, 0.0) if spread is None else spread


def message_sizes(steps: Iterable[Step], sent: Floats) -> Floats:
    """Return the bytes of each device's messages, shape (K,), from those that have arrived.

    Of a device of which none has, they are as many as the others' in the mean.
    """
    count = np.zeros(len(sent))
    for step in steps:
        count += np.bincount(step.source[step.heard], minlength=len(sent))
    known = count > 0
    usual = float((sent[known] / count[known]).mean()) if known.any() else 0.0
    return np.asarray(np.divide(sent, count, out=np.full(len(sent), usual), where=known))


def transmitted(steps: Sequence[Step], sent: ArrayLike) -> int:
    """Return the bytes that radios would have sent: those of messages that were lost, too."""
    arrived = np.asarray(sent, dtype=np.float64)
    sizes = message_sizes(steps, arrived)
    lost = sum(float(sizes[step.source[~step.heard]].sum()) for step in steps)
    return round(float(arrived.sum()) + lost)


def number_count(model: Mapping[str, NDArray[Any]]) -> int:
    """Return how many floating-point numbers a model has."""
    return sum(array.size for array in model.values() if array.dtype.kind == "f")


def step_of(
    graph: nx.Graph,
    to: Ids,
    source: Ids,
    heard: NDArray[np.bool_],
    late: NDArray[np.bool_] | None = None,
) -> Step:
    """Return a consensus step over the links of a graph, whose nodes may have places ``pos``.

    Devices that are ``late``, shape (K,), send nothing; who would have heard them waits in vain.
    """
    if late is not None and late.any():
        slow = late[source]
        rest = step_of(graph, to[~slow], source[~slow], heard[~slow])
        return replace(rest, in_vain=np.unique(to[slow & heard]))
    places = dict(graph.nodes(data="pos"))
    if not len(to) or places[0] is None:
        return Step(to, source, heard, np.full(len(to), np.nan))
    at = np.array([places[device] for device in range(len(graph))], dtype=np.float64)
    return Step(to, source, heard, np.linalg.norm(at[to] - at[source], axis=1))
