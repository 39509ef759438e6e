"""Devices of one group find each other on a local network, by multicast DNS (RFC 6762, 6763)."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from cryptography import x509

from ..errors import ConfigError
from ..relay.group.signing import digest
from ..relay.tunnel import DIAL_OUT
from .addresses import is_address, is_everywhere
from .settings import Settings

KIND = "_p2pl-flower._tcp.local."
FIRST_SECONDS = 3.0
"""How long device 0 looks for others: it is the first of its group, unless it comes back."""

_MOST = 1000  # entries that are kept: anybody on the network may make them up
_MOST_TEXT = 255
_INSTALL = "needs zeroconf: pip install 'p2pl-flower[discover]'"


@dataclass(frozen=True)
class Found:
    """A device that says on the local network where it is: whether it is so, TLS will show.

    Attributes
    ----------
    device : int
        Its id.
    address : str
        ``host:port``.
    admits : bool
        Whether it lets in who comes with an invitation.
    """

    device: int
    address: str
    admits: bool = False


class Discovery:
    """What the devices of one group's run say on the local network.

    Parameters
    ----------
    group : str
        Digest of the authority's certificate.
    run : str
        Name of the run; "" for any.
    interface : str
        Address of the one interface to use; "" for all.

    Raises
    ------
    ConfigError
        zeroconf is not installed, or the network has no multicast.
    """

    def __init__(self, group: str, run: str = "", interface: str = "") -> None:
        self._group, self._run = group, run
        self._lock, self._changed = threading.Lock(), threading.Event()
        self._found: dict[str, Found] = {}
        try:
            self._library = import_module("zeroconf")
        except ImportError:
            raise ConfigError("discover", interface, _INSTALL) from None
        try:
            used = {"interfaces": [interface]} if interface else {}
            self._net = self._library.Zeroconf(**used)
        except OSError as error:
            rule = f"cannot be used for multicast: {error.strerror or error}"
            raise ConfigError("discover", interface, rule) from None
        self._browser = self._library.ServiceBrowser(self._net, KIND, listener=self)

    def close(self) -> None:
        """Say that the device goes, and listen no more."""
        self._net.close()

    def announce(self, own: Found) -> None:
        """Say where this device is, until `close`."""
        host, _, port = own.address.rpartition(":")
        said = {"group": self._group, "run": self._run, "device": str(own.device)}
        said |= {"address": own.address, "admits": str(int(own.admits))}
        name = f"{self._group[:16]}-{own.device}.{KIND}"
        info = self._library.ServiceInfo(
            KIND,
            name,
            port=int(port),
            properties=said,
            addresses=_packed(host.strip("[]")),
            server=f"p2pl-{self._group[:16]}-{own.device}.local.",
        )
        self._net.register_service(info, allow_name_change=True)

    def found(self) -> dict[int, Found]:
        """Return who has said where it is, by device."""
        with self._lock:
            return {entry.device: entry for entry in self._found.values()}

    def wait(self, enough: Callable[[Mapping[int, Found]], bool], seconds: float) -> bool:
        """Wait until who was found is enough, some seconds at most; tell whether it is."""
        end = time.monotonic() + seconds
        while not enough(self.found()):
            if not self._changed.wait(max(0.0, end - time.monotonic())):
                return False
            self._changed.clear()
        return True

    def add_service(self, net: Any, kind: str, name: str) -> None:
        """Hear of a device; zeroconf calls this in a thread of its own."""
        info = net.get_service_info(kind, name)
        entry = None if info is None else self._read(info.decoded_properties)
        with self._lock:
            if entry is None or len(self._found) >= _MOST:
                self._found.pop(name, None)
            else:
                self._found[name] = entry
        self._changed.set()

    update_service = add_service

    def remove_service(self, net: Any, kind: str, name: str) -> None:
        """Hear that a device has gone."""
        with self._lock:
            self._found.pop(name, None)
        self._changed.set()

    def _read(self, said: Mapping[str, str | None]) -> Found | None:
        """Return the device that an entry is about; None for another group's, or nonsense."""
        device, address = said.get("device") or "", said.get("address") or ""
        if said.get("group") != self._group or self._run not in ("", said.get("run")):
            return None
        if not (device.isascii() and device.isdecimal() and len(device) <= 15):
            return None
        if len(address) > _MOST_TEXT or not is_address(address) or address == DIAL_OUT:
            return None
        return Found(int(device), address, said.get("admits") == "1")


@contextlib.contextmanager
def on_network(settings: Settings, interface: str) -> Iterator[Settings]:
    """Say where a device is while the block runs, and give settings with those it has found.

    A device waits up to ``start`` seconds for one with a lower id, which was there before it.

    Raises
    ------
    ConfigError
        The settings let no devices join, or name no address that others can be told.
    """
    _check(settings, interface)
    certificate = Path(settings.certificates, "ca.pem").read_bytes()
    group = digest(x509.load_pem_x509_certificate(certificate))
    own = settings.device
    with contextlib.closing(Discovery(group, settings.run, interface)) as discovery:
        if settings.listen != DIAL_OUT:
            address = settings.address or settings.listen
            discovery.announce(Found(own, address, bool(settings.authority)))
        seconds = settings.start if own else min(FIRST_SECONDS, settings.start)
        discovery.wait(lambda found: any(j != own and (not own or j < own) for j in found), seconds)
        others = {j: entry.address for j, entry in discovery.found().items() if j != own}
        yield replace(settings, neighbors={**others, **settings.neighbors})


def find_admitting(group: str, interface: str, seconds: float) -> str:
    """Return the address of a device that lets others into a group; "" if none is heard of."""
    with contextlib.closing(Discovery(group, interface=interface)) as discovery:
        discovery.wait(lambda found: any(entry.admits for entry in found.values()), seconds)
        admitting = [entry.address for entry in discovery.found().values() if entry.admits]
    return min(admitting, default="")


def _check(settings: Settings, interface: str) -> None:
    if not settings.joining.links or not settings.certificates:
        rule = "is for devices that join: it takes joining.links above 0, and certificates"
        raise ConfigError("discover", interface, rule)
    address = settings.address or settings.listen
    if address != DIAL_OUT and (is_everywhere(address) or address.endswith(":0")):
        rule = "must say host:port as others reach this device, for them to find it"
        raise ConfigError("address", address, rule)


def _packed(host: str) -> list[bytes]:
    """Return a host's addresses, of which an entry must have one."""
    try:
        return [ipaddress.ip_address(host).packed]
    except ValueError:
        return sorted({socket.inet_aton(str(i[4][0])) for i in socket.getaddrinfo(host, None, 2)})
