"""Devices that join a run by an invitation, and leave it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from devices import own_model

from p2pl_flower.cli import main
from p2pl_flower.relay.grpc.certificates import make_certificates
from p2pl_flower.serverless.cluster import free_ports
from p2pl_flower.serverless.peer import ServerlessPeer
from p2pl_flower.serverless.settings import Settings

pytestmark = pytest.mark.slow

ROUNDS = 14


def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.02)


@pytest.fixture
def group(tmp_path: Path):
    """Three devices, each of which knows the first one alone; the first lets others in."""
    folder = tmp_path / "authority"
    make_certificates(folder, range(3))
    ports = free_ports(3)
    made = []
    for k, port in enumerate(ports):
        values = {
            "device": k,
            "num-devices": 3,
            "listen": f"127.0.0.1:{port}",
            "app": "numbers_app:peer_app",
            "rounds": ROUNDS,
            "certificates": str(folder),
            "checkpoint": str(tmp_path / f"device-{k}"),
            "history": str(tmp_path / f"device-{k}.json"),
            "neighbors": {} if k == 0 else {"0": f"127.0.0.1:{ports[0]}"},
            "joining": {"links": 2},
            "waiting": {"deadline": 10},
            "linger": 3,
            "start": 20,
        }
        values |= {"authority": str(folder)} if k == 0 else {}
        made.append(values)
    return made


def invitation(group: list[dict], capsys: pytest.CaptureFixture[str], name: str) -> str:
    place = [group[0]["listen"], "--authority", group[0]["certificates"]]
    assert main(["invite", *place, "--name", name]) == 0
    return capsys.readouterr().out.strip()


def join(folder: Path, line: str, *more: str) -> Settings:
    assert main(["join", "--invitation", line, "--out", str(folder), "--only-join", *more]) == 0
    return Settings.load(folder / "device.toml")


@pytest.mark.parametrize("listen", ["dial-out", "127.0.0.1:0"])
def test_a_device_joins_while_the_others_train(group, tmp_path, capsys, listen) -> None:
    line = invitation(group, capsys, "kitchen-pi")
    joined = threading.Event()
    arrived: list[int] = []

    def on_round(report) -> None:
        if report.measured.round >= 3:
            joined.wait(60)

    peers = [ServerlessPeer(Settings.of(values), on_round) for values in group]
    linked = [peer._known.membership for peer in peers]
    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(peer.run) for peer in peers]
        until(lambda: all(len(membership.linked) == 2 for membership in linked))
        port = free_ports(1)[0]
        place = listen.replace(":0", f":{port}")
        settings = join(tmp_path / "pi", line, "--listen", place)
        assert settings.device == 3
        newcomer = ServerlessPeer(settings, lambda report: arrived.append(report.arrived))
        running.append(pool.submit(newcomer.run))
        until(lambda: any(3 in membership.linked for membership in linked))
        joined.set()
        runs = [future.result(timeout=120) for future in running]
        for peer in [*peers, newcomer]:
            peer.close()
    assert runs[3].setup["model_from"] in (0, 1, 2)
    assert sum(arrived) > 4
    heard = [runs[k].setup["answers"].get("3", {}).get("arrived", 0) for k in range(3)]
    assert sum(heard) > 4
    for k in range(3):
        assert runs[k].rounds[-1].round == ROUNDS
    others = [own_model(values)["w"] for values in group]
    mine = newcomer.model()["w"]
    assert np.abs(mine - np.mean(others, axis=0)).max() < 1 + np.abs(np.mean(others))


def test_a_device_that_leaves_says_so(group) -> None:
    left = threading.Event()

    def on_round(report) -> None:
        if report.measured.round >= 3:
            assert left.wait(60)

    def leave(report) -> None:
        if report.measured.round == 2:
            raise KeyboardInterrupt

    peers = [ServerlessPeer(Settings.of(v), on_round) for v in group[:2]]
    peers.append(ServerlessPeer(Settings.of(group[2]), leave))
    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(peer.run) for peer in peers[:2]]

        def until_it_leaves() -> None:
            try:
                peers[2].run()
            except KeyboardInterrupt:
                peers[2].close()

        pool.submit(until_it_leaves).result(timeout=60)
        until(lambda: all(2 not in peer._known.membership.linked for peer in peers[:2]))
        left.set()
        runs = [future.result(timeout=60) for future in running]
        for peer in peers[:2]:
            peer.close()
    for run in runs:
        assert run.rounds[-1].round == ROUNDS
        assert run.setup["models"]["arrived"] >= ROUNDS - 3


def test_who_falls_silent_is_given_up(group) -> None:
    silent = threading.Event()

    def on_round(report) -> None:
        if report.measured.round >= 2:
            assert silent.wait(60)

    quick = [values | {"waiting": {"deadline": 1}} for values in group]
    peers = [ServerlessPeer(Settings.of(values), on_round) for values in quick]
    dead = peers.pop()
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(peer.run) for peer in peers]
        dead.endpoint.start()
        until(lambda: dead._meet_all() or 2 in peers[0]._known.membership.linked)
        dead.endpoint.close()  # without a word
        silent.set()
        for future in running:
            future.result(timeout=120)
    assert all(2 not in peer._known.membership.linked for peer in peers)
    for peer in peers:
        peer.close()


def test_an_invitation_is_needed_and_used_once(group, tmp_path, capsys) -> None:
    line = invitation(group, capsys, "a")
    peer = ServerlessPeer(Settings.of(group[0]))
    peer.endpoint.start()
    try:
        join(tmp_path / "a", line)
        for folder, given in (("b", line), ("c", "p2pl-nonsense"), ("d", "")):
            out = ["--out", str(tmp_path / folder), "--only-join"]
            assert main(["join", "--invitation", given, *out]) == 2
            assert not (tmp_path / folder / "device.toml").exists()
        said = capsys.readouterr().err
        assert "has been used" in said
        assert "is no invitation" in said
        assert "is needed" in said
        join(tmp_path / "a", line)  # it has joined before: nothing happens
    finally:
        peer.close()
