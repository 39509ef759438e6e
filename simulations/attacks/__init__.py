"""What hostile devices do, as options of a scenario: one that is named by its key ``attack``."""

from __future__ import annotations

from p2pl_flower.config import Table

from .base import Agreed, Attack, NoAttack, Omniscient
from .messages import Noise, NotANumber, Replay, SameModel, Scaling, SignFlip
from .omniscient import ALittleIsEnough, Dissensus, InnerProduct
from .training import LabelFlip, LargeNorm

__all__ = ["ATTACKS", "Agreed", "Attack", "Dissensus", "NoAttack", "Omniscient"]

ATTACKS: Table[Attack] = Table(
    "attack",
    {
        "none": NoAttack,
        "sign-flip": SignFlip,
        "scaling": Scaling,
        "noise": Noise,
        "nan": NotANumber,
        "replay": Replay,
        "same-model": SameModel,
        "label-flip": LabelFlip,
        "large-norm": LargeNorm,
        "alie": ALittleIsEnough,
        "inner-product": InnerProduct,
        "dissensus": Dissensus,
    },
    group="p2pl_flower.attacks",
    base=(Attack,),
)
