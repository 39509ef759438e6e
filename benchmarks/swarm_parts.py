"""What the parts of a step of training cost by themselves: ``python -m benchmarks.swarm_parts``.

On one thread, least CPU seconds of several: a 3x3 convolution of ten images with its gradients in
channels last, and normalizations, of one device alone and of several in one grouped call, for the
shapes of the cnn and of the ResNet-20; and, for the perceptron's first layer, the products of a
step of one device, PyTorch's fused step of AdamW by itself, and that of SGD.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .swarm_common import parser, write

IMAGES, TOGETHER = 10, (1, 2, 4, 8)
CONVOLUTIONS = ((1, 16, 28), (16, 32, 14), (16, 16, 32), (32, 32, 16), (64, 64, 8))
"""Channels in and out, and the side of an image."""

NORMALIZATIONS = ((16, 32), (32, 16), (64, 8))
INPUTS, OUTPUTS = 784, 200


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the JSON and print a summary."""
    line = parser(__file__, __doc__)
    line.add_argument("--repeats", type=int, default=15, help="times that each is run")
    parsed = line.parse_args(arguments)
    torch.set_num_threads(1)
    grouped = _grouped(parsed.repeats)
    table: list[tuple[str, ...]] = [
        ("µs a device", *(f"{n} in one" if n > 1 else "alone" for n in TOGETHER))
    ]
    for name, found in grouped.items():
        table.append((name, *(f"{found[n]:.0f}" for n in TOGETHER)))
    layer = _layer(parsed.repeats)
    for name, taken in layer.items():
        table.append((f"first layer: {name}", f"{taken:.0f}", *("" for _ in TOGETHER[1:])))
    write(parsed, table, grouped=grouped, layer=layer, images=IMAGES)
    return 0


def _grouped(repeats: int) -> dict[str, dict[int, float]]:
    """Return the microseconds a device of each layer, by how many devices are in one."""
    found = {}
    for inputs, outputs, side in CONVOLUTIONS:
        name = f"convolution {inputs} to {outputs}, {side}x{side}"
        found[name] = _by_number(
            lambda n, i=inputs, o=outputs: nn.Conv2d(n * i, n * o, 3, padding=1, groups=n),
            inputs,
            side,
            repeats,
        )
    for channels, side in NORMALIZATIONS:
        ways: Mapping[str, Callable[..., nn.Module]] = {
            "GroupNorm": lambda n, c=channels: nn.GroupNorm(8 * n, c * n),
            "BatchNorm": lambda n, c=channels: nn.BatchNorm2d(c * n),
        }
        for kind, make in ways.items():
            name = f"{kind} {channels}, {side}x{side}"
            found[name] = _by_number(make, channels, side, repeats)
    return found


def _by_number(
    make: Callable[..., nn.Module], channels: int, side: int, repeats: int
) -> dict[int, float]:
    found = {}
    for count in TOGETHER:
        layer = make(count).to(memory_format=torch.channels_last)
        x = torch.randn(IMAGES, count * channels, side, side)
        x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
        made = torch.randn_like(layer(x))
        found[count] = _least(_training(layer, x, made), repeats) / count
    return found


def _training(layer: nn.Module, x: Tensor, made: Tensor) -> Callable[[], Any]:
    def step() -> None:
        layer.zero_grad()
        x.grad = None
        layer(x).backward(made)

    return step


def _layer(repeats: int) -> dict[str, float]:
    """Return the microseconds of the parts of a step of the perceptron's first layer."""
    weight, gradient, first, second = (torch.zeros(OUTPUTS, INPUTS) for _ in range(4))
    x, delta = torch.randn(IMAGES, INPUTS), torch.randn(IMAGES, OUTPUTS)
    steps = [torch.ones(())]

    def products() -> None:
        torch.mm(x, weight.T)
        torch.mm(delta.T, x, out=gradient)

    def adamw() -> None:
        torch._fused_adamw_(
            [weight],
            [gradient],
            [first],
            [second],
            [],
            steps,
            lr=1e-3,
            beta1=0.9,
            beta2=0.999,
            weight_decay=0.01,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )

    def sgd() -> None:
        torch.addmm(first, delta.T, x, beta=0.5, out=first)
        weight.add_(first, alpha=-0.05)

    ways = {
        "its two products": products,
        "the step of AdamW": adamw,
        "gradient and step of SGD": sgd,
    }
    with torch.no_grad():
        return {name: _least(way, repeats) for name, way in ways.items()}


def _least(function: Callable[[], Any], repeats: int, times: int = 8) -> float:
    """Return the least CPU microseconds of a call."""
    function()
    least = float("inf")
    for _ in range(repeats):
        started = time.thread_time()
        for _ in range(times):
            function()
        least = min(least, (time.thread_time() - started) / times)
    return round(1e6 * least, 1)


if __name__ == "__main__":
    sys.exit(main())
