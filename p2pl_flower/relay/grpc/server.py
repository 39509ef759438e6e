"""The side that answers: hands the own publications to neighbors, and to nobody else."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc

from ...errors import ConfigError
from ...system import open_files
from ..contents import MODEL
from ..mailbox import Slot
from ..spool import Document
from . import protocol
from .credentials import Credentials, caller, is_out_of_date
from .own_publications import OwnPublications
from .protocol import Refusal, RefusedError
from .streams import Calls, Streams
from .transfer_statistics import TransferStatistics

if TYPE_CHECKING:
    from ..group.standing import Standing

_LONGEST_WAIT = 600.0
_QUEUED = 4  # calls for each thread, those that wait for one included; more are refused
_STREAMS = 64
_HANDSHAKE_SECONDS = 20
_IDLE_SECONDS = 600
_SILENT_SECONDS = 15  # then a caller is asked whether it is there
_ANSWER_SECONDS = 60  # within which it must answer that
_PING_SECONDS = 1
_AGE_SECONDS = 3600  # then callers come again, and look at the certificate that is shown here
_CONNECTIONS = 16, 4096

Identify = Callable[[grpc.ServicerContext, Mapping[str, Any]], int]
Greet = Callable[[OwnPublications, int, dict[str, Any]], dict[str, Any]]


class Server:
    """Listens for neighbors.

    Parameters
    ----------
    listen : str
        ``host:port``; port 0 takes a free one.
    credentials : Credentials or None
        None to listen without TLS: callers are then whoever they say they are.
    runs : Mapping[str, OwnPublications]
        The mailboxes of the runs that are open.
    greet : Callable
        Answers a neighbor's greeting.
    statistics : TransferStatistics
        Where refusals are counted.
    threads : int
        Calls that are answered at the same time, those that wait included.
    standing : Standing, optional
        Whose certificates count no longer.

    Attributes
    ----------
    port : int
        Where it listens.
    open_to_guests : bool
        Whether devices may greet that are not on the neighbor list.

    Raises
    ------
    ConfigError
        The address cannot be listened at.
    """

    def __init__(
        self,
        listen: str,
        credentials: Credentials | None,
        runs: Mapping[str, OwnPublications],
        greet: Greet,
        statistics: TransferStatistics,
        threads: int,
        standing: Standing | None = None,
    ) -> None:
        self._runs, self._greet, self._statistics = runs, greet, statistics
        self._streams = Streams()
        self._calls = Calls()
        self._standing = standing
        self.open_to_guests = False
        self._identify = _declared if credentials is None else _certified
        pool = ThreadPoolExecutor(threads, thread_name_prefix="p2pl-server")
        # Two processes could listen at one port and share its calls, unnoticed.
        options = [*protocol.REQUEST_OPTIONS, *_bounds(), ("grpc.so_reuseport", 0)]
        self._server = grpc.server(pool, options=options, maximum_concurrent_rpcs=_QUEUED * threads)
        self._server.add_generic_rpc_handlers((_Handlers(self._hello, self._fetch),))
        self.port = _bind(self._server, listen, credentials)
        if standing is not None:
            standing.tell(self._expel)

    def start(self) -> None:
        """Begin to answer."""
        self._server.start()

    def close(self) -> None:
        """Stop answering; calls that wait end now."""
        stopped = self._server.stop(0)
        for publications in list(self._runs.values()):
            publications.wake()
        stopped.wait()

    def _expel(self, devices: frozenset[int]) -> None:
        """End the calls of these devices that are being answered."""
        self._calls.end(devices)
        for publications in list(self._runs.values()):
            publications.wake()

    def _hello(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        guests = self.open_to_guests
        with _Answering(self, request, context, guests) as (publications, sender, fields):
            return protocol.encode(self._greet(publications, sender, fields))

    def _fetch(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        with contextlib.ExitStack() as until_sent:
            with _Answering(self, request, context) as (publications, sender, fields):
                until_sent.enter_context(self._streams.one_of(sender))
                until_sent.enter_context(self._calls.one_of(sender, context))
                protocol.check_agreed(publications.agreed, fields.get("agreed"))
                slot = Slot(protocol.text(fields, "channel"), *_place(fields))
                wait = float(protocol.whole(fields, "wait-ms")) / 1000
                context.add_callback(publications.wake)  # whoever hangs up is not waited for
                seconds = min(max(wait, 0), _LONGEST_WAIT)
                found, document = publications.wait_for(
                    sender, slot, seconds, context.is_active, *_nearby(fields)
                )
            first = _first(fields, document)
            told = self._announced(found, document, publications)
            yield protocol.encode({**told, "mark": document.mark, "first": first})
            yield from document.chunks(protocol.CHUNK_BYTES, first)
            if found.channel == MODEL:
                self._statistics.given(sender)

    def _announced(
        self, slot: Slot, document: Document, publications: OwnPublications
    ) -> dict[str, Any]:
        """Return what goes ahead of a model."""
        told = {"size": document.size, "round": publications.round, "slot": list(slot[1:])}
        told |= {"agreed": publications.agreed}
        return told if self._standing is None else {**told, "revoked": self._standing.version}

    def publications(self, fields: Mapping[str, Any]) -> OwnPublications:
        """Return the mailbox that a request is about."""
        run = protocol.text(dict(fields), "run")
        if run not in self._runs:
            raise RefusedError(Refusal.MISMATCH, f"takes no part in run {run!r:.80}")
        return self._runs[run]

    def identify(self, context: grpc.ServicerContext, fields: Mapping[str, Any]) -> int:
        """Return who calls."""
        device = self._identify(context, fields)
        if self._standing is not None:
            self._standing.check(device)
        return device

    def count(self, sender: int, refused: RefusedError) -> None:
        """Count a refusal that is the caller's fault."""
        if refused.refusal not in (Refusal.LATE, Refusal.GONE):
            self._statistics.refused(sender, refused.refusal, refused.reason)


