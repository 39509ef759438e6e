"""Every type that a ``state_dict`` may hold is mixed, kept, or refused by the tensor's name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from p2pl_flower import Options
from p2pl_flower.errors import LayoutError
from p2pl_flower.seeding import Stream, derive
from p2pl_flower.swarm import simulate
from p2pl_flower.swarm.drawing import draw

RNG = np.random.default_rng(0)
DATA = [(RNG.normal(size=(8, 4)).astype(np.float32), RNG.integers(0, 3, 8)) for _ in range(3)]


class Net(nn.Module):
    """A layer beside a tensor that training leaves as it was drawn."""

    dtype = torch.float32

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        drawn = torch.rand(2, 3)
        if self.dtype.is_complex:
            drawn = torch.complex(drawn, torch.rand(2, 3))
        self.register_buffer("odd", (10 * drawn).to(self.dtype))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


def of(dtype: torch.dtype) -> type[Net]:
    return type("Odd", (Net,), {"dtype": dtype})


def run(dtype: torch.dtype, steps: int = 0, init: str = "independent"):
    """Return a run of one round; without a consensus step, `odd` is what each device drew."""
    options = Options(init=init, weights="uniform", consensus_steps=steps)
    return simulate(of(dtype), DATA, "complete", options, rounds=1, test=DATA[0])


@pytest.mark.parametrize(
    "dtype",
    [torch.float16, torch.bfloat16, torch.float64, torch.complex64, torch.complex128],
)
def test_numbers_with_a_fraction_are_mixed(dtype: torch.dtype) -> None:
    before, after = run(dtype), run(dtype, steps=1)
    drawn = torch.stack([before.state_dict(d)["odd"] for d in range(3)])
    wide = drawn.to(torch.promote_types(dtype, torch.float64))
    tolerance = 0.05 if dtype in (torch.float16, torch.bfloat16) else 1e-6
    for device in range(3):
        found = after.state_dict(device)["odd"]
        assert found.dtype == dtype
        assert torch.allclose(found.to(wide.dtype), wide.mean(0), atol=tolerance)
    assert before.mean()["odd"].dtype == dtype
    assert torch.allclose(before.mean()["odd"].to(wide.dtype), wide.mean(0), atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64])
def test_the_others_stay_the_devices_own(dtype: torch.dtype) -> None:
    before, after = run(dtype), run(dtype, steps=1)
    for device in range(3):
        found = after.state_dict(device)["odd"]
        assert found.dtype == dtype
        assert torch.equal(found, before.state_dict(device)["odd"])


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_distances_and_norms_are_of_both_parts(dtype: torch.dtype) -> None:
    found = run(dtype)
    models = [found.state_dict(d) for d in range(3)]
    flat = torch.stack(
        [torch.cat([m[n].to(torch.complex128).flatten() for n in m]) for m in models]
    )
    expected = (flat - flat.mean(0)).abs().square().sum(1).mean().sqrt()
    assert found.final().consensus_distance == pytest.approx(float(expected))
    # of max norm synchronization
    drawn = [draw(of(dtype), derive(0, Stream.INIT, d)).state_dict() for d in range(3)]
    norms = [float(sum(t.abs().double().square().sum() for t in m.values())) for m in drawn]
    assert torch.equal(
        run(dtype, init="max-norm").state_dict(0)["odd"], drawn[int(np.argmax(norms))]["odd"]
    )


def test_a_complex_parameter_is_trained() -> None:
    class Spectral(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.randn(4, 3, dtype=torch.complex64))

        def forward(self, x: Tensor) -> Tensor:
            return (x.to(torch.complex64) @ self.w).abs()

    first, last = (simulate(Spectral, DATA, "ring", rounds=r, test=DATA[0]) for r in (1, 9))
    assert not torch.allclose(first.mean()["w"].imag, last.mean()["w"].imag)
    assert last.final().after_consensus.loss.mean < first.final().after_consensus.loss.mean


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_float8_is_refused_by_name_or_stays_at_home(dtype: torch.dtype) -> None:
    with pytest.raises(LayoutError, match=rf"tensor 'odd' is of {dtype}, of which there are no me"):
        run(dtype)
    options = Options(shared=["*", "!odd"])
    kept = simulate(of(dtype), DATA, "ring", options, rounds=1, test=DATA[0])
    assert kept.state_dict(1)["odd"].dtype == dtype


def test_a_file_that_cannot_hold_a_tensor_is_refused_by_name(tmp_path) -> None:
    result = run(torch.complex128)
    with pytest.raises(LayoutError, match=r"tensor 'odd' is of torch\.complex128, which safetens"):
        result.save(tmp_path / "models.safetensors")
