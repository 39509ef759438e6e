"""The networks of the experiments, small enough for a hundred devices on a laptop."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from p2pl_flower.config import Table
from p2pl_flower.errors import ConfigError

from .datasets import shape_of

Shape = tuple[int, int, int]

_GROUPS = 8
_DRAWN = nn.Linear | nn.Conv2d


def logistic(shape: Shape, classes: int) -> nn.Module:
    """Return multinomial logistic regression: one linear layer on the pixels."""
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), classes))


def mlp(shape: Shape, classes: int) -> nn.Module:
    """Return a perceptron with two hidden layers of 200 and ReLU."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(math.prod(shape), 200),
        nn.ReLU(),
        nn.Linear(200, 200),
        nn.ReLU(),
        nn.Linear(200, classes),
    )


def cnn(shape: Shape, classes: int) -> nn.Module:
    """Return two 3x3 convolutions (16 and 32 channels), each pooled by 2, and two linear layers."""
    channels, height, width = shape
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * (height // 4) * (width // 4), 128),
        nn.ReLU(),
        nn.Linear(128, classes),
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with group normalization, and a way around them.

    Where the shape changes, the way around takes every other pixel and fills the new
    channels with zeros (option A of He et al., arXiv 1512.03385).
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride, self.added = stride, outputs - inputs
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(_GROUPS, outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(_GROUPS, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's outputs."""
        around = x[:, :, :: self.stride, :: self.stride]
        around = nn.functional.pad(around, (0, 0, 0, 0, 0, self.added))
        x = nn.functional.relu(self.norm1(self.conv1(x)))
        return nn.functional.relu(self.norm2(self.conv2(x)) + around)


def resnet20(shape: Shape, classes: int) -> nn.Module:
    """Return the ResNet-20 for small images of He et al., with group normalization.

    Three stages of three residual blocks, of 16, 32 and 64 channels. Batch normalization's
    running statistics would be averaged with neighbors, and mean little there.
    """
    stages = [(16, 16, 1), (16, 32, 2), (32, 64, 2)]
    blocks = [
        ResidualBlock(inputs if place == 0 else outputs, outputs, stride if place == 0 else 1)
        for inputs, outputs, stride in stages
        for place in range(3)
    ]
    return nn.Sequential(
        nn.Conv2d(shape[0], 16, 3, padding=1, bias=False),
        nn.GroupNorm(_GROUPS, 16),
        nn.ReLU(),
        *blocks,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, classes),
    )


MODELS: Table[nn.Module] = Table(
    "model",
    {"logistic": logistic, "mlp": mlp, "cnn": cnn, "resnet20": resnet20},
    reserved=("shape", "classes"),
    group="p2pl_flower.models",
    base=(nn.Module,),
)
_SMALLEST_SIDE = {"cnn": 28}


class _Undrawn(TorchFunctionMode):
    """Lets linear and convolutional layers draw no start of their own, which takes most of a build.

    It holds for this thread alone.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Return what a function returns, and of a draw the tensor as it is."""
        if func in (nn.init.kaiming_uniform_, nn.init.uniform_):
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


def build(model: str, shape: Shape, classes: int, seed: int) -> nn.Module:
    """Return a network with PyTorch's usual initial distribution, drawn from ``seed`` alone.

    Weights and biases of linear and convolutional layers are uniform on
    [-1/sqrt(fan_in), 1/sqrt(fan_in)]; other layers, of a model of the user's own, are drawn as
    they draw themselves. The global random state is not changed.

    Parameters
    ----------
    model : str
        One of `MODELS`, or the path to a function ``(shape, classes) -> nn.Module`` or to a
        module's class.
    shape : tuple[int, int, int]
        Channels, height and width of an image.
    classes : int
        Number of outputs.
    seed : int
        Seed of the parameters, from 0 to 2**63 - 1.

    Raises
    ------
    ConfigError
        Unknown model, or one that needs larger images.
    """
    _check(model, shape, f"these images of {shape[1]}x{shape[2]}")
    with torch.random.fork_rng(devices=[]):  # PyTorch's layers draw a start of their own
        torch.default_generator.manual_seed(seed)
        with _Undrawn() if model in MODELS.entries else nullcontext():
            network = MODELS.make(model, shape=shape, classes=classes)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, _DRAWN):
                bound = _bound(layer)
                for parameter in layer.parameters():
                    parameter.uniform_(-bound, bound, generator=generator)
    return network


def check(model: str, dataset_name: str, data_dir: str = "") -> None:
    """Refuse a model that the dataset's images do not fit; nothing is loaded.

    Raises
    ------
    ConfigError
        Unknown model or dataset, or images that are too small.
    """
    shape = shape_of(dataset_name, data_dir)
    _check(model, shape, f"{dataset_name} with {shape[1]}x{shape[2]}")


class Networks:
    """Makes networks of the experiments, or tells what they draw without making them.

    That takes less, and can be done on several threads at once (see
    `p2pl_flower.swarm.drawing.Drawing`).

    Parameters
    ----------
    model : str
        One of `MODELS`' own.
    shape : tuple[int, int, int]
        Channels, height and width of an image.
    classes : int
        Number of outputs.
    """

    def __init__(self, model: str, shape: Shape, classes: int) -> None:
        self._made = model, shape, classes
        network = build(*self._made, seed=0)
        self._usual = {name: tensor.detach() for name, tensor in network.state_dict().items()}
        self._bounds = {
            f"{path}.{name}": _bound(layer)
            for path, layer in network.named_modules()
            if isinstance(layer, _DRAWN)
            for name, _ in layer.named_parameters()
        }

    def __call__(self, seed: int) -> nn.Module:
        """Return the network of a seed (see `build`)."""
        return build(*self._made, seed)

    def drawn(self, seed: int) -> dict[str, Tensor]:
        """Return the tensors of the network of a seed, as its ``state_dict`` has them."""
        generator, drawn = torch.Generator().manual_seed(seed), {}
        for name, bound in self._bounds.items():
            empty = torch.empty_like(self._usual[name])
            drawn[name] = empty.uniform_(-bound, bound, generator=generator)
        return {name: drawn.get(name, tensor) for name, tensor in self._usual.items()}


def factory(model: str, shape: Shape, classes: int) -> Callable[[int], nn.Module]:
    """Return what makes networks of seeds; arguments are those of `build`."""
    if model in MODELS.entries:
        return Networks(model, shape, classes)
    return lambda seed: build(model, shape, classes, seed)


def _bound(layer: nn.Linear | nn.Conv2d) -> float:
    return 1 / math.sqrt(layer.weight[0].numel())


def _check(model: str, shape: Shape, what: str) -> None:
    MODELS.bind(model, shape=shape, classes=2)
    needed = _SMALLEST_SIDE.get(model, 1)
    if min(shape[1:]) < needed:
        fit = [name for name in MODELS.entries if _SMALLEST_SIDE.get(name, 1) <= min(shape[1:])]
        rule = f"needs images of {needed}x{needed} pixels at least and does not fit {what}"
        raise ConfigError("model", model, rule, fit)
