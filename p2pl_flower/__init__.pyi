"""What the package exports, for type checkers; a test holds it to `__init__.py`."""

from .algorithms import Algorithm, Mixed, Sending, Training
from .algorithms.codecs import Codec, StepKey
from .algorithms.mixing import MixingRule
from .algorithms.privacy import Privacy
from .errors import (
    ConfigError,
    DeviceError,
    LayoutError,
    P2PLError,
    RelayError,
    TopologyError,
    WeightsError,
)
from .flower.local_steps import corrected, local_correction
from .flower.peer_app import PeerApp
from .flower.server_fn import PeerServerApp
from .flower.strategy import P2PL
from .history import Elapsed, History, Round, Run, Scores, Spread
from .links import Links
from .links.clock import Compute, Network, ServerLink
from .options import Clock, Logger, Options
from .relay import AutoRelay, FileRelay, Mailbox, MemoryRelay, RayRelay, Relay, Slot
from .relay.daemon.relay import GrpcRelay
from .sharing import Sharing
from .topology import Schedule
from .topology.neighborhood import Neighbor
from .weights import WeightRule

__version__: str

__all__ = [
    "P2PL",
    "Algorithm",
    "AutoRelay",
    "Clock",
    "Codec",
    "Compute",
    "ConfigError",
    "DeviceError",
    "Elapsed",
    "FileRelay",
    "GrpcRelay",
    "History",
    "LayoutError",
    "Links",
    "Logger",
    "Mailbox",
    "MemoryRelay",
    "Mixed",
    "MixingRule",
    "Neighbor",
    "Network",
    "Options",
    "P2PLError",
    "PeerApp",
    "PeerServerApp",
    "Privacy",
    "RayRelay",
    "Relay",
    "RelayError",
    "Round",
    "Run",
    "Schedule",
    "Scores",
    "Sending",
    "ServerLink",
    "Sharing",
    "Slot",
    "Spread",
    "StepKey",
    "TopologyError",
    "Training",
    "WeightRule",
    "WeightsError",
    "corrected",
    "local_correction",
]
