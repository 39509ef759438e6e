"""One hostile peer among eight: what it costs the others, by what it does and how they mix.

``python -m benchmarks.hostile_peers``: eight peers without a server, with certificates, on a ring
and on a complete graph, train a softmax regression on scikit-learn's digits, each with its share of
the images. They are threads of one process, with an endpoint each, and what they hand each other
goes through the loopback interface. The last device is hostile: it trains as all do, and hands its
neighbors something else, or says of itself what is not so. Scored are the seven others, in the last
round, each by its own model.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np

from benchmarks.soak_network import router_module
from p2pl_flower.algorithms.max_norm import Candidates
from p2pl_flower.history import environment
from p2pl_flower.named_arrays import Model
from p2pl_flower.relay import Slot
from p2pl_flower.relay.contents import MODEL
from p2pl_flower.relay.grpc.certificates import make_certificates
from p2pl_flower.relay.grpc.own_publications import OwnPublications
from p2pl_flower.relay.spool import Document
from p2pl_flower.serverless.cluster import free_ports
from p2pl_flower.serverless.peer import ServerlessPeer
from p2pl_flower.serverless.settings import Settings
from simulations.report import aligned

PEERS, HOSTILE = 8, 7
GRAPHS = {"ring": nx.cycle_graph(PEERS), "complete": nx.complete_graph(PEERS)}
MIXINGS = ("weighted", "clipped-gossip:share=0.34", "trimmed-mean:share=0.34", "median")

Alter = Callable[[Model], Model]


def negated(model: Model) -> Model:
    """Return a model negated, times ten."""
    return {name: -10 * array for name, array in model.items()}


def huge(model: Model) -> Model:
    """Return numbers that are finite, and beyond all use."""
    return {name: np.full_like(array, 1e19) for name, array in model.items()}


def nothing(model: Model) -> Model:
    """Return what is no number."""
    return {name: np.full_like(array, np.nan) for name, array in model.items()}


class Replay:
    """Returns the first model that it was given, ever again."""

    def __init__(self) -> None:
        self._first: Model | None = None

    def __call__(self, model: Model) -> Model:
        """Return it."""
        self._first = self._first or {name: np.array(a) for name, a in model.items()}
        return self._first


def hand_over(peer: ServerlessPeer, alter: Alter) -> None:
    """Let a peer's neighbors be handed other models than its own, from round 1 on."""
    publications: OwnPublications = peer._publications
    honest, spool = publications.wait_for, peer.endpoint.spool

    def lying(reader: int, slot: Slot, *more: Any, **named: Any) -> tuple[Slot, Document]:
        found, document = honest(reader, slot, *more, **named)
        if found.channel != MODEL or found.round == 0:
            return found, document
        return found, spool.keep_model(alter(document.model()))

    publications.wait_for = lying  # type: ignore[method-assign]


def say(peer: ServerlessPeer, told: Mapping[str, Any]) -> None:
    """Let a peer tell others something else of itself, with its greeting and with its models."""
    endpoint = peer.endpoint
    card, server = endpoint._card, endpoint._server
    announced = server._announced
    endpoint._card = lambda run: {**card(run), **told}  # type: ignore[method-assign]
    also = {key: told[key] for key in ("round",) if key in told}
    server._announced = lambda *a: {**announced(*a), **also}  # type: ignore[method-assign]


def claim(peer: ServerlessPeer, norm: float) -> None:
    """Let a peer claim a norm for its initial model."""
    device = peer._settings.device
    of = Candidates.of.__func__  # type: ignore[attr-defined]

    def lying(cls: type[Candidates], model: Model, scope: str, me: int) -> Candidates:
        found: Candidates = of(cls, model, scope, me)
        return found if me != device else Candidates(np.full_like(found.norms, norm), found.origins)

    Candidates.of = classmethod(lying)  # type: ignore[method-assign,assignment]


def in_last_round(peer: ServerlessPeer) -> None:
    """Let a peer say from the start that it is in the last round."""
    last = peer._settings.rounds
    say(peer, {"round": last, "newest": [last, 0]})


