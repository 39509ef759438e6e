"""A codec's memory: the algorithm's own way unless users say another."""

from __future__ import annotations

from ..algorithms import Algorithm
from ..algorithms.codecs import Codec
from ..errors import ConfigError


def check_memory(algorithm: Algorithm, codec: Codec, given: str) -> str:
    """Return what devices keep of what a codec sends.

    Raises
    ------
    ConfigError
        Something is to be remembered of an exact codec's losses, which has none.
    """
    if given == "auto":
        return "none" if codec.is_exact else algorithm.codec_memory
    if codec.is_exact and given != "none":
        rule = "remembers what a codec does not send, and codec='none' sends all: name a codec"
        raise ConfigError("codec_memory", given, rule)
    return given
