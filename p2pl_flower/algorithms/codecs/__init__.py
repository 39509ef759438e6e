"""What a device sends of its message: all of it, or fewer bytes."""

from __future__ import annotations

from ...config import Table
from .base import EXACT, ArrayCodec, Codec, Exact, StepKey, layout_of, size_of
from .bfloat16 import BFloat16
from .chain import Chain
from .coder import Coder, digest, of_codec, with_codec, without_codec
from .float16 import Float16
from .int8 import Int8
from .low_bit import LowBit
from .memory import MEMORIES, Memory, NoMemory, moved
from .partial import Partial
from .random_k import RandomK
from .top_k import TopK

__all__ = [
    "CODECS",
    "EXACT",
    "MEMORIES",
    "ArrayCodec",
    "BFloat16",
    "Chain",
    "Codec",
    "Coder",
    "Exact",
    "Float16",
    "Int8",
    "LowBit",
    "Memory",
    "NoMemory",
    "Partial",
    "RandomK",
    "StepKey",
    "TopK",
    "digest",
    "layout_of",
    "moved",
    "of_codec",
    "size_of",
    "with_codec",
    "without_codec",
]

CODECS: Table[Codec] = Table(
    "codec",
    {
        "none": Exact,
        "float16": Float16,
        "bfloat16": BFloat16,
        "int8": Int8,
        "low-bit": LowBit,
        "top-k": TopK,
        "random-k": RandomK,
        "partial": Partial,
    },
    group="p2pl_flower.codecs",
    base=(Codec,),
    join=Chain,
)
"""Joined by ``+``, each encodes what the one before it has made."""