ATTACKS: dict[str, Callable[[ServerlessPeer], object]] = {
    "nobody is hostile": id,
    "its model negated, times ten": lambda peer: hand_over(peer, negated),
    "numbers of 1e19": lambda peer: hand_over(peer, huge),
    "NaN": lambda peer: hand_over(peer, nothing),
    "its first model in every round": lambda peer: hand_over(peer, Replay()),
    "claims a norm of 1e300": lambda peer: claim(peer, 1e300),
    "says it is in the last round": in_last_round,
}


def run(graph: nx.Graph, attack: str, mixing: str, rounds: int, folder: Path) -> list[float]:
    """Return the honest peers' accuracies after the last round."""
    honest_claim = Candidates.__dict__["of"]
    peers = [
        ServerlessPeer(Settings.of(values)) for values in settings(graph, mixing, rounds, folder)
    ]
    try:
        ATTACKS[attack](peers[HOSTILE])
        with ThreadPoolExecutor(len(peers)) as pool:
            runs = list(pool.map(lambda peer: peer.run(), peers))
    finally:
        Candidates.of = honest_claim  # type: ignore[method-assign]
        for peer in peers:
            peer.close()
    last = [found.rounds[-1].after_consensus for found in runs[:HOSTILE]]
    return [scores.accuracy.mean for scores in last if scores and scores.accuracy]


def settings(graph: nx.Graph, mixing: str, rounds: int, folder: Path) -> list[dict[str, Any]]:
    """Return each peer's settings."""
    ports = free_ports(len(graph))
    places = {k: f"127.0.0.1:{port}" for k, port in enumerate(ports)}
    return [
        {
            "device": k,
            "num-devices": len(graph),
            "listen": places[k],
            "neighbors": {str(j): places[j] for j in sorted(graph[k])},
            "app": "digits_app:app",
            "rounds": rounds,
            "sync-steps": nx.diameter(graph),
            "certificates": str(folder),
            "mixing": mixing,
            "evaluate-every": rounds,
            "waiting": {"deadline": 20},
            "linger": 1,
        }
        for k in sorted(graph)
    ]


def measure(rounds: int, attacks: list[str], mixings: list[str]) -> list[dict[str, Any]]:
    """Return what every attack costs under every rule, on both graphs."""
    router_module()  # the app is beside it
    import_module("digits_app").digits()
    gc.freeze()  # peers collect garbage after every message, and need not look through all that
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        make_certificates(Path(folder), range(PEERS))
        for name, graph in GRAPHS.items():
            for attack in attacks:
                for mixing in mixings:
                    found = run(graph, attack, mixing, rounds, Path(folder))
                    row = {"topology": name, "attack": attack, "mixing": mixing}
                    rows.append({**row, "accuracies": found})
                    sys.stderr.write(f"{name}, {attack}, {mixing}: {_shown(found)}\n")
    return rows


def table(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Return one row for each graph and attack: mean and worst honest peer, by mixing rule."""
    mixings = list(dict.fromkeys(row["mixing"] for row in rows))
    found = {(r["topology"], r["attack"], r["mixing"]): r["accuracies"] for r in rows}
    shown = [["mean / worst honest peer, %", *mixings]]
    for name in dict.fromkeys(row["topology"] for row in rows):
        for attack in dict.fromkeys(row["attack"] for row in rows):
            cells = [_shown(found[name, attack, mixing]) for mixing in mixings]
            shown.append([f"{name}: {attack}", *cells])
    return shown


def _shown(accuracies: list[float]) -> str:
    return f"{100 * statistics.mean(accuracies):.1f} / {100 * min(accuracies):.1f}"


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the JSON and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile_peers")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--attack", action="append", choices=list(ATTACKS), help="default: all")
    parser.add_argument("--mixing", action="append", help="default: plain, and three robust rules")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parsed = parser.parse_args(arguments)
    asked = parsed.attack or list(ATTACKS), parsed.mixing or list(MIXINGS)
    rows = measure(parsed.rounds, *asked)
    content: dict[str, Any] = {"table": table(rows), "environment": environment()}
    content |= {"rounds": parsed.rounds, "peers": PEERS, "hostile": HOSTILE, "rows": rows}
    parsed.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(aligned(content["table"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
