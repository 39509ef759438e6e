"""Copies of a module for threads and trials."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn


def copy_of(template: nn.Module) -> nn.Module:
    """Return a copy of a module that has frozen parameters' memory in common with it."""
    memo: dict[int, Any] = {
        id(parameter): nn.Parameter(parameter.data, requires_grad=False)
        for parameter in template.parameters()
        if not parameter.requires_grad
    }
    return copy.deepcopy(template, memo)
