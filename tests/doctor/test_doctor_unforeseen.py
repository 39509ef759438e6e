"""Strategies that are made in roundabout ways: followed, or refused with what to write."""

from __future__ import annotations

from pathlib import Path

import pytest
from doctor_projects import CLIENT, PYPROJECT, found, lines, new, server

from p2pl_flower.errors import ConfigError

FACTORY = "def make(f, *, fraction_train=1, **o):\n    o.pop('mine', 0)\n    return FedAvg(**o)\n"
CHAIN = FACTORY + "def other(**o):\n    return make(1, **o)\n"
METHOD = """
class Mine(FedAvg):
    @classmethod
    def of(cls, kind, **options):
        return cls(fraction_train=kind, **options)
"""
DATACLASS = """
import dataclasses

@dataclasses.dataclass
class Mine(FedAvg):
    fraction_train: float = 0.1
    def __post_init__(self):
        super().__init__(fraction_train=self.fraction_train, min_available_nodes=3)
"""
PARTIAL = "from functools import partial\nmake = partial(FedAvg, fraction_train=1, seed=2)\n"
ASKED = "import flwr.serverapp.strategy as fs\nKind = getattr(fs, 'FedAvg')\n"
IMPORTED = "from importlib import import_module\nfs = import_module('flwr.serverapp.strategy')\n"
FIELD = """
from dataclasses import dataclass, field

@dataclass
class Runner:
    strategy: object = field(default_factory=FedAvg)
"""


@pytest.mark.parametrize(
    ("top", "made", "expected"),
    [
        (FACTORY, "make(0.1, min_train_nodes=2, seed=1)", "make(0.1, seed=1)"),
        (FACTORY, "make(0.1, fraction_train=2, mine=1)", "make(0.1, fraction_train=2, mine=1)"),
        (FACTORY, "make(0.1, fraction_evaluate=0)", "make(0.1, evaluate_every=0)"),
        (CHAIN, "other(min_train_nodes=2, seed=1)", "other(seed=1)"),
        (METHOD, "Mine.of(1, min_train_nodes=2, seed=1)", "Mine.of(1, seed=1)"),
        (DATACLASS, "Mine(fraction_train=0.5)", "Mine(fraction_train=0.5)"),
        (PARTIAL, "make(fraction_evaluate=0.0)", "make(evaluate_every=0)"),
        (PARTIAL, "partial(make, min_train_nodes=1, seed=3)(q=1)", "partial(make, seed=3)()"),
        (ASKED, "Kind(fraction_train=1, seed=1)", "Kind(seed=1)"),
        (IMPORTED, "fs.FedAvg(fraction_train=1, seed=1)", "P2PL(seed=1)"),
        (FIELD, "Runner().strategy", "Runner().strategy"),
    ],
)
def test_arguments_are_followed(top: str, made: str, expected: str, tmp_path: Path) -> None:
    changed = new(tmp_path, {"server.py": server(made, top)})
    assert lines(changed, "strategy = ") == [f"strategy = {expected}"]


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        (METHOD, "return cls(**options)"),
        (DATACLASS, "super().__init__(min_available_nodes=3)"),
        (PARTIAL, "make = partial(P2PL, seed=2)"),
        (ASKED, "Kind = P2PL"),
        (FIELD, "strategy: object = field(default_factory=P2PL)"),
    ],
)
def test_what_they_are_made_of_changes(top: str, expected: str, tmp_path: Path) -> None:
    made = {METHOD: "Mine.of(1)", DATACLASS: "Mine()", PARTIAL: "make()", ASKED: "Kind()"}
    changed = new(tmp_path, {"server.py": server(made.get(top, "Runner().strategy"), top)})
    assert lines(changed, expected) == [expected]
    assert lines(changed, "import P2PL") == ["from p2pl_flower import P2PL"]


@pytest.mark.parametrize(
    ("top", "made", "words"),
    [
        (ASKED.replace("'FedAvg'", "name"), "Kind()", "getattr(fs, name) decides when it runs"),
        ("Kind = type('Kind', (FedAvg,), {})", "Kind()", "FedAvg is handed on to a function"),
        ("@register\nclass Mine(FedAvg): ...", "table['Mine']()", "Mine is a strategy, and"),
    ],
)
def test_what_cannot_be_seen_is_said(top: str, made: str, words: str, tmp_path: Path) -> None:
    findings = found(tmp_path, {"server.py": server(made, top)})
    assert len(findings.refused) == 1
    assert words in str(findings.refused[0])
    assert findings.changed == []


