"""What flwr exports that the doctor has to know, and what becomes of it. flwr is not imported.

A test holds the tables against the flwr that is installed.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..flower.unsupported import TREES, WRAPPER, WRAPPERS

STRATEGIES = "flwr.serverapp.strategy"
LEGACY_STRATEGIES = "flwr.server.strategy"

FEDAVG_ORDER = (
    "fraction_train",
    "fraction_evaluate",
    "min_train_nodes",
    "min_evaluate_nodes",
    "min_available_nodes",
    "weighted_by_key",
    "arrayrecord_key",
    "configrecord_key",
    "train_metrics_aggr_fn",
    "evaluate_metrics_aggr_fn",
)
"""The arguments of FedAvg, in their order."""

KEPT = frozenset({"fraction_evaluate", *FEDAVG_ORDER[4:]})
"""Those that P2PL takes too."""

OWN_ARGUMENTS = frozenset(
    {
        "fraction_train",
        "min_train_nodes",
        "min_evaluate_nodes",
        "beta",
        "beta_1",
        "beta_2",
        "client_learning_rate",
        "eta",
        "eta_l",
        "proximal_mu",
        "q",
        "server_learning_rate",
        "server_momentum",
        "tau",
        "train_loss_key",
        "num_malicious_nodes",
        "num_nodes_to_select",
        "selection_rule",
    }
)
"""Arguments of Flower's strategies that P2PL does not take."""

OWN_METHODS = frozenset({"_check_and_log_replies", "_construct_messages", "_compute_deltat_and_mt"})
"""Methods of Flower's strategies, beyond those of `Strategy`, that P2PL does not have."""

_SERVER_STEP = (
    "the step of its optimizer on the server has no counterpart: neighbors average, and each "
    "device goes on from that average"
)
_PROXIMAL = (
    "P2PL does not send 'proximal-mu': the proximal term has to be in train_config, and pulls a "
    "device towards the model that it begins the round with"
)
LOSES: Mapping[str, str] = {
    "FedAdagrad": _SERVER_STEP,
    "FedAdam": _SERVER_STEP,
    "FedAvgM": _SERVER_STEP,
    "FedOpt": _SERVER_STEP,
    "FedYogi": _SERVER_STEP,
    "QFedAvg": "weights by loss have no counterpart: neighbors are weighted alike, or by data",
    "FaultTolerantFedAvg": "its least completion rates have no counterpart",
    "FedAvgAndroid": "its serialization for Android has no counterpart",
}
"""Strategies that P2PL takes the place of, and what is lost with each."""

PLAIN = frozenset({"FedAvg", "FedProx"})

_ROBUST = (
    "it leaves out what faulty or hostile clients send, and P2PL's consensus trusts all "
    "neighbors alike; where clients can be trusted, replace it by FedAvg and ask again"
)
REFUSED: Mapping[str, str] = {
    "Bulyan": _ROBUST,
    "FedMedian": _ROBUST,
    "FedTrimmedAvg": _ROBUST,
    "Krum": _ROBUST,
    "MultiKrum": _ROBUST,
    "FedXgbBagging": TREES,
    "FedXgbCyclic": TREES,
    "FedXgbNnAvg": TREES,
    "Strategy": (
        "it is a strategy from scratch, which aggregates in a way of its own; P2PL can take the "
        "place of FedAvg, or be what your class derives from"
    ),
}
"""Strategies that P2PL cannot take the place of, and why."""

_ALL = {*LOSES, *PLAIN, *REFUSED}
EXPORTS: Mapping[str, frozenset[str]] = {
    STRATEGIES: frozenset(_ALL),
    LEGACY_STRATEGIES: frozenset(_ALL),
    "flwr.clientapp": frozenset({"ClientApp"}),
    "flwr.client": frozenset({"Client", "ClientApp", "NumPyClient"}),
    "flwr.serverapp": frozenset({"Grid", "ServerApp"}),
    "flwr.server": frozenset({"Server", "ServerApp", "ServerAppComponents", "ServerConfig"}),
}
"""What ``from module import *`` may bring."""


def is_wrapper(name: str) -> bool:
    """Return whether a strategy of Flower's is one around another."""
    return name.rpartition(".")[2].startswith(WRAPPERS)


def why_refused(name: str) -> str:
    """Return why P2PL cannot take the place of a strategy; the empty text if it can."""
    last = name.rpartition(".")[2]
    return WRAPPER if is_wrapper(last) else REFUSED.get(last, "")


def is_strategy(name: str, modules: str = STRATEGIES) -> bool:
    """Return whether a dotted name is that of a strategy class of Flower's.

    It may be taken from the package or from the module in it that defines the class.
    """
    module, _, last = name.rpartition(".")
    known = last in _ALL or is_wrapper(last)
    return known and f"{module}.".startswith(f"{modules}.")
