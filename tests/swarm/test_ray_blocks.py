"""A swarm on two nodes of a Ray cluster: the numbers of one machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import flower_runs
import numpy as np
import pytest
import ray_blocks
import torch
from ray_blocks import CASES
from safetensors.torch import load_file

from p2pl_flower.errors import ConfigError
from p2pl_flower.history import History
from p2pl_flower.swarm import Machine, RayCluster
from p2pl_flower.swarm.mixing import Mixing
from p2pl_flower.swarm.nodes import places_for

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All cases, run one after the other on the same cluster."""
    made = tmp_path_factory.mktemp("cluster")
    with flower_runs.ray_cluster(cpus=1, nodes=2) as address:
        command = [sys.executable, "-W", "ignore", str(HERE / "ray_blocks.py"), address, str(made)]
        done = subprocess.run(
            [*command, *CASES],
            env={**os.environ, "RAY_ADDRESS": ""},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return made


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_two_nodes_give_the_numbers_of_one_machine(case: str, folder: Path) -> None:
    expected = ray_blocks.run(case, Machine())
    found = load_file(folder / f"{case}.safetensors")
    for name, tensor in expected.stack.tensors.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-4, atol=1e-5)
    [one], [two] = expected.runs, History.load(folder / f"{case}.json").runs
    assert one.setup["bytes_sent"] == two.setup["bytes_sent"]
    for left, right in zip(one.rounds, two.rounds, strict=True):
        assert left.bytes_sent == right.bytes_sent
        assert left.consensus_distance == pytest.approx(right.consensus_distance, rel=1e-4)
        for scored in (left.after_consensus, right.after_consensus):
            assert scored is not None
            assert scored.loss.mean == pytest.approx(left.after_consensus.loss.mean, rel=1e-4)


@pytest.mark.slow
def test_one_machine_goes_on_from_a_clusters_checkpoint(folder: Path) -> None:
    more = ray_blocks.ROUNDS + 2
    resumed = ray_blocks.run("plain", Machine(), rounds=more, checkpoint=folder / "plain.pt")
    whole = ray_blocks.run("plain", Machine(), rounds=more)
    for name, tensor in whole.stack.tensors.items():
        torch.testing.assert_close(resumed.stack.tensors[name], tensor, rtol=1e-3, atol=1e-4)


def test_parts_of_a_step_make_the_whole_step() -> None:
    generator = np.random.default_rng(0)
    dense = generator.random((7, 7)) * (generator.random((7, 7)) < 0.4) + np.eye(7)
    rows, columns = np.nonzero(dense)
    none = np.zeros(7, dtype=np.int64)
    step = Mixing(rows, columns, dense[rows, columns], (7, 7), none, none == 0)
    whole = torch.from_numpy(generator.random((7, 5)))
    expected = {"w": whole.clone()}
    step.apply(expected)
    for first, count in ((0, 3), (3, 4)):
        part, others = step.part(first, count)
        own = {"w": whole[first : first + count].clone()}
        part.apply(own, beside={"w": whole[others]})
        torch.testing.assert_close(own["w"], expected["w"][first : first + count])
        assert not set(others.tolist()) & set(range(first, first + count))


class FakeRay:
    def __init__(self, *resources) -> None:
        self._nodes = [
            {"NodeID": f"n{i}", "Alive": True, "Resources": has} for i, has in enumerate(resources)
        ]

    def nodes(self):
        return self._nodes


def test_blocks_are_spread_over_nodes_and_gpus() -> None:
    cpus = FakeRay({"CPU": 4.0}, {"CPU": 2.0}, {"memory": 1.0})
    assert [(p.node, p.cpus) for p in places_for(cpus, RayCluster())] == [("n0", 4), ("n1", 2)]
    three = places_for(cpus, RayCluster(blocks=3))
    assert [(p.node, p.cpus) for p in three] == [("n0", 2), ("n0", 2), ("n1", 2)]
    gpus = FakeRay({"CPU": 8.0, "GPU": 2.0}, {"CPU": 8.0})
    cuda = places_for(gpus, RayCluster(torch_device="cuda"))
    assert [(p.node, p.gpus) for p in cuda] == [("n0", 1), ("n0", 1)]
    with pytest.raises(ConfigError, match=r"blocks=3: must be at most the cluster's 2 GPUs"):
        places_for(gpus, RayCluster(torch_device="cuda", blocks=3))
    with pytest.raises(ConfigError, match="torch-device='cuda:1': Ray gives each block a GPU"):
        RayCluster(torch_device="cuda:1")
