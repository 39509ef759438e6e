"""Make the README's picture: ``python -m simulations.picture``.

It runs the demo in the swarm, opens its report in Chromium, and takes a picture of what a reader
sees first. Chromium must be there, and Playwright (``pip install 'p2pl-flower[dev]'``).
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from p2pl_flower.errors import ConfigError

from .__main__ import main as simulations

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "report.png"
SIZE = {"width": 1280, "height": 885}


def take(page: Path, picture: Path) -> None:
    """Write a picture of the top of a page that is a file.

    Raises
    ------
    ConfigError
        There is no Chromium.
    """
    from playwright.sync_api import sync_playwright

    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        raise ConfigError("chromium", None, "must be on the PATH")
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        view = opened.new_page(viewport=SIZE)  # type: ignore[arg-type]
        view.goto(page.as_uri())
        view.wait_for_selector("body[data-ready]")
        view.screenshot(path=picture)
        opened.close()


def main(arguments: list[str] | None = None) -> int:
    """Run the demo and write the picture."""
    parser = argparse.ArgumentParser(prog="python -m simulations.picture", description=__doc__)
    parser.add_argument("--out", type=Path, default=PICTURE, help="where the picture goes")
    parsed = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        done = simulations(["compare", "demo", "--engine", "swarm", "--out", folder])
        if done == 0:
            take(Path(folder).resolve() / "report.html", parsed.out)
    return done


if __name__ == "__main__":
    raise SystemExit(main())
