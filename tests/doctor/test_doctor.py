"""``p2pl-flower doctor`` on the sample projects, before and after, and on broken ones."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import flower_projects
import pytest
from doctor_projects import CLIENT, PYPROJECT, SERVER, make, server
from flower_projects import NAMES

from p2pl_flower.cli import main
from p2pl_flower.doctor import versions

DIFFERENT = {
    # the diffs choose a ring; the doctor leaves the choice to the default
    'P2PL("ring")': "P2PL()",
    'server_fn, "ring"': "server_fn",
    # the diffs change as few lines as can be; the doctor leaves no import that nothing uses
    "import ClientApp, NumPyClient": "import NumPyClient",
    "import ServerApp, ServerAppComponents,": "import ServerAppComponents,",
    "import Server, ServerApp, ServerAppComponents,": "import Server, ServerAppComponents,",
}


@pytest.mark.parametrize("name", NAMES)
def test_it_makes_of_the_sample_projects_what_their_diffs_make(name: str, tmp_path: Path) -> None:
    folder = flower_projects.copy(name, tmp_path, peer_to_peer=False)
    assert main(["doctor", str(folder), "--apply"]) == 0
    converted = flower_projects.copy(name, tmp_path, peer_to_peer=True)
    for path in sorted(converted.rglob("*.py")):
        ours = (folder / path.relative_to(converted)).read_text(encoding="utf-8")
        theirs = path.read_text(encoding="utf-8")
        for written, made in DIFFERENT.items():
            theirs = theirs.replace(written, made)
        assert ours == theirs, path


@pytest.mark.parametrize("name", NAMES)
def test_only_the_dependency_is_left_after_the_diff(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = flower_projects.copy(name, tmp_path, peer_to_peer=True)
    assert main(["doctor", str(folder), "--apply"]) == 0
    changed = capsys.readouterr().out.partition("Changed:\n")[2].splitlines()
    assert [line for line in changed[:2] if line] == ["pyproject.toml (4 lines)"]
    assert main(["doctor", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "Nothing to change: it trains peer to peer." in printed
    assert "To change" not in printed


def test_what_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = flower_projects.copy("local-dp", tmp_path, peer_to_peer=False)
    assert main(["doctor", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert re.match(r"Python 3\.\d+\.\d+, flwr 1\.\d+\.\d+, p2pl-flower 0\.1\.0; the p", printed)
    assert "asks for flwr[simulation]>=1.30; supported is flwr>=1." in printed
    assert "To change (8 lines):\ndpexample/client_app.py:5\n  - from flwr.cl" in printed
    assert "  + app = PeerApp(mods=[arrays_size_mod])\n" in printed
    assert "dpexample/client_app.py:13: LocalDpMod: its clipping and noise are on what" in printed


def test_what_is_lost_has_a_section_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = server("FedAdam(eta=0.1)", imports="FedAdam")
    assert main(["doctor", str(make(tmp_path, {"server.py": text}))]) == 0
    assert "\n\nLost:\napp/server.py:9: FedAdam: the step of its" in capsys.readouterr().out


def test_nothing_is_run_and_flwr_is_not_imported(tmp_path: Path) -> None:
    raises = "raise SystemExit('was run')\n"
    folder = make(tmp_path, {"client.py": raises + CLIENT, "server.py": raises + SERVER})
    code = (
        "import sys; from p2pl_flower.cli import main; code = main(sys.argv[1:]); "
        "print([m for m in ('flwr', 'torch', 'app', 'numpy') if m in sys.modules]); sys.exit(code)"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, "doctor", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "app/client.py:4\n  - app = ClientApp()\n  + app = PeerApp()" in done.stdout
    assert done.stdout.endswith("[]\n")


def test_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["doctor", "--help"])
    printed = capsys.readouterr().out
    assert re.findall(r"^  (\d)  ", printed, re.MULTILINE) == ["0", "1", "2"]
    assert "--diff" in printed
    assert "--apply" in printed
    with pytest.raises(SystemExit, match="2"):
        main(["doctor", "--diff", "--apply"])


@pytest.mark.parametrize(
    ("files", "toml", "words"),
    [
        ({}, "[project", "is not valid TOML"),
        ({}, "[project]\nname = 'x'\n", "nothing in pyproject.toml or its files speaks of flwr"),
        (
            {},
            PYPROJECT.replace("clientapp", "other"),
            "clientapp=None: pyproject.toml must name it",
        ),
        ({}, PYPROJECT.replace("client:", "missing:"), "there is no file app/missing"),
        ({}, PYPROJECT.replace("server:app", "server"), "as 'module:name'"),
    ],
)
def test_projects_that_cannot_be_read(
    files: dict[str, str],
    toml: str,
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    texts = {"client.py": "", "server.py": ""} if "name = 'x'" in toml else files
    assert main(["doctor", str(make(tmp_path, texts, toml))]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.startswith("p2pl-flower doctor: ")
    assert error.count("\n") == 1


def test_no_project_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", str(tmp_path)]) == 2
    rule = "must be the folder of a Flower project, with a pyproject.toml"
    assert rule in capsys.readouterr().err
    assert main(["doctor", str(tmp_path / "missing")]) == 2
    assert "must be the folder of a Flower project" in capsys.readouterr().err


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


def test_a_version_that_is_not_supported_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toml = PYPROJECT.replace("flwr>=1.30", "flwr==1.10.0")
    assert main(["doctor", str(make(tmp_path, toml=toml))]) == 1
    printed = capsys.readouterr().out
    assert "Not supported:\npyproject.toml: 'flwr==1.10.0' excludes all supported" in printed
    assert "To change" not in printed
