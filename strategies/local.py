"""No communication at all: every device trains alone."""

from __future__ import annotations

from .base import PeerToPeer


class Local(PeerToPeer):
    """Independent initial models and no consensus step."""

    name = "local"

    def __init__(self) -> None:
        super().__init__({"algorithm": "p2pl", "init": "independent", "consensus_steps": 0})
