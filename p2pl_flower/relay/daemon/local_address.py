"""Where a daemon is reached from its own machine: by nobody else, since nothing is encrypted."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import threading

import grpc

from ...errors import ConfigError

_UNIX = "unix:"
_OWNER_ALONE = 0o177  # what is taken from the mode of a socket's file
_MASKING = threading.Lock()  # the mask is the whole process's
_PROBE_SECONDS = 2.0


def check_local(argument: str, address: str) -> None:
    """Refuse an address that other machines may reach, or other users of this one unnoticed.

    Parameters
    ----------
    argument : str
        What the user calls it.
    address : str
        ``unix:PATH``, or ``HOST:PORT`` with a host of this machine alone.

    Raises
    ------
    ConfigError
        It is neither.
    """
    if _path(address) or _is_loopback(address):
        return
    rule = (
        "must be unix:PATH or the loopback of this machine (127.0.0.1:PORT, [::1]:PORT or "
        "localhost:PORT): models, private arrays included, pass here without encryption; "
        "neighbors' relays have an address of their own (--listen)"
    )
    raise ConfigError(argument, address, rule)


def listen(server: grpc.Server, argument: str, address: str) -> str:
    """Let a server listen at a local address; return it, with the port that it got.

    The file of a unix socket has its mode from the beginning: only this user can open it. One
    that a daemon left behind which is no longer there is replaced.

    Raises
    ------
    ConfigError
        The address is not local, or in use, or cannot be listened at.
    """
    check_local(argument, address)
    path = _path(address)
    if path and _answers(path):
        rule = "is in use: a relay is running there; stop it, or choose another file"
        raise ConfigError(argument, address, rule)
    with _MASKING:
        mask = os.umask(_OWNER_ALONE)
        try:
            bound = server.add_insecure_port(address)
        except RuntimeError:
            bound = 0
        finally:
            os.umask(mask)
    if not bound:
        rule = "cannot be listened at: the port is in use, or the socket's file cannot be made"
        raise ConfigError(argument, address, rule)
    return address if path else f"{address.rpartition(':')[0]}:{bound}"


def _path(address: str) -> str:
    """Return the path of a unix socket; empty where an address names none."""
    if not address.startswith(_UNIX):
        return ""
    path = address.removeprefix(_UNIX)
    if path.startswith("//"):  # then gRPC wants an absolute one after it
        path = path[2:] if path.startswith("///") else ""
    return path


def _is_loopback(address: str) -> bool:
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        return False
    if host == "localhost":
        with contextlib.suppress(OSError):
            found = [entry[4][0] for entry in socket.getaddrinfo(host, None)]
            return all(ipaddress.ip_address(ip).is_loopback for ip in found)
        return False
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        ip = ipaddress.ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        return False
    return ip.is_loopback and bracketed == (ip.version == 6)


def _answers(path: str) -> bool:
    """Return whether somebody listens at a unix socket; gRPC would take the file from under it."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_PROBE_SECONDS)
        try:
            probe.connect(path)
        except (TimeoutError, BlockingIOError):  # it is there, and busy
            return True
        except OSError:
            return False
    return True
