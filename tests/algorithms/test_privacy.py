"""Clipping and noise by hand; and what algorithms send beside the model tells nothing more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from p2pl_flower.algorithms import ALGORITHMS
from p2pl_flower.algorithms.privacy import PRIVACIES, Gaussian
from p2pl_flower.errors import ConfigError, LayoutError
from p2pl_flower.options import Options
from p2pl_flower.swarm import simulate

BEGUN = {"w": np.array([1.0, 2.0]), "b": np.array(3.0)}
SILENT = 1e-12


def applied(privacy: Gaussian, trained: dict[str, Any], begun: Any = BEGUN) -> dict[str, Any]:
    return privacy.applied(begun, trained, np.random.default_rng(0))


def moved(x: float, y: float, z: float) -> dict[str, np.ndarray]:
    return {"w": BEGUN["w"] + [x, y], "b": BEGUN["b"] + z}


def test_an_update_is_clipped_over_all_arrays_together() -> None:
    made = applied(Gaussian(2.0, SILENT), moved(3, 4, 12))  # of norm 13
    expected = moved(*(2 / 13 * np.array([3, 4, 12])))
    np.testing.assert_allclose(made["w"], expected["w"], atol=1e-10)
    np.testing.assert_allclose(made["b"], expected["b"], atol=1e-10)


def test_a_small_update_and_none_stay_as_they_are() -> None:
    for update in ((0.3, 0.4, 1.2), (0, 0, 0)):
        made = applied(Gaussian(2.0, SILENT), moved(*update))
        np.testing.assert_allclose(made["w"], moved(*update)["w"], atol=1e-10)


def test_noise_is_the_multiplier_times_the_norm() -> None:
    begun = {"w": np.zeros(100_000, np.float32)}
    made = applied(Gaussian(clip=0.5, noise=1.6), begun, begun)["w"]
    assert made.dtype == np.float32
    assert made.std() == pytest.approx(0.8, rel=0.01)
    assert abs(made.mean()) < 0.01


def test_arrays_without_an_axis_stay_arrays() -> None:
    made = applied(Gaussian(2.0, SILENT), moved(0, 0, 1))
    assert all(isinstance(array, np.ndarray) for array in made.values())
    assert made["b"].shape == ()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_update_that_is_no_number_counts_as_none(bad: float) -> None:
    made = applied(Gaussian(2.0, SILENT), moved(1, bad, 1))
    np.testing.assert_allclose(made["w"], BEGUN["w"], atol=1e-10)


def test_what_cannot_be_clipped_is_refused() -> None:
    with pytest.raises(LayoutError, match="at training"):
        applied(Gaussian(1.0, 1.0), {"w": BEGUN["w"]})
    complex_ones = {"z": np.zeros(2, complex)}
    with pytest.raises(LayoutError, match="leave privacy out"):
        applied(Gaussian(1.0, 1.0), complex_ones, complex_ones)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gaussian:noise=1.1", "needs clip, as in 'gaussian:clip=...'"),
        ("gaussian:clip=1", "needs noise"),
        ("gaussian:clip=1,noise=0", "noise=0.0: must be in (0, inf)"),
        ("gaussian:clip=-1,noise=1", "clip=-1.0: must be in (0, inf)"),
        ("gaussian:clip=1,noise=1,delta=1", "delta=1.0: must be in (0, 1)"),
        ("laplace", "unknown name; choose one of: gaussian, none"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Options(privacy=text)
    assert words in str(caught.value)


def test_options_send_it_to_devices() -> None:
    options = Options(privacy="gaussian:clip=1.0,noise=1.1")
    assert Options.from_config(options.to_config()).privacy == Gaussian(1.0, 1.1)
    assert PRIVACIES.of(Gaussian(1.0, 1.1)) == options.privacy


def models(algorithm: str, labels: int, privacy: str) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(4, 20, 6, generator=draw)
    y = (torch.arange(80).reshape(4, 20) + labels * torch.arange(4)[:, None]) % 3
    result = simulate(
        lambda: nn.Linear(6, 3),
        list(zip(x, y, strict=True)),
        "ring",
        Options(algorithm=algorithm, consensus_steps=2, consensus_gamma=0.6, privacy=privacy),
        rounds=3,
        learning_rate=0.5,
        momentum=0.0,
        progress=False,
    )
    return [result.state_dict(d)["weight"] for d in range(4)]


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS.entries))
def test_nothing_but_the_clipped_update_leaves_a_device(algorithm, monkeypatch) -> None:
    monkeypatch.setattr("p2pl_flower.options.spending.epsilon_of", lambda *_: 1.0)
    tight = "gaussian:clip=1e-7,noise=1e5"  # so that updates say next to nothing
    for one, other in zip(models(algorithm, 0, tight), models(algorithm, 1, tight), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
    loose = models(algorithm, 0, "none"), models(algorithm, 1, "none")
    assert max(float((a - b).abs().max()) for a, b in zip(*loose, strict=True)) > 0.01


class Scaled(nn.Module):
    """A linear model times a number of no axis."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.inner, self.scale = nn.Linear(6, 3), nn.Parameter(torch.tensor(1.5))
        self.to(dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * self.inner(x.to(self.scale.dtype))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_whatever_numbers_a_model_is_of(dtype: torch.dtype, monkeypatch) -> None:
    monkeypatch.setattr("p2pl_flower.options.spending.epsilon_of", lambda *_: 1.0)

    def trained(privacy: str) -> dict[str, torch.Tensor]:
        x = torch.randn(4, 12, 6, generator=torch.Generator().manual_seed(0))
        data = [(each, torch.arange(12) % 3) for each in x]
        options = Options(privacy=privacy)
        return simulate(
            lambda: Scaled(dtype), data, "ring", options, rounds=1, progress=False
        ).state_dict(0)

    plain, silent = trained("none"), trained("gaussian:clip=1000,noise=1e-12")
    for name, tensor in plain.items():
        assert silent[name].dtype == dtype
        torch.testing.assert_close(silent[name], tensor, rtol=1e-5, atol=1e-6)
