"""What all devices of a run have in common, in whichever block they are."""

from __future__ import annotations

from dataclasses import dataclass

from ..algorithms import Algorithm
from ..algorithms.codecs import Coder
from ..algorithms.mixing import MixingRule
from ..algorithms.privacy import NOT_PRIVATE, Privacy
from ..sharing import Sharing
from .hostile import NOBODY, Hostile

ALL = Coder()


@dataclass(frozen=True)
class Common:
    """What all devices of a run have in common.

    Attributes
    ----------
    seed : int
        Seed of everything.
    algorithm : Algorithm
        What devices train from, send, and make of what arrives.
    shared : Sharing
        Which tensors are mixed.
    scope : str
        Which groups of tensors synchronization compares: ``model`` or ``tensor``.
    mixing : MixingRule
        How messages are mixed.
    devices : int
        How many there are in all.
    coder : Coder
        What is sent of them.
    privacy : Privacy
        What is done to trained models before anything of them is sent.
    copies : int
        How many more models of each device are kept beside it.
    hostile : Hostile
        Who lies to neighbors.
    """

    seed: int
    algorithm: Algorithm
    shared: Sharing
    scope: str
    mixing: MixingRule
    devices: int
    coder: Coder = ALL
    privacy: Privacy = NOT_PRIVATE
    hostile: Hostile = NOBODY
    copies: int = 0
