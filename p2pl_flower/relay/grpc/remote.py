"""The side that asks: calls to one neighbor's relay."""

from __future__ import annotations

import math
import os
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol

import grpc

from ...errors import ConfigError
from ..mailbox import Slot
from ..spool import Document, Partial, Spool
from . import protocol
from .credentials import Credentials, host_name
from .messages import messages
from .protocol import Refusal, RefusedError

_RECONNECT = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 20_000),  # which is how long a try to connect may take, too
    ("grpc.max_reconnect_backoff_ms", 1000),
]
_KEEPALIVE = [  # a link that is dead is known to be so within 10 s
    ("grpc.keepalive_time_ms", 5000),
    ("grpc.keepalive_timeout_ms", 5000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
]
_NOTHING = Slot("", -1, -1)
_SPARED = "no_grpc_proxy", "no_proxy"
_PROXIES = "grpc_proxy", "https_proxy", "http_proxy"  # in which gRPC looks, in this order
_PROBE_SECONDS = 2.0
_LEAST_CHUNK = 1 << 16  # bytes; a model in crumbs takes more time than it has bytes
_TRANSFER_SECONDS = 3600.0
_CLOSE_SECONDS = 2.0
_LONGEST_MARK = 64
_CLOSED = "is not called any more"


class Watch(Protocol):
    """Is told of a call, from the thread that makes it.

    Attributes
    ----------
    partial : Partial or None
        What an earlier call has brought of a document, before its connection broke.
    """

    partial: Partial | None

    def add(self, call: grpc.Call) -> None:
        """Take the call, so that another thread can end it."""

    def begin(self) -> None:
        """Hear that the answer has begun to come."""


class Fetched(NamedTuple):
    """What has come: a publication, and the slot that it is in."""

    slot: Slot
    document: Document


class Remote:
    """A neighbor's relay.

    Parameters
    ----------
    device : int
        The neighbor: its certificate must be made out to it.
    address : str
        ``host:port``, for people to read where ``target`` is given.
    me : int
        The device that asks.
    credentials : Credentials or None
        None to call without TLS.
    spool : Spool, optional
        Where models that arrive are written to.
    target : str, optional
        What gRPC dials in place of the address.

    Attributes
    ----------
    round : int or None
        The round that the neighbor is in, as it last said.
    revocations : int
        Number of the list of revocations that it has, as it last said.
    """

    def __init__(
        self,
        device: int,
        address: str,
        me: int,
        credentials: Credentials | None,
        spool: Spool | None = None,
        target: str = "",
    ) -> None:
        self.device, self.address, self._me = device, address, me
        self._spool = spool or Spool()
        self._credentials = credentials
        self._channel = _open(device, target or address, credentials)
        self._hello = self._channel.unary_unary(protocol.HELLO)
        self._fetch = self._channel.unary_stream(protocol.FETCH)
        self.round: int | None = None
        self.revocations = 0

    def close(self) -> None:
        """End all calls.

        gRPC waits for calls whose end it has lost, see `messages`: they are left to themselves.
        """
        closing = threading.Thread(target=self._channel.close, name="p2pl-close", daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)

    def hello(self, run: str, card: dict[str, Any], timeout: float) -> dict[str, Any]:
        """Exchange greetings.

        Raises
        ------
        RefusedError
            The neighbor is not there, or wants nothing to do with us.
        """
        request = protocol.encode({**card, "run": run, "from": self._me})
        try:
            answer = protocol.decode(self._hello(request, timeout=timeout))
            self.round = protocol.whole(answer, "round")
        except grpc.RpcError as error:
            raise self._refused(error) from None
        except ValueError:
            raise RefusedError(Refusal.ABSENT, _CLOSED) from None
        return answer

    def fetch(
        self,
        run: str,
        slot: Slot,
        seconds: float,
        most_bytes: int,
        watch: Watch | None = None,
        within: int = 0,
        after: Slot | None = None,
        agreed: str = protocol.NOTHING_AGREED,
    ) -> Fetched:
        """Fetch what the neighbor has published in a slot, waiting for it up to ``seconds``.

        Parameters
        ----------
        run, slot : str, Slot
            What to ask for.
        seconds : float
            Seconds that it may take to appear; the caller ends the call when it wants no more.
        most_bytes : int
            A larger document is refused before any of it is fetched.
        watch : Watch, optional
            Is told of the call.
        within : int
            Rounds by which what comes may be off, where there is nothing in the slot.
        after : Slot, optional
            What is not newer than this is not wanted then.
        agreed : str
            What the neighbor must have agreed on, too.

        Raises
        ------
        RefusedError
            It did not come, or what came is not what was announced.
        """
        wait = {"wait-ms": math.ceil(1000 * seconds)}
        place = {"channel": slot.channel, "round": slot.round, "step": slot.step}
        nearby = {"within": within, "after": list((after or _NOTHING)[1:])} if within else {}
        begun = None if watch is None else watch.partial
        lacking = {} if begun is None else {"mark": begun.mark, "first": begun.written}
        own = {"run": run, "from": self._me, "agreed": agreed}
        request = protocol.encode({**place, **wait, **nearby, **own, **lacking})
        try:
            call = self._fetch(request, timeout=seconds + _TRANSFER_SECONDS)
        except ValueError:
            raise RefusedError(Refusal.ABSENT, _CLOSED) from None
        if watch is not None:
            watch.add(call)
        try:
            return self._receive(call, slot, within, most_bytes, watch, agreed)
        except grpc.RpcError as error:
            raise self._refused(error) from None
        finally:
            call.cancel()

    def _receive(
        self,
        call: Any,
        slot: Slot,
        within: int,
        most_bytes: int,
        watch: Watch | None,
        agreed: str,
    ) -> Fetched:
        coming = messages(call)
        first = next(coming, None)
        if first is None:
            raise RefusedError(Refusal.TRUNCATED, "the answer is empty")
        fields = protocol.decode(first)
        size, self.round = protocol.whole(fields, "size"), protocol.whole(fields, "round")
        self.revocations = protocol.whole({"revoked": 0, **fields}, "revoked")
        protocol.check_agreed(agreed, fields.get("agreed"))
        found = Slot(slot.channel, *protocol.place(fields, "slot")) if "slot" in fields else slot
        if found != slot and abs(found.round - slot.round) > within:
            raise RefusedError(Refusal.MALFORMED, f"answers with round {found.round}")
        if not 0 <= size <= most_bytes:
            rule = f"announces {size:,} bytes, where at most {most_bytes:,} are expected"
            raise RefusedError(Refusal.OVERSIZED, rule)
        begun = self._begun(fields, size, watch)
        if watch is not None:
            watch.begin()
        document = self._spool.fill(begun, _exactly(size - begun.written, coming))
        return Fetched(found, document)

    def _begun(self, fields: dict[str, Any], size: int, watch: Watch | None) -> Partial:
        """Return what the answer is the rest of: of nothing, unless it was asked for."""
        mark, first = str(fields.get("mark", ""))[:_LONGEST_MARK], fields.get("first", 0)
        begun = None if watch is None else watch.partial
        known = begun is not None and (begun.mark, begun.size) == (mark, size)
        if begun is None or not known or first == 0:
            begun = self._spool.begin(size, mark)
        if first != begun.written:
            raise RefusedError(Refusal.MALFORMED, f"sends what begins at byte {first!r:.50}")
        if watch is not None:
            watch.partial = begun
        return begun

    def _refused(self, error: grpc.RpcError) -> RefusedError:
        refused, number = protocol.read_refusal(error)
        self.round = self.round if number is None else number
        if refused.refusal is Refusal.ABSENT and self._credentials is not None:
            reason = self._certificate_trouble(self._credentials)
            if reason is not None:
                return RefusedError(Refusal.IDENTITY, reason)
        if refused.refusal is Refusal.ABSENT:
            return RefusedError(Refusal.ABSENT, self._absence())
        return refused

    def _absence(self) -> str:
        """Say that the neighbor is not there, of one without an address that it has not dialed."""
        if ":" in self.address:
            return f"{self.address} cannot be reached{proxy_in_the_way(self.address)}"
        return "has not dialed, and nobody can dial it"

    def _certificate_trouble(self, credentials: Credentials) -> str | None:
        """Say what is wrong with either certificate: gRPC only says that it cannot connect."""
        try:
            credentials.check(self._me)
        except ConfigError as error:
            return str(error)
        context = ssl.create_default_context(cadata=credentials.ca.decode())
        host, _, port = self.address.rpartition(":")
        try:
            place = (host.strip("[]"), int(port))
            with (
                socket.create_connection(place, _PROBE_SECONDS) as plain,
                context.wrap_socket(plain, server_hostname=host_name(self.device)),
            ):
                return None
        except ssl.SSLCertVerificationError as error:
            return f"the certificate at {self.address} is refused: {error.verify_message}"
        except ssl.SSLError as error:
            return f"{self.address} does not speak TLS as we do: {error.reason}"
        except (OSError, ValueError):
            return None


def proxy_in_the_way(address: str) -> str:
    """Return what to say of a proxy that the environment names and gRPC would call instead."""
    host = address.rpartition(":")[0].strip("[]")
    named = next((name for name in _PROXIES if os.environ.get(name)), "")
    spared = next((os.environ[name] for name in _SPARED if os.environ.get(name)), "")
    parts = [part.strip() for part in spared.split(",") if part.strip()]
    if not named or any(host.endswith(part) for part in parts):
        return ""
    return f" through the proxy that {named} names: set no_proxy={host}"


def _exactly(size: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Pass chunks on, and refuse them if they are more or fewer bytes than announced."""
    end, before = 0, _LEAST_CHUNK
    for chunk in chunks:
        if before < _LEAST_CHUNK:
            raise RefusedError(Refusal.MALFORMED, f"sends a model in pieces of {before} bytes")
        end, before = end + len(chunk), len(chunk)
        if end > size:
            raise RefusedError(Refusal.OVERSIZED, f"sends more than the {size:,} bytes announced")
        yield chunk
    if end < size:
        raise RefusedError(Refusal.TRUNCATED, f"{end:,} of {size:,} bytes arrived")


def _open(device: int, address: str, credentials: Credentials | None) -> grpc.Channel:
    options: list[tuple[str, Any]] = [*protocol.ANSWER_OPTIONS, *_RECONNECT, *_KEEPALIVE]
    if credentials is None:
        return grpc.insecure_channel(address, options)
    options.append(("grpc.ssl_target_name_override", host_name(device)))
    return grpc.secure_channel(address, credentials.for_channel(), options)
