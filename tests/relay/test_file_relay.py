"""The relay that keeps files: who sees them, where they are, and who removes what was left."""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from p2pl_flower.errors import RelayError
from p2pl_flower.relay import FileRelay, OpenRelay, Slot, ownership
from p2pl_flower.relay.mailbox import KEPT

RUN = 5
FIRST = Slot("model", 1, 0)
MODEL = {"w": np.arange(3.0), "b": np.array(1.5)}

OPENS = """
import sys
from p2pl_flower.relay import FileRelay
relay = FileRelay(sys.argv[1])
relay.open(int(sys.argv[2]))
print("open", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def another_process(folder: Path, run: int, *before: str) -> Iterator[subprocess.Popen[str]]:
    """Let another process hold a relay open, until the block ends or kills it."""
    command = [*before, sys.executable, "-c", OPENS, str(folder), str(run)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdout.readline() == "open\n"
            yield process
        finally:
            process.kill()


def runs_in(folder: Path) -> set[int]:
    return {int(path.name.rpartition("-")[2]) for path in folder.iterdir()}


def start_and_end_a_run(folder: Path, run: int = 99) -> None:
    with OpenRelay(FileRelay(folder), run):
        pass


def test_it_works_from_another_process(tmp_path) -> None:
    relay = FileRelay(tmp_path)
    with OpenRelay(relay, RUN):
        relay.admit(RUN, {3: [4]})
        code = (
            "import sys, numpy as np; from p2pl_flower.relay import FileRelay, Slot; "
            "box = FileRelay(sys.argv[1]).mailbox(5, 3); "
            "box.publish(Slot('model', 1, 0), {'w': np.arange(3.0)})"
        )
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=60)
        assert relay.mailbox(RUN, 4).collect([3], FIRST)[3]["w"].tolist() == [0, 1, 2]
        [folder] = tmp_path.iterdir()
        assert folder.stat().st_mode & 0o077 == 0  # nobody else's business
    assert list(tmp_path.iterdir()) == []


def test_it_keeps_no_more_files_than_it_must(tmp_path) -> None:
    relay = FileRelay(tmp_path)
    with OpenRelay(relay, RUN):
        box = relay.mailbox(RUN, 0)
        for step in range(10):
            box.publish(Slot("model", 1, step), MODEL, private=["b"])
        [folder] = tmp_path.iterdir()
        # the owner, who may collect, the index, and two parts of each publication
        assert len(list(folder.iterdir())) == 3 + 2 * KEPT


@pytest.mark.parametrize("channel", ["a/b", "..", "a b%2F*", "Ü"])
def test_a_channel_may_have_any_name(tmp_path, channel) -> None:
    relay = FileRelay(tmp_path)
    with OpenRelay(relay, RUN):
        relay.admit(RUN, {0: [1]})
        relay.mailbox(RUN, 0).publish(Slot(channel, 1, 0), MODEL)
        found = relay.mailbox(RUN, 1).collect([0], Slot(channel, 1, 0))[0]
        assert found["w"].tolist() == [0, 1, 2]
        assert len(list(tmp_path.rglob("*"))) == 1 + 4  # all are in the run's folder


def test_it_says_where_it_cannot_work(tmp_path) -> None:
    with pytest.raises(RelayError, match=r"cannot keep run 5 in .*nowhere"):
        FileRelay(tmp_path / "nowhere").open(RUN)
    with OpenRelay(FileRelay(tmp_path), RUN):
        box = FileRelay(tmp_path).mailbox(RUN, 0)
        with pytest.raises(RelayError, match=r"cannot publish 0/model/1/0 .*'w' of dtype <U4"):
            box.publish(FIRST, {"w": np.array(["text"])})
        with pytest.raises(RelayError, match=r"cannot keep run 5 .*exists"):
            FileRelay(tmp_path).open(RUN)


def test_a_run_that_was_closed_meanwhile_is_not_open(tmp_path) -> None:
    relay = FileRelay(tmp_path)
    with OpenRelay(relay, RUN):
        box = relay.mailbox(RUN, 0)
        box.publish(FIRST, MODEL)
    with pytest.raises(RelayError, match="not open for run 5 on this machine"):
        box.publish(FIRST, MODEL)
    with pytest.raises(RelayError, match="not open for run 5 on this machine"):
        box.recall("model")
    assert list(tmp_path.iterdir()) == []


def test_a_copy_in_another_process_owns_nothing(tmp_path) -> None:
    relay = FileRelay(tmp_path)
    with OpenRelay(relay, RUN):
        copy = pickle.loads(pickle.dumps(relay))
        assert copy._locks == {}
        assert copy.observe(RUN, "model") == {}


def test_what_a_killed_run_left_behind_is_swept_away(tmp_path) -> None:
    with another_process(tmp_path, 1) as killed, another_process(tmp_path, 2):
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        assert runs_in(tmp_path) == {1, 2}
        with OpenRelay(FileRelay(tmp_path), 3):
            assert runs_in(tmp_path) == {2, 3}


def test_a_process_id_says_nothing(tmp_path) -> None:
    """The owner's may be nobody's here, and one of the dead's may be somebody else's by now."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    living = FileRelay(tmp_path)
    living.open(1)
    [folder] = tmp_path.iterdir()
    (folder / "owner").write_text(f"{dead.pid}\n")
    start_and_end_a_run(tmp_path)
    assert runs_in(tmp_path) == {1}
    os.close(living._locks.pop(1))  # which is what the system does when a process ends
    (folder / "owner").write_text(f"{os.getpid()}\n")
    start_and_end_a_run(tmp_path)
    assert runs_in(tmp_path) == set()


