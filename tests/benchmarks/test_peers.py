"""The comparison with other systems: its setting, clock, runs and tables. Nothing is downloaded."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from benchmarks.peers import clock, report
from benchmarks.peers.adapters import loop
from benchmarks.peers.environments import ROOT, UnavailableError, interpreter, versions
from benchmarks.peers.runs import run
from benchmarks.peers.setting import Setting, accuracy, perceptron
from benchmarks.peers.systems import SYSTEMS, Clone, System

LOOP = System("plain PyTorch loop", "loop", "neighbors")
SWARM = System("swarm", "swarm", "neighbors")


@pytest.fixture(scope="module")
def setting() -> Setting:
    """Six devices on a ring, with images that are easy to tell apart."""
    draw = torch.Generator().manual_seed(0)
    centers = torch.randn(10, 784, generator=draw)

    def images(*shape: int):
        labels = torch.randint(0, 10, shape, generator=draw)
        return centers[labels] + torch.randn(*shape, 784, generator=draw), labels

    edges = torch.tensor([(k, (k + 1) % 6) for k in range(6)])
    return Setting(*images(6, 25), *images(50), edges, rounds=3)


@pytest.fixture(scope="module")
def file(setting, tmp_path_factory):
    path = tmp_path_factory.mktemp("setting") / "setting.pt"
    setting.save(path)
    return path


def test_a_setting_comes_back_from_its_file(setting, file):
    read = Setting.load(file)
    torch.testing.assert_close(read.x, setting.x)
    assert (read.devices, read.steps, read.neighbors(0)) == (6, 3, [1, 5])


def test_the_loop_mixes_by_metropolis_weights(setting):
    mixing = loop.metropolis(setting)
    torch.testing.assert_close(mixing.sum(1), torch.ones(6))
    torch.testing.assert_close(mixing[0], torch.tensor([1, 1, 0, 0, 0, 1]) / 3)


@pytest.mark.parametrize("system", [LOOP, SWARM], ids=lambda system: system.name)
def test_adapters_run_in_a_process_of_their_own_and_learn(system, file):
    found = run(system, interpreter(system, None), file, limit=120)
    assert len(found["cpu_seconds"]) == len(found["wall_seconds"]) == 2
    assert found["accuracy"] > 0.9


def test_a_system_that_fails_or_is_late_says_so(file):
    with pytest.raises(UnavailableError, match=r"exit code 1: .*No module named"):
        run(System("none", "not_there", ""), sys.executable, file, limit=60)
    with pytest.raises(UnavailableError, match=r"did not end within 0 s"):
        run(LOOP, sys.executable, file, limit=0.01)


def test_a_clone_that_is_not_given_is_named():
    system = System("far", "far", "", clone=Clone("somebody/far", "0123456789abcdef"))
    with pytest.raises(UnavailableError, match=r"somebody/far at 0123456789ab, then --clone far="):
        interpreter(system, None)


def test_a_clone_is_named_by_its_commit(tmp_path):
    system = System("far", "far", "", clone=Clone("somebody/far", "0123456789abcdef"))
    found = versions(sys.executable, system, ROOT)
    assert len(found["far"]) == 40
    assert found["torch"].startswith(torch.__version__.partition("+")[0])
    with pytest.raises(UnavailableError, match="is no git checkout"):
        versions(sys.executable, system, tmp_path)


def test_cpu_seconds_are_those_of_children_too_alive_or_ended():
    burn = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"
    before = clock.cpu_seconds()
    child = subprocess.Popen(
        [sys.executable, "-c", burn], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    child.stdout.readline()
    alive = clock.cpu_seconds() - before
    child.communicate(b"\n")
    assert 0.25 < alive <= clock.cpu_seconds() - before + 0.02


def test_the_clock_leaves_the_first_round_out():
    noted = clock.Clock()
    for _ in range(3):
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass
        noted.tick()
    rounds = noted.rounds()
    assert len(rounds["cpu_seconds"]) == 2
    assert all(spent >= 0.03 for spent in rounds["cpu_seconds"])


def test_accuracy_is_that_of_the_parameters_given(setting):
    parameters = list(perceptron(1).parameters())
    with torch.no_grad():
        parameters[-1].copy_(100.0 * torch.eye(10)[3])
    assert accuracy(setting, parameters) == pytest.approx(
        (setting.test_y == 3).float().mean().item(), abs=1e-4
    )


def entry(name, *cpu, reason=""):
    repeats = [{"cpu_seconds": [c], "wall_seconds": [2 * c], "accuracy": 0.9} for c in cpu]
    versions = {"own": "1.2", "torch": "2.9"} if cpu else {}
    return {
        "name": name,
        "averages": "neighbors",
        "versions": versions,
        "repeats": repeats,
        **({"reason": reason} if reason else {}),
    }


def test_tables_come_from_the_quickest_rounds():
    found = [entry("slow", 4.0, 3.0), entry("swarm", 1.5, 2.0), entry("gone", reason="no room")]
    rows = report.table(json.loads(json.dumps(found)))
    assert [row[0] for row in rows] == ["system", "swarm", "slow"]
    assert rows[1] == ("swarm", "1.2", "2.9", "neighbors", "1.50", "1.0", "3.00", "0.900")
    assert rows[2][4:7] == ("3.00", "2.0", "6.00")
    assert report.missing(found) == [
        ("system", "version", "what was seen"),
        ("gone", "", "no room"),
    ]


def test_every_system_has_an_adapter():
    for system in SYSTEMS:
        assert Path(loop.__file__).with_name(f"{system.adapter}.py").is_file(), system.name


def test_the_page_names_every_system_and_what_is_to_be_cloned():
    page = (ROOT / "benchmarks" / "peers.md").read_text(encoding="utf-8")
    for system in SYSTEMS:
        assert f"**{system.name}**" in page or system.name == "swarm"
        if system.clone:
            assert system.clone.repository in page
            assert system.clone.commit[:12] in page
            assert f"--clone {system.adapter}=" in page
