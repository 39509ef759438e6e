"""What the paper claims, as experiments: a claim is a TOML file in ``scenarios/paper``."""

from __future__ import annotations

from .claims import Claim, claims
from .rule import Variant

__all__ = ["Claim", "Variant", "claims"]