def in_a_container() -> list[str]:
    """Return what runs a command with process ids of its own, or skip."""
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*command, "true"], check=False).returncode
    ):
        pytest.skip("needs unshare(1) and the right to use it")
    return command


def test_a_container_that_shares_the_folder_leaves_our_run_alone(tmp_path) -> None:
    with OpenRelay(FileRelay(tmp_path), 1), another_process(tmp_path, 2, *in_a_container()):
        assert runs_in(tmp_path) == {1, 2}
        start_and_end_a_run(tmp_path)
        assert runs_in(tmp_path) == {1, 2}


def test_what_a_killed_container_left_behind_is_swept_away(tmp_path) -> None:
    with another_process(tmp_path, 2, *in_a_container()) as container:
        container.kill()
        container.wait()
        assert container.stdout.read() == ""  # which ends when the process within has ended
    assert runs_in(tmp_path) == {2}
    start_and_end_a_run(tmp_path)
    assert runs_in(tmp_path) == set()


@pytest.mark.parametrize("owned", [True, False])
def test_a_run_that_died_while_it_began_is_swept_away(tmp_path, owned) -> None:
    with OpenRelay(FileRelay(tmp_path), 1):
        [folder] = tmp_path.iterdir()
        half = folder.with_name(folder.name.removesuffix("-1") + "-2")
    half.mkdir()
    if owned:
        (half / "owner").touch()
    start_and_end_a_run(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sweeps", [1, 3])
def test_a_run_that_is_swept_while_it_begins_begins_again(tmp_path, monkeypatch, sweeps) -> None:
    """Between the making of a folder and its lock, another run takes it for a leftover."""
    lock, left = ownership._lock, [sweeps]

    def swept_before(descriptor: int, wait: bool) -> bool:
        if wait and left[0]:
            left[0] -= 1
            for folder in tmp_path.iterdir():
                assert ownership.remove_if_left(folder)
        return lock(descriptor, wait)

    monkeypatch.setattr(ownership, "_lock", swept_before)
    relay = FileRelay(tmp_path)
    with OpenRelay(relay, 1):
        assert left == [0]
        relay.mailbox(1, 0).publish(FIRST, MODEL)
        start_and_end_a_run(tmp_path)
        assert relay.mailbox(1, 0).recall("model")[0][1]["b"] == 1.5
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_runs_that_begin_side_by_side_all_live(tmp_path) -> None:
    failed = list[BaseException]()

    def begin_and_end(number: int) -> None:
        try:
            for run in range(number, 400, 8):
                relay = FileRelay(tmp_path)
                with OpenRelay(relay, run):
                    relay.mailbox(run, 0).publish(FIRST, MODEL)
                    assert len(relay.mailbox(run, 0).recall("model")) == 1
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=begin_and_end, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_without_locks_runs_work_and_nothing_is_swept(tmp_path, monkeypatch, number) -> None:
    def refuse(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr("fcntl.flock", refuse)
        left, relay = FileRelay(tmp_path), FileRelay(tmp_path)
        left.open(1)
        with OpenRelay(relay, 2):
            relay.mailbox(2, 0).publish(FIRST, MODEL)
            assert len(relay.mailbox(2, 0).recall("model")) == 1
            assert runs_in(tmp_path) == {1, 2}
    start_and_end_a_run(tmp_path)  # locks are back, but nobody can have held that one
    [folder] = tmp_path.iterdir()
    assert "remove this folder yourself" in (folder / "owner").read_text()


def test_what_somebody_else_put_there_is_left_alone(tmp_path, monkeypatch) -> None:
    with OpenRelay(FileRelay(tmp_path), 1):
        [folder] = tmp_path.iterdir()
        name = folder.name.removesuffix("1")
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    (tmp_path / f"{name}2").symlink_to(precious)
    (tmp_path / f"{name}3").touch()
    (tmp_path / f"{name}4").mkdir()
    (tmp_path / f"{name}4" / "owner").symlink_to(precious / "file")
    (tmp_path / f"{name}5").mkdir()
    (tmp_path / f"{name}5" / "owner").write_text("something else")
    before = sorted(tmp_path.rglob("*"))
    start_and_end_a_run(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
    (tmp_path / f"{name}6").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: 12345)  # whose leftovers have other names, too
    assert not ownership.remove_if_left(tmp_path / f"{name}6")


def test_leftovers_are_swept_before_room_is_measured(tmp_path, monkeypatch) -> None:
    """They may be what fills the shared memory."""
    shared, ordinary = tmp_path / "shared", tmp_path / "ordinary"
    shared.mkdir()
    ordinary.mkdir()
    monkeypatch.setattr("p2pl_flower.relay.file._SHARED_MEMORY", shared)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(ordinary))
    monkeypatch.setattr(
        "p2pl_flower.relay.file._free", lambda place: 0 if list(place.iterdir()) else 2**40
    )
    for place in (shared, ordinary):
        with another_process(place, 1) as killed:
            killed.kill()
            killed.wait()
    with OpenRelay(FileRelay(), 2):
        assert runs_in(shared) == {2}
        assert runs_in(ordinary) == set()
