"""A comparison that is under way, as a page that goes on with it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from p2pl_flower.history import History, Round, Run, environment

from . import pages
from .live import Live
from .scenario import Scenario


class Watched:
    """Holds what contenders have measured so far, and serves it as a report.

    Parameters
    ----------
    scenario : Scenario
        What is compared.
    engine : str
        What contenders run on.
    address : str
        ``HOST:PORT`` to serve at.
    token : str
        What readers must bring; needed where the address is not this machine's own.
    """

    def __init__(self, scenario: Scenario, engine: str, address: str, token: str = "") -> None:
        self._keys: Mapping[str, Any] = scenario.keys()
        self._engine, self._environment = engine, environment()
        self._runs = {
            contender.name: Run(
                contender.name,
                engine,
                scenario.seed,
                contender.devices(scenario.num_devices),
            )
            for contender in scenario.named_contenders()
        }
        self._lock = threading.Lock()
        self._network = pages.network(self._history())
        self._live = Live(address, self._history, self._network, token)

    @property
    def url(self) -> str:
        """Where the page is."""
        return self._live.url

    def show(self, name: str, measured: Round) -> None:
        """Take a round that has ended."""
        with self._lock:
            self._runs[name].rounds.append(measured)
        self._live.changed()

    def close(self) -> None:
        """Serve no more."""
        self._live.close()

    def _history(self) -> History:
        with self._lock:
            runs = [
                Run(r.contender, r.engine, r.seed, r.devices, {}, list(r.rounds))
                for r in self._runs.values()
                if r.rounds
            ]
        return History(self._keys, self._environment, runs or list(self._runs.values()))
