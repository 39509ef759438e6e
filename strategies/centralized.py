"""Centralized training: all data in one place."""

from __future__ import annotations

from .fedavg import FedAvg


class Centralized(FedAvg):
    """FedAvg with a single node that holds all the data, which is plain SGD on all of it."""

    name = "centralized"

    def devices(self, wanted: int) -> int:
        """Return 1."""
        return 1
