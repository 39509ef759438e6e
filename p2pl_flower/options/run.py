"""The options of a run: how long, on how many devices, and who is whose neighbor."""

from __future__ import annotations

from ..config import Option, at_least, within

ROUNDS = Option("rounds to run", at_least(1), name="rounds", kind=int)
NUM_DEVICES = Option(
    "K, how many devices there are", at_least(1), name="num-devices", kind=int, optional=True
)
TOPOLOGY = Option(
    "who is whose neighbor: `complete`, `ring`, `star`, `path`, `torus`, `regular:d=4`, "
    "`erdos-renyi:p=0.1`, `small-world:k=4,p=0.1`, `scale-free:m=2`, "
    "`random-geometric:radius=0.3`, `exponential`; graphs that change at every "
    "consensus step: `one-peer-exponential`, `random-matchings`, `random-regular:d=4`, "
    "`epidemic-oracle:s=4` (`,per-step=false`: every round); and every round: "
    "`random-waypoint:radius=0.3,speed=0.05`; of one-way links: `directed-ring`, `random-out:s=4`, "
    "`exponential:directed=true`, `one-peer-exponential:directed=true`, `epidemic-local:s=4`",
    name="topology",
    kind=str,
)
MIN_AVAILABLE_NODES = Option(
    "nodes to wait for where their number is not given",
    at_least(1),
    default=2,
    name="min-available-nodes",
    kind=int,
)
CONNECT_TIMEOUT = Option(
    "seconds to wait for nodes to connect",
    within("[0, inf)", "seconds"),
    default=60.0,
    name="connect-timeout",
    kind=float,
)
