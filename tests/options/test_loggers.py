"""Who is told what rounds measured."""

from __future__ import annotations

import json
import math

import pytest
from local_grid import LocalGrid
from toy_app import make_app, run

from p2pl_flower import P2PL, MemoryRelay
from p2pl_flower.errors import ConfigError
from p2pl_flower.history import Round, Scores, Spread
from p2pl_flower.options import LOGGERS, Loggers, check_loggers, told
from p2pl_flower.serverless.settings import Settings
from p2pl_flower.swarm import Job
from simulations.scenario import Scenario

MEASURED = Round(3, after_consensus=Scores(Spread(0.5, 0, 1, math.nan), None), seconds=1.5)
HEARD: list[tuple[str, int]] = []


class Listening:
    def __init__(self, run: str = "", extra: int = 0) -> None:
        self.run, self.extra = run, extra
        MADE.append(run)

    def on_round(self, measured) -> None:
        HEARD.append((self.run, measured.round + self.extra))


MADE: list[str] = []


@pytest.fixture(autouse=True)
def _silence() -> None:
    HEARD.clear()
    MADE.clear()


def test_functions_objects_and_names_are_told() -> None:
    rounds = []
    told(rounds.append)(MEASURED)
    told(Listening("own"))(MEASURED)
    told("test_loggers.Listening:extra=1+test_loggers.Listening", run="p2pl")(MEASURED)
    assert rounds == [MEASURED]
    assert HEARD == [("own", 3), ("p2pl", 4), ("p2pl", 3)]
    assert told(None) is None
    assert told("") is None
    assert isinstance(LOGGERS.make("json-lines:a+json-lines:b"), Loggers)


def test_lines_of_json(tmp_path) -> None:
    path = tmp_path / "rounds.jsonl"
    tell = told(f"json-lines:path={path}", run="fedavg")
    tell(MEASURED)
    tell(Round(4))
    first, second = map(json.loads, path.read_text().splitlines())
    assert (first["run"], first["round"], first["seconds"]) == ("fedavg", 3, 1.5)
    assert first["after_consensus"]["accuracy"] == {"mean": 0.5, "min": 0, "max": 1, "std": None}
    assert second["round"] == 4


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("nobody", "loggers='nobody': unknown name; choose one of: json-lines"),
        ("json-lines", "needs path, as in 'json-lines:path=...'"),
        ("json-lines:path=a,run=b", "unknown parameter 'run'"),
        ("test_loggers.MADE", "must be an instance of Logger, a function"),
        (3, "loggers=3: must be a name, an instance of Logger, a function"),
        (Listening, "must be a name, an instance of Logger, a function"),
    ],
)
def test_others_are_refused(given, why) -> None:
    for refuse in (told, lambda g: P2PL(on_round=g, relay=MemoryRelay())):
        with pytest.raises(ConfigError) as caught:
            refuse(given)
        assert why in str(caught.value)


def test_names_are_checked_and_nothing_is_made() -> None:
    check_loggers("")
    check_loggers("test_loggers.Listening:extra=1+json-lines:path=nowhere/at.all")
    good = {"device": 0, "num-devices": 2, "listen": "h:1", "app": "a:b", "rounds": 1}
    good |= {"neighbors": {"1": "h:2"}, "insecure": True, "loggers": "test_loggers.Listening"}
    assert Settings.of(good).loggers == Scenario.of({"loggers": good["loggers"]}).loggers
    assert MADE == []
    for make in (Scenario.of, lambda values: Settings.of({**good, **values})):
        with pytest.raises(ConfigError, match="loggers='nobody': unknown name"):
            make({"loggers": "nobody"})


def test_the_strategy_and_the_swarm_take_them() -> None:
    app, relay = make_app()
    run(LocalGrid(app, 3), relay, rounds=2, topology="ring", on_round=Listening("strategy"))
    assert HEARD == [("strategy", 1), ("strategy", 2)]
    Job(lambda: None, [], None, 1, on_round=Listening("swarm")).on_round(MEASURED)
    assert HEARD[-1] == ("swarm", 3)
