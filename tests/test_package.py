"""What is installed, what is exported, and what an import costs."""

from __future__ import annotations

import ast
import inspect
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

import p2pl_flower
from p2pl_flower.cli import main

ROOT = Path(__file__).resolve().parents[1]
UV = Path(sys.executable).with_name("uv")


def python(code: str, executable: str | Path = sys.executable, **options) -> str:
    command = [str(executable), "-W", "ignore", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_exported_names_are_pinned() -> None:
    assert sorted(p2pl_flower.__all__) == [
        "Algorithm",
        "AutoRelay",
        "Clock",
        "Codec",
        "Compute",
        "ConfigError",
        "DeviceError",
        "Elapsed",
        "FileRelay",
        "GrpcRelay",
        "History",
        "LayoutError",
        "Links",
        "Logger",
        "Mailbox",
        "MemoryRelay",
        "Mixed",
        "MixingRule",
        "Neighbor",
        "Network",
        "Options",
        "P2PL",
        "P2PLError",
        "PeerApp",
        "PeerServerApp",
        "Privacy",
        "RayRelay",
        "Relay",
        "RelayError",
        "Round",
        "Run",
        "Schedule",
        "Scores",
        "Sending",
        "ServerLink",
        "Sharing",
        "Slot",
        "Spread",
        "StepKey",
        "TopologyError",
        "Training",
        "WeightRule",
        "WeightsError",
        "corrected",
        "local_correction",
    ]
    assert all(getattr(p2pl_flower, name) for name in p2pl_flower.__all__)
    assert set(p2pl_flower.__all__) <= set(dir(p2pl_flower))
    with pytest.raises(AttributeError, match="no attribute 'Gossip'"):
        p2pl_flower.Gossip  # noqa: B018


def test_type_checkers_are_told_the_same_names() -> None:
    tree = ast.parse((ROOT / "p2pl_flower" / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert all(node.level == 1 for node in imports)
    told = {alias.name: node.module for node in imports for alias in node.names}
    assert told == p2pl_flower._HOME
    [listed] = [node.value for node in tree.body if isinstance(node, ast.Assign)]
    assert sorted(ast.literal_eval(listed)) == sorted(told)


def named_in(hint: Any) -> set[type]:
    """Return the library's classes in a type."""
    inner = {kind for part in get_args(hint) for kind in named_in(part)}
    ours = isinstance(hint, type) and hint.__module__.startswith("p2pl_flower")
    return inner | ({hint} if ours else set())


def test_what_signatures_name_is_exported() -> None:
    exported = {name: getattr(p2pl_flower, name) for name in p2pl_flower.__all__}
    functions = {name: v for name, v in exported.items() if inspect.isfunction(v)}
    for name, kind in exported.items():
        if inspect.isclass(kind):
            methods = {n: m for n, m in vars(kind).items() if inspect.isfunction(m)}
            public = {n: m for n, m in methods.items() if n == "__init__" or n[0] != "_"}
            functions |= {f"{name}.{n}": inspect.unwrap(m) for n, m in public.items()}
    assert len(functions) > 30
    for name, function in functions.items():
        hints = get_type_hints(function)
        for kind in set().union(*map(named_in, hints.values())):
            assert exported.get(kind.__name__) is kind, (name, kind)


def test_import_is_light() -> None:
    loaded = (
        "import sys; print([m for m in ('torch', 'ray', 'flwr', 'networkx') if m in sys.modules])"
    )
    assert python(f"import p2pl_flower; {loaded}") == "[]"
    assert python(f"from p2pl_flower import Options; {loaded}") == "['networkx']"
    assert "torch" not in python(f"from p2pl_flower import P2PL, PeerApp; {loaded}")
    assert "ray" not in python(f"from p2pl_flower import P2PL, PeerApp; {loaded}")


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_there_is_one_version() -> None:
    assert p2pl_flower.__version__ == version("p2pl-flower") == PROJECT["version"]
    assert f"\nversion: {PROJECT['version']}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert changes.startswith(f"# Changelog\n\n## {PROJECT['version']} ")


def test_the_command_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"p2pl-flower {PROJECT['version']}\n"


def test_forms_and_citation_are_read() -> None:
    yaml = pytest.importorskip("yaml")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["license"] == PROJECT["license"]
    for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert path.name == "config.yml" or {"name", "description", "body"} <= set(form), path


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source, and the wheel out of that."""
    folder = tmp_path_factory.mktemp("dist")
    command = [str(UV), "build", "--quiet", "--out-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, timeout=180, capture_output=True)
    return folder


@pytest.fixture
def wheel(dist: Path) -> Path:
    [path] = dist.glob("*.whl")
    return path


@pytest.mark.slow
def test_source_and_wheel_may_be_published(dist: Path) -> None:
    pytest.importorskip("twine")
    files = [str(path) for path in dist.iterdir() if path.suffix in (".whl", ".gz")]
    assert len(files) == 2
    check = [sys.executable, "-m", "twine", "check", "--strict", *files]
    done = subprocess.run(check, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    [source] = dist.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"CITATION.cff", "CHANGELOG.md", "SECURITY.md", "docs/convert.md"} <= names
    assert not [name for name in names if name.startswith(("tests", "benchmarks"))]


@pytest.mark.slow
def test_the_wheel_holds_the_library_alone(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {
        "p2pl_flower",
        f"p2pl_flower-{PROJECT['version']}.dist-info",
    }
    assert {"p2pl_flower/py.typed", "p2pl_flower/__init__.pyi"} <= set(names)
    [metadata] = [n for n in names if n.endswith("METADATA")]
    text = zipfile.ZipFile(wheel).read(metadata).decode()
    assert "License-Expression: Apache-2.0" in text
    base = [
        line
        for line in text.splitlines()
        if line.startswith("Requires-Dist") and "extra" not in line
    ]
    assert {line.split()[1].split(">")[0].split("<")[0] for line in base} == {
        "cryptography",
        "flwr",
        "grpcio",
        "networkx",
        "numpy",
        "rich",
        "safetensors",
        "tomli-w",
    }


@pytest.mark.slow
def test_the_wheel_works_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env")
    executable = tmp_path / "env" / "bin" / "python"
    install = [str(UV), "pip", "install", "--quiet", "--python", str(executable), str(wheel)]
    subprocess.run(install, check=True, timeout=300, capture_output=True)
    code = """
import importlib.util, p2pl_flower
print(p2pl_flower.P2PL('ring').options.init, p2pl_flower.PeerApp().__class__.__name__)
print([m for m in ('torch', 'ray', 'simulations', 'strategies') if importlib.util.find_spec(m)])
try:
    p2pl_flower.RayRelay().open(1)
except p2pl_flower.RelayError as error:
    print(error)
"""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    printed = python(code, executable, cwd=tmp_path, env=environment).splitlines()
    assert printed[:2] == ["max-norm PeerApp", "[]"]
    assert printed[2] == "RayRelay needs ray: pip install 'p2pl-flower[simulation]'"
    shutil.copytree(ROOT / "tests" / "projects" / "pytorch", tmp_path / "quickstart")
    command = executable.with_name("p2pl-flower")
    for words in (["--version"], ["doctor", "quickstart", "--apply"]):
        options = {"cwd": tmp_path, "env": environment, "timeout": 60}
        subprocess.run([command, *words], check=True, capture_output=True, **options)
    server = (tmp_path / "quickstart" / "pytorchexample" / "server_app.py").read_text("utf-8")
    assert "from p2pl_flower import P2PL" in server
    assert wheel.name in (tmp_path / "quickstart" / "pyproject.toml").read_text("utf-8")
