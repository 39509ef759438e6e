"""Projects with a client_fn and a server_fn, and those from before."""

from __future__ import annotations

from pathlib import Path

import pytest
from doctor_projects import CLIENT_FN, SERVER_FN, found, lines, make

from p2pl_flower.cli import main

FILES = {"client.py": CLIENT_FN, "server.py": SERVER_FN}


def with_class(methods: str, made: str = "Mine(initial_parameters=p)", base: str = "FedAvg") -> str:
    """Return a server whose strategy is a class of its own."""
    cls = f"\n\nclass Mine({base}):\n    def {methods}\n"
    text = SERVER_FN.replace("FedAvg\n", f"{base}\n{cls}", 1)
    return text.replace("FedAvg(initial_parameters=p)", made)


def test_the_two_lines(tmp_path: Path) -> None:
    findings = found(tmp_path, FILES)
    assert (findings.refused, findings.lost, findings.notes) == ([], [], [])
    client, server = (c.new for c in findings.changed)
    assert lines(client, "import", "app =") == [
        "from flwr.client import NumPyClient",
        "from p2pl_flower import PeerApp",
        "app = PeerApp(client_fn)",
    ]
    assert lines(server, "import", "app =") == [
        "from flwr.server import ServerAppComponents",
        "from flwr.server.strategy import FedAvg",
        "from p2pl_flower import PeerServerApp",
        "app = PeerServerApp(server_fn)",
    ]


def test_a_server_that_holds_the_strategy(tmp_path: Path) -> None:
    classes = (
        "from flwr.server import Server\nclass Saving(Server):\n    def fit(self, n, timeout):\n"
        "        history = super().fit(n, timeout)\n        save(history)\n        return history\n"
    )
    text = classes + SERVER_FN.replace(
        "strategy=FedAvg(initial_parameters=p)", "server=Saving(strategy=FedAvg())"
    )
    [lost] = found(tmp_path, {**FILES, "server.py": text}).lost
    assert "app/server.py:3: fit of Saving is not called: P2PL has its own rounds" in str(lost)
    text = text.replace("super().fit(n, timeout)", "rounds(n)")
    [refused] = found(tmp_path / "own", {**FILES, "server.py": text}).refused
    assert "fit of Saving runs rounds of its own, without super()" in str(refused)


@pytest.mark.parametrize(
    ("methods", "kind", "words"),
    [
        (
            "aggregate_fit(self, r, x, f):\n        p = super().aggregate_fit(r, x, f)\n"
            "        np.savez(p)\n        return p",
            "lost",
            "aggregate_fit of Mine is not called: what it does besides averaging, such as to save",
        ),
        (
            "aggregate_fit(self, r, results, f):\n        return median(results), {}",
            "refused",
            "aggregate_fit of Mine aggregates models in a way of its own, without super()",
        ),
        (
            "configure_fit(self, r, p, m):\n        out = super().configure_fit(r, p, m)\n"
            "        for _, ins in out:\n            ins.config['lr'] = 0.1\n        return out",
            "refused",
            "configure_fit of Mine puts something into what clients are sent",
        ),
        ("num_fit_clients(self, available):\n        return available, 1", "", ""),
    ],
)
def test_methods_of_classes(methods: str, kind: str, words: str, tmp_path: Path) -> None:
    findings = found(tmp_path, {**FILES, "server.py": with_class(methods)})
    said = {"lost": findings.lost, "refused": findings.refused}
    assert [name for name, remarks in said.items() if remarks] == ([kind] if kind else [])
    assert all(words in str(remark) for remark in said.get(kind, []))


def test_a_choice_of_which_one_goes_on(tmp_path: Path) -> None:
    made = "FedAvg() if context.a else Mine()"
    text = with_class("aggregate_fit(self, r, x, f):\n        return mine(x), {}", made)
    [lost] = found(tmp_path, {**FILES, "server.py": text}).lost
    assert "with Mine, training would not be what it is now: aggregate_fit of Mine" in str(lost)


@pytest.mark.parametrize(
    ("strategy", "kind", "words"),
    [
        ("FedAdam", "lost", "FedAdam: the step of its optimizer on the server has no counterpart"),
        ("FedXgbBagging", "refused", "FedXgbBagging: trees (XGBoost) cannot be averaged"),
        ("Krum", "refused", "Krum: it leaves out what faulty or hostile clients send"),
        ("FedProx", "lost", "FedProx puts 'proximal_mu' into the config of every round"),
        ("DPFedAvgFixed", "refused", "strategies around others, those for differential privacy"),
    ],
)
def test_strategies_of_flower(strategy: str, kind: str, words: str, tmp_path: Path) -> None:
    text = SERVER_FN.replace("FedAvg", strategy)
    findings = found(tmp_path, {**FILES, "server.py": text})
    assert words in str({"lost": findings.lost, "refused": findings.refused}[kind][0])
    assert (kind == "lost") is findings.convertible


