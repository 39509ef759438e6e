"""The command ``p2pl-flower``: quick to help, and each sub-command in its own module."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from p2pl_flower.cli import COMMANDS, main


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom p2pl_flower.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('flwr', 'grpc', 'numpy', 'torch', 'networkx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.rstrip().endswith("[]"), done
    for name in COMMANDS:
        assert name in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name, capsys) -> None:
    assert import_module(f"p2pl_flower.commands.{name}").__doc__
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert COMMANDS[name][:30] in capsys.readouterr().out


def test_an_unknown_command_is_refused(capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["gossip"])
    assert ended.value.code == 2
    assert "choose from" in capsys.readouterr().err
