"""The page of peers in a real browser goes on with them."""

from __future__ import annotations

import shutil

import pytest

from p2pl_flower.serverless.watched import pages_of, summary

playwright = pytest.importorskip("playwright.sync_api")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here"),
]


def said(device: int, done: int) -> dict:
    neighbor = {"absent": device == 1, "answers": {"arrived": done}}
    told = {"device": device, "done": done, "rounds": 9, "accuracy": 0.5 + 0.1 * device}
    others = {str((device + 1) % 3): neighbor}
    return summary({**told, "received": 1000 * done, "neighbors": others})


def test_it_shows_what_peers_say_now():
    now = {"done": 1}
    down = {"up": False, "target": "<b>gone</b>"}
    state = lambda: [*(said(k, now["done"]) for k in range(3)), down]  # noqa: E731
    pages = pages_of("127.0.0.1:0", state)
    wrong: list[str] = []
    try:
        with playwright.sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page()
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("console", lambda text: text.type == "error" and wrong.append(text.text))
            page.goto(pages.url)
            page.wait_for_selector("body[data-ready]")
            assert "3 of 4 that are watched answer, in rounds 1 to 1 of 9" in page.inner_text(
                "#said"
            )
            assert "accuracy 60.0 %" in page.inner_text("#said")
            assert "<b>gone</b>" in page.inner_text("#rows")
            assert page.locator("#graph line[stroke-dasharray]").count() == 1
            now["done"] = 7
            page.wait_for_function("document.querySelector('#said').textContent.includes('7 to 7')")
            browser.close()
    finally:
        pages.close()
    assert not wrong
