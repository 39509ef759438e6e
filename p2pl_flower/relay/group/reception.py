"""How somebody who has an invitation and nothing else gets a certificate, over the network.

The one who lets in shows the authority's certificate. The one who comes compares it with its
invitation, and only then, over TLS with a certificate of that authority at the other end, shows
the invitation and a signing request for a key that never leaves it.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import ConfigError
from ..grpc.credentials import Credentials
from ..tunnel.control import ControlStream
from ..tunnel.identity import HANDSHAKE_SECONDS, open_context
from .authority import Admission, Authority, NotAdmittedError
from .invitation import Invitation

log = logging.getLogger("flwr.p2pl")

JOIN = b"P2PL-JOIN 1\n"
LONGEST_LINE = 1 << 18
ANSWER_SECONDS = 30.0

Welcome = Callable[[Admission, str], Mapping[str, Any]]
"""Says what somebody who was let in, and its address, is to know of the group."""


class Reception:
    """Lets devices in.

    Parameters
    ----------
    authority : Authority
        Decides, and signs.
    credentials : Credentials
        Whose certificate is shown: one of the authority's.
    welcome : Callable
        Says what those who were let in are to know.
    """

    def __init__(self, authority: Authority, credentials: Credentials, welcome: Welcome) -> None:
        self._authority, self._welcome = authority, welcome
        self._context = open_context(credentials)

    def receive(self, plain: socket.socket) -> None:
        """Serve a connection that has said `JOIN`.

        Raises
        ------
        OSError
            The other end does not keep to what is expected.
        """
        plain.settimeout(HANDSHAKE_SECONDS)
        stream = ControlStream(self._context.wrap_socket(plain, server_side=True), LONGEST_LINE)
        try:
            stream.say({"authority": self._authority.pem})
            stream.say(self._answer(stream.hear(ANSWER_SECONDS) or {}))
            stream.hear(ANSWER_SECONDS)  # until the other end has read it, and closes
        finally:
            stream.close()

    def _answer(self, said: Mapping[str, Any]) -> dict[str, Any]:
        fields = {key: str(said.get(key, "")) for key in ("invitation", "request", "name")}
        address = str(said.get("address", ""))[:300]
        try:
            invitation = Invitation.read(fields["invitation"])
            request = fields["request"].encode("ascii", "replace")
            admitted = self._authority.admit(invitation, request, fields["name"])
        except (NotAdmittedError, ConfigError) as error:
            log.warning("somebody was not let in: %s", error)
            return {"refused": str(error)}
        log.info("device %d joins, called %s", admitted.device, admitted.name)
        told = self._welcome(admitted, address)
        return {
            "device": admitted.device,
            "name": admitted.name,
            "certificate": admitted.certificate,
            "group": dict(told),
        }
