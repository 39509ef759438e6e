"""Errors of PyTorch's that name the submodule at work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from ..errors import ConfigError

ERRORS = (
    RuntimeError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    NotImplementedError,
    AttributeError,
    UserWarning,  # where it is made an error
)
"""What modules raise that were given what they cannot take."""


@contextmanager
def naming_submodules(module: nn.Module, name: str, mapped: bool = False) -> Iterator[None]:
    """Turn an error of PyTorch's into one that names the innermost submodule at work.

    Parameters
    ----------
    module : nn.Module
        The module.
    name : str
        What it is called in the error.
    mapped : bool
        Whether it is mapped over devices, which takes some advice.

    Raises
    ------
    ConfigError
        In the place of any of `ERRORS`.
    """
    entered: list[str] = []
    hooks = []
    for path, part in module.named_modules():
        hooks.append(part.register_forward_pre_hook(_entering(entered, path)))
        hooks.append(part.register_forward_hook(_leaving(entered)))
    try:
        yield
    except ConfigError:
        raise
    except ERRORS as error:
        raise ConfigError("model", name, _rule(module, entered, error, mapped)) from error
    finally:
        for hook in hooks:
            hook.remove()


def refuse_lazy(module: nn.Module) -> None:
    """Refuse a module whose parameters have no shape yet.

    Raises
    ------
    ConfigError
        Names the submodule.
    """
    for path, part in module.named_modules():
        unborn = [n for n, p in part.named_parameters(recurse=False) if nn.parameter.is_lazy(p)]
        unborn += [n for n, b in part.named_buffers(recurse=False) if nn.parameter.is_lazy(b)]
        if unborn:
            kind = type(part).__name__
            rule = f"submodule {path!r} ({kind}) is lazy: its {unborn[0]!r} has no shape yet; "
            rule += "give the sizes, or let the factory call the module on a sample first"
            raise ConfigError("model", type(module).__name__, rule)


def _entering(entered: list[str], path: str) -> Callable[..., None]:
    def hook(*_: Any) -> None:
        entered.append(path)

    return hook


def _leaving(entered: list[str]) -> Callable[..., None]:
    def hook(*_: Any) -> None:
        entered.pop()

    return hook


def _rule(module: nn.Module, entered: list[str], error: Exception, mapped: bool) -> str:
    message = " ".join(str(error).split())[:200]
    if not entered:
        return f"{_outside(message)}: {message}"
    path = entered[-1]
    kind = type(module.get_submodule(path)).__name__
    where = f"submodule {path!r} ({kind})" if path else f"forward of {kind}"
    if mapped:
        return f"{where} cannot be mapped over devices; {_advice(message)} ({message})"
    return f"{where} fails on the training samples: {message}"


def _outside(message: str) -> str:
    """Return what fails where no submodule is at work: the backward pass, or the loss."""
    if "inplace" in message or "in-place" in message:
        return "it changes in place what its gradients need; use operations that return new tensors"
    if "does not require grad" in message:
        return "no gradient reaches its parameters, for its outputs are detached from them"
    return "its outputs and the targets do not suit the loss"


def _advice(message: str) -> str:
    if "captured Tensor" in message:
        return (
            "it changes a tensor that is no parameter and no buffer: make it one by register_buffer"
        )
    if any(sign in message for sign in ("data-dependent", ".item()", "vmap: It looks like")):
        return (
            "it lets values decide what is computed: use torch.where instead of if, and tensor "
            "operations instead of .item()"
        )
    if "in-place" in message or "inplace" in message:
        return "it changes a tensor in place: use the operation that returns a new one"
    return "replace it by layers that torch.func can map"
