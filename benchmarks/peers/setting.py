"""What every system trains: data, graph and perceptron, in tensors that any PyTorch reads.

Adapters run in environments of their own, so this needs PyTorch and nothing else.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

SIZES = (784, 200, 200, 10)


@dataclass(frozen=True)
class Setting:
    """Devices with their images, and the graph over which they average.

    Attributes
    ----------
    x, y : Tensor
        Images, shape (K, n, 784), and labels, shape (K, n).
    test_x, test_y : Tensor
        Images that nobody trains on, to see that a system has learned.
    edges : Tensor
        The graph's edges, shape (E, 2).
    rounds : int
        How many are run.
    batch, epochs : int
        Images in a step; passes over a device's images in a round.
    rate, momentum : float
        Of SGD.
    """

    x: Tensor
    y: Tensor
    test_x: Tensor
    test_y: Tensor
    edges: Tensor
    rounds: int
    batch: int = 10
    epochs: int = 1
    rate: float = 0.05
    momentum: float = 0.5

    @property
    def devices(self) -> int:
        """How many there are."""
        return len(self.x)

    @property
    def steps(self) -> int:
        """Steps of a device in a round."""
        return self.epochs * -(-self.x.shape[1] // self.batch)

    def neighbors(self, device: int) -> list[int]:
        """Return a device's neighbors."""
        pairs = [edge for edge in self.edges.tolist() if device in edge]
        return [a if b == device else b for a, b in pairs]

    def save(self, path: Path) -> None:
        """Write all to a file."""
        torch.save(asdict(self), path)

    @classmethod
    def load(cls, path: Path) -> Setting:
        """Read what `save` wrote."""
        return cls(**torch.load(path, weights_only=True))


def perceptron(seed: int = 0) -> nn.Sequential:
    """Return the 784-200-200-10 perceptron with ReLU."""
    torch.manual_seed(seed)
    one, two, three = (nn.Linear(a, b) for a, b in pairwise(SIZES))
    return nn.Sequential(one, nn.ReLU(), two, nn.ReLU(), three)


def accuracy(setting: Setting, parameters: list[Tensor]) -> float:
    """Return the fraction of test images that a perceptron with these parameters gets right."""
    model = perceptron()
    with torch.no_grad():
        for own, given in zip(model.parameters(), parameters, strict=True):
            own.copy_(torch.as_tensor(given).reshape(own.shape))
        right = model(setting.test_x).argmax(1) == setting.test_y
    return round(float(right.float().mean()), 4)
