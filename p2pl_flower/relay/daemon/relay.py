"""GrpcRelay: the relay of Flower's deployment, where SuperNodes are on machines of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import RelayError
from ..base import MailboxRelay, Relay
from ..mailbox import Mailbox
from .client import LocalMailbox, describe, local_channel
from .local_address import check_local

NODE_CONFIG_KEY = "p2pl-relay"


class GrpcRelay(MailboxRelay):
    """Moves models from machine to machine, over gRPC with certificates on both sides.

    Beside each SuperNode runs ``p2pl-flower relay``, and the SuperNode's ``--node-config``
    names it: ``p2pl-relay="unix:/run/p2pl.sock"``. Give `P2PL` and `PeerApp` a GrpcRelay each.
    The ServerApp learns the relays' addresses, and sees no model.

    Parameters
    ----------
    daemon : str
        Where the relay daemon listens for ClientApps; left out, the node config says it.

    Raises
    ------
    ConfigError
        The daemon's address is not this machine's alone.
    """

    def __init__(self, daemon: str = "") -> None:
        if daemon:
            check_local("daemon", daemon)
        self._daemon = daemon

    def at(self, node_config: Mapping[str, Any]) -> Relay:
        """Return the relay as the ClientApps of one SuperNode see it."""
        named = str(node_config.get(NODE_CONFIG_KEY, ""))
        if self._daemon or not named:
            return self
        check_local(NODE_CONFIG_KEY, named)
        return GrpcRelay(named)

    def address(self) -> str:
        """Return where neighbors reach this SuperNode's relay."""
        self._check()
        with local_channel(self._daemon) as channel:
            return str(describe(channel, self._daemon)["address"])

    def mailbox(self, run: int, device: int) -> Mailbox:
        """Return the mailbox of a SuperNode's device, at its daemon."""
        self._check()
        return LocalMailbox(self._daemon, str(run), device)

    def _check(self) -> None:
        if not self._daemon:
            raise RelayError(
                "this SuperNode names no relay: run `p2pl-flower relay` beside it, and start it "
                f"with --node-config '{NODE_CONFIG_KEY}=\"unix:/path/of/relay.sock\"'"
            )
