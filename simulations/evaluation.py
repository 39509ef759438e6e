"""Evaluation of one device's model, in PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from p2pl_flower.swarm.losses import CROSS_ENTROPY
from p2pl_flower.swarm.metrics import Metric, metrics_of


def evaluate(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    precision: torch.dtype = torch.float32,
    batch: int = 256,
    metrics: str = "",
) -> dict[str, float]:
    """Return the mean loss (nats a sample), the accuracy (a fraction of 1) and other metrics.

    Parameters
    ----------
    model : nn.Module
        Maps images to logits.
    x, y : Tensor
        Images, shape (samples, channels, height, width), and labels.
    precision : torch.dtype
        What products are computed in.
    batch : int
        Samples in one pass; the result does not depend on it.
    metrics : str
        What else is measured, as in `p2pl_flower.swarm.metrics.metrics_of`.
    """
    logits = _outputs(model, x, precision, batch)
    found = {"loss": float(cross_entropy(logits, y))}
    for name, metric in metrics_of(metrics, CROSS_ENTROPY).items():
        if isinstance(metric, Metric):
            total, count = metric.sums(logits, y)
            found[name] = metric.last(float(total) / count)
        else:
            found[name] = float(metric(logits, y))
    return found


@torch.inference_mode()
def _outputs(model: nn.Module, x: Tensor, precision: torch.dtype, batch: int) -> Tensor:
    """Return what a model makes of all inputs, in single precision."""
    model.eval()
    with torch.autocast(x.device.type, precision, enabled=precision != torch.float32):
        return torch.cat([model(images).float() for images in torch.split(x, batch)])
