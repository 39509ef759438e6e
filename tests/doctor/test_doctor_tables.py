"""What the doctor knows of flwr, and of P2PL, is what the installed ones have."""

from __future__ import annotations

import inspect

import flwr.server.strategy as legacy
import flwr.serverapp.strategy as current
from flwr.serverapp.strategy import FedAvg, Strategy

from p2pl_flower import P2PL
from p2pl_flower.doctor import flwr_names
from p2pl_flower.doctor.flwr_names import (
    FEDAVG_ORDER,
    KEPT,
    LOSES,
    OWN_ARGUMENTS,
    OWN_METHODS,
    PLAIN,
    REFUSED,
    is_strategy,
    is_wrapper,
    why_refused,
)


def parameters(kind: type) -> list[str]:
    return list(inspect.signature(kind.__init__).parameters)[1:]


def strategies() -> list[type]:
    """Return the strategies of the message API that take the place of FedAvg."""
    names = [n for n in current.__all__ if n not in ("Result", "Strategy")]
    return [getattr(current, name) for name in names if not is_wrapper(name)]


def test_every_strategy_is_judged() -> None:
    judged = {*LOSES, *PLAIN, *REFUSED}
    for module in (current, legacy):
        names = {n for n in module.__all__ if n != "Result" and not is_wrapper(n)}
        assert names <= judged
    assert judged <= {*current.__all__, *legacy.__all__}
    assert len(judged) == len(LOSES) + len(PLAIN) + len(REFUSED)


def test_the_order_of_fedavgs_arguments() -> None:
    assert tuple(parameters(FedAvg)) == FEDAVG_ORDER


def test_the_arguments_that_stay_are_those_that_both_take() -> None:
    assert set(parameters(P2PL)) & set(parameters(FedAvg)) == KEPT
    assert not set(parameters(P2PL)) & OWN_ARGUMENTS


def test_the_arguments_that_go_are_all_that_flowers_strategies_take() -> None:
    theirs = {name for kind in strategies() for name in parameters(kind)}
    assert theirs - KEPT - {"kwargs"} == OWN_ARGUMENTS


def test_the_methods_that_only_flowers_strategies_have() -> None:
    plain = [getattr(current, name) for name in (*PLAIN, *LOSES) if hasattr(current, name)]
    theirs = {
        name for kind in plain for name in dir(kind) if inspect.isfunction(getattr(kind, name))
    }
    assert theirs - set(dir(P2PL)) - set(dir(Strategy)) == OWN_METHODS


def test_the_attributes_that_only_flowers_strategies_have() -> None:
    ours = vars(P2PL())
    assert not OWN_ARGUMENTS & set(ours)
    assert set(vars(FedAvg())) - set(ours) <= OWN_ARGUMENTS


def test_dotted_names() -> None:
    assert is_strategy("flwr.serverapp.strategy.FedAvg")
    assert is_strategy("flwr.serverapp.strategy.fedavg.FedAvg")
    assert is_strategy("flwr.server.strategy.FedAvg", flwr_names.LEGACY_STRATEGIES)
    assert not is_strategy("flwr.server.strategy.FedAvg")
    assert not is_strategy("flwr.serverapp.strategy.Result")
    assert not is_strategy("flwr.serverapp.strategy_other.FedAvg")
    assert why_refused("flwr.serverapp.strategy.FedAvg") == ""
    assert "strategies around others" in why_refused("x.DifferentialPrivacyClientSideFixedClipping")
