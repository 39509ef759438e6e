"""One Ray serves all simulations of a comparison, and ends with it."""

from __future__ import annotations

import types

import pytest

from simulations import _compat
from simulations._compat import one_ray, raybackend


@pytest.fixture
def done(monkeypatch) -> list[str]:
    """What a backend in place of Flower's own is asked for, in order."""
    told: list[str] = []

    def call(warm) -> None:
        warm("an actor")

    actor = types.SimpleNamespace(__ray_call__=types.SimpleNamespace(remote=call))

    class Backend:
        def __init__(self, config) -> None:
            told.append(f"start {config['x']}")

        def build(self, app_fn) -> None:
            told.append("build")
            self.pool = types.SimpleNamespace(pool=[actor, actor])

        def terminate(self) -> None:
            told.append("end")

    monkeypatch.setattr(raybackend, "RayBackend", Backend)
    monkeypatch.setattr(_compat.ray, "get", lambda _: None)
    return told


def simulate(app: str) -> object:
    """Do what Flower does for one simulation."""
    backend = raybackend.RayBackend({"x": 1})
    backend.build(lambda: app)
    found = backend.app_fn()
    backend.terminate()
    return found


def test_simulations_share_what_was_started_and_have_apps_of_their_own(done):
    with one_ray({"x": 1}, lambda actor: done.append(f"warm {actor}")):
        assert [simulate("first"), simulate("second")] == ["first", "second"]
        assert done == ["start 1", "build", "warm an actor", "warm an actor"]
    assert done[-1] == "end"
    assert done.count("end") == 1


def test_afterwards_each_has_its_own_again_whatever_happened(done):
    own = raybackend.RayBackend
    with pytest.raises(KeyError), one_ray({"x": 1}, lambda actor: None):
        raise KeyError
    assert raybackend.RayBackend is own
    assert done[-1] == "end"
