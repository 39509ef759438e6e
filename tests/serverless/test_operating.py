"""What operates a peer: its status, signals, log files, and errors of a settings file."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import networkx as nx
import pytest
import tomli_w
from devices import settings

from p2pl_flower.cli import main
from p2pl_flower.errors import ConfigError
from p2pl_flower.history import History
from p2pl_flower.relay.grpc.remote import proxy_in_the_way
from p2pl_flower.serverless.loading import load_app
from p2pl_flower.serverless.settings import Settings
from p2pl_flower.serverless.status import StatusSocket, ask

HERE = Path(__file__).parent
MINIMAL = {
    "device": 0,
    "num-devices": 2,
    "listen": "127.0.0.1:9400",
    "app": "numbers_app:peer_app",
    "rounds": 1,
    "insecure": True,
    "neighbors": {"1": "127.0.0.1:9401"},
}


def test_the_status_is_what_the_peer_says_and_this_users_alone(tmp_path, capsys) -> None:
    neighbors = {"1": {"address": "a:1\x1b[2J", "absent": True, "round": None, "answers": {}}}
    told = {"device": 0, "run": "p2pl", "address": "h:1", "done": 2, "rounds": 9}
    status = StatusSocket(tmp_path, lambda: {**told, "neighbors": neighbors})
    assert stat.S_IMODE((tmp_path / "status.sock").stat().st_mode) == 0o600
    assert main(["status", str(tmp_path)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "device 0 of run p2pl: 2 of 9 rounds are over; listens at h:1"
    assert said[1] == r"neighbor 1 at a:1\x1b[2J: absent, round ?; nothing"
    assert main(["status", "--json", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["done"] == 2
    status.close()
    assert main(["status", str(tmp_path)]) == 2
    assert "no peer is running there" in capsys.readouterr().err


@pytest.mark.slow
def test_a_peer_tells_its_status_and_sigterm_leaves_its_checkpoint(tmp_path) -> None:
    common = {"rounds": 1000, "run_config": {"seconds": 0.2}}
    made = settings(nx.path_graph(2), tmp_path, **common)
    running = []
    for d, values in made.items():
        (tmp_path / f"{d}.toml").write_text(tomli_w.dumps(values))
        command = [sys.executable, "-m", "p2pl_flower", "peer", str(tmp_path / f"{d}.toml")]
        logs = ["--log-file", str(tmp_path / f"{d}.jsonl"), "--log-format", "json"]
        process = subprocess.Popen([*command, *logs], cwd=HERE, stdout=subprocess.PIPE, text=True)
        running.append(process)
    try:
        for _ in range(2):
            assert "round" in running[0].stdout.readline()
        said = ask(tmp_path / "device-0")
        assert said["done"] >= 2
        assert said["neighbors"]["1"]["answers"]["arrived"] >= 1
        assert not said["neighbors"]["1"]["absent"]
        running[0].send_signal(signal.SIGTERM)
        assert running[0].wait(30) == 130
    finally:
        for process in running:
            process.kill()
            process.wait()
            process.stdout.close()
    assert (tmp_path / "device-0" / "checkpoint.safetensors").exists()
    assert History.load(tmp_path / "device-0.json").runs[0].rounds
    for line in (tmp_path / "0.jsonl").read_text().splitlines():
        assert json.loads(line)["level"] == "WARNING"


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_cluster_that_is_ended_leaves_its_history_and_no_keys(tmp_path, how) -> None:
    (tmp_path / "tmp").mkdir()
    command = [sys.executable, "-m", "p2pl_flower", "cluster", "--num-devices=2", "--rounds=1000"]
    options = ["--app=numbers_app:peer_app", "--out", str(tmp_path)]
    root = HERE.parents[1]
    environment = {
        **os.environ,
        "TMPDIR": str(tmp_path / "tmp"),
        "PYTHONPATH": os.pathsep.join([str(HERE), str(root)]),
    }
    with subprocess.Popen(
        [*command, *options, "--topology=path", "--set=run-config.seconds=0.2"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as cluster:
        for _ in range(4):
            assert "round" in cluster.stdout.readline()
        assert list((tmp_path / "tmp").glob("*/device-0.key"))
        cluster.send_signal(how)
        cluster.stdout.read()
        assert cluster.wait(60) == 130
    assert not list((tmp_path / "tmp").glob("*/*.key"))
    [run] = History.load(tmp_path / "history.json").runs
    assert [r.round for r in run.rounds][:1] == [1]


def test_all_that_is_wrong_is_said_at_once(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    wrong = {**MINIMAL, "rounds": 0, "nonsense": 1, "start": "soon"}
    del wrong["app"]
    with pytest.raises(ConfigError) as error:
        Settings.of(wrong)
    lines = str(error.value).splitlines()
    assert [line.partition("=")[0] for line in lines] == ["rounds", "nonsense", "start", "app"]
    wrong = {**MINIMAL, "device": 2, "init": "shared", "insecure": False}
    with pytest.raises(ConfigError) as error:
        Settings.of(wrong)
    said = str(error.value)
    assert all(part in said for part in ("device=2", "init='shared'", "certificates=''"))


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"num-devices": 10**9}, "num-devices=1000000000: must be at most 100000"),
        ({"neighbors": {"1": "a:1", "01": "b:2"}}, "more than once: 1 and 01 are the same device"),
        ({"neighbors": {"1": "2001:db8::1:9400"}}, r"in brackets: \[2001:db8::1\]:9400"),
        ({"listen": "::1:9400"}, "in brackets"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changed, complaint) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Settings.of({**MINIMAL, **changed})
    assert Settings.of({**MINIMAL, "listen": "[::1]:9400"}).listen == "[::1]:9400"


def test_more_certificates_than_there_can_be_are_refused_soon(capsys) -> None:
    started = time.monotonic()
    assert main(["certs", "--devices", "1000000000"]) == 2
    assert main(["certs", "--devices", "0-1000000000"]) == 2
    assert time.monotonic() - started < 2


def test_an_app_that_raises_when_it_is_imported_says_so(tmp_path, monkeypatch) -> None:
    (tmp_path / "broken_app.py").write_text("raise ZeroDivisionError('at the top')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match="raised ZeroDivisionError when it was imported: at the"):
        load_app("broken_app:app", "", None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, ""),
        ({"https_proxy": "http://p:1"}, "through the proxy that https_proxy names: set no_proxy="),
        ({"https_proxy": "http://p:1", "no_proxy": "localhost, .lan"}, ""),
    ],
)
def test_a_proxy_in_the_way_is_named(monkeypatch, environment, said) -> None:
    for name in ("grpc_proxy", "https_proxy", "http_proxy", "no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = proxy_in_the_way("pi.lan:9400")
    assert said in found
    assert bool(found) == bool(said)
