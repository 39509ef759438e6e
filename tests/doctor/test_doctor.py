"""``p2pl-flower doctor`` on the sample projects, before and after, and on broken ones."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import flower_projects
import pytest
from flower_projects import NAMES
from flwr.serverapp.strategy import FedAvg

from p2pl_flower import P2PL
from p2pl_flower.cli import main
from p2pl_flower.doctor import versions
from p2pl_flower.doctor.changes import KEPT, changes_of
from p2pl_flower.doctor.findings import Change
from p2pl_flower.doctor.project import Project
from p2pl_flower.doctor.refusals import notes_of, refusals_of

PYPROJECT = """
[project]
dependencies = ["flwr>=1.41"]
[tool.flwr.app.components]
serverapp = "app.server:app"
clientapp = "app.client:app"
"""
CLIENT = """
from flwr.clientapp import ClientApp
app = ClientApp()
@app.train()
def train(message, context):
    ...
@app.evaluate()
def evaluate(message, context):
    ...
"""
SERVER = """
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg
app = ServerApp()
@app.main()
def main(grid, context):
    FedAvg().start(grid, arrays)
"""


def make(folder: Path, client: str = CLIENT, server: str = SERVER, toml: str = PYPROJECT) -> Path:
    (folder / "app").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(toml, encoding="utf-8")
    (folder / "app" / "client.py").write_text(client, encoding="utf-8")
    (folder / "app" / "server.py").write_text(server, encoding="utf-8")
    return folder


def apply(folder: Path, changes: list[Change]) -> None:
    """Make the changes that the doctor names, from the last line to the first."""
    for change in sorted(changes, key=lambda c: (c.line, not c.old), reverse=True):
        path = folder / change.path
        lines = path.read_text(encoding="utf-8").splitlines()
        start = change.line - 1 if change.old else change.line
        assert tuple(lines[start : start + len(change.old)]) == change.old
        lines[start : start + len(change.old)] = [change.new]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_it_names_the_lines_of_the_diff(name: str, tmp_path: Path) -> None:
    folder = flower_projects.copy(name, tmp_path, peer_to_peer=False)
    project = Project.read(folder)
    assert refusals_of(project) == []
    apply(folder, changes_of(project))
    converted = flower_projects.copy(name, tmp_path, peer_to_peer=True)
    for path in sorted(converted.rglob("*.py")):
        ours = (folder / path.relative_to(converted)).read_text(encoding="utf-8")
        # the diffs choose a ring; the doctor leaves the choice to the default
        theirs = path.read_text(encoding="utf-8").replace('P2PL("ring")', "P2PL()")
        theirs = theirs.replace('server_fn, "ring"', "server_fn")
        assert sorted(ours.splitlines()) == sorted(theirs.splitlines()), path


@pytest.mark.parametrize("name", NAMES)
def test_it_has_nothing_to_say_after_the_diff(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", str(flower_projects.copy(name, tmp_path, peer_to_peer=True))]) == 0
    printed = capsys.readouterr().out
    assert "Nothing to change: it trains peer to peer." in printed
    assert "To change" not in printed


def test_what_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = flower_projects.copy("local-dp", tmp_path, peer_to_peer=False)
    assert main(["doctor", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert re.match(r"Python 3\.\d+\.\d+, flwr 1\.\d+\.\d+, p2pl-flower 0\.1\.0; the p", printed)
    assert "asks for flwr[simulation]>=1.30; supported is flwr>=1." in printed
    assert "To change (4 lines):\ndpexample/client_app.py:5\n  - from flwr.cl" in printed
    assert "  + app = PeerApp(mods=[arrays_size_mod])\n" in printed
    assert "dpexample/client_app.py:6: LocalDpMod: its clipping and noise are on what" in printed
    assert "add 'p2pl-flower' to the dependencies" in printed


def test_nothing_is_run(tmp_path: Path) -> None:
    raises = "raise SystemExit('was run')\n"
    folder = make(tmp_path / "p", raises + CLIENT, raises + SERVER)
    before = set(sys.modules)
    assert main(["doctor", str(folder)]) == 0
    assert not [m for m in set(sys.modules) - before if m.startswith("app")]
    command = [sys.executable, "-W", "ignore", "-m", "p2pl_flower", "doctor", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "app/client.py:4\n  - app = ClientApp()\n  + app = PeerApp()" in done.stdout


def test_the_arguments_that_stay_are_those_that_both_take() -> None:
    ours, theirs = (set(inspect.signature(s.__init__).parameters) for s in (P2PL, FedAvg))
    assert (ours & theirs) - {"self"} == KEPT


@pytest.mark.parametrize(
    ("client", "server", "new"),
    [
        (
            CLIENT.replace("from flwr.clientapp import ClientApp", "import flwr as fl").replace(
                "= ClientApp", "= fl.client.ClientApp"
            ),
            SERVER,
            ["from p2pl_flower import PeerApp", "app = PeerApp()"],
        ),
        (
            CLIENT.replace("import ClientApp", "import ClientApp as App").replace(
                "= ClientApp", "= App"
            ),
            SERVER,
            ["from p2pl_flower import PeerApp", "app = PeerApp()"],
        ),
        (CLIENT.replace("app =", "app: ClientApp ="), SERVER, ["app: ClientApp = PeerApp()"]),
        (
            CLIENT,
            SERVER.replace(
                "FedAvg().", "FedAvg(\n        0.5,\n        min_available_nodes=2,\n    )."
            ),
            ["    P2PL(min_available_nodes=2).start(grid, arrays)"],
        ),
        (
            CLIENT,
            SERVER.replace("FedAvg()", "Own(fraction_train=1.0)").replace(
                "app =", "class Own(FedAvg):\n    pass\napp ="
            ),
            ["class Own(P2PL):", "    Own().start(grid, arrays)"],
        ),
        (
            CLIENT,
            "import flwr.server as fs\napp = fs.ServerApp(server_fn=make)\n",
            ["from p2pl_flower import PeerServerApp", "app = PeerServerApp(make)"],
        ),
    ],
)
def test_other_ways_to_write_it(client: str, server: str, new: list[str], tmp_path: Path) -> None:
    folder = make(tmp_path / "p", client, server)
    changes = changes_of(Project.read(folder))
    assert set(new) <= {change.new for change in changes}
    apply(folder, changes)
    again = Project.read(folder)
    assert changes_of(again) == []
    for source in again.sources:
        compile(source.text, str(source.path), "exec")


@pytest.mark.parametrize(
    ("client", "server", "words"),
    [
        (CLIENT, f"import xgboost as xgb\n{SERVER}", "trees (XGBoost) cannot be averaged"),
        (CLIENT, SERVER.replace("FedAvg", "FedXgbBagging"), "trees (XGBoost) cannot be"),
        (
            CLIENT,
            "from flwr.serverapp.strategy import DifferentialPrivacyServerSideFixedClipping as D\n"
            + SERVER,
            "D: strategies around others, those for differential privacy",
        ),
        (
            f"from flwr.client.mod import secaggplus_mod\n{CLIENT}",
            SERVER,
            "secaggplus_mod: secure aggregation masks",
        ),
        (
            f"from flwr.clientapp.mod import fixedclipping_mod\n{CLIENT}",
            SERVER,
            "fixedclipping_mod: it is one half of differential privacy",
        ),
        (
            CLIENT,
            f"from flwr.server.workflow import SecAggPlusWorkflow\n{SERVER}",
            "SecAggPlusWorkflow is a way to aggregate",
        ),
        (
            CLIENT.replace(
                "    ...\n@app.ev",
                "    one = ArrayRecord(m)\n    return Message(RecordDict("
                "{'a': one, 'b': ArrayRecord(n), 'c': MetricRecord(x)}))\n@app.ev",
            ),
            SERVER,
            "the train function returns 2 array records",
        ),
        (
            CLIENT.replace(
                "    ...\n@app.ev",
                "    return Message(RecordDict({'c': MetricRecord(x)}))\n@app.ev",
            ),
            SERVER,
            "the train function returns 0 array records",
        ),
        (CLIENT.replace("@app.train()", "@app.train('mine')"), SERVER, "no @app.train() function"),
        (
            CLIENT,
            SERVER.replace(
                "app =", "class Own(FedAvg):\n    def aggregate_train(self): ...\napp ="
            ),
            "aggregate_train of a class of yours",
        ),
    ],
)
def test_what_is_not_supported(
    client: str, server: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make(tmp_path / "p", client, server)
    assert main(["doctor", str(folder)]) == 1
    section = capsys.readouterr().out.partition("Not supported:\n")[2].partition("\n\n")[0]
    assert len(section.splitlines()) == 1
    assert words in section
    assert re.match(r"app/(client|server)\.py:\d+: ", section)


def test_notes(tmp_path: Path) -> None:
    client = CLIENT.replace("@app.evaluate()", "@app.query()").replace("= ClientApp()", "= own()")
    server = SERVER.replace("FedAvg", "FedProx")
    notes = [str(n) for n in notes_of(Project.read(make(tmp_path / "p", client, server)))]
    assert "app/client.py:1: there is no @app.evaluate()" in notes[1]
    assert "app/client.py:1: cannot see that 'app' is a ClientApp" in notes[0]
    assert "app/server.py:3: FedProx: set 'proximal-mu' in train_config" in notes[2]
    server = SERVER.replace("FedAvg", "FedAdam")
    [note] = notes_of(Project.read(make(tmp_path / "q", CLIENT, server)))
    assert "FedAdam: how it aggregates has no counterpart" in note.text


def test_a_wrapper_is_not_replaced_by_a_second_p2pl(tmp_path: Path) -> None:
    server = SERVER.replace("import FedAvg", "import DPFedAvg as Wrapper, FedAvg").replace(
        "FedAvg().start", "Wrapper(FedAvg(), 1.0).start"
    )
    changes = changes_of(Project.read(make(tmp_path / "p", CLIENT, server)))
    assert "    Wrapper(P2PL(), 1.0).start(grid, arrays)" in [change.new for change in changes]


LEGACY_SERVER = """
from flwr.server import ServerApp, ServerAppComponents
from flwr.server.strategy import FedAvg, FedAdam
class Own(FedAvg):
    def aggregate_fit(self, server_round, results, failures):
        ...
    def num_fit_clients(self, available):
        ...
