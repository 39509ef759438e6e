"""The side of a relay daemon that ClientApps of its machine use.

A ClientApp's process lives for one message. What it publishes must outlive it, and so a
daemon of the same machine keeps it, serves it to neighbors and fetches theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from ...errors import RelayError
from ..grpc import protocol
from ..grpc.endpoint import Endpoint
from ..grpc.endpoint_relay import EndpointMailbox
from ..grpc.own_publications import OwnPublications, StoredPublication
from . import local_address
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

_RUNS_KEPT = 2


class LocalServer:
    """Gives ClientApps of this machine the use of an endpoint.

    Parameters
    ----------
    listen : str
        ``unix:PATH`` (which only this user can open) or ``host:port`` on loopback, where
        everybody on this machine gets in.
    endpoint : Endpoint
        The device's endpoint.

    Raises
    ------
    ConfigError
        The address is not this machine's alone, or cannot be listened at.
    """

    def __init__(self, listen: str, endpoint: Endpoint) -> None:
        self._endpoint, self._runs = endpoint, list[str]()
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
            REFUSE: unary(self._refuse),
        }
        self._server.add_generic_rpc_handlers((_Handlers(self._methods),))
        self.address = local_address.listen(self._server, "local", listen)

    def start(self) -> None:
        """Begin to answer."""
        self._server.start()

    def close(self) -> None:
        """Stop answering."""
        self._server.stop(0).wait()

    def _describe(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        return protocol.encode({"device": self._endpoint.device, "address": self._endpoint.address})

    def _meet(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        fields = protocol.decode(request)
        run = protocol.text(fields, "run")
        if run not in self._runs:
            self._runs.append(run)
            self._endpoint.open(run)
            while len(self._runs) > _RUNS_KEPT:
                self._endpoint.end(self._runs.pop(0))
        self._endpoint.meet(run, {int(j): a for j, a in fields["neighbors"].items()})
        return protocol.encode({})

    def _publish(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        fields = protocol.decode(next(requests))
        publications = self._publications(fields, context)
        stored = StoredPublication(*receive(fields, requests, self._endpoint.spool))
        publications.put_stored(slot_in(fields), stored)
        return protocol.encode({})

    def _recall(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        fields = protocol.decode(request)
        newest = None if fields.get("newest") is None else protocol.whole(fields, "newest")
        kept = self._publications(fields, context).stored(protocol.text(fields, "channel"))
        for slot, stored in kept[:newest]:
            yield from send(place(slot), *stored.parts())

    def _collect(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        fields = protocol.decode(request)
        publications, slot = self._publications(fields, context), slot_in(fields)
        own = self._endpoint.device
        kept = dict(publications.stored(slot.channel))
        if own in fields["senders"] and slot in kept:
            yield from send({"sender": own}, *kept[slot].parts())
        others = [j for j in fields["senders"] if j != own]
        mailbox = EndpointMailbox(self._endpoint, protocol.text(fields, "run"))
        collected = mailbox.collect(others, slot, fields["deadline"])
        for j, model in collected.items():
            yield from send({"sender": j, "age": collected.ages.get(j, 0)}, model, None)

    def _refuse(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        fields = protocol.decode(request)
        mailbox = EndpointMailbox(self._endpoint, protocol.text(fields, "run"))
        reason = ValueError(protocol.text(fields, "reason"))
        mailbox.refuse(protocol.whole(fields, "sender"), reason)
        return protocol.encode({})

    def _publications(
        self, fields: dict[str, Any], context: grpc.ServicerContext
    ) -> OwnPublications:
        try:
            return self._endpoint.publications(protocol.text(fields, "run"))
        except RelayError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
            raise  # which abort has done already


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, methods: Mapping[str, Any]) -> None:
        self._methods = methods

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._methods.get(handler_call_details.method)
