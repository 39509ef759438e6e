"""``p2pl-flower cluster``: a network of processes, one history, and none left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from flwr.serverapp import ServerApp

from p2pl_flower import P2PL, FileRelay, PeerApp
from p2pl_flower.cli import main
from p2pl_flower.errors import RelayError
from p2pl_flower.history import History, Spread
from p2pl_flower.relay.contents import MODEL, models_of
from p2pl_flower.relay.spool import Document
from p2pl_flower.serverless.checkpoint import find, model_in
from p2pl_flower.serverless.cluster import Cluster
from p2pl_flower.serverless.settings import Settings

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


class KeptRelay(FileRelay):
    """A relay whose models can still be looked at after the run."""

    def close(self, run: int) -> None:
        with contextlib.suppress(RelayError):  # it has been closed before
            found = models_of(self.observe(run, MODEL))
            self.last = {d: copied(model) for d, model in found.items()}

        super().close(run)


def copied(model):
    return {name: np.array(array) for name, array in model.items()}


def simulated(app: PeerApp, main, ray_address: str) -> None:
    """Run an app and the main function of a ServerApp in Flower's Ray simulation."""
    from flwr.simulation import run_simulation

    server = ServerApp()
    server.main()(main)
    backend = {
        "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
        "init_args": {"address": ray_address, "log_to_driver": False},
    }
    run_simulation(server, app, num_supernodes=5, backend_config=backend)


def test_five_peers_on_digits_end_with_the_models_of_the_ray_simulation(
    tmp_path, monkeypatch, capsys, ray_address
) -> None:
    """The repository's own app, unchanged: peers with certificates, and Flower's simulation."""
    pytest.importorskip("torch")
    from simulations.client_app import make_client_app
    from simulations.scenario import Scenario
    from simulations.task import make_task

    monkeypatch.chdir(ROOT)
    arguments = ["--num-devices=5", "--rounds=3", "--seed=5", "--set=start=200"]
    folders = [f"--out={tmp_path}", f"--checkpoint={tmp_path}/state"]
    folders += ["--save-models", "--set=waiting.deadline=120"]
    code = main(["cluster", *arguments, *folders])
    printed = capsys.readouterr().out
    assert code == 0, printed
    assert printed.count("done") == 5
    assert "5 of 5 devices came to their end" in printed
    [run] = History.load(tmp_path / "history.json").runs
    values = {"dataset": "digits", "num-devices": 5, "topology": "ring", "rounds": 3, "seed": 5}
    values |= {"contenders": "p2pl", "evaluate-every": 1, "learning-rate": 0.05}
    scenario = Scenario.of(values)
    relay = KeptRelay(tmp_path)
    strategy = P2PL("ring", num_devices=5, seed=5, relay=relay)
    start = make_task(scenario).initial_arrays
    app = make_client_app(lambda _: scenario, FileRelay(tmp_path))
    simulated(
        app, lambda grid, _: strategy.start(grid, start, 3, timeout=120) and None, ray_address
    )
    for device in range(5):
        theirs, ours = relay.last[device], saved(tmp_path / "state", device, tmp_path)
        for name, array in theirs.items():
            apart = np.linalg.norm(ours[name] - array)
            assert apart <= 1e-5 * np.linalg.norm(array), (device, name)
    for ours, theirs in zip(run.rounds, strategy.rounds, strict=True):
        assert ours.after_consensus.accuracy.mean == pytest.approx(
            theirs.after_consensus.accuracy.mean, abs=2e-3
        )
        assert (ours.bytes_sent, ours.bytes_sent_busiest) == (
            theirs.bytes_sent,
            theirs.bytes_sent_busiest,
        )
    assert run.setup["skipped_rounds"] == {str(d): [] for d in range(5)}
    assert run.setup["agrees"] is True
    scores = [evaluated(scenario, tmp_path / "models", d) for d in range(5)]
    assert run.rounds[-1].after_consensus.accuracy == Spread.over(scores)


def evaluated(scenario, folder: Path, device: int) -> float:
    """Return the accuracy of a model that was saved, loaded in one line."""
    from safetensors.torch import load_file

    from simulations.client_app import make_model, score

    model = make_model(scenario, seed=0)
    model.load_state_dict(load_file(folder / f"device-{device}.safetensors"))
    return score(scenario, model)["accuracy"]