def test_fedprox_whose_clients_must_find_the_number(tmp_path: Path) -> None:
    client = CLIENT_FN.replace("return parameters, 1, {}", "return train(config['proximal_mu'])")
    files = {"client.py": client, "server.py": SERVER_FN.replace("FedAvg", "FedProx")}
    assert "put it there by on_fit_config_fn" in str(found(tmp_path, files).refused[0])


def test_arguments_that_are_not_asked_for(tmp_path: Path) -> None:
    text = SERVER_FN.replace("(initial", "(fraction_fit=0.5, min_fit_clients=2, initial")
    [note] = found(tmp_path, {**FILES, "server.py": text}).notes
    assert "app/server.py:6: fraction_fit, min_fit_clients: PeerServerApp does not ask" in str(note)


def test_p2pl_is_not_what_a_server_fn_returns(tmp_path: Path) -> None:
    text = SERVER_FN.replace("flwr.server.strategy import FedAvg", "p2pl_flower import P2PL")
    text = text.replace("FedAvg(initial_parameters=p)", "P2PL('ring')")
    [refused] = found(tmp_path, {**FILES, "server.py": text}).refused
    assert "PeerServerApp takes its place" in str(refused)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "from flwr.server import ServerApp\nfrom flwr.server.strategy import FedAvg\n"
            "app = ServerApp(config=c, strategy=FedAvg())\n",
            "ServerApp(strategy=..., config=...) is deprecated in Flower: write a server_fn",
        ),
        (
            "from flwr.server import LegacyContext, ServerApp\n"
            "from flwr.server.strategy import FedAvg\n"
            "app = ServerApp()\ndef main(grid, context):\n    LegacyContext(context, FedAvg())\n",
            "LegacyContext runs a strategy of flwr.server.strategy by rounds of its own",
        ),
        (
            "from flwr.server import ServerApp\n"
            "from flwr.server.workflow import SecAggPlusWorkflow as Secure\n"
            "app = ServerApp()\ndef main(grid, context):\n    Secure()(grid, context)\n",
            "SecAggPlusWorkflow is a way to aggregate on a server",
        ),
        (
            "from flwr.server import ServerApp\n"
            "from flwr.server.strategy import FedAvg, DPFedAvgFixed\n"
            "app = ServerApp()\ndef main(grid, context):\n    run(DPFedAvgFixed(FedAvg()))\n",
            "DPFedAvgFixed: strategies around others",
        ),
    ],
)
def test_servers_from_before(text: str, words: str, tmp_path: Path) -> None:
    findings = found(tmp_path, {**FILES, "server.py": text})
    assert any(words in str(refused) for refused in findings.refused)
    assert findings.changed == []


SCRIPT = "import flwr as fl\nfl.server.start_server(strategy=fl.server.strategy.FedAvg())\n"


@pytest.mark.parametrize(
    ("toml", "files", "words"),
    [
        (
            '[project]\nname = "x"\n',
            {"/s.py": SCRIPT},
            "s.py:2: start_server() is from before `flwr",
        ),
        (
            '[project]\nname = "x"\n',
            {"/c.py": "from flwr.client import start_client as go\ngo()\n", "/bad.py": "def (:\n"},
            "c.py:2: start_client() is from before `flwr run`: name a ClientApp and a ServerApp",
        ),
        (
            '[project]\nname = "x"\n',
            {"/m.py": "from flwr.simulation import start_simulation\nstart_simulation()\n"},
            "m.py:2: start_simulation() is from before",
        ),
        (
            '[flower.components]\nserverapp = "a:b"\n',
            {},
            "names the apps under [flower.components]",
        ),
        (
            '[tool.flwr.app]\npublisher = "x"\n',
            {},
            "names no apps under [tool.flwr.app.components]",
        ),
        ('[tool.flwr.app.components]\nagentapp = "a:b"\n', {}, "this is an AgentApp"),
    ],
)
def test_projects_from_before_flwr_run(
    toml: str, files: dict[str, str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", str(make(tmp_path, files, toml))]) == 1
    printed = capsys.readouterr().out
    assert words in printed
    assert "To change" not in printed
    assert "Nothing to change" not in printed


def test_scripts_without_a_pyproject(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "server.py").write_text(SCRIPT)
    assert main(["doctor", str(tmp_path)]) == 1
    assert "server.py:2: start_server() is from before `flwr run`" in capsys.readouterr().out