def server_fn(context):
    return ServerAppComponents(strategy=FedAvg(fraction_fit=0.5, initial_parameters=p))
app = ServerApp(server_fn=server_fn)
"""


def test_what_has_no_counterpart_is_noted(tmp_path: Path) -> None:
    server = SERVER.replace("FedAvg()", "FedAvg(fraction_evaluate=0.5, min_available_nodes=2)")
    notes = [str(n) for n in notes_of(Project.read(make(tmp_path / "p", CLIENT, server)))]
    assert notes == [
        "app/server.py:7: fraction_evaluate: P2PL has no such argument; all devices that are "
        "there train and are scored"
    ]
    notes = [str(n) for n in notes_of(Project.read(make(tmp_path / "q", CLIENT, LEGACY_SERVER)))]
    assert [note.partition(";")[0] for note in notes] == [
        "app/server.py:3: FedAdam: how it aggregates has no counterpart",
        "app/server.py:5: aggregate_fit of a class of yours is not called: P2PL has its own rounds",
        "app/server.py:10: fraction_fit: P2PL has no such argument",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"client": "def broken(:\n"}, "app/client.py:1': is not valid Python"),
        ({"client": "pass\n"}, "clientapp='app': app/client.py assigns no call to 'app'"),
        ({"toml": "[project"}, "is not valid TOML"),
        ({"toml": "[project]\nname = 'x'\n"}, "clientapp=None: pyproject.toml must name it"),
        (
            {"toml": PYPROJECT.replace("app.client:", "app.missing:")},
            "there is no file app/missing",
        ),
        (
            {"server": SERVER.replace("ServerApp()", "ServerApp(strategy=s, config=c)")},
            "is deprecated: write a server_fn first",
        ),
    ],
)
def test_broken_projects(
    arguments: dict[str, str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", str(make(tmp_path / "p", **arguments))]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.startswith("p2pl-flower doctor: ")
    assert error.count("\n") == 1


def test_no_project_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", str(tmp_path)]) == 2
    assert (
        "must be the folder of a Flower project, with a pyproject.toml" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("dependency", "refused"),
    [
        ("flwr[simulation]>=1.30", False),
        ("flwr==1.20.0", True),
        ("flwr>=1.8,<1.20", True),
        ("flwr~=1.12.0", True),
        ("flwr>=2.0", True),
        ("flwr", False),
        ("flwr-datasets==0.1", False),
    ],
)
def test_versions(dependency: str, refused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "supported_range", lambda: ">=1.30,<2")
    found = versions.version_refusals([dependency, "torch"])
    assert [dependency in text for text in found] == [True] * refused


def test_an_old_flwr_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "version", lambda name: "1.2.0")
    [text] = versions.version_refusals([])
    assert text.startswith("flwr 1.2.0 is installed, and >=1.")
