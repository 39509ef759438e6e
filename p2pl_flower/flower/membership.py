"""Who takes part: Flower's nodes as devices, and messages to and from them."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from importlib.metadata import version
from typing import Any

from flwr.app import ConfigRecord, Error, Message, Metadata, RecordDict
from flwr.serverapp import Grid

from ..errors import ConfigError, DeviceError
from . import failures, messages
from ._compat import CRASHED, UNREACHABLE, is_simulated
from .grids import PacedGrid, count_bytes
from .unsupported import REFUSED_MODS

log = logging.getLogger("flwr.p2pl")

SETTLED_SECONDS = 10.0
"""How long no node must have come before their number is taken to be K."""

_POLL_SECONDS = 0.2
_RETURN_SECONDS = 30.0
_BATCHES_KNOWN = 8
_OR_LEFT_OUT = (
    " (or a strategy of the project's leaves its reply out, whose error is then not known here)"
)


class Membership:
    """The devices of a run, by id.

    Parameters
    ----------
    grid : Grid
        The way to the nodes.
    timeout : float
        Seconds to wait for replies.

    Attributes
    ----------
    server_bytes : int
        Bytes of all records in messages to devices and in their replies.
    bereft : set[int]
        Devices whose relays are gone or have begun anew, and that may have lost their models.
    """

    def __init__(self, grid: Grid, timeout: float) -> None:
        self._grid, self._timeout = grid, timeout
        self._node_of: dict[int, int] = {}
        self._device_of: dict[int, int] = {}
        self._strangers: set[int] = set()
        self._sent: deque[list[Metadata]] = deque(maxlen=_BATCHES_KNOWN)
        self.server_bytes = 0
        self.bereft: set[int] = set()

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
        nodes = self._wait(num_devices or least, num_devices is not None, patience)
        self._assign(dict(enumerate(nodes)))
        replies = self.exchange(messages.JOIN, dict.fromkeys(self.devices, _invitation()))
        missing = sorted(set(self.devices) - set(replies))
        if missing:
            raise DeviceError(f"{len(missing)} of {len(nodes)} nodes did not answer the invitation")
        said = {nodes[i]: reply for i, reply in replies.items()}
        self._assign(_device_ids(said, num_devices))
        log.info("Devices: %d", len(self._node_of))
        self._strangers = set(nodes) - set(self._device_of)
        return {d: said[self._node_of[d]].config_records[messages.RECORD] for d in self.devices}

    def device_at(self, node: int) -> int:
        """Return the device whose node it is."""
        return self._device_of[node]

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
        self.server_bytes += sum(map(count_bytes, contents.values()))
        made = [
            Message(content, self._node_of[device], kind, group_id=str(round_number))
            for device, content in contents.items()
        ]
        self._sent.append([message.metadata for message in made])
        return made

    def take_back(self, messages: Iterable[Message]) -> set[int]:
        """Return the devices of messages that were made, and are not sent after all."""
        listed = list(messages)
        self.server_bytes -= sum(count_bytes(message.content) for message in listed)
        return {self._device_of[message.metadata.dst_node_id] for message in listed}

    def sort(
        self,
        kind: str,
        asked: Collection[int],
        replies: Iterable[Message],
        on_failure: str = failures.RAISE,
        needed: bool = True,
    ) -> dict[int, RecordDict]:
        """Return the replies' contents in order of device ids; warnings name the others.

        Parameters
        ----------
        kind : str
            Type of the messages that were sent.
        asked : Collection[int]
            The devices that they were sent to.
        replies : Iterable[Message]
            What came back.
        on_failure : str
            ``skip`` takes a device whose own function failed for one that is silent.
        needed : bool
            Whether one of them at least must have answered.

        Raises
        ------
        DeviceError
            A device failed, or none of the devices answered.
        """
        arrived: dict[int, RecordDict] = {}
        failed: dict[int, DeviceError] = {}
        for reply in replies:
            device = self._sender_of(reply)
            if device is None:
                continue  # one that has been replaced since
            if not reply.has_error():
                arrived[device] = reply.content
                self.server_bytes += count_bytes(reply.content)
            elif reply.error.code not in UNREACHABLE:
                failed[device] = self._failure(kind, device, reply.error, on_failure)
        if needed and failed and not arrived:
            raise failed[min(failed)]
        self._tell_of_others(kind, asked, arrived, failed, needed)
        return dict(sorted(arrived.items()))

    def online(self) -> list[int]:
        """Return the devices whose nodes are connected now."""
        nodes = set(self._grid.get_node_ids())
        return [device for device in self.devices if self._node_of[device] in nodes]

    def readmit(self, silent: Collection[int]) -> dict[int, ConfigRecord]:
        """Take back devices whose nodes have come again, under new ids.

        Parameters
        ----------
        silent : Collection[int]
            Devices that have not answered of late.

        Returns
        -------
        dict[int, ConfigRecord]
            What those that are back say of themselves.
        """
        nodes = set(self._grid.get_node_ids())
        late = sorted(nodes - set(self._device_of) - self._strangers)
        if not late:
            return {}
        missing = {d for d, node in self._node_of.items() if node not in nodes or d in silent}
        back: dict[int, ConfigRecord] = {}
        for node, said in (self._invite(late) if missing else {}).items():
            device = _partition(said)
            if device in missing:
                missing.remove(device)
                self.bereft.add(device)
                back[device] = said.config_records[messages.RECORD]
                self._assign({**self._node_of, device: node})
                log.info("device %d is back", device)
        if left := set(late) - set(self._device_of):
            self._strangers |= left
            log.warning(
                "%d node(s) connected after the start and take no part: give num_devices, and "
                "P2PL waits for all",
                len(left),
            )
        return back

    def _invite(self, nodes: Iterable[int]) -> dict[int, RecordDict]:
        """Ask nodes to join, and return what they say; those that fail to are left out."""
        invitations = [Message(_invitation(), node, messages.JOIN) for node in nodes]
        seconds = min(self._timeout, _RETURN_SECONDS)
        replies = list(self._grid.send_and_receive(invitations, timeout=seconds))
        return {r.metadata.src_node_id: r.content for r in replies if not r.has_error()}

    def _sender_of(self, reply: Message) -> int | None:
        """Return whose reply it is: the SuperLink's own error replies carry its node id."""
        asked = reply.metadata.reply_to_message_id
        sent = (m for batch in self._sent for m in batch)
        node = next((m.dst_node_id for m in sent if m.message_id == asked), None)
        return self._device_of.get(reply.metadata.src_node_id if node is None else node)

    def _failure(self, kind: str, device: int, error: Error, on_failure: str) -> DeviceError:
        """Return what a device's error says, or raise it if it is to end the run."""
        reason = error.reason or ""
        failure = failures.failure(device, kind, reason)
        if failures.is_absence(reason) and kind != messages.JOIN:
            self.bereft.add(device)
            return failure
        own = failures.is_the_functions(reason) or error.code in CRASHED
        if on_failure == failures.RAISE or not own:
            raise failure
        return failure

    def _tell_of_others(
        self,
        kind: str,
        asked: Collection[int],
        arrived: Collection[int],
        failed: Mapping[int, DeviceError],
        needed: bool,
    ) -> None:
        for _, error in sorted(failed.items()):
            log.warning("%s; it sits out the round, and the others go on", error)
        silent = sorted(set(asked) - set(arrived) - set(failed))
        if silent and not arrived and needed:
            raise DeviceError(f"no device answered {kind} within {self._timeout:g} s{_OR_LEFT_OUT}")
        if silent:
            text = "%s: no answer from device(s) %s%s; they sit out the round, and the others go on"
            log.warning(text, kind, silent, _OR_LEFT_OUT)

    def _assign(self, node_of: Mapping[int, int]) -> None:
        self._node_of = dict(sorted(node_of.items()))
        self._device_of = {node: device for device, node in node_of.items()}

    def _wait(self, wanted: int, known: bool, patience: float) -> list[int]:
        """Wait for so many nodes and, where it is not known that these are all, until no more come.

        Nodes of a simulation are there from its start.
        """
        at_once = known or isinstance(self._grid, PacedGrid) or is_simulated(self._grid)
        settled = 0.0 if at_once else SETTLED_SECONDS
        begun = changed = time.monotonic()
        nodes: list[int] = []
        while True:
            now, before = time.monotonic(), len(nodes)
            nodes = sorted(self._grid.get_node_ids())
            changed = now if len(nodes) != before else changed
            if len(nodes) >= wanted and (now - changed >= settled or now - begun >= patience):
                return nodes
            if now - begun >= patience:
                raise ConfigError(
                    "num-devices" if known else "min-available-nodes",
                    wanted,
                    f"must be at most the number of SuperNodes, and {len(nodes)} are connected "
                    f"after {patience:g} s; start more SuperNodes or ask for fewer devices",
                )
            time.sleep(min(_POLL_SECONDS, patience))


def _invitation() -> RecordDict:
    return RecordDict({messages.RECORD: ConfigRecord({messages.HELLO: 1})})


def refuse_mods(said: Mapping[int, ConfigRecord]) -> None:
    """Refuse devices with mods that need a server which aggregates."""
    for reply in said.values():
        if name := str(reply.get(messages.REFUSED_MOD, "")):
            raise ConfigError("mods", name, REFUSED_MODS[name])


def all_evaluate(said: Mapping[int, ConfigRecord]) -> bool:
    """Return whether all devices can evaluate; warn where they cannot."""
    evaluates = all(bool(reply[messages.EVALUATES]) for reply in said.values())
    if not evaluates:
        log.warning("the PeerApp has no @app.evaluate(): models are not scored on devices")
    return evaluates


def warn_of_versions(said: Mapping[int, ConfigRecord]) -> None:
    """Warn where devices run another version of this package."""
    versions = {str(reply[messages.VERSION]) for reply in said.values()} | {version("p2pl-flower")}
    if len(versions) > 1:
        log.warning("devices and strategy run different versions of p2pl-flower: %s", versions)


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
    value: Any = reply.config_records[messages.RECORD][messages.PARTITION]
    return int(value)
