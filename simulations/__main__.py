"""``python -m simulations``: run scenarios from the command line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from p2pl_flower.config import add_shortcut, change
from p2pl_flower.errors import ConfigError, P2PLError
from p2pl_flower.options import LOGGERS_KEY

from .help import ListingParser, listing


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code: 2 for bad input, 1 for a run that failed."""
    parsed = parser().parse_args(arguments)
    try:
        code: int = parsed.command(parsed)
        return code
    except ConfigError as error:
        return _fail(error, 2)
    except P2PLError as error:
        return _fail(error, 1)


def _compare(parsed: argparse.Namespace) -> int:
    from p2pl_flower.report import sentences

    from . import pages, report
    from .compare import compare
    from .scenario import Scenario

    scenario = Scenario.load(parsed.scenario, change({}, parsed.set))
    folder = parsed.out or Path("results") / Path(parsed.scenario).stem
    history = compare(
        scenario,
        folder,
        parsed.engine,
        parsed.ray_address,
        parsed.save_models,
        parsed.watch,
        parsed.token,
    )
    page = folder.resolve() / pages.NAME
    said = report.table(history), report.resolution(history), f"{sentences(history)}\n"
    sys.stdout.write("\n" + "\n".join(filter(None, said)))
    sys.stdout.write(f"\nThe report is {page.as_uri()}\n")
    return 0


def _paper(parsed: argparse.Namespace) -> int:
    from . import pages
    from .paper import claims, kept, page, runner

    runner.run(claims(parsed.only), parsed.seeds)
    page.write(claims())
    for claim in claims():
        if (history := kept.kept_history(claim)).runs:
            pages.write(history, kept.RESULTS / claim.name / pages.NAME)
    sys.stdout.write(f"Results are in {kept.RESULTS / page.PAGE}\n")
    return 0


def _seeds(text: str) -> int:
    count = int(text)
    if count < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return count


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m simulations", description=__doc__)
    commands = made.add_subparsers(required=True, metavar="COMMAND", parser_class=ListingParser)
    compare = commands.add_parser(
        "compare",
        help="run a scenario's contenders side by side",
        listing=listing,
    )
    compare.add_argument(
        "scenario",
        nargs="?",
        default="demo",
        help="a TOML file, or a name in simulations/scenarios",
    )
    compare.add_argument("--engine", default="flower", help="what devices run on: flower or swarm")
    compare.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a key (repeatable)"
    )
    add_shortcut(compare, "--log", LOGGERS_KEY)
    compare.add_argument(
        "--ray-address",
        default="",
        metavar="HOST:PORT",
        help="a Ray cluster to run on, with either engine",
    )
    compare.add_argument(
        "--save-models",
        action="store_true",
        help="write the mean of each contender's models: DIR/models/NAME.safetensors",
    )
    compare.add_argument(
        "--watch",
        nargs="?",
        const="127.0.0.1:0",
        default="",
        metavar="HOST:PORT",
        help="serve the report while it grows; a free port of this machine if none is given",
    )
    compare.add_argument(
        "--token", default="", help="what readers of it must bring; made where one is needed"
    )
    compare.add_argument("--out", type=Path, metavar="DIR", help="default: results/SCENARIO")
    compare.set_defaults(command=_compare)
    paper = commands.add_parser("paper", help="run what the paper claims, and render the results")
    paper.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="one claim (repeatable)"
    )
    paper.add_argument(
        "--seeds", type=_seeds, default=3, metavar="N", help="seeds 0 to N-1; 0 only renders"
    )
    paper.set_defaults(command=_paper)
    return made


def _fail(error: Exception, code: int) -> int:
    sys.stderr.write(f"error: {error}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
