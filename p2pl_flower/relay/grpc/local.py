"""Between a ClientApp and the relay daemon that stands beside its SuperNode.

A ClientApp's process lives for one message. What it publishes must outlive it, and so a
daemon of the same machine keeps it, serves it to neighbors and fetches theirs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import grpc
import numpy as np

from ...consensus import Model, join, split
from ...errors import ConfigError, RelayError
from ..base import Mailbox, Slot
from ..tensors import Buffer, document, unpack
from . import protocol
from .protocol import RefusedError
from .station import Station

DESCRIBE, MEET = "/p2pl.Local/Describe", "/p2pl.Local/Meet"
PUBLISH, RECALL, COLLECT = "/p2pl.Local/Publish", "/p2pl.Local/Recall", "/p2pl.Local/Collect"

T = TypeVar("T")

_RUNS_KEPT = 2
_CALL_SECONDS = 3600.0


class LocalServer:
    """Gives ClientApps of this machine the use of a station.

    Parameters
    ----------
    listen : str
        ``unix:PATH`` (which only this user can open) or ``host:port`` on loopback, where
        everybody on this machine gets in.
    station : Station
        The device's station.

    Raises
    ------
    ConfigError
        The address cannot be listened at.
    """

    def __init__(self, listen: str, station: Station) -> None:
        self._station, self._runs = station, list[str]()
        pool = ThreadPoolExecutor(8, thread_name_prefix="p2pl-local")
        options = [*protocol.MESSAGE_OPTIONS, ("grpc.so_reuseport", 0)]
        self._server = grpc.server(pool, options=options)
        unary, streamed = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
        self._methods = {
            DESCRIBE: unary(self._describe),
            MEET: unary(self._meet),
            PUBLISH: grpc.stream_unary_rpc_method_handler(self._publish),
            RECALL: streamed(self._recall),
            COLLECT: streamed(self._collect),
        }
        self._server.add_generic_rpc_handlers((_Handlers(self._methods),))
        try:
            bound = self._server.add_insecure_port(listen)
        except RuntimeError:
            bound = 0
        if not bound:
            raise ConfigError("local", listen, "cannot be listened at: is a relay running there?")
        self.address = listen if listen.startswith("unix:") else _with_port(listen, bound)

    def start(self) -> None:
        """Begin to answer."""
        self._server.start()

    def close(self) -> None:
        """Stop answering."""
        self._server.stop(0).wait()

    def _describe(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        return protocol.encode({"device": self._station.device, "address": self._station.address})

    def _meet(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        fields = protocol.decode(request)
        run = protocol.text(fields, "run")
        if run not in self._runs:
            self._runs.append(run)
            self._station.open(run)
            while len(self._runs) > _RUNS_KEPT:
                self._station.end(self._runs.pop(0))
        self._station.meet(run, {int(j): a for j, a in fields["neighbors"].items()})
        return protocol.encode({})

    def _publish(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        fields = protocol.decode(next(requests))
        office = self._office(fields, context)
        public, rest = _receive(fields, requests)
        office.put_document(_slot(fields), public, None if rest is None else unpack(rest))
        return protocol.encode({})

    def _recall(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        fields = protocol.decode(request)
        for slot, sealed in self._office(fields, context).sealed(protocol.text(fields, "channel")):
            yield from _send(_place(slot), unpack(sealed.document), sealed.private)

    def _collect(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        fields = protocol.decode(request)
        office, slot = self._office(fields, context), _slot(fields)
        own = self._station.device
        kept = dict(office.sealed(slot.channel))
        if own in fields["senders"] and slot in kept:
            sealed = kept[slot]
            yield from _send({"sender": own}, unpack(sealed.document), sealed.private)
        others = [j for j in fields["senders"] if j != own]
        mailbox = self._station.mailbox(protocol.text(fields, "run"))
        for j, model in mailbox.collect(others, slot, fields["deadline"]).items():
            yield from _send({"sender": j}, model, None)

    def _office(self, fields: dict[str, Any], context: grpc.ServicerContext) -> Any:
        try:
            return self._station.office(protocol.text(fields, "run"))
        except RelayError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))


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
        self._address, self._run = address, run
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

    def publish(self, slot: Slot, model: Model, private: Collection[str] = ()) -> None:
        """Hand a model to the daemon, which keeps it."""
        public, rest = split(model, private)
        messages = _send({**_place(slot), "run": self._run}, public, rest)
        call = self._channel.stream_unary(PUBLISH)
        self._calling(lambda: call(messages, timeout=_CALL_SECONDS))

    def recall(self, channel: str) -> list[tuple[Slot, Model]]:
        """Return the own publications, newest first."""
        request = {"run": self._run, "channel": channel}
        return [(_slot(fields), model) for fields, model in self._stream(RECALL, request)]

    def collect(
        self, senders: Collection[int], slot: Slot, deadline: float | None = None
    ) -> dict[int, Model]:
        """Let the daemon fetch from the neighbors; it waits as its own policy says."""
        request = {**_place(slot), "run": self._run}
        request |= {"senders": list(senders), "deadline": deadline}
        return {int(f["sender"]): model for f, model in self._stream(COLLECT, request)}

    def _take(self, senders: list[int], slot: Slot) -> dict[int, Model]:
        return self.collect(senders, slot, 0.0)

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
                public, rest = _receive(head, messages)
                found.append((head, join(unpack(public), None if rest is None else unpack(rest))))
            return found

        return self._calling(received)

    def _calling(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except grpc.RpcError as error:
            reason = f"the relay at {self._address} does not answer: {error.details()}"
            raise RelayError(reason) from None


def describe(channel: grpc.Channel, address: str) -> dict[str, Any]:
    """Return the device and the public address of the daemon at the other end.

    Raises
    ------
    RelayError
        There is none.
    """
    try:
        return protocol.decode(channel.unary_unary(DESCRIBE)(b"{}", timeout=10))
    except (grpc.RpcError, RefusedError):
        raise RelayError(
            f"no relay answers at {address}: start `p2pl-flower relay` beside this SuperNode"
        ) from None


@functools.lru_cache(maxsize=16)
def _channel(address: str) -> grpc.Channel:
    return grpc.insecure_channel(address, protocol.MESSAGE_OPTIONS)


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, methods: Mapping[str, Any]) -> None:
        self._methods = methods

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._methods.get(handler_call_details.method)


def _send(fields: Mapping[str, Any], model: Model, private: Model | None) -> Iterator[bytes]:
    """Return a head and the chunks of one or two documents."""
    parts = [document(part) for part in (model, private) if part is not None]
    sizes = [len(head) + sum(a.nbytes for a in arrays) for head, arrays in parts]
    yield protocol.encode({**fields, "sizes": sizes})
    for head, arrays in parts:
        yield from _chunks([np.frombuffer(head, np.uint8), *arrays])


def _chunks(arrays: Iterable[Any]) -> Iterator[bytes]:
    """Return the bytes of arrays, the small ones of them together."""
    gathered = bytearray()
    for array in arrays:
        view = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        for start in range(0, len(view), protocol.CHUNK_BYTES):
            gathered += view[start : start + protocol.CHUNK_BYTES]
            if len(gathered) >= protocol.CHUNK_BYTES:
                yield bytes(gathered)
                gathered.clear()
    if gathered:
        yield bytes(gathered)


def _receive(fields: Mapping[str, Any], messages: Iterator[bytes]) -> tuple[Buffer, Buffer | None]:
    buffers = [_fill(size, messages) for size in fields["sizes"]]
    return buffers[0], buffers[1] if len(buffers) > 1 else None


def _fill(size: int, messages: Iterator[bytes]) -> Buffer:
    buffer, end = np.empty(size, np.uint8), 0
    while end < size:
        chunk = next(messages)
        buffer.data[end : end + len(chunk)] = chunk
        end += len(chunk)
    buffer.flags.writeable = False
    return buffer


def _place(slot: Slot) -> dict[str, Any]:
    return {"channel": slot.channel, "round": slot.round, "step": slot.step}


def _slot(fields: dict[str, Any]) -> Slot:
    number, step = protocol.whole(fields, "round"), protocol.whole(fields, "step")
    return Slot(protocol.text(fields, "channel"), number, step)


def _with_port(listen: str, port: int) -> str:
    return f"{listen.rpartition(':')[0]}:{port}"
