"""``doctor --diff`` and ``doctor --apply``: what is printed is what is written."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from doctor_projects import CLIENT, CLIENT_FN, SERVER, SERVER_FN, make, server

from p2pl_flower.cli import main
from p2pl_flower.doctor.python.edits import Edit, applied, hunks, patch

KRUM = {"server.py": server("Krum()", imports="Krum")}


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder."""
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def commit(folder: Path) -> Path:
    """Put a folder under git, with all that is in it."""
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "x")
    return folder


def texts(folder: Path) -> dict[str, bytes]:
    """Return the files of a project."""
    names = [p for p in sorted(folder.rglob("*")) if p.is_file() and ".git" not in p.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in names}


@pytest.mark.parametrize("command", [["git", "apply", "-"], ["patch", "-p1", "--silent"]])
def test_the_patch_makes_what_apply_writes(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = (make(tmp_path / name, {"server.py": SERVER + "# no end"}) for name in "ab")
    before = texts(one)
    assert main(["doctor", str(one), "--diff"]) == 0
    printed = capsys.readouterr().out
    assert texts(one) == before
    assert printed.startswith("--- a/app/client.py\n+++ b/app/client.py\n@@ -1,6 +1,6 @@\n")
    subprocess.run(command, input=printed, text=True, cwd=one, check=True, timeout=60)
    assert main(["doctor", str(other), "--apply"]) == 0
    assert texts(one) == texts(other)
    assert b"strategy = P2PL()" in texts(one)["app/server.py"]


def test_a_second_time_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = commit(make(tmp_path / "p", {"client.py": CLIENT_FN, "server.py": SERVER_FN}))
    assert main(["doctor", str(folder), "--apply"]) == 0
    assert "Changed:\napp/client.py (3 lines)\napp/server.py (" in capsys.readouterr().out
    written = texts(folder)
    assert main(["doctor", str(folder), "--apply"]) == 0  # a dirty tree does no harm: nothing to do
    assert "Nothing to change: it trains peer to peer." in capsys.readouterr().out
    assert main(["doctor", str(folder), "--diff"]) == 0
    assert capsys.readouterr() == ("", "Nothing to change: it trains peer to peer.\n")
    assert texts(folder) == written


def test_changes_that_are_not_committed_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = commit(make(tmp_path / "p", {"/notes.md": "a"}))
    (folder / "notes.md").write_text("b")
    before = texts(folder)
    assert main(["doctor", str(folder), "--apply"]) == 2
    error = capsys.readouterr().err
    assert "has changes that are not committed (notes.md): commit or stash them first" in error
    assert texts(folder) == before
    git(folder, "checkout", "notes.md")
    (folder / "results").mkdir()
    (folder / "results" / "a.json").write_text("{}")  # not tracked, and not ours to write
    assert main(["doctor", str(folder), "--apply"]) == 0
    assert git(folder, "diff", "--stat").count("|") == 2


def test_a_file_that_git_does_not_keep_is_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make(tmp_path / "p")
    git(folder, "init", "-q")
    git(folder, "add", "pyproject.toml", "app/client.py", "app/__init__.py")
    git(folder, "commit", "-qm", "x")
    assert main(["doctor", str(folder), "--apply"]) == 2
    assert "(app/server.py)" in capsys.readouterr().err


def test_a_project_in_a_larger_repository(tmp_path: Path) -> None:
    folder = make(tmp_path / "repository" / "apps" / "mine")
    commit(tmp_path / "repository")
    (tmp_path / "repository" / "elsewhere.txt").write_text("x")
    assert main(["doctor", str(folder), "--apply"]) == 0
    assert "strategy = P2PL()" in (folder / "app" / "server.py").read_text()


def test_outside_git_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make(tmp_path / "p")
    assert main(["doctor", str(folder), "--apply"]) == 0
    assert "not in git: nothing keeps what was there before" in capsys.readouterr().out


def test_what_cannot_be_converted_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make(tmp_path / "p", KRUM)
    before = texts(folder)
    for way in ([], ["--apply"], ["--diff"]):
        assert main(["doctor", str(folder), *way]) == 1
        printed = capsys.readouterr()
        assert "Krum: it leaves out" in printed.out + printed.err
        assert "To change" not in printed.out
        assert "@@" not in printed.out
    assert texts(folder) == before


@pytest.mark.parametrize(
    ("encode", "decode"),
    [
        (lambda text: text.replace("\n", "\r\n").encode(), lambda data: data.decode()),
        (lambda text: b"\xef\xbb\xbf" + text.encode(), lambda data: data.decode("utf-8-sig")),
        (
            lambda text: ("# coding: latin-1\n# \xe9t\xe9\n" + text).encode("latin-1"),
            lambda data: data.decode("latin-1"),
        ),
    ],
    ids=["crlf", "bom", "latin-1"],
)
def test_files_stay_in_their_encoding(encode, decode, tmp_path: Path) -> None:
    folder = make(tmp_path / "p")
    path = folder / "app" / "server.py"
    path.write_bytes(encode(SERVER))
    before = path.read_bytes()
    assert main(["doctor", str(folder), "--apply"]) == 0
    after = path.read_bytes()
    wanted = decode(before).replace("FedAvg()", "P2PL()")
    wanted = wanted.replace("flwr.serverapp.strategy import FedAvg", "p2pl_flower import P2PL")
    assert decode(after) == wanted
    assert after.startswith(before[:3])
    assert main(["doctor", str(folder), "--diff"]) == 0


def test_columns_are_counted_in_characters(tmp_path: Path) -> None:
    made = "FedAvg(fraction_train=f('é😀'), min_available_nodes=2); print('é😀', FedAvg)"
    folder = make(tmp_path, {"server.py": server(made)})
    assert main(["doctor", str(folder), "--apply"]) == 0
    text = (folder / "app" / "server.py").read_text(encoding="utf-8")
    assert "    strategy = P2PL(min_available_nodes=2); print('é😀', FedAvg)\n" in text


def test_a_file_that_does_not_parse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = "x = 1\ndef broken(:\n"
    folder = make(tmp_path / "other", {"/notebooks/old.py": broken})
    assert main(["doctor", str(folder)]) == 0
    assert "notebooks/old.py:1: line 2 does not parse as Python 3." in (
        said := capsys.readouterr().out
    )
    assert "the app does not import it, and it is not looked at" in said
    folder = make(
        tmp_path / "ours", {"task.py": broken, "client.py": "from .task import x\n" + CLIENT}
    )
    assert main(["doctor", str(folder)]) == 2
    error = capsys.readouterr().err
    assert "source='app/task.py': line 2 does not parse as Python 3." in error
    assert error.count("\n") == 1


def test_a_file_in_another_encoding_than_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make(tmp_path / "app")
    (folder / "app" / "server.py").write_bytes(b"# \xff\n" + SERVER.encode())
    assert main(["doctor", str(folder)]) == 2
    assert "is not in the encoding that it names, or not in UTF-8" in capsys.readouterr().err
    folder = make(tmp_path / "other")
    (folder / "old.py").write_bytes(b"# \xff\n")
    assert main(["doctor", str(folder)]) == 0
    assert "old.py:1: is not in the encoding that it names" in capsys.readouterr().out


def test_edits() -> None:
    text = "one two three"
    assert applied(text, [Edit(4, 7, "2"), Edit(0, 3, "1"), Edit(13, 13, "!")]) == "1 2 three!"
    assert applied(text, [Edit(0, 7, ""), Edit(4, 7, "2")]) == " three"  # one within another
    assert applied(text, [Edit(3, 3, ","), Edit(3, 3, ",")]) == "one, two three"


def test_patches() -> None:
    assert patch("a", "x\n", "x\n") == ""
    assert patch("a", "x\n", "y\n") == "--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n+y\n"
    assert patch("a", "", "y\n") == "--- a/a\n+++ b/a\n@@ -0,0 +1 @@\n+y\n"
    assert patch("a", "x", "x\ny").endswith(
        "@@ -1 +1,2 @@\n-x\n\\ No newline at end of file\n+x\n+y\n\\ No newline at end of file\n"
    )
    old = "".join(f"{i}\n" for i in range(1, 30))
    new = old.replace("2\n3\n", "2\nnew\n3\n", 1).replace("\n20\n", "\n")
    shown = patch("a", old, new)
    assert "@@ -1,5 +1,6 @@\n 1\n 2\n+new\n 3\n" in shown
    assert "@@ -17,7 +18,6 @@\n" in shown
    assert list(hunks(old, new)) == [(2, [], ["new"]), (20, ["20"], [])]
