"""``p2pl-flower cluster``: several peers as processes of this machine, with no server."""

from __future__ import annotations

import argparse
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .. import report
from ..config import add_argument, add_shortcut, change, keys
from ..errors import ConfigError
from ..history import History, Run, environment
from ..relay.grpc.certificates import make_certificates
from ..serverless.cluster import Cluster, Event
from ..serverless.problems import OUTCOMES, problems
from ..serverless.settings import Settings
from ..serverless.watched import Watched, pages_of
from ..system.files import write_text
from ..system.signals import as_ctrl_c

_INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    known = keys(Settings)
    add_argument(parser, known["num-devices"], default=8)
    parser.add_argument("--topology", default="ring", help="who is whose neighbor (ring)")
    add_argument(parser, known["rounds"], default=10)
    parser.add_argument(
        "--app",
        default="",
        help="package.module:name; the ClientApp of ./pyproject.toml if left out",
    )
    add_argument(parser, known["seed"])
    add_argument(parser, known["insecure"])
    parser.add_argument("--checkpoint", default="", help="folder to save in, and to go on from")
    parser.add_argument(
        "--save-models", action="store_true", help="write all trained models below --out, too"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("results/cluster"), help="folder for history.json"
    )
    parser.add_argument(
        "--watch",
        nargs="?",
        const="127.0.0.1:0",
        default="",
        metavar="HOST:PORT",
        help="a page of the devices while they run; at a free port if none is given",
    )
    parser.add_argument("--token", default="", help="what the page's readers must bring")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any key of a device's settings: weights=uniform, run-config.dataset=mnist",
    )
    add_shortcut(parser, "--log", known["loggers"])


def run(options: argparse.Namespace) -> int:
    """Run the peers, with a line for each of their rounds, and write the history.

    Told to end, it writes what was measured so far, and leaves no keys behind.
    """
    with as_ctrl_c():
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    app, run_config = _project(Path("pyproject.toml"))
    common: dict[str, Any] = {
        "app": options.app or app,
        "rounds": options.rounds,
        "seed": options.seed,
        "insecure": options.insecure,
        "run-config": run_config,
    }
    if "seed" in run_config:
        run_config["seed"] = options.seed
    if options.checkpoint:
        common["checkpoint"] = str(Path(options.checkpoint).resolve())
    if options.save_models:
        common["model"] = str((options.out / "models").resolve())
    change(common, options.set)
    if not common["app"]:
        rule = "must name a ClientApp: the working folder has no Flower project that does"
        raise ConfigError("app", "", rule)
    try:
        options.out.mkdir(parents=True, exist_ok=True)  # what stands in the way is found before
    except OSError as error:
        raise ConfigError("out", str(options.out), f"cannot be made: {error.strerror}") from None
    with tempfile.TemporaryDirectory(prefix="p2pl-") as folder:
        if not options.insecure:
            make_certificates(Path(folder), range(options.num_devices), days=30)
            common["certificates"] = folder
        parts = options.topology, options.num_devices, options.seed, _show, bool(options.watch)
        cluster = Cluster(common, *parts)
        # What is wrong is said once, before anything starts.
        first, *_ = [Settings.of(settings) for settings in cluster.settings().values()]
        with _watching(cluster, options.watch, options.token):
            merged = cluster.run()
    scenario = {k: v for k, v in common.items() if type(v) in (str, int, float)}
    scenario |= {
        "num-devices": options.num_devices,
        "topology": options.topology,
        **common["run-config"],
    }
    for key in ("certificates", "checkpoint", "model"):  # where things were, here
        scenario.pop(key, None)
    file = options.out / "history.json"
    history = History(scenario, environment(), [merged])
    write_text(file, history.to_json())
    _report(history, cluster, first, options.out / "report.html")
    return _end(merged, cluster, file, common.get("model", "") if options.save_models else "")


@contextmanager
def _watching(cluster: Cluster, address: str, token: str) -> Iterator[None]:
    """Serve a page of the devices, if there is an address for it, for as long as they run."""
    if not address:
        yield
        return
    peers = Watched([settings["watch"] for settings in cluster.settings().values()])
    pages = pages_of(address, peers.ask, token)
    sys.stdout.write(f"to be watched at {pages.url}\n")
    sys.stdout.flush()
    try:
        yield
    finally:
        pages.close()
        peers.close()


def _report(history: History, cluster: Cluster, settings: Settings, path: Path) -> None:
    """Write the page that shows the run, where what draws it is installed."""
    rounds, options = max(len(history.runs[0].rounds), 1), settings.options
    made = cluster.topology, cluster.graphs, rounds, options.consensus_steps, options.links
    try:
        report.write(history, path, report.Network.over(*made))
    except ImportError as error:
        sys.stdout.write(f"no report.html: {error}\n")
        return
    sys.stdout.write(f"{report.sentences(history)}\n{path}\n")


def _end(merged: Run, cluster: Cluster, file: Path, models: str) -> int:
    """Say what came of the run, and return the exit code."""
    ended = {} if cluster.interrupted else cluster.runs
    wrong = [p for d, run in sorted(ended.items()) for p in problems(d, run.setup)]
    _summarize(merged, cluster, file)
    sys.stdout.write("".join(f"{problem}\n" for problem in wrong))
    if models:
        sys.stdout.write(f"{models}\n")
    if cluster.interrupted:
        return _INTERRUPTED
    return 1 if cluster.failed or wrong else 0


def _project(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the ClientApp and the run config of the Flower project in the working folder."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return "", {}
    app = content.get("tool", {}).get("flwr", {}).get("app", {})
    return app.get("components", {}).get("clientapp", ""), dict(app.get("config", {}))


def _show(device: int, event: Event) -> None:
    if "error" in event:
        line = f"device {device:3d}  {event['error']}"
    elif "run" in event:
        line = f"device {device:3d}  done"
    else:
        line = f"device {device:3d}  {event['line']}"
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _summarize(merged: Run, cluster: Cluster, file: Path) -> None:
    scored = [r for r in merged.rounds if r.after_consensus and r.after_consensus.accuracy]
    if scored and scored[-1].after_consensus and scored[-1].after_consensus.accuracy:
        accuracy = scored[-1].after_consensus.accuracy
        sys.stdout.write(
            f"{len(cluster.runs)} of {cluster.devices} devices came to their end; accuracy after "
            f"round {scored[-1].round}: mean {accuracy.mean:.4f}, worst {accuracy.min:.4f}, "
            f"best {accuracy.max:.4f}\n"
        )
    if merged.setup["agrees"] is False:
        origins = merged.setup["initial_model_of"].items()
        listed = ", ".join(f"{d}: {' '.join(map(str, drawn_by))}" for d, drawn_by in origins)
        sys.stdout.write(
            f"devices started from different initial models (device: who drew its): {listed}; "
            f"sync-steps must be at least {cluster.steps}, the diameter of this graph\n"
        )
    missing: Counter[str] = Counter()
    for answers in merged.setup["answers"].values():
        for counts in answers.values():
            missing.update({kind: n for kind, n in counts.items() if kind not in OUTCOMES})
    if missing:
        listed = ", ".join(f"{kind} {count}" for kind, count in sorted(missing.items()))
        sys.stdout.write(f"neighbors' answers that did not arrive: {listed}\n")
    sys.stdout.write(f"{file}\n")
