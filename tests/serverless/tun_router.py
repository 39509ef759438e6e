"""Hosts whose every packet goes through this process, which delays, slows, loses or cuts links.

For kernels without netem. Each host is a network namespace with one TUN device; what it sends is
read here, and written to the device of the host that it is for, as the link between the two says.
"""

from __future__ import annotations

import fcntl
import heapq
import ipaddress
import math
import os
import random
import selectors
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import namespaces

TUN = Path("/dev/net/tun")
NETWORK = ipaddress.ip_network("10.78.0.0/16")
_SET_INTERFACE, _TUN_ALONE = 0x400454CA, 0x1001  # TUNSETIFF; IFF_TUN | IFF_NO_PI
_LARGEST = 1 << 16
_AT_ONCE = 64  # packets of one host before the next one's are looked at


def unavailable() -> str:
    """Return why there can be no such hosts here; "" if there can be."""
    if reason := namespaces.unavailable():
        return reason
    return "" if os.access(TUN, os.R_OK | os.W_OK) else f"takes {TUN}"


@dataclass(frozen=True)
class Link:
    """What becomes of packets on their way from one host to another.

    Parameters
    ----------
    delay : float
        Seconds from the sender's end to the receiver's, beside the time that sending takes.
    rate : float
        Bytes a second, headers included.
    loss : float
        The share of packets that get lost, each on its own.
    cut : bool
        Nothing gets through.
    queue : float
        Seconds of sending that may be waiting; a packet that comes then is dropped.
    """

    delay: float = 0.0
    rate: float = math.inf
    loss: float = 0.0
    cut: bool = False
    queue: float = 0.5


class TunRouter(namespaces.Namespaces):
    """Hosts that reach each other through links which can be changed at any time.

    Parameters
    ----------
    tag : str
        Begins the names of all namespaces and devices: at most 8 characters.
    mtu : int
        The largest packet, in bytes.
    seed : int
        Of what is lost.

    Attributes
    ----------
    counts : Counter[str]
        Packets that were ``passed``, ``lost``, ``cut`` or ``dropped`` by a full queue.
    bytes : Counter[tuple[str, str]]
        Bytes that were passed, by sender and receiver.
    """

    def __init__(self, tag: str, mtu: int = 1500, seed: int = 0) -> None:
        super().__init__(tag)
        self._mtu, self._draw = mtu, random.Random(seed)
        self._devices: dict[int, str] = {}
        self._hosts: dict[str, int] = {}
        self._places: dict[bytes, str] = {}
        self._links: dict[tuple[str, str], Link] = {}
        self._free_at: dict[tuple[str, str], float] = {}
        self._under_way: list[tuple[float, int, int, bytes]] = []
        self._number = 0
        self.counts: Counter[str] = Counter()
        self.bytes: Counter[tuple[str, str]] = Counter()
        self._over, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._route, name="tun-router", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.write(self._wake, b"e")
        self._thread.join()
        for descriptor in (*self._devices, self._over, self._wake):
            os.close(descriptor)
        super().__exit__(kind, error, trace)

    def host(self, name: str) -> str:
        """Make a host, and return its address."""
        number = len(self._hosts) + 1
        address, device = NETWORK[number], f"{self._tag}t{number}"
        descriptor = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(descriptor, _SET_INTERFACE, struct.pack("16sH22x", device.encode(), _TUN_ALONE))
        self._namespace(name)
        self._run(["ip", "link", "set", device, "netns", self._name(name)])
        self._ip(name, f"addr add {address}/{NETWORK.prefixlen} dev {device}")
        self._ip(name, f"link set {device} mtu {self._mtu} up")
        self._places[address.packed] = name
        self._hosts[name] = descriptor
        self._devices = {**self._devices, descriptor: name}
        os.write(self._wake, b"n")
        return str(address)

    def link(self, one: str, other: str, link: Link) -> None:
        """Set what becomes of packets between two hosts, either way."""
        self.one_way(one, other, link)
        self.one_way(other, one, link)

    def one_way(self, sender: str, receiver: str, link: Link) -> None:
        """Set what becomes of packets from one host to another; those under way arrive."""
        self._links[sender, receiver] = link

    def _route(self) -> None:
        with selectors.DefaultSelector() as selector:  # `select` takes no descriptor over 1,023
            selector.register(self._over, selectors.EVENT_READ)
            while True:
                for descriptor in self._devices.keys() - selector.get_map().keys():
                    selector.register(descriptor, selectors.EVENT_READ)
                soon = self._under_way[0][0] - time.monotonic() if self._under_way else None
                found = selector.select(None if soon is None else max(0.0, soon))
                ready = [key.fd for key, _ in found]
                if self._over in ready and os.read(self._over, 1) == b"e":
                    return
                for descriptor in ready:
                    if descriptor != self._over:
                        self._take(descriptor)
                self._deliver()

    def _take(self, descriptor: int) -> None:
        for _ in range(_AT_ONCE):
            try:
                packet = os.read(descriptor, _LARGEST)
            except BlockingIOError:
                return
            except OSError:  # the device is down, or not up yet
                return
            receiver = self._places.get(packet[16:20]) if packet[0] >> 4 == 4 else None
            if receiver is not None:
                self._send(self._devices[descriptor], receiver, packet)

    def _send(self, sender: str, receiver: str, packet: bytes) -> None:
        way, now = (sender, receiver), time.monotonic()
        link = self._links.get(way, Link())
        begins = max(now, self._free_at.get(way, 0.0))
        if link.cut or self._draw.random() < link.loss or begins - now > link.queue:
            full = not link.cut and begins - now > link.queue
            self.counts["cut" if link.cut else "dropped" if full else "lost"] += 1
            return
        ends = begins + len(packet) / link.rate
        self._free_at[way] = ends
        self._number += 1
        self.counts["passed"] += 1
        self.bytes[way] += len(packet)
        due = ends + link.delay, self._number, self._hosts[receiver], packet
        heapq.heappush(self._under_way, due)

    def _deliver(self) -> None:
        now = time.monotonic()
        while self._under_way and self._under_way[0][0] <= now:
            _, _, descriptor, packet = heapq.heappop(self._under_way)
            try:
                os.write(descriptor, packet)
            except OSError:  # the receiver's device is gone or full: as on any network
                self.counts["dropped"] += 1
