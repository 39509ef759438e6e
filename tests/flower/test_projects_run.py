"""The sample projects as users run them: by ``flwr run``, on Flower's Ray simulation.

All runs share one SuperLink and one Ray cluster, and go two at a time: most of a run's time is
that of processes starting one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import flower_projects
import pytest
from flower_projects import NAMES
from flower_runs import Flower

pytest.importorskip("ray")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the SuperLink through /proc"),
]

DEVICES = 3

Case = tuple[str, bool]


@pytest.fixture(scope="module")
def printed(
    request: pytest.FixtureRequest, flower: Flower, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Case, Future[str]]]:
    """Give what each of the runs that are asked for prints."""
    chosen = [item for item in request.session.items if item.name.startswith("test_flwr_run[")]
    cases = [(i.callspec.params["name"], i.callspec.params["peer_to_peer"]) for i in chosen]
    futures: dict[Case, Future[str]] = {}

    def run(case: Case, folder: Path) -> str:
        if case != cases[0]:
            wait([futures[cases[0]]])  # the first one starts the SuperLink
        app = flower_projects.copy(case[0], folder, case[1], installs=False)
        return flower.run(app, DEVICES, workers=1)

    with ThreadPoolExecutor(2) as pool:
        for case in cases:
            futures[case] = pool.submit(run, case, tmp_path_factory.mktemp("project"))
        yield futures
        pool.shutdown(cancel_futures=True)


FEDAVG = pytest.param(False, id="fedavg", marks=pytest.mark.thorough)


@pytest.mark.parametrize("peer_to_peer", [FEDAVG, pytest.param(True, id="p2pl")])
@pytest.mark.parametrize("name", NAMES)
def test_flwr_run(name: str, peer_to_peer: bool, printed: dict[Case, Future[str]]) -> None:
    said = printed[name, peer_to_peer].result()
    legacy = name in ("numpy-client", "mixed-clients") and not peer_to_peer
    assert ("[SUMMARY]" if legacy else "Strategy execution finished") in said, said
    assert ("bytes between devices" in said) == peer_to_peer, said
    hands_on = name != "own-strategy"  # whose class keeps what evaluate functions say to itself
    assert ("accuracy after consensus" in said) == (peer_to_peer and hands_on), said
    assert "Traceback" not in said, said
