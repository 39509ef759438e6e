"""The dependency on p2pl-flower in pyproject.toml, in a form that installs today."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from doctor_projects import PYPROJECT, make

from p2pl_flower.cli import main
from p2pl_flower.doctor import dependency, examine
from p2pl_flower.doctor.project import Project

LOCAL = "p2pl-flower @ file:///srv/p2pl-flower"
APPS = '\n[tool.flwr.app.components]\nserverapp = "app.server:app"\nclientapp = "app.client:app"\n'
ROOT = Path(__file__).resolve().parents[2]


def with_it(toml: str, folder: Path, wanted: str = LOCAL) -> str:
    """Return a pyproject.toml with the dependency in it."""
    return dependency.with_dependency(Project.read(make(folder, toml=toml)), wanted)


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("[]", '["{}"]'),
        ('["flwr>=1.30"]', '["flwr>=1.30", "{}"]'),
        ('["flwr>=1.30",]', '["flwr>=1.30", "{}"]'),
        ("['flwr']  # ours", "['flwr', \"{}\"]  # ours"),
        ('[\n    "flwr",\n]', '[\n    "flwr",\n    "{}",\n]'),
        ('[\n  "flwr"\n]', '[\n  "flwr",\n  "{}",\n]'),
        (
            '[\n  "flwr[simulation]",  # ] not the end\n]',
            '[\n  "flwr[simulation]",  # ] not the end\n  "{}",\n]',
        ),
        ('[\n  "flwr"  # the last\n]', '[\n  "flwr",  # the last\n  "{}",\n]'),
        ('["p2pl-flower"]', '["{}"]'),
        ('["p2pl_flower>=0.1"]', '["p2pl_flower>=0.1"]'),
        ('["p2pl-flower @ https://a/b.whl"]', '["p2pl-flower @ https://a/b.whl"]'),
    ],
)
def test_it_is_added_to_what_is_listed(listed: str, expected: str, tmp_path: Path) -> None:
    toml = (
        f'[build-system]\nrequires = [ ]\n\n[project]\nname = "x"\ndependencies = {listed}\n{APPS}'
    )
    assert with_it(toml, tmp_path) == toml.replace(listed, expected.replace("{}", LOCAL))


def test_it_is_added_where_nothing_is_listed(tmp_path: Path) -> None:
    toml = f'[project]\nname = "x"\n{APPS}'
    changed = with_it(toml, tmp_path)
    assert tomllib.loads(changed)["project"] == {"name": "x", "dependencies": [LOCAL]}
    for toml in (f'[project]\nname = "x"\ndynamic = ["dependencies"]\n{APPS}', APPS):
        assert with_it(toml, tmp_path / str(len(toml))) == toml


def test_hatchling_is_told_to_take_an_address(tmp_path: Path) -> None:
    build = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    toml = f'{build}[project]\nname = "x"\ndependencies = ["flwr"]\n{APPS}'
    changed = with_it(toml, tmp_path / "a")
    assert changed.endswith("\n[tool.hatch.metadata]\nallow-direct-references = true\n")
    assert with_it(changed, tmp_path / "b") == changed
    by_version = with_it(toml, tmp_path / "c", "p2pl-flower>=0.1.0")
    assert "p2pl-flower>=0.1.0" in by_version
    assert "tool.hatch" not in by_version


@pytest.mark.parametrize(
    ("asked", "becomes"),
    [
        (">=3.9", ">=3.11"),
        (">=3.10,<4", ">=3.11,<4"),
        (">=3.12", ">=3.12"),
        (">= 3.9.2", ">= 3.11"),
    ],
)
def test_python_is_one_that_p2pl_flower_supports(asked: str, becomes: str, tmp_path: Path) -> None:
    toml = f'[project]\nname = "x"\nrequires-python = "{asked}"\ndependencies = []\n{APPS}'
    assert tomllib.loads(with_it(toml, tmp_path))["project"]["requires-python"] == becomes


def test_line_ends_stay(tmp_path: Path) -> None:
    toml = f'[project]\nname = "x"\ndependencies = [\n    "flwr",\n]\n{APPS}'.replace("\n", "\r\n")
    changed = with_it(toml, tmp_path)
    assert f'    "{LOCAL}",\r\n' in changed
    assert changed.count("\n") == changed.count("\r\n")


class Installed:
    """What importlib.metadata says of an installed p2pl-flower."""

    version = "0.1.0"

    def __init__(self, origin: object) -> None:
        self.origin = origin

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self.origin is None else json.dumps(self.origin)


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (
            {"url": "file:///srv/p2pl", "dir_info": {"editable": True}},
            "p2pl-flower @ file:///srv/p2pl",
        ),
        (
            {"url": "file:///srv/p2pl_flower-0.1.0-py3-none-any.whl", "archive_info": {}},
            "p2pl-flower @ file:///srv/p2pl_flower-0.1.0-py3-none-any.whl",
        ),
        (
            {"url": "https://host/p.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "p2pl-flower @ git+https://host/p.git@abc",
        ),
        (None, "p2pl-flower>=0.1.0"),
    ],
)
def test_it_is_asked_for_from_where_it_came(
    origin: object, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dependency, "distribution", lambda name: Installed(origin))
    assert dependency.requirement() == expected


def test_where_it_is_not_installed_the_form_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(dependency, "distribution", missing)
    toml = PYPROJECT.partition(', "p2pl')[0] + "]" + PYPROJECT.partition('.whl"]')[2]
    assert main(["doctor", str(make(tmp_path, toml=toml))]) == 0
    printed = capsys.readouterr().out
    assert '"p2pl-flower @ file:///path/to/p2pl-flower"' in printed
    assert "pyproject.toml:4" not in printed


def test_apply_writes_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(examine, "requirement", lambda: LOCAL)
    folder = make(tmp_path, toml=f'[project]\nname = "x"\ndependencies = ["flwr"]\n{APPS}')
    assert main(["doctor", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert (
        f'pyproject.toml:3\n  - dependencies = ["flwr"]\n  + dependencies = ["flwr", "{LOCAL}"]'
        in printed
    )
    assert "is on this machine: SuperNodes elsewhere need a wheel" in printed
    assert main(["doctor", str(folder), "--apply"]) == 0
    assert f'"{LOCAL}"' in (folder / "pyproject.toml").read_text()
    assert main(["doctor", str(folder), "--diff"]) == 0
    assert capsys.readouterr().out.count("@@") == 0


def test_by_name_alone_it_is_not_found_yet(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(examine, "requirement", lambda: LOCAL)
    toml = f'[project]\nname = "x"\ndependencies = ["p2pl-flower>=0.1"]\n{APPS}'
    assert main(["doctor", str(make(tmp_path, toml=toml))]) == 0
    assert f"once p2pl-flower is published; until then write '{LOCAL}'" in capsys.readouterr().out


@pytest.mark.slow
def test_uv_takes_the_form_as_flwr_run_asks_it(tmp_path: Path) -> None:
    """The command is that of flwr's dependency installer, without the download of packages."""
    toml = (
        '[project]\nname = "x"\nversion = "1.0.0"\nrequires-python = ">=3.11"\n'
        f"dependencies = []\n{APPS}"
    )
    wanted = f"p2pl-flower @ {ROOT.as_uri()}"
    (tmp_path / "p").mkdir()
    folder = make(tmp_path / "p", toml=toml)
    (folder / "pyproject.toml").write_text(with_it(toml, tmp_path / "q", wanted))
    command = [sys.executable, "-m", "uv", "export", "--no-emit-project", "--no-hashes", "--quiet"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    if "error sending request" in done.stderr or "dns error" in done.stderr:
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
    assert ROOT.as_uri() in done.stdout.splitlines()
