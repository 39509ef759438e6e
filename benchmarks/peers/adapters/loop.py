"""Plain PyTorch: one device after the other, and the neighbors' mean by Metropolis weights."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ..clock import Clock, main
from ..setting import Setting, perceptron


def work(setting: Setting, clock: Clock) -> list[Tensor]:
    """Train all devices."""
    models = [perceptron() for _ in range(setting.devices)]
    mixing = metropolis(setting)
    for _ in range(setting.rounds):
        for model, x, y in zip(models, setting.x, setting.y, strict=True):
            _train(model, x, y, setting)
        _average(models, mixing)
        clock.tick()
    return list(models[0].parameters())


def metropolis(setting: Setting) -> Tensor:
    """Return the mixing matrix: a_kj = 1 / (1 + max(degree_k, degree_j)), the rest on k itself."""
    degrees = torch.bincount(setting.edges.flatten(), minlength=setting.devices)
    mixing = torch.zeros(setting.devices, setting.devices)
    for a, b in setting.edges.tolist():
        mixing[a, b] = mixing[b, a] = 1.0 / (1 + max(degrees[a].item(), degrees[b].item()))
    return mixing + torch.diag(1 - mixing.sum(1))


def _train(model: torch.nn.Module, x: Tensor, y: Tensor, setting: Setting) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=setting.rate, momentum=setting.momentum)
    for _ in range(setting.epochs):
        for places in torch.split(torch.randperm(len(y)), setting.batch):
            optimizer.zero_grad()
            cross_entropy(model(x[places]), y[places]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()


@torch.no_grad()
def _average(models: list[torch.nn.Sequential], mixing: Tensor) -> None:
    for same in zip(*(model.parameters() for model in models), strict=True):
        stacked = torch.stack([own.flatten() for own in same])
        for own, mixed in zip(same, mixing @ stacked, strict=True):
            own.copy_(mixed.view_as(own))


if __name__ == "__main__":
    main(work)
