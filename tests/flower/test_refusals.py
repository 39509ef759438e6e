"""What P2PL does not support is refused with a sentence, before or in the first round."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp.mod import LocalDpMod, adaptiveclipping_mod, fixedclipping_mod
from flwr.serverapp import strategy as flower_strategies
from local_grid import LocalGrid
from toy_app import START, add_functions, device, make_app, record, trained, values

from p2pl_flower import P2PL, MemoryRelay, PeerApp
from p2pl_flower.errors import ConfigError, DeviceError, LayoutError


@pytest.mark.parametrize(
    ("wrapper", "arguments"),
    [
        ("DifferentialPrivacyServerSideFixedClipping", (1.0, 1.0, 3)),
        ("DifferentialPrivacyClientSideFixedClipping", (1.0, 1.0, 3)),
        ("DifferentialPrivacyServerSideAdaptiveClipping", (1.0, 100)),
        ("DifferentialPrivacyClientSideAdaptiveClipping", (1.0, 100)),
    ],
)
def test_strategies_around_p2pl(wrapper: str, arguments: Any) -> None:
    app, relay = make_app()
    grid = LocalGrid(app, 3)
    wrapped = getattr(flower_strategies, wrapper)(P2PL("ring", relay=relay), *arguments)
    with pytest.raises(ConfigError, match="P2PL cannot be inside another") as caught:
        wrapped.start(grid, START, 1)
    assert "LocalDpMod" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert grid.log == []


def test_a_wrapper_around_a_strategy_that_has_run() -> None:
    app, relay = make_app()
    strategy = P2PL("ring", relay=relay)
    strategy.start(LocalGrid(app, 3), START, 1)
    wrapped = flower_strategies.DifferentialPrivacyServerSideFixedClipping(strategy, 1.0, 1.0, 3)
    with pytest.raises(ConfigError, match="cannot be inside another"):
        wrapped.start(LocalGrid(app, 3), START, 1)


def secaggplus_mod() -> Any:
    return pytest.importorskip("flwr.client.mod").secaggplus_mod


@pytest.mark.parametrize("place", ["app", "function"])
@pytest.mark.parametrize(
    ("mod", "words"),
    [
        (secaggplus_mod, "mods='secaggplus_mod': secure aggregation masks"),
        (lambda: fixedclipping_mod, "mods='fixedclipping_mod': .*use LocalDpMod"),
        (lambda: adaptiveclipping_mod, "mods='adaptiveclipping_mod'"),
    ],
)
def test_mods_that_need_a_server_which_aggregates(mod, words: str, place: str) -> None:
    relay = MemoryRelay()
    app = PeerApp(relay=relay, mods=[mod()] if place == "app" else [])

    @app.train(mods=[mod()] if place == "function" else [])
    def train(message: Message, context: Context) -> Message:
        raise AssertionError("must not be called")

    grid = LocalGrid(app, 3)
    with pytest.raises(ConfigError, match=words):
        P2PL("ring", relay=relay).start(grid, START, 1)
    assert {kind for kind, _, _ in grid.log} == {"query.p2pl_join"}


def test_mods_of_the_users_own_and_local_dp_are_let_through() -> None:
    def fixedclipping_mod(message, context, call_next):  # only its name is flwr's
        return call_next(message, context)

    app, relay = make_app(mods=[fixedclipping_mod])
    P2PL("ring", relay=relay).start(LocalGrid(app, 3), START, 1)
    local = PeerApp(relay=MemoryRelay(), mods=[LocalDpMod(1.0, 1.0, 1.0, 1e-5)])
    add_functions(local)


def test_a_mod_that_answers_with_an_error_ends_the_run_with_it() -> None:
    app, relay = make_app(mods=[LocalDpMod(1.0, 0.0, 1.0, 1e-5)])
    # the toy's integer buffer cannot be clipped, or a reply without arrays to evaluation
    with pytest.raises(DeviceError, match=r"device \d failed at (train.p2pl|after-training-eval)"):
        P2PL("ring", relay=relay).start(LocalGrid(app, 3), START, 1)


def test_trees() -> None:
    app, relay = make_app()
    start = ArrayRecord([np.frombuffer(b"", np.uint8)])
    with pytest.raises(LayoutError, match=r"no floating-point array .*XGBoost"):
        P2PL("ring", relay=relay).start(LocalGrid(app, 3), start, 1)


def returning(content: Any) -> tuple[PeerApp, MemoryRelay]:
    """Return an app whose train function replies with what ``content`` makes of the model."""
    relay = MemoryRelay()
    app = PeerApp(relay=relay)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        model = trained(values(message.content["arrays"]), device(context))
        number = message.content["config"]["server-round"]
        metrics = {"metrics": MetricRecord({"num-examples": 1})}
        return Message(RecordDict({**content(model, number), **metrics}), reply_to=message)

    return app, relay


@pytest.mark.parametrize(
    ("content", "rounds", "words"),
    [
        (lambda m, r: {}, 1, "returned 0 array records: P2PL needs exactly one"),
        (
            lambda m, r: {"arrays": record(m), "more": record(m)},
            1,
            "returned 2 array records: P2PL needs exactly one",
        ),
        (
            lambda m, r: {"arrays": record({**m, f"new{r}": np.ones(1)})},
            1,
            "training changed array 'new1', which was missing and is float64",
        ),
        (
            lambda m, r: {"arrays": record({"w": m["w"], "b": m["b"]})},
            1,
            "training changed array 'steps', which was int64.* and is missing",
        ),
        (
            lambda m, r: {"arrays": record(m if r == 1 else {**m, "w": np.ones(3)})},
            2,
            r"training changed array 'w', which was float64\[2\] and is float64\[3\]",
        ),
        (
            lambda m, r: {"arrays": record({**m, "b": np.array(1)})},
            1,
            "training changed array 'b', which was float64.* and is int64",
        ),
    ],
)
def test_what_train_functions_return(content, rounds: int, words: str) -> None:
    app, relay = returning(content)
    with pytest.raises(DeviceError, match=words):
        P2PL("ring", relay=relay).start(LocalGrid(app, 3), START, rounds)


def test_a_changed_shape_is_refused_before_the_evaluate_function_trips_over_it() -> None:
    app, relay = returning(lambda m, r: {"arrays": record({**m, "w": np.ones(3)})})

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        raise ValueError(f"size mismatch: {values(message.content['arrays'])['w'].shape}")

    with pytest.raises(DeviceError, match="training changed array 'w'"):
        P2PL("ring", relay=relay).start(LocalGrid(app, 3), START, 1)


def test_another_floating_type_is_taken_back() -> None:
    def narrow(model, _):
        return {"arrays": record({**model, "w": model["w"].astype(np.float32)})}

    app, relay = returning(narrow)
    result = P2PL("complete", relay=relay).start(LocalGrid(app, 4), START, 1)
    assert values(result.arrays)["w"].dtype == np.float64
    assert values(result.arrays)["w"] == pytest.approx([0.75] * 2)
