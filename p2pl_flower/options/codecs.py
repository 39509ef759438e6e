"""Codecs and memories that an algorithm cannot be combined with are refused."""

from __future__ import annotations

from ..algorithms import ALGORITHMS, Algorithm
from ..algorithms.codecs import CODECS, Chain, Codec
from ..config import described_text
from ..errors import ConfigError


def check_codec(algorithm: Algorithm, codec: Codec, memory: str) -> str:
    """Return what devices keep of what a codec sends: the algorithm's own way unless named.

    Raises
    ------
    ConfigError
        The algorithm divides by numbers that must be mixed just as models are; or something is to
        be remembered of the losses of an exact codec, which has none; or one of several codecs is
        left no floating-point array to encode.
    """
    if isinstance(codec, Chain) and codec.idle is not None:
        name = described_text(codec.idle, CODECS)
        rule = f"{name!r} is left no floating-point array by the codecs before it: name it first"
        raise ConfigError("codec", described_text(codec, CODECS), rule)
    if not codec.is_exact and (algorithm.column_weights or algorithm.knows_place):
        name = described_text(algorithm, ALGORITHMS)
        rule = f"cannot be used with algorithm={name!r}, which divides models by numbers that are "
        rule += "mixed with them, and a codec would not mix both alike; take codec='none'"
        raise ConfigError("codec", described_text(codec, CODECS), rule)
    if memory == "auto":
        return "none" if codec.is_exact else algorithm.codec_memory
    if codec.is_exact and memory != "none":
        rule = "remembers what a codec does not send, and codec='none' sends all: name a codec"
        raise ConfigError("codec_memory", memory, rule)
    return memory
