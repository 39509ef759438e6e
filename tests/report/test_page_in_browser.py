"""The page in a real browser: the slider moves the colors, pointing shows a device's line."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator

import pytest
from histories_by_hand import accuracy, history, network

from p2pl_flower import report
from simulations.live import Live

playwright = pytest.importorskip("playwright.sync_api")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here"),
]

COLORS = "p2pl.plots.network.renderers.map(r => r.data_source).find(s => s.name == 'devices').data"
OWN = "Array.from(p2pl.plots.round.renderers.map(r => r.data_source)" + (
    ".find(s => s.name == 'own').data.y)"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.mark.parametrize("devices", [8, 100, 1000])
def test_a_report(browser, tmp_path, devices):
    path = report.write(history(devices), tmp_path / "report.html", network(devices))
    page = browser.new_page(viewport={"width": 1300, "height": 900}, offline=True)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: said.type in ("error", "warning") and wrong.append(said.text))
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-ready]")

    # All rounds in one scale: another round, other colors, and other links are down.
    page.check("#one-scale")
    last, note = page.evaluate(f"{COLORS}.fill"), page.inner_text("#network-note")
    page.evaluate("const r = document.getElementById('round'); r.value = 1; r.oninput()")
    first = page.evaluate(f"{COLORS}.fill")
    assert len(first) == devices
    assert all(a != b for a, b in zip(first, last, strict=True))
    assert page.inner_text("#network-note") != note
    assert "round 1 of 5" in page.inner_text("#now")

    # Pointing at a device in the network shows its own line.
    device = devices // 3
    page.locator("#figure-network").scroll_into_view_if_needed()
    assert page.evaluate(OWN) == []
    x, y = page.evaluate(PLACE_OF, device)
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y)
    page.wait_for_function("p2pl.state.device !== null")
    pointed = page.evaluate("p2pl.state.device")
    assert devices > 100 or pointed == device
    expected = [accuracy(pointed, t) for t in range(1, 6)]
    assert page.evaluate(OWN) == pytest.approx(expected, abs=2e-5)

    # Another contender has a server, and by bytes there are other figures.
    page.select_option("#who", "1")
    assert "server" in page.inner_text("#network-note")
    page.click("[data-axis=bytes]")
    page.wait_for_selector("#figure-bytes canvas")
    assert not wrong
    page.close()


PLACE_OF = """device => {
  const view = Bokeh.index.get_by_id(p2pl.plots.network.id), frame = view.frame;
  const data = p2pl.plots.network.renderers.map(r => r.data_source)
    .find(s => s.name == 'devices').data;
  const box = view.el.getBoundingClientRect();
  const [x, y] = [data.x[device], data.y[device]];
  return [box.x + frame.x_scale.compute(x), box.y + frame.y_scale.compute(y)];
}"""


def test_a_live_report_is_there_between_rounds_that_are_quicker_than_it(browser) -> None:
    live, over = Live("127.0.0.1:0", lambda: history(100), network(100)), threading.Event()

    def run() -> None:
        while not over.wait(0.02):
            live.changed()

    rounds = threading.Thread(target=run)
    rounds.start()
    page = browser.new_page()
    try:
        page.goto(live.url)
        for _ in range(2):  # it goes on with the run, and is whole again
            page.wait_for_selector("body[data-ready]")
            page.evaluate("document.body.dataset.seen = 1")
            page.wait_for_selector("body:not([data-seen])", state="attached")
    finally:
        over.set()
        rounds.join()
        page.close()
        live.close()