class _Answering:
    """Finds out who calls about what, and turns refusals into the call's end."""

    def __init__(
        self, server: Server, request: bytes, context: grpc.ServicerContext, guests: bool = False
    ) -> None:
        self._server, self._request, self._context = server, request, context
        self._guests = guests
        self._sender, self._round = -1, 0

    def __enter__(self) -> tuple[OwnPublications, int, dict[str, Any]]:
        try:
            fields = protocol.decode(self._request)
            self._sender = self._server.identify(self._context, fields)
            publications = self._server.publications(fields)
            self._round = publications.round
            if not self._guests:
                publications.check_admitted(self._sender)
        except RefusedError as refused:
            self._end(refused)
            raise
        return publications, self._sender, fields

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RefusedError):
            self._end(error)

    def _end(self, refused: RefusedError) -> None:
        self._server.count(self._sender, refused)
        protocol.abort(self._context, refused, self._round)


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Routes our two methods; messages stay bytes."""

    def __init__(self, hello: Any, fetch: Any) -> None:
        self._methods = {
            protocol.HELLO: grpc.unary_unary_rpc_method_handler(hello),
            protocol.FETCH: grpc.unary_stream_rpc_method_handler(fetch),
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._methods.get(handler_call_details.method)


def _bounds() -> list[tuple[str, int]]:
    """Return what bounds those that reach the port, before it is known who they are.

    Half of the files that this process may have open are left to itself.
    """
    least, most = _CONNECTIONS
    return [
        ("grpc.max_allowed_incoming_connections", max(least, min(most, open_files.limit() // 2))),
        ("grpc.server_handshake_timeout_ms", 1000 * _HANDSHAKE_SECONDS),
        ("grpc.max_connection_idle_ms", 1000 * _IDLE_SECONDS),
        ("grpc.keepalive_time_ms", 1000 * _SILENT_SECONDS),
        ("grpc.keepalive_timeout_ms", 1000 * _ANSWER_SECONDS),
        ("grpc.http2.ping_timeout_ms", 1000 * _ANSWER_SECONDS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.max_concurrent_streams", _STREAMS),
        ("grpc.max_connection_age_ms", 1000 * _AGE_SECONDS),
        ("grpc.max_connection_age_grace_ms", 1000 * _AGE_SECONDS),
        ("grpc.http2.min_ping_interval_without_data_ms", 1000 * _PING_SECONDS),
        ("grpc.http2.max_ping_strikes", 0),
    ]


def _bind(server: grpc.Server, listen: str, credentials: Credentials | None) -> int:
    try:
        if credentials is None:
            port = server.add_insecure_port(listen)
        else:
            port = server.add_secure_port(listen, credentials.for_server())
    except (RuntimeError, ValueError):
        port = 0
    if port == 0:
        rule = "cannot be listened at: the port is in use, or the address is not this machine's"
        raise ConfigError("listen", listen, rule)
    return int(port)


def _place(fields: dict[str, Any]) -> tuple[int, int]:
    return protocol.whole(fields, "round"), protocol.whole(fields, "step")


def _first(fields: dict[str, Any], document: Document) -> int:
    """Return from which byte on a document is sent: who has begun it is sent what is lacking."""
    first = fields.get("first")
    if fields.get("mark") != document.mark or type(first) is not int or first < 0:
        return 0
    return min(first, document.size)


def _nearby(fields: dict[str, Any]) -> tuple[int, tuple[int, int]]:
    """Return how far a publication may be off, and what it must be newer than."""
    if "within" not in fields:
        return 0, (-1, -1)
    return protocol.whole(fields, "within"), protocol.place(fields, "after")


def _certified(context: grpc.ServicerContext, fields: Mapping[str, Any]) -> int:
    shown = context.auth_context()
    if any(map(is_out_of_date, shown.get("x509_pem_cert", []))):
        raise RefusedError(Refusal.IDENTITY, "the caller's certificate has expired")
    device = caller(shown)
    if device is None:
        raise RefusedError(Refusal.IDENTITY, "the caller's certificate names no device")
    return device


def _declared(context: grpc.ServicerContext, fields: Mapping[str, Any]) -> int:
    return protocol.whole(dict(fields), "from")
