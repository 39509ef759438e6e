"""What all tests share."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest
from flower_runs import Flower, ray_cluster
from hypothesis import settings

# The same examples in every run: a red build is then somebody's change, not chance.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")


@pytest.fixture(scope="session")
def ray_address() -> Iterator[str]:
    """Give the address of a Ray cluster that all runs of the session share."""
    with ray_cluster() as address:
        yield address


@pytest.fixture(scope="session")
def flower(ray_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flower]:
    """Give a Flower home whose SuperLink all runs of the session share."""
    home = Flower(tmp_path_factory.mktemp("flower"), ray_address)
    yield home
    home.stop()


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """Undo what a command or a test did to a log: a handler writes to that test's stderr."""
    logs = [logging.getLogger(name) for name in ("flwr", "flwr.p2pl")]
    before = [(list(log.handlers), log.propagate, log.level) for log in logs]
    yield
    for log, (handlers, propagate, level) in zip(logs, before, strict=True):
        log.handlers[:], log.propagate = handlers, propagate
        log.setLevel(level)
