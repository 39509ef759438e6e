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
    here : str
        A package of this environment that it is in.
    """

    name: str
    adapter: str
    averages: str
    requirements: tuple[str, ...] = ()
    python: str = "3.11"
    clone: Clone | None = None
    here: str = ""

    @property
    def package(self) -> str:
        """The name of its own package; empty for what runs from a clone."""
        own = self.requirements[:0] if self.clone else self.requirements[:1]
        return re.split(r"[\[<>=]", own[0])[0] if own else self.here


NEIGHBORS = "all with their neighbors"
SERVER = "all over a server"

SYSTEMS = (
    System("swarm", "swarm", NEIGHBORS, here="p2pl-flower"),
    System("plain PyTorch loop", "loop", NEIGHBORS),
    System("P2PL on Flower", "flower_p2pl", NEIGHBORS, here="p2pl-flower"),
    System("Flower FedAvg", "flower_fedavg", SERVER, here="flwr"),
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
    System(
        "DLSim",
        "dlsim",
        "all with ten neighbors",
        (
            *("torchvision", "psutil", "networkx", "pyzmq", "dataclasses-json", "matplotlib"),
            *("pandas", "setproctitle", "flwr-datasets", "librosa"),
        ),
        clone=Clone(
            "sacs-epfl/decentralized-learning-simulator",
            "bdbc50dbde61ef4894ebee5466d88023d9230461",
        ),
    ),
    System("gossipy", "gossipy", "each hears about one neighbor", ("gossipy-dfl", "torchvision")),
)
