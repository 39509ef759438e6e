"""Addresses of devices: ``host:port``, or ``dial-out`` for one that nobody can dial."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

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


def by_device(given: Mapping[Any, Any]) -> dict[int, str]:
    """Return addresses by device id, ascending.

    Raises
    ------
    ConfigError
        A line is no id and address, or two are of the same device.
    """
    for device, address in given.items():
        if not str(device).isdecimal() or not isinstance(address, str):
            rule = 'must be a line such as 3 = "192.168.1.20:9400"'
            raise ConfigError(f"neighbors.{device}", address, rule)
    twice = [d for d, count in Counter(map(int, given)).items() if count > 1]
    if twice:
        written = [key for key in given if int(key) == twice[0]]
        rule = f"is named more than once: {' and '.join(map(str, written))} are the same device"
        raise ConfigError(f"neighbors.{twice[0]}", [given[key] for key in written], rule)
    return {int(device): given[device] for device in sorted(given, key=int)}
