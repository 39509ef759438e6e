"""Who takes part: Flower's nodes as devices, and messages to and from them."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid

from ..errors import ConfigError, DeviceError
from . import messages
from ._compat import UNREACHABLE

log = logging.getLogger("flwr.p2pl")

_POLL_SECONDS = 0.2
_NOT_A_PEER = re.compile(r"No \w+ function registered with name '?p2pl|p2pl_join")


class Membership:
    """The devices of a run, by id.

    Parameters
    ----------
    grid : Grid
        The way to the nodes.
    timeout : float
        Seconds to wait for replies.
    """

    def __init__(self, grid: Grid, timeout: float) -> None:
        self._grid, self._timeout = grid, timeout
        self._node_of: dict[int, int] = {}
        self._device_of: dict[int, int] = {}

    @property
    def devices(self) -> list[int]:
        """Ids of all devices, in ascending order."""
        return sorted(self._node_of)

    def gather(
        self, num_devices: int | None, least: int, patience: float
    ) -> dict[int, ConfigRecord]:
        """Wait for the nodes, ask them to join, and return what they said, by device id.

        Raises
        ------
        ConfigError
            Fewer nodes than devices within ``patience`` seconds.
        DeviceError
            A node that is not a PeerApp, or does not answer.
        """
        nodes = self._wait(num_devices or least, patience)
        self._assign(dict(enumerate(nodes)))
        empty = RecordDict({messages.RECORD: ConfigRecord({"hello": 1})})
        replies = self.exchange(messages.JOIN, dict.fromkeys(self.devices, empty))
        missing = sorted(set(self.devices) - set(replies))
        if missing:
            raise DeviceError(f"{len(missing)} of {len(nodes)} nodes did not answer the invitation")
        said = {nodes[i]: reply for i, reply in replies.items()}
        self._assign(_device_ids(said, num_devices))
        return {d: said[self._node_of[d]].config_records[messages.RECORD] for d in self.devices}

    def exchange(
        self, kind: str, contents: Mapping[int, RecordDict], round_number: int = 0
    ) -> dict[int, RecordDict]:
        """Send each device its message and return the replies' contents by device id."""
        replies = self.send(self.messages(kind, contents, round_number))
        return self.sort(kind, contents, replies)

    def send(self, messages: Iterable[Message]) -> Iterable[Message]:
        """Send messages and wait for the replies."""
        return self._grid.send_and_receive(messages, timeout=self._timeout)

    def messages(
        self, kind: str, contents: Mapping[int, RecordDict], round_number: int
    ) -> list[Message]:
        """Return one message for each device."""
        return [
            Message(content, self._node_of[device], kind, group_id=str(round_number))
            for device, content in contents.items()
        ]

    def sort(
        self, kind: str, asked: Collection[int], replies: Iterable[Message]
    ) -> dict[int, RecordDict]:
        """Return the replies' contents in order of device ids; a warning names the silent.

        Raises
        ------
        DeviceError
            A device's own code failed, or none of the devices answered.
        """
        arrived: dict[int, RecordDict] = {}
        for reply in replies:
            device = self._device_of[reply.metadata.src_node_id]
            if not reply.has_error():
                arrived[device] = reply.content
            elif reply.error.code not in UNREACHABLE:
                raise _failure(device, kind, reply.error.reason or "")
        silent = sorted(set(asked) - set(arrived))
        if silent and not arrived:
            raise DeviceError(f"no device answered {kind} within {self._timeout:g} s")
        if silent:
            log.warning("%s: no answer from device(s) %s; the others go on", kind, silent)
        return dict(sorted(arrived.items()))

    def online(self) -> list[int]:
        """Return the devices whose nodes are connected now."""
        nodes = set(self._grid.get_node_ids())
        return [device for device in self.devices if self._node_of[device] in nodes]

    def _assign(self, node_of: Mapping[int, int]) -> None:
        self._node_of = dict(sorted(node_of.items()))
        self._device_of = {node: device for device, node in node_of.items()}

    def _wait(self, wanted: int, patience: float) -> list[int]:
        end = time.monotonic() + patience
        while len(nodes := sorted(self._grid.get_node_ids())) < wanted:
            if time.monotonic() >= end:
                raise ConfigError(
                    "num-devices",
                    wanted,
                    f"must be at most the number of SuperNodes, and {len(nodes)} are connected "
                    f"after {patience:g} s; start more SuperNodes or ask for fewer devices",
                )
            time.sleep(_POLL_SECONDS)
        return nodes


def _device_ids(said: Mapping[int, RecordDict], num_devices: int | None) -> dict[int, int]:
    """Give each node its partition id as device id or, without any, its rank among nodes."""
    partitions = {n: _partition(reply) for n, reply in said.items()}
    if all(p < 0 for p in partitions.values()):
        partitions = {node: rank for rank, node in enumerate(sorted(said))}
    wanted = range(len(said) if num_devices is None else num_devices)
    node_of = {partition: node for node, partition in sorted(partitions.items(), reverse=True)}
    if len(node_of) < len(partitions) or not set(wanted) <= set(node_of):
        raise ConfigError(
            "partition-id",
            sorted(partitions.values()),
            f"every node needs its own, and 0 to {len(wanted) - 1} must be among them",
        )
    return {device: node_of[device] for device in wanted}


def _partition(reply: RecordDict) -> int:
    value: Any = reply.config_records[messages.RECORD]["partition-id"]
    return int(value)


def _failure(device: int, kind: str, reason: str) -> DeviceError:
    if kind == messages.JOIN and _NOT_A_PEER.search(reason):
        return DeviceError(
            "the ClientApp cannot train peer to peer: replace `ClientApp(` by `PeerApp(` "
            "(from p2pl_flower import PeerApp)"
        )
    return DeviceError(f"device {device} failed at {kind}: {_last_line(reason)}")


def _last_line(reason: str) -> str:
    """Return the user's own error out of the wrapping that Flower and Ray put around it."""
    lines = [line.strip() for line in reason.replace("\\n", "\n").splitlines() if line.strip()]
    last = lines[-1] if lines else "no reason was given"
    return re.sub(r"""['">\s]+$""", "", last.rpartition("Message: ")[2])
