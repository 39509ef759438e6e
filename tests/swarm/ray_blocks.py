"""Nine devices; ``python ray_blocks.py ADDRESS FOLDER CASE...`` runs them on a cluster."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from p2pl_flower import Options
from p2pl_flower.links import Bernoulli, Churn
from p2pl_flower.swarm import Machine, RayCluster, Result, simulate

DEVICES, ROUNDS = 9, 3

CASES: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "several steps": {"consensus_steps": 3},
    "lossy": {"links": Bernoulli(0.6, 2), "consensus_steps": 2},
    "away": {"links": Churn(0.3, 2.0, 1), "algorithm": "exact-diffusion"},
    "copies": {"codec": "random-k:fraction=0.5", "codec_memory": "public-copies"},
    "lossy copies": {
        "codec": "random-k:fraction=0.5",
        "codec_memory": "public-copies",
        "links": Bernoulli(0.6, 2),
        "mixing": "trimmed-mean:share=0.2",
        "consensus_steps": 2,
    },
    "affinity": {"algorithm": "p2pl-affinity:strength=0.5"},
    "eigenvector": {"algorithm": "eigenvector-correction", "weights": "uniform"},
    "push-sum": {
        "algorithm": "push-sum",
        "weights": "out-degree",
        "links": Bernoulli(0.6, 2, one_way=True),
        "consensus_steps": 2,
    },
    "reweight": {"links": Bernoulli(0.6, 2), "on_missing": "reweight", "algorithm": "led"},
    "at home": {"shared": "*,!3.*", "weights": "data-size", "init": "independent"},
}


def net() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 16, 3)
    )


def data(seed: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 1, 6, 6, generator=generator)
    return x, torch.randint(0, 3, (count,), generator=generator)


def run(case: str, machine: Machine, **changes: Any) -> Result:
    return simulate(
        net,
        [data(k, 7 + k) for k in range(DEVICES)],
        "erdos-renyi:p=0.4",
        Options(seed=3, **CASES[case]),
        rounds=changes.pop("rounds", ROUNDS),
        test=data(99, 40),
        evaluate_every=1,
        optimizer="adam",
        reset_optimizer=False,
        learning_rate=0.01,
        progress=False,
        machine=machine,
        **changes,
    )


if __name__ == "__main__":
    address, folder, *cases = sys.argv[1:]
    for name in cases:
        result = run(name, RayCluster(address=address), checkpoint=Path(folder, f"{name}.pt"))
        result.save(Path(folder, f"{name}.safetensors"))
        Path(folder, f"{name}.json").write_text(result.history.to_json())
