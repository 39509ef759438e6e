"""Perceptrons recognized by what they compute, however they are written."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.fx import Graph, Node, Tracer
from torch.nn import functional

from ..copies import copy_of
from . import activations
from .activations import Activation, Dropout, ReLU


@dataclass(frozen=True)
class Perceptron:
    """A chain of linear layers.

    Attributes
    ----------
    names : tuple[tuple[str, str], ...]
        Names of each layer's weight and bias; an empty one where there is no bias.
    between : tuple[tuple[Activation, ...], ...]
        What comes between one layer and the next: one entry less.
    flattens : bool
        Whether a sample's axes are made one first.
    """

    names: tuple[tuple[str, str], ...]
    between: tuple[tuple[Activation, ...], ...]
    flattens: bool


def recognize(module: nn.Module) -> Perceptron | None:
    """Return the perceptron that a module is; None where it is none.

    Linear layers, each used once, all trained and in single precision, with ReLU, LeakyReLU,
    Tanh, Sigmoid, GELU, SiLU and Dropout between them, and a flattening before: as modules of a
    ``Sequential``, nested or not, or as the lines of a ``forward``.
    """
    parameters = list(module.parameters())
    if not parameters or any(p.dtype != torch.float32 or not p.requires_grad for p in parameters):
        return None
    hooked = any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())
    if hooked or any(True for _ in module.buffers()):
        return None
    try:
        nodes, names = _traced(copy_of(module).train())
    except Exception:  # whatever a forward does with a proxy that is no tensor
        return None
    return _Reader(nodes, names).read()


def _traced(module: nn.Module) -> tuple[list[Node], list[str]]:
    """Return the functions that a module calls in training, and its parameters' names.

    ``torch.fx.symbolic_trace`` would change how all modules are called meanwhile, those of other
    threads too; here the module is called, as it is, with a proxy.
    """
    tracer = Tracer()
    tracer.root, tracer.graph = module, Graph(tracer_cls=Tracer)
    tracer.tensor_attrs = {}
    outputs = module(tracer.create_proxy("placeholder", "x", (), {}))
    tracer.create_node("output", "output", (tracer.create_arg(outputs),), {})
    return list(tracer.graph.nodes), [name for name, _ in module.named_parameters()]


class _Reader:
    """Reads what was traced from its input to its output."""

    def __init__(self, nodes: list[Node], parameters: list[str]) -> None:
        self._nodes, self._parameters = nodes, parameters
        self._names: list[tuple[str, str]] = []
        self._between: list[list[Activation]] = []
        self._flattens = False

    def read(self) -> Perceptron | None:
        """Return the perceptron, if it is one."""
        first, *rest = self._nodes
        current, sizes = first, set[Node]()
        for node in rest:
            if node.op == "get_attr":
                continue
            if _is_size(node, first, sizes):
                sizes.add(node)
            elif node.op == "output":
                return self._whole() if node.args == (current,) else None
            elif not node.args or node.args[0] is not current or not self._take(node, sizes):
                return None
            else:
                current = node
        return None

    def _whole(self) -> Perceptron | None:
        used = [name for pair in self._names for name in pair if name]
        if not used or sorted(used) != sorted(self._parameters) or self._between[-1]:
            return None  # layers that are used twice, or not at all; or nothing linear at the end
        between = tuple(tuple(part) for part in self._between[:-1])
        return Perceptron(tuple(self._names), between, self._flattens)

    def _take(self, node: Node, sizes: set[Node]) -> bool:
        """Read a node; return whether it may be one of a perceptron's."""
        if node.target is functional.linear:
            return self._take_linear(node)
        if _flattens(node, sizes):
            self._flattens = True
            return not self._names
        made = _FUNCTIONS.get(node.target)
        if made is None or not self._names or len(node.args) > 1:
            return False
        options = {key: value for key, value in node.kwargs.items() if key != "inplace"}
        try:
            found = made(**options)
        except (TypeError, ValueError):  # options that it has not
            return False
        self._between[-1].append(found)
        return True

    def _take_linear(self, node: Node) -> bool:
        weight, bias = (*node.args[1:], *node.kwargs.values(), None)[:2]
        found = [part.target if _is_parameter(part) else "" for part in (weight, bias)]  # type: ignore[union-attr]
        self._names.append((str(found[0]), str(found[1])))
        self._between.append([])
        return _is_parameter(weight) and (bias is None or _is_parameter(bias))


def _is_parameter(given: Any) -> bool:
    return isinstance(given, Node) and given.op == "get_attr"


def _dropout(p: float = 0.5, training: bool = True) -> Activation:
    if not training or not 0 <= p < 1:
        raise ValueError("no dropout of training")
    return Dropout(float(p))


_FUNCTIONS: Mapping[Any, Callable[..., Activation]] = {
    **dict.fromkeys((torch.relu, functional.relu, "relu", "relu_"), ReLU),
    **dict.fromkeys((torch.tanh, functional.tanh, "tanh"), activations.tanh),
    **dict.fromkeys((torch.sigmoid, functional.sigmoid, "sigmoid"), activations.sigmoid),
    functional.gelu: activations.gelu,
    functional.silu: activations.silu,
    functional.leaky_relu: activations.leaky_relu,
    functional.dropout: _dropout,
}


def _is_size(node: Node, first: Node, sizes: set[Node]) -> bool:
    """Tell whether a node is the input's shape, or its number of samples."""
    if node.op == "call_method" and node.target == "size":
        return node.args in ((first,), (first, 0))
    if node.op == "call_function" and node.target is getattr:
        return node.args[:2] == (first, "shape")
    if node.op == "call_function" and node.target is operator.getitem:
        return node.args[0] in sizes and bool(node.args[1] == 0)
    return node.op == "call_function" and node.target is len and node.args == (first,)


def _flattens(node: Node, sizes: set[Node]) -> bool:
    """Tell whether a node makes one axis of all of a sample's."""
    given = node.args[1:]
    if node.target in (torch.flatten, "flatten"):
        start = node.kwargs.get("start_dim", given[0] if given else 0)
        end = node.kwargs.get("end_dim", given[1] if len(given) > 1 else -1)
        return bool((start, end) == (1, -1))
    if node.target in ("view", "reshape", torch.reshape):
        if len(given) == 1 and isinstance(given[0], tuple | list):
            given = tuple(given[0])
        return len(given) == 2 and given[0] in sizes and bool(given[1] == -1)
    return False
