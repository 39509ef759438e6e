"""A ClientApp's access to the relay daemon that stands beside its SuperNode."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

import grpc

from ...errors import RelayError, UnavailableError
from ...named_arrays import Model
from ..grpc import protocol
from ..grpc.own_publications import StoredPublication
from ..grpc.protocol import RefusedError
from ..mailbox import Collected, Mailbox, Slot
from ..parts import split
from ..spool import Spool
from .framing import (
    COLLECT,
    DESCRIBE,
    MEET,
    PUBLISH,
    RECALL,
    REFUSE,
    place,
    receive,
    send,
    slot_in,
)

T = TypeVar("T")

_CALL_SECONDS = 3600.0


class LocalMailbox(Mailbox):
    """A device's mailbox at its daemon, for a ClientApp.

    Parameters
    ----------
    address : str
        Where the daemon listens for ClientApps.
    run : str
        Key of the run.
    device : int
        The device.

    Raises
    ------
    RelayError
        No daemon is there, or it is another device's.
    """

    def __init__(self, address: str, run: str, device: int) -> None:
        super().__init__(device)
        self._address, self._run, self._spool = address, run, Spool()
        self._channel = _channel(address)
        said = describe(self._channel, address)
        if said["device"] != device:
            raise RelayError(
                f"the relay at {address} is that of device {said['device']}, but this SuperNode "
                f"is device {device} (its partition-id): `p2pl-flower relay --device {device}`"
            )

    def meet(self, neighbors: Mapping[int, str]) -> None:
        """Tell the daemon who the neighbors are, and where."""
        missing = [j for j, address in neighbors.items() if not address]
        if missing:
            raise RelayError(f"no relay address is known of devices {missing}")
        listed = {str(j): address for j, address in neighbors.items()}
        self._ask(MEET, {"run": self._run, "neighbors": listed})

    def refuse(self, sender: int, error: Exception) -> None:
        """Let the daemon count it."""
        self._ask(REFUSE, {"run": self._run, "sender": sender, "reason": str(error)})

    def publish(self, slot: Slot, model: Model, private: Collection[str] = ()) -> None:
        """Hand a model to the daemon, which keeps it."""
        public, rest = split(model, private)
        messages = send({**place(slot), "run": self._run}, public, rest)
        call = self._channel.stream_unary(PUBLISH)
        self._calling(lambda: call(messages, timeout=_CALL_SECONDS))

    def recall(self, channel: str, newest: int | None = None) -> list[tuple[Slot, Model]]:
        """Return the own publications, newest first; the daemon sends no more than asked for."""
        request = {"run": self._run, "channel": channel, "newest": newest}
        return [(slot_in(fields), model) for fields, model in self._stream(RECALL, request)]

    def collect(
        self, senders: Collection[int], slot: Slot, deadline: float | None = None
    ) -> dict[int, Model]:
        """Let the daemon fetch from the neighbors; it waits as its own policy says."""
        request = {**place(slot), "run": self._run}
        request |= {"senders": list(senders), "deadline": deadline}
        found = self._stream(COLLECT, request)
        ages = {int(fields["sender"]): int(fields.get("age", 0)) for fields, _ in found}
        models = {int(fields["sender"]): model for fields, model in found}
        return Collected(models, {j: age for j, age in ages.items() if age})

    def _ask(self, method: str, fields: dict[str, Any]) -> None:
        call = self._channel.unary_unary(method)
        self._calling(lambda: call(protocol.encode(fields), timeout=_CALL_SECONDS))

    def _stream(self, method: str, fields: dict[str, Any]) -> list[tuple[dict[str, Any], Model]]:
        call = self._channel.unary_stream(method)

        def received() -> list[tuple[dict[str, Any], Model]]:
            messages = call(protocol.encode(fields), timeout=_CALL_SECONDS)
            found: list[tuple[dict[str, Any], Model]] = []
            for message in messages:
                head = protocol.decode(message)
                stored = StoredPublication(*receive(head, messages, self._spool))
                found.append((head, stored.model()))
            return found

        return self._calling(received)

    def _calling(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except grpc.RpcError as error:
            reason = f"the relay at {self._address} does not answer: {error.details()}"
            raise UnavailableError(reason) from None


def describe(channel: grpc.Channel, address: str) -> dict[str, Any]:
    """Return the device and the public address of the daemon at the other end.

    Raises
    ------
    UnavailableError
        There is none.
    """
    try:
        return protocol.decode(channel.unary_unary(DESCRIBE)(b"{}", timeout=10))
    except (grpc.RpcError, RefusedError):
        raise UnavailableError(
            f"no relay answers at {address}: start `p2pl-flower relay` beside this SuperNode"
        ) from None


@functools.lru_cache(maxsize=16)
def _channel(address: str) -> grpc.Channel:
    return local_channel(address)


def local_channel(address: str) -> grpc.Channel:
    """Return a channel to a daemon of this machine, past whatever proxy the environment names."""
    options = [*protocol.MESSAGE_OPTIONS, ("grpc.enable_http_proxy", 0)]
    return grpc.insecure_channel(address, options)
