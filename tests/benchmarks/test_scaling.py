"""The tables of how the swarm's cost grows, and of what a second Ray node brings."""

from __future__ import annotations

from benchmarks import ray_nodes, swarm_scale


def test_a_round_alone_and_beside_another_job():
    alone = {
        "devices": 1000,
        "seconds": 0.5,
        "cpu_seconds": 0.9,
        "start_seconds": 2,
        "peak_bytes": 0,
    }
    [_, row] = swarm_scale.table([alone], [{**alone, "seconds": 0.6}])
    assert row == ("1,000", "60", "0.500", "0.50", "0.90", "0.600", "1.20", "2.0", "0.0")


def test_another_job_ends_with_its_block():
    with swarm_scale.another_job() as job:
        assert job.poll() is None
    assert job.wait(timeout=30) != 0


def test_two_nodes_are_compared_by_their_quickest_rounds():
    def repeat(nodes, seconds, busiest):
        return {"nodes": nodes, "seconds": seconds, "busiest_cpu_seconds": busiest}

    repeats = [
        repeat(1, [4.0, 5.0], [3.8, 4.0]),
        repeat(2, [3.0], [2.0]),
        repeat(1, [4.4], [3.6]),
        repeat(2, [2.5], [2.4]),
    ]
    [_, one, two] = ray_nodes.table(repeats)
    assert one == ("1", "4.00", "1.00", "3.60", "1.00")
    assert two == ("2", "2.50", "1.60", "2.00", "1.80")
