"""When a run begins and ends, also where a subclass of P2PL has a ``start`` of its own."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Generic, TypeVar, cast

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Result, Strategy

from ..errors import ConfigError, P2PLError
from ..history import Round
from ..options import Options
from ..relay import Relay
from .mean_model import RoundArrays
from .overridden import inherited, watch
from .run import OpenRun, Plan, Settings
from .unsupported import NO_CENTRAL, WRAPPER, WRAPPERS

_MARK = "_tells_of_its_run"


Start = TypeVar("Start", bound=Callable[..., Any])
Value = TypeVar("Value")


def told_of(start: Start) -> Start:
    """Return a ``start`` that lets its strategy know what it is given, and when it is over.

    A ``start`` written by somebody else calls ``configure_train`` and the others one by one, and
    P2PL joins in there; but how many rounds there are, and that the last one is over, only the
    ``start`` itself knows.
    """
    if hasattr(start, _MARK):
        return start
    signature = inspect.signature(start)

    @functools.wraps(start)
    def run(self: RunningStrategy, *args: Any, **options: Any) -> Any:
        bound = signature.bind(self, *args, **options)
        bound.apply_defaults()
        _refuse_unmade(self)
        with self.within_run(bound.arguments) as returned:
            returned.append(start(self, *args, **options))
        return returned[0]

    setattr(run, _MARK, True)
    return cast("Start", run)


class _Hideable(Generic[Value]):
    """A property that a subclass may hide: an attribute of its own of that name is its own."""

    def __init__(self, read: Callable[[Any], Value]) -> None:
        self._read = read
        self.__doc__ = read.__doc__

    def __get__(self, strategy: Any, kind: type) -> Value:
        return cast("Value", self) if strategy is None else self._read(strategy)


class RunningStrategy(Strategy):
    """A strategy that opens a run when Flower first calls it, and closes it at its end.

    Attributes
    ----------
    evaluate_config : ConfigRecord
        What evaluate functions get as config after training.
    """

    relay: Relay

    __plan: Plan | None = None
    __run: OpenRun | None = None

    def __init__(self) -> None:
        self.evaluate_config = ConfigRecord()

    def __init_subclass__(cls, **options: Any) -> None:
        """Learn of the runs of a subclass with a ``start`` of its own, or of a mixin's.

        Raises
        ------
        ConfigError
            It is also one of Flower's strategies, which aggregate on a server.
        """
        super().__init_subclass__(**options)
        _refuse_bases(cls)
        if "start" in vars(cls):
            cls.start = told_of(cls.start)  # type: ignore[method-assign]
        elif not hasattr(cls.start, _MARK):
            cls.start = told_of(inherited(cls, "start"))  # type: ignore[method-assign]
        watch(cls)

    @_Hideable
    def rounds(self) -> list[Round]:
        """Return what the rounds measured."""
        return self.__run.rounds if self.__run else []

    @_Hideable
    def setup(self) -> dict[str, int | float]:
        """Return what synchronization took."""
        return self.__run.setup if self.__run else {}

    @_Hideable
    def train_metrics(self) -> dict[int, MetricRecord]:
        """Return the last metrics of each device's train function, by device."""
        return self.__run.train_metrics if self.__run else {}

    @_Hideable
    def evaluate_metrics(self) -> dict[int, MetricRecord]:
        """Return the last metrics of each device's evaluate function, by device."""
        return self.__run.evaluate_metrics if self.__run else {}

    def mean_model(self) -> ArrayRecord:
        """Return the mean of all devices' models as they are now, read from the relay.

        Arrays that stay at home are in it as they are in ``initial_arrays``.

        Raises
        ------
        P2PLError
            No run is under way.
        RelayError
            The relay cannot be looked into: models are on machines of their own.
        """
        if self.__run is None or not self.__run.is_open:
            raise P2PLError("there is a mean model while a run is under way: in on_round, say")
        return ArrayRecord(dict(self.__run.mean.arrays()))

    @contextmanager
    def within_run(self, given: Mapping[str, Any]) -> Iterator[list[Any]]:
        """Hold a run open while a ``start`` that was given these arguments is under way.

        What the ``start`` returns is put into the list. It gets the run's arrays at the end, if
        it is a `Result` to which nobody has given others.
        """
        inner, self.__plan = self.__plan is not None, Plan.of(given)
        returned: list[Any] = []
        before = self.__run
        try:
            if self.__plan.evaluate_fn is not None and not self.relay.observable:
                raise ConfigError("evaluate_fn", self.__plan.evaluate_fn, NO_CENTRAL)
            yield returned
            if not inner and self.__run is not None and self.__run is not before:
                _hand_out(returned[0], self.__run.finish())
        finally:
            if not inner:
                self.__plan = None
                if self.__run is not None:
                    self.__run.close()

    def _begin(self, grid: Grid, initial_arrays: ArrayRecord) -> OpenRun:
        _refuse_unmade(self)
        if not isinstance(initial_arrays, ArrayRecord):
            rule = (
                "must be an ArrayRecord: `ArrayRecord(model.state_dict())`, or `ArrayRecord()` "
                "where devices draw their own"
            )
            raise ConfigError("initial_arrays", type(initial_arrays).__name__, rule)
        plan = self.__plan or Plan()
        if self.__run is not None:
            self.__run.close()
        self.evaluate_config = ConfigRecord(dict(plan.evaluate_config or {}))
        self.__run = OpenRun(cast("Settings", self), grid, initial_arrays, plan)
        return self.__run

    def _run_at(self, server_round: int, arrays: ArrayRecord, grid: Grid) -> OpenRun:
        """Return the run that a round belongs to: a new one, where Flower begins with it here."""
        run = self.__run
        if run is None or not run.is_open or run.round >= server_round:
            _refuse_wrappers(self)
            run = self._begin(grid, arrays)
            if self.__plan and self.__plan.evaluate_fn:
                run.mean.warn_of_personal()
        return run

    def _sends_only(self, kind: str, sent: list[Message]) -> None:
        """Take it that of the messages of a kind these are sent, and no others."""
        if self.__run is not None and self.__run.is_open:
            self.__run.sends_only(kind, sent)

    def _warn_once(self, text: str) -> None:
        """Warn, unless the run has done so already."""
        if self.__run is not None:
            self.__run.warn_once(text)

    def _run_in(self, server_round: int) -> OpenRun:
        """Return the run that is in a round, or say what has kept it from getting there."""
        if self.__run is None or self.__run.round != server_round:
            rule = (
                "its configure_train must call super().configure_train(server_round, arrays, "
                "config, grid) in every round and return the messages that it returns: they tell "
                "devices what to do"
            )
            raise ConfigError("strategy", type(self).__name__, rule)
        return self.__run


