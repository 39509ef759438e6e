"""A comparison's page grows with it."""

from __future__ import annotations

from urllib.request import urlopen

from histories import small

from simulations.scenario import Scenario
from simulations.watching import Watched

KEYS = {"contenders": "p2pl,local", "num-devices": 4, "topology": "ring", "rounds": 3}


def test_the_page_is_that_of_the_rounds_so_far():
    watched = Watched(Scenario.of(KEYS), "flower", "127.0.0.1:0")

    def read(path: str = "") -> str:
        with urlopen(watched.url + path, timeout=20) as answer:
            return answer.read().decode()

    try:
        assert "No model was scored" in read()
        before = read("version")
        first, second, _ = small().runs[0].rounds
        watched.show("p2pl", first)
        assert "After round 1, the models of 4 devices (p2pl)" in read()
        assert read("version") != before
        watched.show("p2pl", second)
        assert "After round 2, the models of 4 devices (p2pl)" in read()
    finally:
        watched.close()
