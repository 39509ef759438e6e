"""Robust mixing is refused where an algorithm rests on weighted sums."""

from __future__ import annotations

import pytest

from p2pl_flower.errors import ConfigError
from p2pl_flower.options import Options

ROBUST = ("median", "krum:share=0.2", "trimmed-mean:share=0.2", "clipped-gossip:share=0.2")


@pytest.mark.parametrize("mixing", ROBUST)
@pytest.mark.parametrize(
    "options",
    [
        {"algorithm": "led"},
        {"algorithm": "push-sum", "weights": "out-degree"},
        {"algorithm": "push-sum", "weights": "metropolis"},
        {"algorithm": "eigenvector-correction", "weights": "uniform"},
    ],
)
def test_sums_that_algorithms_keep_are_not_mixed_by_robust_rules(options, mixing) -> None:
    with pytest.raises(ConfigError, match=r"mixing=.*take mixing=.weighted."):
        Options(**options, mixing=mixing)
    Options(**options)


@pytest.mark.parametrize("mixing", ROBUST)
def test_models_are(mixing) -> None:
    Options(algorithm="p2pl", mixing=mixing)
