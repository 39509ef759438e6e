"""Text such as ``erdos-renyi:p=0.1`` turned into objects, and objects into text."""

from __future__ import annotations

from .paths import found_at, path_of
from .table import Table
from .travel import cannot_travel, same, text_of

__all__ = ["Table", "cannot_travel", "found_at", "path_of", "same", "text_of"]