def _refuse_bases(cls: type[Strategy]) -> None:
    """Refuse a class that is also one of Flower's strategies: half of it would do nothing."""
    for base in cls.__mro__:
        flowers = base.__module__.startswith("flwr.") and issubclass(base, Strategy)
        if flowers and base is not Strategy:
            rule = (
                f"derives from P2PL and from {base.__name__}, which aggregates on a server: derive "
                "from P2PL alone, and from mixins that are no strategies"
            )
            raise ConfigError("strategy", cls.__name__, rule)


def _refuse_unmade(strategy: Any) -> None:
    """Refuse a strategy without the options that P2PL's own ``__init__`` gives it."""
    if isinstance(vars(strategy).get("options"), Options) and isinstance(
        vars(strategy).get("relay"), Relay
    ):
        return
    rule = (
        "its __init__ must call super().__init__(topology, ...), and leave the attributes "
        "`options` and `relay` that it sets as they are"
    )
    raise ConfigError("strategy", type(strategy).__name__, rule)


def _hand_out(result: Any, arrays: ArrayRecord) -> None:
    """Put a run's arrays into a result, unless somebody else put others there."""
    if isinstance(result, Result) and (
        isinstance(result.arrays, RoundArrays) or not len(result.arrays)
    ):
        result.arrays = arrays


def _refuse_wrappers(strategy: Strategy) -> None:
    """Refuse to be called by one of Flower's strategies around others, whatever `start` it has.

    Differential privacy is about what a server aggregates, and here no server does. Strategies of
    other people's that call this one are welcome.
    """
    frame = sys._getframe(1)
    while True:
        caller = frame.f_locals.get("self")
        if isinstance(caller, Strategy) and caller is not strategy and _is_flowers(type(caller)):
            rule = f"P2PL cannot be inside another: {WRAPPER}"
            raise ConfigError("strategy", type(caller).__name__, rule)
        if frame.f_back is None:
            return
        frame = frame.f_back


def _is_flowers(kind: type) -> bool:
    return any(
        base.__module__.startswith("flwr.") and base.__name__.startswith(WRAPPERS)
        for base in kind.__mro__
    )
