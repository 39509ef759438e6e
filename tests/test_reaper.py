"""What ends the processes of a Flower home, whatever became of the tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import reaper

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc"),
]
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "


def start(home: Path, first: str = "") -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", first + "print('up', flush=True); input()"],
        env={**os.environ, "FLWR_HOME": str(home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "up\n"
    return process


def test_all_processes_of_a_home_end_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaper, "GRACE", 0.5)
    a, b = tmp_path / "a", tmp_path / "b"
    with start(a) as one, start(a, DEAF) as deaf, start(b) as other:
        assert sorted(reaper.living(str(a))) == sorted([one.pid, deaf.pid])
        reaper.end(str(a))
        assert one.wait(timeout=10) == -signal.SIGTERM
        assert deaf.wait(timeout=10) == -signal.SIGKILL
        assert other.poll() is None
        other.communicate("\n", timeout=10)
    assert reaper.living(str(a)) == []


def test_it_waits_for_the_end_of_its_input(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        command = [sys.executable, str(Path(reaper.__file__)), str(tmp_path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as guard:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=1)
            guard.communicate(timeout=30)
        assert process.wait(timeout=10) == -signal.SIGTERM
