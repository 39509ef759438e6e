"""Addresses of devices: ``host:port``, or ``dial-out`` for one that nobody can dial."""

from __future__ import annotations

from ..errors import ConfigError
from ..relay.tunnel import DIAL_OUT


def is_address(text: str, least_port: int = 1) -> bool:
    """Tell whether a text is an address."""
    host, _, port = text.rpartition(":")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        return False  # an IPv6 address without brackets, whose end may be no port
    is_port = port.isascii() and port.isdecimal() and len(port) <= 5
    return text == DIAL_OUT or (bool(host) and is_port and least_port <= int(port) < 65536)


def check_address(key: str, address: str, least_port: int = 1, may_dial_out: bool = True) -> None:
    """Refuse what is no address.

    Raises
    ------
    ConfigError
        Names the key and the rule.
    """
    if not is_address(address, least_port) or (address == DIAL_OUT and not may_dial_out):
        rule = f"must be host:port, with a port from {least_port} to 65535"
        rule += (
            ", and an IPv6 host in brackets: [2001:db8::1]:9400" if address.count(":") > 1 else ""
        )
        raise ConfigError(key, address, rule + (", or dial-out" if may_dial_out else ""))


def is_everywhere(address: str) -> bool:
    """Tell whether an address stands for all of a machine's own, which tells others nothing."""
    return address.rpartition(":")[0] in ("0.0.0.0", "[::]")  # noqa: S104
