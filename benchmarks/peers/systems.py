"""The systems that are compared: where each is had, and what a round of it is."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Clone:
    """A system that has to be cloned.

    Attributes
    ----------
    repository : str
        Its owner and name on GitHub.
    commit : str
        What the adapter was written for.
    source : str
        The folder in it that is put on the path, unless it is installed.
    """

    repository: str
    commit: str
    source: str = "."


@dataclass(frozen=True)
class System:
    """One system.

    Attributes
    ----------
    name : str
        In tables, and for ``--only``.
    adapter : str
        The module in `benchmarks.peers.adapters` that runs it.
    averages : str
        Who averages with whom in a round.
    requirements : tuple[str, ...]
        What is installed into its environment, its own package first; none for what runs in
        this one.
    python : str
        The version that it needs.
    clone : Clone or None
        For what is on no package index.
    """

    name: str
    adapter: str
    averages: str
    requirements: tuple[str, ...] = ()
    python: str = "3.11"
    clone: Clone | None = None

    @property
    def package(self) -> str:
        """The name of its own package; empty for what runs here or from a clone."""
        own = self.requirements[:0] if self.clone else self.requirements[:1]
        return re.split(r"[\[<>=]", own[0])[0] if own else ""


NEIGHBORS = "all with their neighbors"
SERVER = "all over a server"

SYSTEMS = (
    System("swarm", "swarm", NEIGHBORS),
    System("plain PyTorch loop", "loop", NEIGHBORS),
    System("P2PL on Flower", "flower_p2pl", NEIGHBORS),
    System("Flower FedAvg", "flower_fedavg", SERVER),
    System("decent-bench", "decent_bench", NEIGHBORS, ("decent-bench",), python="3.13"),
    System(
        "p2pfl", "p2pfl", NEIGHBORS, ("p2pfl[torch,dp]>=0.4", "pyarrow<20", "huggingface-hub<1")
    ),
    System("QuinkGL", "quinkgl", "each sends to three neighbors", ("quinkgl",)),
    System("pfl-research", "pfl", SERVER, ("pfl",)),
    System("FedLab", "fedlab", SERVER, ("fedlab",)),
    System(
        "decentralizepy",
        "decentralizepy",
        NEIGHBORS,
        ("torchvision", "matplotlib", "networkx", "pyzmq", "pandas", "smallworld", "localconfig"),
        clone=Clone("sacs-epfl/decentralizepy", "a5d46be907bc745652d5482c34117be388324439", "src"),
    ),
    System("gossipy", "gossipy", "each hears about one neighbor", ("gossipy-dfl", "torchvision")),
)
