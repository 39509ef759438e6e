"""Devices whose own functions fail: what is said of it, and what becomes of the run."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from flwr.app import Context, Message
from local_grid import LocalGrid
from toy_app import START, device, make_app, run, values

from p2pl_flower import P2PL, PeerApp
from p2pl_flower.errors import ConfigError, DeviceError, LayoutError
from p2pl_flower.flower.failures import failure, is_the_functions, raised, unwrapped

TORCH = "Error(s) in loading state_dict for Net:\n\tsize mismatch for w: torch.Size([2])"


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (  # a SuperNode
            "<class 'p2pl_flower.errors.DeviceError'>:<'the train function raised KeyError: 'lr''>",
            "the train function raised KeyError: 'lr'",
        ),
        ("<class 'builtins.ZeroDivisionError'>:<'division by zero'>", "ZeroDivisionError: divisio"),
        (  # a simulation, where Ray's traceback comes before
            "<class 'ray.exceptions.RayTaskError(ClientAppException)'>:<'ray::run() (pid=1)\n"
            'File "a.py", line 1\nflwr.clientapp.client_app.ClientAppException: \n'
            f"Exception ClientAppException occurred. Message: {TORCH}'>",
            TORCH,
        ),
        ("<class 'X'>:<''>", "X:"),
        ("", "no reason was given"),
    ],
)
def test_all_of_an_error_is_found(reason: str, text: str) -> None:
    assert unwrapped(reason).startswith(text)
    assert unwrapped(reason).count("'>") == 0


def test_a_device_names_type_and_text() -> None:
    error = raised("train", KeyError("learning-rate"))
    assert str(error) == "the train function raised KeyError: 'learning-rate'"
    assert is_the_functions(str(error))
    said = str(failure(3, "train.p2pl", str(error)))
    assert said == "device 3 failed at train.p2pl: KeyError: 'learning-rate'"
    assert not is_the_functions(f"training changed array 'w' {LayoutError.__name__}")


def failing(where: int, when: int, kind: str = "train") -> tuple[PeerApp, Any]:
    """Return the toy app, which on one device raises in one round."""

    def fail(message: Message, context: Context) -> None:
        if device(context) == where and message.content["config"]["server-round"] == when:
            raise KeyError("class 7")

    app, relay = make_app(fail=fail if kind == "train" else None)
    if kind == "evaluate":
        theirs = app._registered_funcs["evaluate.default"]

        def evaluate(message: Message, context: Context) -> Message:
            fail(message, context)
            return theirs(message, context)

        app._registered_funcs["evaluate.default"] = evaluate
    return app, relay


@pytest.mark.parametrize("algorithm", ["p2pl", "exact-diffusion"])
@pytest.mark.parametrize("evaluate_every", [0, 1])
def test_a_device_that_fails_sits_out_the_round(
    algorithm: str, evaluate_every: int, caplog: pytest.LogCaptureFixture
) -> None:
    app, relay = failing(where=2, when=2)
    grid = LocalGrid(app, 3)
    options = {"topology": "complete", "algorithm": algorithm}
    with caplog.at_level(logging.WARNING, "flwr.p2pl"):
        strategy, result = run(grid, relay, rounds=3, evaluate_every=evaluate_every, **options)
    assert "device 2 failed at train.p2pl: KeyError: 'class 7'; it sits out the rou" in caplog.text
    assert [r.round for r in strategy.rounds] == [1, 2, 3]
    if evaluate_every and algorithm == "p2pl":
        # round 1: all hold 1/2; round 2: two train to 1/4 and 3/4, and keep the third's weight
        losses = strategy.rounds[1].after_consensus.loss
        assert (losses.min, losses.max) == pytest.approx((5 / 12, 7 / 12))
    if algorithm == "p2pl":
        w = 0.5 * (0.5 + np.arange(3))  # the mean was 1/2 when round 3 began
        assert values(result.arrays)["w"][0] == pytest.approx(w.mean())
    else:  # the state of the device that failed is the one that it had
        assert np.isfinite(values(result.arrays)["w"]).all()


def test_scores_of_a_device_that_fails_to_evaluate_are_missing() -> None:
    app, relay = failing(where=1, when=1, kind="evaluate")
    strategy, result = run(
        LocalGrid(app, 3), relay, rounds=2, topology="complete", evaluate_trained=False
    )
    assert sorted(strategy.evaluate_metrics) == [0, 1, 2]
    assert len(strategy.rounds) == 2
    assert values(result.arrays)["steps"] == 2


def test_all_fail(caplog: pytest.LogCaptureFixture) -> None:
    def fail(message: Message, context: Context) -> None:
        raise ValueError(TORCH)

    app, relay = make_app(fail=fail)
    with pytest.raises(DeviceError, match=r"device 0 failed at train\.p2pl: ValueError: Er") as e:
        run(LocalGrid(app, 3), relay, topology="ring")
    assert "size mismatch for w" in str(e.value)


def test_refusals_of_p2pl_end_the_run_whatever_is_asked_for() -> None:
    app, relay = make_app()
    theirs = app._registered_funcs["train.default"]

    def train(message: Message, context: Context) -> Message:
        reply = theirs(message, context)
        if device(context) == 1:
            del reply.content["arrays"]
        return reply

    app._registered_funcs["train.default"] = train
    with pytest.raises(DeviceError, match=r"device 1 failed .* returned 0 array records"):
        run(LocalGrid(app, 3), relay, topology="ring", on_failure="skip")


def test_other_words_are_refused() -> None:
    with pytest.raises(ConfigError, match="on_failure='ignore': unknown name; choose one of: rai"):
        P2PL("ring", on_failure="ignore")


def test_it_is_as_under_fedavg_that_a_failing_client_is_left_out() -> None:
    from flwr.serverapp.strategy import FedAvg

    app, _ = failing(where=2, when=1)
    result = FedAvg(min_available_nodes=3).start(LocalGrid(app, 3), START, 1)
    app, relay = failing(where=2, when=1)
    options = {"topology": "complete", "weights": "data-size", "init": "shared"}
    strategy, _ = run(LocalGrid(app, 3), relay, rounds=1, **options)
    assert strategy.rounds[0].after_consensus.loss.max == pytest.approx(
        values(result.arrays)["w"][0]
    )
