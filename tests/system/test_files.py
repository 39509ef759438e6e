"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from p2pl_flower.errors import ConfigError
from p2pl_flower.system.files import check_same_run, filling, replacing, write_text


def test_the_old_file_stays_until_the_new_one_is_complete(tmp_path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with replacing(path) as part:
        part.write_text("ne")
        assert path.read_text() == "old"
        part.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("fails_after", [0, 3])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, fails_after) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as part:
            if fails_after:
                part.write_text("new"[:fails_after])
            raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_is_cleaned_up_by_the_next(tmp_path) -> None:
    path = tmp_path / "file"
    code = """
import os, pathlib, signal, sys
from p2pl_flower.system.files import replacing
with replacing(pathlib.Path(sys.argv[1])) as part:
    part.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", code, str(path)], timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not path.exists()
    assert len(list(tmp_path.iterdir())) == 1
    write_text(path, "whole")
    assert list(tmp_path.iterdir()) == [path]


def test_a_durable_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch) -> None:
    path, flushed = tmp_path / "file", list[tuple[str, bool]]()

    def note(descriptor: int) -> None:
        flushed.append((Path(f"/proc/self/fd/{descriptor}").readlink().name, path.exists()))

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc to tell which file a descriptor is of")
    monkeypatch.setattr(os, "fsync", note)
    with replacing(path, durable=True) as part:
        part.write_text("new")
    assert flushed == [(part.name, False), (tmp_path.name, True)]
    flushed.clear()
    write_text(path, "newer")
    assert flushed == []


def test_text_gets_its_folder_and_is_utf_8(tmp_path) -> None:
    write_text(tmp_path / "a" / "b" / "file", "é")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"\xc3\xa9"


def test_a_new_folder_appears_with_all_its_files(tmp_path) -> None:
    folder = tmp_path / "deep" / "folder"
    with filling(folder) as draft:
        (draft / "a").write_text("1")
        assert not folder.exists()
        assert draft.stat().st_dev == tmp_path.stat().st_dev
        (draft / "b").write_text("2")
    assert sorted(p.name for p in folder.iterdir()) == ["a", "b"]
    assert list(folder.parent.iterdir()) == [folder]


def test_a_folder_that_exists_keeps_its_other_files_and_its_mode(tmp_path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)

    def fill(**files: str) -> None:
        with filling(folder) as draft:
            for name, text in files.items():
                (draft / name).write_text(text)

    fill(a="1", b="1")
    fill(b="2", c="2")
    assert {p.name: p.read_text() for p in folder.iterdir()} == {"a": "1", "b": "2", "c": "2"}
    assert folder.stat().st_mode & 0o777 == 0o700
    with pytest.raises(FileNotFoundError):
        fill(**{"a": "3", "no/such": "3"})
    assert (folder / "a").read_text() == "1"
    assert list(tmp_path.iterdir()) == [folder]


def test_two_may_fill_a_folder_at_once(tmp_path) -> None:
    folder = tmp_path / "folder"
    with filling(folder) as slower:
        (slower / "a").write_text("slower")
        with filling(folder) as quicker:
            (quicker / "a").write_text("quicker")
            (quicker / "b").write_text("quicker")
    assert {p.name: p.read_text() for p in folder.iterdir()} == {"a": "slower", "b": "quicker"}


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"), filling(tmp_path / "file") as draft:
        (draft / "a").touch()
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_another_run_is_refused_with_what_differs(tmp_path) -> None:
    wanted = {"rounds": 5, "seed": 1, "ids": (1, 2)}
    check_same_run(tmp_path / "c", wanted, {"rounds": 5, "seed": 1, "ids": [1, 2]})
    with pytest.raises(ConfigError, match=r"c': is of a run with rounds=6, but this one has 5;"):
        check_same_run(tmp_path / "c", wanted, {"rounds": 6, "seed": 2, "ids": [1, 2]})
    with pytest.raises(ConfigError, match=r"with weights='uniform', but this one has None"):
        check_same_run(tmp_path / "c", {}, {"weights": "uniform"})