def saved(folder: Path, device: int, out: Path):
    common = {"app": "x:y", "rounds": 3, "seed": 5, "insecure": True, "checkpoint": str(folder)}
    cluster = Cluster(common, "ring", 5, 5, lambda *_: None)
    made = Settings.of(cluster.settings()[device])
    return model_in(find(Path(made.checkpoint)))


def started(tmp_path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "p2pl_flower", "cluster", "--num-devices=3", "--rounds=1000"]
    options = ["--app=numbers_app:peer_app", "--insecure", "--out", str(tmp_path)]
    slow = ["--set=run-config.seconds=0.2", f"--set=run-config.log={tmp_path}"]
    path = os.pathsep.join([str(HERE), str(ROOT)])
    return subprocess.Popen(
        [*command, *options, *slow],
        env={**os.environ, "PYTHONPATH": path},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # As from a terminal: shells let what they start in the background ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_device_outlives_the_command(tmp_path, how) -> None:
    with started(tmp_path) as cluster:
        assert cluster.stdout is not None
        assert "round   1" in cluster.stdout.readline()
        pids = devices_pids(tmp_path, 3)
        if how == signal.SIGINT:
            os.killpg(cluster.pid, how)  # as Ctrl-C does
            assert cluster.wait(30) == 130
        else:
            cluster.kill()
        cluster.stdout.close()
    end = time.monotonic() + 30
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < end
        time.sleep(0.05)


def devices_pids(folder: Path, count: int) -> set[int]:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        logs = list(folder.glob("device-*.log"))
        if len(logs) == count and all(log.read_text() for log in logs):
            return {int(log.read_text().split()[1]) for log in logs}
        time.sleep(0.05)
    raise AssertionError("not all devices have trained")


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--num-devices=1"], "n=1|must be at least 2"),
        (["--topology=nonsense"], "topology='nonsense': unknown name"),
        (["--topology=regular:d=5"], "d=5: must be less than n=2"),
        (["--app=nowhere"], "must look like package.module:name"),
        (["--rounds=0"], "rounds=0: must be at least 1"),
        (["--set=waiting.quorum=-1"], "waiting.quorum=-1"),
        (["--set=nonsense=1"], "nonsense=1: unknown key"),
        (["--set=listen=127.0.0.1:1"], "listen='127.0.0.1:1': is each device's own"),
        (["--set=history=x"], "history='x': is each device's own"),
        (["--out=/dev/null/x"], "out='/dev/null/x': cannot be made"),
    ],
)
def test_a_users_mistake_is_one_sentence(
    tmp_path, monkeypatch, capfd, arguments, complaint
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(HERE))
    given = ["cluster", "--num-devices=2", "--insecure", "--app=numbers_app:peer_app", *arguments]
    assert main(given) == 2
    said = capfd.readouterr().err
    assert any(part in said for part in complaint.split("|")), said
    assert "Traceback" not in said


def test_the_cluster_says_what_its_devices_found_and_saves_their_models(
    tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.chdir(tmp_path)
    given = ["--num-devices=5", "--topology=path", "--rounds=1", "--app=numbers_app:peer_app"]
    assert main(["cluster", *given, "--insecure", "--save-models", "--set=sync-steps=1"]) == 0
    said = capsys.readouterr().out
    [run] = History.load(tmp_path / "results/cluster/history.json").runs
    assert run.setup["synchronization_steps"] == 1  # what was set is what was done
    origins = run.setup["initial_model_of"]
    assert len({tuple(drawn_by) for drawn_by in origins.values()}) > 1
    assert run.setup["agrees"] is False
    assert "devices started from different initial models" in said
    assert "given" not in said
    assert f"0: {origins['0'][0]}, 1: {origins['1'][0]}, " in said
    assert "sync-steps must be at least 4, the diameter of this graph" in said
    folder = tmp_path / "results" / "cluster" / "models"
    assert f"{folder}\n" in said
    means = [Document.at(folder / f"device-{d}.safetensors").model()["w"].mean() for d in range(5)]
    assert run.rounds[-1].after_consensus.loss == Spread.over(means)


def test_without_a_project_the_app_must_be_named(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["cluster"]) == 2
    assert "must name a ClientApp" in capsys.readouterr().err
