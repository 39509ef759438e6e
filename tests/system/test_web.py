"""Pages are for this machine, or for who has the token; nothing but GET is answered."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from p2pl_flower.errors import ConfigError
from p2pl_flower.system.web import Pages


@contextmanager
def served(address: str = "127.0.0.1:0", token: str = "") -> Iterator[Pages]:
    pages = Pages(address, {"/": lambda: ("text/plain", "here")}, token)
    try:
        yield pages
    finally:
        pages.close()


def ask(pages: Pages, path: str = "/", method: str = "GET", **headers: str) -> tuple[int, str]:
    at = urlsplit(pages.url)
    connection = http.client.HTTPConnection("127.0.0.1", at.port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_what_is_there_is_served_and_nothing_else():
    with served() as pages:
        assert ask(pages) == (200, "here")
        assert ask(pages, "/etc/passwd")[0] == 404
        assert ask(pages, method="POST")[0] == 501


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:80", 200), ("127.0.0.1", 200), ("evil.example", 403), ("127.0.0.1.evil", 403)],
)
def test_a_name_that_was_made_to_lead_here_is_refused(host, status):
    with served() as pages:
        assert ask(pages, Host=host)[0] == status


def test_elsewhere_a_token_is_made_and_asked_for():
    with served("0.0.0.0:0") as pages:
        assert len(pages.token) >= 32
        assert ask(pages)[0] == 403
        assert ask(pages, "/?token=wrong")[0] == 403
        assert ask(pages, f"/?token={pages.token}")[0] == 200
        assert ask(pages, Authorization=f"Bearer {pages.token}")[0] == 200
        assert pages.url.endswith(f"?token={pages.token}")


def test_a_token_of_ones_own_is_asked_for_here_too():
    with served(token="mine") as pages:
        assert ask(pages)[0] == 403
        assert ask(pages, "/?token=mine")[0] == 200


@pytest.mark.parametrize("address", ["nowhere", "127.0.0.1:99999", "127.0.0.1:x"])
def test_an_address_that_is_none(address):
    with pytest.raises(ConfigError, match="HOST:PORT"):
        Pages(address, {})


def test_an_address_that_is_taken():
    with served() as pages, pytest.raises(ConfigError, match="cannot be listened at"):
        Pages(f"127.0.0.1:{urlsplit(pages.url).port}", {})
