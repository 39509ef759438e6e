"""Hosts of a small internet, as network namespaces of this machine: for root alone."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from types import TracebackType
from typing import Self

HUB = "hub"


def unavailable() -> str:
    """Return why there can be no such hosts here; "" if there can be."""
    if os.geteuid() != 0:
        return "takes root"
    for tool in ("ip", "nft"):
        if shutil.which(tool) is None:
            return f"takes {tool}"
    done = subprocess.run(["ip", "netns", "list"], capture_output=True, check=False)
    return "" if done.returncode == 0 else "takes network namespaces"


class Namespaces:
    """Hosts by name, each with nothing but its own loopback, for the time of a ``with``.

    Parameters
    ----------
    tag : str
        Begins the names of all namespaces, so that two sets of them do not meet.
    """

    def __init__(self, tag: str) -> None:
        self._tag = tag
        self._made: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name in self._made:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def command(self, host: str, command: Sequence[str]) -> list[str]:
        """Return the command that runs another one on a host."""
        return ["ip", "netns", "exec", self._name(host), *command]

    def _namespace(self, host: str) -> None:
        self._run(["ip", "netns", "add", self._name(host)])
        self._made.append(self._name(host))
        self._ip(host, "link set lo up")

    def _ip(self, host: str, arguments: str) -> None:
        self._run(["ip", "-n", self._name(host), *arguments.split()])

    def _name(self, host: str) -> str:
        return f"{self._tag}-{host}"

    @staticmethod
    def _run(command: Sequence[str]) -> None:
        subprocess.run(command, check=True, capture_output=True, timeout=30)


class Internet(Namespaces):
    """A hub with public hosts, and hosts behind NATs: they can dial out, and nobody can dial them.

    Parameters
    ----------
    tag : str
        As in `Namespaces`.
    """

    def __init__(self, tag: str) -> None:
        super().__init__(tag)
        self._links = 0
        self._public = 0

    def __enter__(self) -> Self:
        self._namespace(HUB)
        self._ip(HUB, "link add br0 type bridge")
        self._ip(HUB, "link set br0 up")
        return self

    def public(self, host: str) -> str:
        """Make a host that everybody can dial, and return its address."""
        self._public += 1
        address = f"10.77.0.{self._public}"
        self._namespace(host)
        end = self._to_hub(host)
        self._ip(host, f"addr add {address}/24 dev {end}")
        return address

    def behind_nats(self, host: str, nats: int = 1) -> None:
        """Make a host that can only dial out, through so many routers that hide it."""
        router = f"{host}-nat0"
        self.public(router)
        for number in range(nats):
            inner = host if number == nats - 1 else f"{host}-nat{number + 1}"
            self._namespace(inner)
            self._hide(router, inner, f"192.168.{number + 1}")
            router = inner

    def _hide(self, router: str, inner: str, network: str) -> None:
        outside, inside = self._link(router, inner)
        self._ip(router, f"addr add {network}.1/24 dev {outside}")
        self._ip(inner, f"addr add {network}.2/24 dev {inside}")
        self._ip(inner, f"route add default via {network}.1")
        rules = "add table ip n; add chain ip n p { type nat hook postrouting priority 100 ; };"
        rules += f"add rule ip n p oifname != {outside} masquerade;"
        rules += "add chain ip n f { type filter hook forward priority 0 ; policy drop ; };"
        rules += f"add rule ip n f iifname {outside} accept;"
        rules += "add rule ip n f ct state established,related accept"
        self._run(self.command(router, ["nft", rules]))
        self._run(self.command(router, ["sysctl", "-qw", "net.ipv4.ip_forward=1"]))

    def _to_hub(self, host: str) -> str:
        end, port = self._link(host, HUB)
        self._ip(HUB, f"link set {port} master br0")
        return end

    def _link(self, one: str, other: str) -> tuple[str, str]:
        self._links += 1
        ends = f"v{self._links}a", f"v{self._links}b"
        place = f"{ends[1]} netns {self._name(other)}"
        self._ip(one, f"link add {ends[0]} type veth peer name {place}")
        self._ip(one, f"link set {ends[0]} up")
        self._ip(other, f"link set {ends[1]} up")
        return ends
