"""A short soak: peers that are killed and return, over links that are cut, slow and lossy."""

from __future__ import annotations

import pytest

from benchmarks.soak import Plan, router_module, soak
from benchmarks.soak_table import growth, table

unavailable = router_module().unavailable()


@pytest.mark.slow
@pytest.mark.skipif(bool(unavailable), reason=unavailable)
def test_survivors_lose_no_round_and_all_come_to_their_end(tmp_path) -> None:
    plan = Plan(
        peers=5, kills=3, stops=1, calm=4, rounds=18, pause=0.5, deadline=1.5, linger=10, away=1
    )
    found = soak(plan, tmp_path / "peers", "k")
    logs = "\n".join(path.read_text() for path in sorted((tmp_path / "peers").glob("*.log")))
    assert found["hung"] == [], logs
    assert found["stalls"] == 0, found["longest_round_s"]
    assert found["rounds_skipped_by_survivors"] == 0, logs
    assert set(found["last_rounds"].values()) == {plan.rounds}, found["last_rounds"]
    assert sum(found["disturbed"].values()) >= 3
    assert sum(found["links"].values()) >= 1
    assert found["accuracy"] > 0.85
    codes = {code for ends in found["exit_codes"].values() for code in ends}
    ended = {"0", "-9", "130", "-15"}  # the last one while its libraries are being imported
    assert codes <= ended, (found["exit_codes"], logs)
    assert len(table(plan, found, {"accuracy": 0.9})) == 15


def test_growth_is_the_most_of_any_survivor() -> None:
    before = {0: [(100, 10), (100, 10), (900, 10)], 1: [(200, 20)]}
    after = {0: [(103, 10)], 1: [(190, 21)]}
    found = growth({"before": before, "after": after})
    assert found["memory_bytes"]["growth"] == pytest.approx(0.03)
    assert found["open_files"]["growth"] == pytest.approx(0.05)
