"""Pages for a browser, to be read only: on this machine, or with a token."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ..errors import ConfigError

Page = Callable[[], tuple[str, str]]
"""Returns what is at a path: its media type, and its text."""

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_SECONDS = 10.0
_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'unsafe-inline' 'unsafe-eval'",
        "style-src 'unsafe-inline'",
        "img-src data: blob:",
        "connect-src 'self'",
    ]
)


class Pages:
    """Serves pages until it is closed.

    Only ``GET`` is answered. On a loopback address nothing is asked, but a request must name the
    machine itself: a page from elsewhere whose name was made to lead here is refused. On any other
    address a reader needs a token, as ``?token=`` or as ``Authorization: Bearer``.

    Parameters
    ----------
    address : str
        ``HOST:PORT``, or a port of this machine alone; port 0 is one that is free.
    pages : Mapping[str, Page]
        What is at each path.
    token : str
        What readers must bring; made where the address needs one and none is given.

    Raises
    ------
    ConfigError
        Nobody can listen there.
    """

    def __init__(self, address: str, pages: Mapping[str, Page], token: str = "") -> None:
        host, port = _place(address)
        self.token = token or ("" if _is_loopback(host) else secrets.token_urlsafe(24))
        handler = type("Handler", (_Handler,), {"pages": dict(pages), "token": self.token})
        try:
            self._server = ThreadingHTTPServer((host, port), handler)
        except OSError as error:
            rule = f"cannot be listened at: {error.strerror}"
            raise ConfigError("watch", address, rule) from None
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="p2pl-pages", daemon=True).start()

    @property
    def url(self) -> str:
        """Where the pages are, the token with it."""
        host, port = str(self._server.server_address[0]), self._server.server_address[1]
        named = f"[{host}]" if ":" in host else host
        return f"http://{named}:{port}/" + (f"?token={self.token}" if self.token else "")

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    pages: Mapping[str, Page] = {}
    token = ""
    timeout = _SECONDS
    server_version, sys_version = "p2pl-flower", ""

    def do_GET(self) -> None:
        """Answer with the page, or with why not."""
        asked = urlsplit(self.path)
        if not self._may_read(parse_qs(asked.query)):
            return self._say(HTTPStatus.FORBIDDEN, "text/plain", "not for you\n")
        page = self.pages.get(asked.path)
        if page is None:
            return self._say(HTTPStatus.NOT_FOUND, "text/plain", "nothing here\n")
        return self._say(HTTPStatus.OK, *page())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep silent."""

    def _may_read(self, query: Mapping[str, list[str]]) -> bool:
        if not self.token:
            name = urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
            return name in _LOCAL_NAMES or _is_loopback(name)
        header = self.headers.get("Authorization", "").removeprefix("Bearer ")
        given = query.get("token", [header])[0]
        return hmac.compare_digest(given.encode(), self.token.encode())

    def _say(self, status: HTTPStatus, kind: str, text: str) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)


def _place(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise ConfigError("watch", address, "must be HOST:PORT, or a port from 0 to 65535")
    return host.strip("[]") or "127.0.0.1", int(port)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
