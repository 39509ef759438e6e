"""What running peers say of themselves, asked for side by side: for a page, and for a terminal."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import ConfigError
from ..system.web import Page, Pages
from .problems import OUTCOMES
from .status import ask

STATE = "state.json"

_SECONDS = 3.0
_MOST = 1 << 22

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Asks peers themselves, whatever this machine's browsers go through."""

Said = Mapping[str, Any]


class Watched:
    """Peers that are watched.

    Parameters
    ----------
    targets : Sequence[str]
        ``HOST:PORT`` of a peer's own page (its key ``watch``), the address that it says with a
        token, or the folder that its ``checkpoint`` names.
    """

    def __init__(self, targets: Sequence[str]) -> None:
        self.targets = list(targets)
        self._pool = ThreadPoolExecutor(min(32, max(1, len(self.targets))))

    def ask(self) -> list[dict[str, Any]]:
        """Return what each says of itself, see `summary`; ``up`` is false where none answers."""
        return [said for part in self._pool.map(_of, self.targets) for said in part]

    def close(self) -> None:
        """Ask no more."""
        self._pool.shutdown(cancel_futures=True)


def pages_of(address: str, state: Any, token: str = "") -> Pages:
    """Serve a page of peers, whose ``state`` is asked for anew all the time."""
    page = files(__package__).joinpath("peers.html").read_text(encoding="utf-8")
    found: dict[str, Page] = {
        "/": lambda: ("text/html", page),
        f"/{STATE}": lambda: ("application/json", json.dumps(state())),
    }
    return Pages(address, found, token)


def summary(said: Said) -> dict[str, Any]:
    """Return what a peer says of itself, and its neighbors' answers summed up."""
    answers = [counts for n in said["neighbors"].values() for counts in [n["answers"]]]
    kinds = [(kind, number) for counts in answers for kind, number in counts.items()]
    return {
        **said,
        "up": True,
        "arrived": sum(number for kind, number in kinds if kind == "arrived"),
        "refused": sum(number for kind, number in kinds if kind not in OUTCOMES),
    }


def _of(target: str) -> list[dict[str, Any]]:
    try:
        if Path(target).is_dir():
            return [summary(ask(Path(target)))]
        with _OPENER.open(_address(target), timeout=_SECONDS) as answer:
            found = json.loads(answer.read(_MOST))
        return [said for said in found if isinstance(said, dict)]
    except (ConfigError, OSError, ValueError, urllib.error.URLError):
        place = urlsplit(target).netloc if "//" in target else target.partition("?")[0]
        return [{"up": False, "target": place}]  # without its token


def _address(target: str) -> str:
    """Return where a peer's page says its state; the token stays with it."""
    parts = urlsplit(target if "//" in target else f"http://{target}")
    if parts.scheme not in ("http", "https"):
        raise ConfigError("watch", target, "must be HOST:PORT, or an address with http")
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}/{STATE}{query}"
