"""``p2pl-flower peer device.toml``: one device of a network that has no server."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from ..config import add_shortcut, keys
from ..serverless.discovery import on_network
from ..serverless.problems import exit_code, problems
from ..serverless.process import run_alone
from ..serverless.reports import Report
from ..serverless.settings import Settings
from ..system.logs import FORMATS, configure_log, escaped
from ..system.signals import as_ctrl_c

log = logging.getLogger("flwr.p2pl")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("settings", type=Path, help="the device's TOML file")
    add_running(parser)


def add_running(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of how a device's rounds are run."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a key of the file; table.key=value for one in a table",
    )
    add_shortcut(parser, "--log", keys(Settings)["loggers"])
    add_shortcut(parser, "--metrics", keys(Settings)["metrics"])
    parser.add_argument(
        "--discover",
        nargs="?",
        const="",
        metavar="INTERFACE",
        help="find the others of the group on the local network, by mDNS, and let them find this "
        "device: with an interface's address, there alone",
    )
    parser.add_argument("--verbose", action="store_true", help="log every refusal, not the first")
    parser.add_argument("--log-file", default="", help="file to log to, instead of standard error")
    parser.add_argument("--log-format", default="text", help=" or ".join(FORMATS))


def run(options: argparse.Namespace) -> int:
    """Run the device's rounds, with a line for each; 1 if what comes of them is no good."""
    level = logging.DEBUG if options.verbose else logging.INFO
    configure_log(level, options.log_file, options.log_format)
    with as_ctrl_c():  # the checkpoint holds what was over
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    settings = Settings.load(options.settings, options.set)
    if options.discover is None:
        return _run_device(settings)
    with on_network(settings, options.discover) as found:
        return _run_device(found)


def _run_device(settings: Settings) -> int:
    if settings.model_file is None:
        rule = "neither `model` nor `checkpoint` is set: the trained model goes with the process"
        log.warning("device %d: %s", settings.device, rule)
    ended = run_alone(settings, lambda report: _show(settings.device, report))
    if settings.model_file is not None:
        sys.stdout.write(f"device {settings.device:3d}  model in {settings.model_file}\n")
    wrong = problems(settings.device, ended.setup)
    sys.stderr.write("".join(f"p2pl-flower peer: {escaped(p)}\n" for p in wrong))
    return exit_code(ended.setup, wrong)


def _show(device: int, report: Report) -> None:
    sys.stdout.write(f"device {device:3d}  {report.line()}\n")
    sys.stdout.flush()
