"""A report of a run that is under way, in a browser: it goes on with the run."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from p2pl_flower.history import History
from p2pl_flower.report import Network
from p2pl_flower.report.page import text
from p2pl_flower.system.web import Pages

_FOLLOW = """<script>
(() => {
  // What is chosen outlives the page's being loaded anew, which waits while somebody points at it.
  const query = location.search, kept = sessionStorage;
  let busy = 0, shown = 0;
  addEventListener("mousemove", () => { busy = Date.now(); });
  const keep = () => {
    const tab = document.querySelector(".tabs [aria-pressed=true]");
    const box = document.getElementById("one-scale");
    kept.p2pl = JSON.stringify({
      axis: tab && tab.dataset.axis, run: document.getElementById("who").value,
      one: box.checked, y: scrollY,
    });
  };
  const take = () => {
    if (!document.body.dataset.ready) return setTimeout(take, 30);
    shown = Date.now();
    const was = JSON.parse(kept.p2pl || "{}"), who = document.getElementById("who");
    document.querySelector(`[data-axis="${was.axis}"]`)?.click();
    if (was.one) document.getElementById("one-scale").click();
    if (was.run && was.run < who.options.length) { who.value = was.run; who.onchange(); }
    scrollTo(0, was.y || 0);
  };
  const ask = async () => {
    let now = NUMBER;
    try { now = +(await (await fetch("version" + query)).text()); }
    catch { document.getElementById("live").textContent = "has ended"; }
    // It stays three times as long as it took to load: rounds may be quicker than browsers.
    const stays = shown && Math.max(2000, 3 * (shown - performance.timeOrigin));
    const read = shown && Date.now() - shown > stays && Date.now() - busy > 1500;
    if (now !== NUMBER && read) { keep(); return location.reload(); }
    setTimeout(ask, 700);
  };
  const said = document.createElement("p");
  said.id = "live"; said.className = "note"; said.textContent = "live";
  document.querySelector("header").append(said);
  take();
  ask();
})();
</script>
</body>"""


class Live:
    """Serves a history's report, anew whenever it has changed.

    Parameters
    ----------
    address : str
        ``HOST:PORT``, or a port: see `p2pl_flower.system.web.Pages`.
    history : Callable[[], History]
        Returns what was measured so far.
    network : Network or None
        Who is linked to whom.
    token : str
        What readers must bring.
    """

    def __init__(
        self,
        address: str,
        history: Callable[[], History],
        network: Network | None = None,
        token: str = "",
    ) -> None:
        self._history, self._network = history, network
        self._count, self._version = itertools.count(1), 0
        pages = {"/": self._page, "/version": lambda: ("text/plain", str(self._version))}
        self._pages = Pages(address, pages, token)

    @property
    def url(self) -> str:
        """Where it is."""
        return self._pages.url

    def changed(self) -> None:
        """Have pages that are open go on."""
        self._version = next(self._count)

    def close(self) -> None:
        """Serve no more."""
        self._pages.close()

    def _page(self) -> tuple[str, str]:
        follow = _FOLLOW.replace("NUMBER", str(self._version))  # before what it shows is read
        return "text/html", text(self._history(), self._network).replace("</body>", follow)
