"""What we use of flwr beyond its public API (``flwr.app``, ``clientapp``, ``serverapp``).

The codes of `flwr.app.Error` are public only as numbers. We must tell a device that could
not be reached (the others go on) from one whose code failed (the run ends).

Projects with a ``server_fn`` hand over parameters in a class of `flwr.common`, and a strategy
of `flwr.server.strategy`, which asks for a client manager. What a ``client_fn`` client has no
function for it says by a number, and the message that asks it for its parameters has a name.

Whether nodes are simulated can be seen only by the name of the grid's class, which has moved
from module to module. It matters for speed alone: see `p2pl_flower.flower.grids.PacedGrid`.

What has been registered with a plain ClientApp can be seen in its private attributes alone.

Which tensor of a ``state_dict`` cannot become an array is told by no error of Flower's: it can be
seen in the frame that tried to convert it alone.

A message with metadata of one's own can be made, but for Flower's typing it cannot: it stamps
messages itself, with the identity of the ServerApp, and a peer without a server has none.
How long such a message lives is exported by `flwr.app` in newer versions only.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from flwr.app import Context, Message, Metadata, RecordDict
from flwr.clientapp import ClientApp
from flwr.common import DEFAULT_TTL, Code, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.common.constant import ErrorCode, MessageTypeLegacy
from flwr.server import ServerConfig, SimpleClientManager
from flwr.server.strategy import FedAvg as LegacyFedAvg
from flwr.serverapp import Grid
from numpy.typing import NDArray

UNREACHABLE = frozenset(
    {
        ErrorCode.MESSAGE_UNAVAILABLE,
        ErrorCode.REPLY_MESSAGE_UNAVAILABLE,
        ErrorCode.NODE_UNAVAILABLE,
    }
)


CRASHED = frozenset({getattr(ErrorCode, "CLIENT_APP_CRASHED", None)})
"""What newer versions say of a ClientApp whose process was killed."""

EVALUATE_NOT_IMPLEMENTED = int(Code.EVALUATE_NOT_IMPLEMENTED.value)
GET_PARAMETERS = str(MessageTypeLegacy.GET_PARAMETERS)


class _NoClients(SimpleClientManager):
    """A client manager that knows of no client, and does not wait for any."""

    def wait_for(self, num_clients: int, timeout: int = 0) -> bool:
        """Wait for nobody."""
        return False


def no_clients() -> Any:
    """Return a client manager that knows of no client."""
    return _NoClients()


def default_strategy() -> Any:
    """Return the strategy that Flower takes where a ``server_fn`` gives none."""
    return LegacyFedAvg()


def default_config() -> Any:
    """Return the config that Flower takes where a ``server_fn`` gives none."""
    return ServerConfig()


def ndarrays_of(parameters: Any) -> list[NDArray[Any]]:
    """Return legacy ``Parameters`` as arrays."""
    return parameters_to_ndarrays(parameters)


def parameters_of(ndarrays: list[NDArray[Any]]) -> Any:
    """Return arrays as legacy ``Parameters``."""
    return ndarrays_to_parameters(ndarrays)


def unlike_fedavg(legacy: type, methods: Iterable[str]) -> list[str]:
    """Return which of these methods of a legacy strategy are not those of FedAvg."""
    return [m for m in methods if getattr(legacy, m, None) is not getattr(LegacyFedAvg, m)]


def registered(app: ClientApp) -> tuple[bool, bool, list[Any]]:
    """Return whether an app has a ``client_fn``, whether it evaluates, and its mods."""
    legacy = app._call is not None
    return legacy, legacy or "evaluate.default" in app._registered_funcs, list(app._mods)


def unconverted_array(error: BaseException) -> str:
    """Return the name of the tensor that NumPy has no type for; the empty text if it is not that.

    Parameters
    ----------
    error : BaseException
        What ``ArrayRecord(model.state_dict())``, or a function that calls it, has raised.
    """
    name, trace = "", error.__traceback__
    while trace is not None and isinstance(error, TypeError):
        if trace.tb_frame.f_code.co_name == "from_torch_state_dict":
            name = str(trace.tb_frame.f_locals.get("k", ""))
        trace = trace.tb_next
    return name


def is_simulated(grid: Grid) -> bool:
    """Return whether a grid's nodes live in Flower's simulation."""
    return type(grid).__name__ == "InMemoryGrid"


def instruct(kind: str, content: RecordDict, context: Context, round_number: int) -> Message:
    """Return a message to the node of ``context``, as if a ServerApp had sent it."""
    metadata = Metadata(
        run_id=context.run_id,
        message_id=str(uuid4()),
        src_node_id=1,  # where Flower's server would be
        dst_node_id=context.node_id,
        reply_to_message_id="",
        group_id=str(round_number),
        created_at=time.time(),
        ttl=DEFAULT_TTL,
        message_type=kind,
    )
    make: Any = Message
    message: Message = make(content=content, metadata=metadata)
    return message