@pytest.mark.parametrize(
    ("made", "scored", "note"),
    [
        ("FedAvg(fraction_train=0.1)", True, "fraction_train: P2PL has no such argument; all "),
        ("FedAvg(0.1, 0.1)", True, "devices that are there train"),
        ("FedAvg(0.1, 0.1)", False, "devices that are there train"),
        ("FedAvg(fraction_evaluate=0.0)", False, ""),
        ("FedAdam(eta=0.2)", True, "eta: P2PL has no such argument"),
    ],
)
def test_only_what_is_missed_is_noted(made: str, scored: bool, note: str, tmp_path: Path) -> None:
    client = CLIENT if scored else CLIENT.partition("@app.evaluate()")[0]
    files = {"client.py": client, "server.py": server(made, imports="FedAvg, FedAdam")}
    notes = [str(n) for n in found(tmp_path, files).notes if "argument" in str(n)]
    assert len(notes) == bool(note)
    assert all(note in text for text in notes)
    if made == "FedAdam(eta=0.2)" or not scored:
        assert not any("scored" in text for text in notes)


def test_a_package_under_src(tmp_path: Path) -> None:
    strategies = "from flwr.serverapp.strategy import FedAvg\n\nKINDS = {'avg': FedAvg}\n"
    other = "from app2.kinds import FedAvg\n"
    text = server(
        "KINDS['avg'](fraction_train=1)", "from app2.kinds import KINDS\nimport app2.other"
    )
    files = {
        "/src/app2/__init__.py": "",
        "/src/app2/kinds.py": strategies,
        "/src/app2/other.py": other,
        "/src/app2/server.py": text,
        "/src/app2/client.py": CLIENT,
    }
    toml = PYPROJECT.replace('"app.', '"app2.')
    findings = found(tmp_path, files, toml)
    assert findings.refused == []
    changed = {c.path.as_posix(): c.new for c in findings.changed}
    assert "strategy = KINDS['avg']()" in changed["src/app2/server.py"]
    assert lines(changed["src/app2/kinds.py"], "import", "KINDS") == [
        "from flwr.serverapp.strategy import FedAvg",  # another file takes it from here
        "from p2pl_flower import P2PL",
        "KINDS = {'avg': P2PL}",
    ]
    assert "app = PeerApp()" in changed["src/app2/client.py"]


def test_a_component_that_is_nowhere(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no file app3/server\.py"):
        found(tmp_path, {}, PYPROJECT.replace('"app.server', '"app3.server'))


def test_apps_in_the_init_of_a_package(tmp_path: Path) -> None:
    text = server("FedAvg()").replace(
        "app = ServerApp", "from .client import app as client\n\napp = ServerApp"
    )
    toml = PYPROJECT.replace("app.server:app", "app:app").replace("app.client:app", "app:client")
    findings = found(tmp_path, {"__init__.py": text, "server.py": "gone = 1 +"}, toml)
    assert findings.refused == []
    assert [c.path.as_posix() for c in findings.changed] == ["app/__init__.py", "app/client.py"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("print(strategy.fraction_train)", "strategy.fraction_train is read here"),
        ("strategy.fraction_train = 1\n    print(strategy.fraction_train)", ""),
        ("print(strategy.weighted_by_key)", ""),
        ("print(other.fraction_train)", ""),
    ],
)
def test_attributes_that_only_flowers_have(line: str, told: str, tmp_path: Path) -> None:
    text = server("FedAvg()").replace("    strategy.start", f"    {line}\n    strategy.start")
    refused = [str(remark) for remark in found(tmp_path, {"server.py": text}).refused]
    assert [told in remark for remark in refused] == [True] * bool(told)


def test_a_strategy_of_the_users_around_it_stays(tmp_path: Path) -> None:
    around = """
    class Around(Strategy):
        def configure_train(self, *given):
            return self.inner.configure_train(*given)
    """
    text = server("Around(FedAvg())", around, "FedAvg, Strategy")
    findings = found(tmp_path, {"server.py": text})
    assert findings.refused == []
    assert "around P2PL it goes on working where it passes calls on" in str(findings.notes[0])
