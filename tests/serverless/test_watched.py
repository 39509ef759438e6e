"""What peers say of themselves, gathered: by their pages, by their sockets, and on a terminal."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from p2pl_flower.cli import main
from p2pl_flower.commands.watch import rows, table
from p2pl_flower.serverless.status import StatusSocket
from p2pl_flower.serverless.watched import Watched, pages_of, summary

SAID = {
    "device": 3,
    "run": "x",
    "address": "127.0.0.1:1",
    "done": 4,
    "rounds": 9,
    "accuracy": 0.875,
    "received": 12_000,
    "neighbors": {
        "1": {"absent": False, "answers": {"arrived": 5, "given": 4, "late": 1}},
        "2": {"absent": True, "answers": {"arrived": 2, "digest": 2}},
    },
}


def asked(*targets: str) -> list[dict]:
    watched = Watched(targets)
    try:
        return watched.ask()
    finally:
        watched.close()


def test_answers_are_summed_up():
    found = summary(SAID)
    assert (found["up"], found["arrived"], found["refused"]) == (True, 7, 3)


def test_pages_and_sockets_say_the_same(tmp_path: Path):
    socket = StatusSocket(tmp_path, lambda: SAID)
    pages = pages_of("127.0.0.1:0", lambda: [summary(SAID)], token="mine")
    place = pages.url.removeprefix("http://").replace("/?", "?")
    try:
        by_page, by_address, by_socket = asked(pages.url, place, str(tmp_path))
        assert by_page == by_address == by_socket == summary(SAID)
        assert asked(place.partition("?")[0])[0]["up"] is False  # without the token
    finally:
        pages.close()
        socket.close()
    down = {"up": False, "target": place.partition("?")[0]}
    assert asked(pages.url, place) == [down, down]


def test_rows_and_table():
    said = [summary(SAID), {"up": False, "target": "h\x1b[31m:1"}]
    first, second = rows(said)
    assert first == (
        "device 3",
        "up",
        "4/9",
        "87.5 %",
        "12,000 B",
        "7 arrived",
        "3 refused",
        "absent: 2",
    )
    assert "\x1b" not in second[0]
    shown = io.StringIO()
    Console(file=shown, width=140).print(table(said))
    assert "87.5 %" in shown.getvalue()
    assert "no answer" in shown.getvalue()


def test_the_command_looks_once_and_says_whether_anybody_answers(capsys):
    pages = pages_of("127.0.0.1:0", lambda: [summary(SAID)])
    try:
        assert main(["watch", pages.url, "--once"]) == 0
        assert "device 3  up  4/9" in capsys.readouterr().out
    finally:
        pages.close()
    assert main(["watch", pages.url, "--once"]) == 1
