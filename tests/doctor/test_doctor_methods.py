"""Strategies that methods of objects make, and what is started where no model can be looked at."""

from __future__ import annotations

from pathlib import Path

import pytest
from doctor_projects import CLIENT, CLIENT_FN, SERVER_FN, found, lines, new, server

TOP = """\
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg
{classes}
app = ServerApp()


@app.main()
def main(grid, context):
    {body}
"""
FACTORY = """
class Factory:
    def make(self, fraction, **options):
        return FedAvg(**options)

    @staticmethod
    def other(fraction, **options):
        return FedAvg(fraction, **options)
"""
RUNNER = """
class Above:
    def make(self, **options):
        return FedAvg(**options)

class Runner(Above):
    def run(self, grid):
        self.made(min_train_nodes=2, seed=1).start(grid, arrays)

    def made(self, **options):
        return self.make(fraction_train=0.5, **options)
"""
OTHER = "class Other:\n    def make(self, fraction_train):\n        return fraction_train\n"


def app(classes: str, body: str) -> dict[str, str]:
    return {"server.py": TOP.format(classes=classes, body=body)}


@pytest.mark.parametrize(
    ("classes", "body", "expected"),
    [
        (FACTORY, "Factory().make(1, min_train_nodes=2, seed=1).start()", "Factory().make(1, seed"),
        (FACTORY, "Factory.other(1, min_train_nodes=2).start()", "Factory.other(1).start()"),
        (FACTORY, "Factory().other(1, eta=2).start()", "Factory().other(1).start()"),
        (
            FACTORY + "FACTORY = Factory()\n",
            "FACTORY.make(2, fraction_evaluate=0.0).start()",
            "FACTORY.make(2, evaluate_every=0).start()",
        ),
        (FACTORY, "given().make(1, eta=1).start()", "given().make(1).start()"),
        (
            FACTORY + OTHER,
            "Other().make(fraction_train=1)\n    Factory().make(1).start()",
            "Other()",
        ),
    ],
)
def test_methods_are_followed(classes: str, body: str, expected: str, tmp_path: Path) -> None:
    changed = new(tmp_path, app(classes, body))
    assert expected in lines(changed, ".make", ".other")[0]
    assert "return P2PL(**options)" in changed


def test_methods_of_ones_own_hand_on_to_each_other(tmp_path: Path) -> None:
    changed = new(tmp_path, app(RUNNER, "Runner().run(grid)"))
    assert lines(changed, "self.ma", "return P2PL") == [
        "return P2PL(**options)",
        "self.made(seed=1).start(grid, arrays)",
        "return self.make(**options)",
    ]


def test_a_method_that_may_be_anybodys_is_named(tmp_path: Path) -> None:
    body = (
        "for each in things():\n        each.make(fraction_train=1)\n    Factory().make(1).start()"
    )
    [refused] = found(tmp_path, app(FACTORY + OTHER, body)).refused
    assert "each.make may be one of several functions" in str(refused)


@pytest.mark.parametrize(
    ("made", "start", "is_refused"),
    [
        ("P2PL(relay=GrpcRelay())", "grid, arrays, evaluate_fn=f", True),
        ("P2PL('ring', relay='grpc')", "grid, arrays, 3, 60, None, None, f", True),
        ("P2PL('ring', relay='grpc:daemon=unix:/x')", "grid, arrays, evaluate_fn=f", True),
        ("P2PL(relay=RELAY)", "grid, arrays, evaluate_fn=f", True),
        ("Mine(relay=GrpcRelay())", "grid, arrays, evaluate_fn=f", True),
        ("P2PL(relay=GrpcRelay())", "grid, arrays, evaluate_fn=None", False),
        ("P2PL(relay=GrpcRelay())", "grid, arrays", False),
        ("P2PL(relay='ray')", "grid, arrays, evaluate_fn=f", False),
        ("P2PL()", "grid, arrays, evaluate_fn=f", False),
        ("FedAvg() if x else P2PL(relay='grpc')", "grid, arrays, evaluate_fn=f", False),
    ],
)
def test_an_evaluate_fn_where_models_are_elsewhere(
    made: str, start: str, is_refused: bool, tmp_path: Path
) -> None:
    top = "from p2pl_flower import GrpcRelay, P2PL\nRELAY = GrpcRelay()\nclass Mine(P2PL): ...\n"
    text = server(made, top).replace("strategy.start(grid, arrays)", f"strategy.start({start})")
    refused = [str(remark) for remark in found(tmp_path, {"server.py": text}).refused]
    words = "evaluate_fn over GrpcRelay: there are no models on the server to evaluate"
    assert [words in remark for remark in refused] == [True] * is_refused


def test_an_evaluate_fn_of_a_server_fn_where_models_are_elsewhere(tmp_path: Path) -> None:
    text = SERVER_FN.replace("initial_parameters=p", "initial_parameters=p, evaluate_fn=f")
    text = text.replace("app = ServerApp(", "app = PeerServerApp(relay='grpc', ")
    text = "from p2pl_flower import PeerServerApp\n" + text
    [refused] = found(tmp_path, {"server.py": text, "client.py": CLIENT_FN}).refused
    assert "evaluate_fn over GrpcRelay" in str(refused)


CONTEXT = """
from contextlib import contextmanager

@contextmanager
def making(f):
    yield FedAvg(fraction_train=f)
"""
PICK = """
def pick(n):
    match n:
        case 1:
            return FedAvg(fraction_train=1), 3
    return FedAvg(**({} if n else {'eta': 1})), 4
"""
NESTED = "class Outer:\n    class Inner(FedAvg):\n        pass\n"
CACHED = "from functools import lru_cache\n@lru_cache\ndef make(f):\n    return FedAvg(f)\n"


@pytest.mark.parametrize(
    ("classes", "made", "expected"),
    [
        (CONTEXT, "making(1).__enter__()", "yield P2PL()"),
        (PICK, "pick(1)[0]", "return P2PL(), 3"),
        (PICK, "pick(1)[0]", "return P2PL(**({} if n else {})), 4"),
        (NESTED, "Outer.Inner(fraction_train=1)", "strategy = Outer.Inner()"),
        (CACHED, "make(0.5)", "return P2PL()"),
        ("", "[FedAvg(fraction_train=f) for f in g][0]", "strategy = [P2PL() for f in g][0]"),
        ("", "FedAvg (fraction_train=(1),)", "strategy = P2PL ()"),
        ("", "(FedAvg)(fraction_train=(f := 1))", "strategy = (P2PL)()"),
        ("A = {'a': lambda: FedAvg(eta=1)}", "A['a']()", "A = {'a': lambda: P2PL()}"),
        ("Kind = FedAvg\n", "Kind(fraction_train=1)", "strategy = Kind()"),
        ("def make(s=FedAvg(eta=1)):\n    return s\n", "make()", "def make(s=P2PL()):"),
    ],
)
def test_where_else_strategies_are_made(
    classes: str, made: str, expected: str, tmp_path: Path
) -> None:
    text = new(tmp_path, {"server.py": server(made, classes), "client.py": CLIENT})
    assert lines(text, "P2PL", "strategy = ").count(expected) == 1


def test_a_variable_that_would_be_lost_is_named(tmp_path: Path) -> None:
    text = server("FedAvg(fraction_train=(f := 0.5)); print(f)")
    [refused] = found(tmp_path, {"server.py": text}).refused
    assert "'f' gets its value in the argument 'fraction_train=(f := 0.5)'" in str(refused)
