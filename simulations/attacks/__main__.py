"""``python -m simulations.attacks``: run what attacks do, and write its history and table."""

from __future__ import annotations

import argparse
from pathlib import Path

from .experiment import FILE, RESULTS, run


def main(arguments: list[str] | None = None) -> int:
    """Run the experiment; runs that are done are kept."""
    parser = argparse.ArgumentParser(prog="python -m simulations.attacks", description=__doc__)
    parser.add_argument("--file", type=Path, default=FILE, help="what is run")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0 to N-1")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where results go")
    parsed = parser.parse_args(arguments)
    run(parsed.file, parsed.seeds, parsed.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
