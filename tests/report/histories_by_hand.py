"""Histories whose devices' accuracies are known, for the tests of the page."""

from __future__ import annotations

from p2pl_flower.history import History, Round, Run, Scores, Spread, each_device
from p2pl_flower.links import LINKS
from p2pl_flower.report import Network
from p2pl_flower.topology import schedule


def accuracy(device: int, number: int) -> float:
    """The accuracy of a device in a round: the larger its number, the better."""
    return 0.2 + 0.01 * number + 0.0002 * device


def peers(devices: int, rounds: int) -> Run:
    run = Run("p2pl", "swarm", 0, devices, {"bytes_sent": 100, "seconds": 2.0})
    for t in range(1, rounds + 1):
        own = {k: accuracy(k, t) for k in range(devices)}
        scores = Scores(Spread.over(own.values()), None, {}, each_device(own))
        trained = Scores(Spread.over([0.1, 0.3]), None)
        run.rounds.append(Round(t, trained, scores, 1.0, 1000 * devices, 2000, 0, 0.5))
    return run


def by_server(devices: int, rounds: int) -> Run:
    run = Run("fedavg", "swarm", 0, devices)
    for t in range(1, rounds + 1):
        scores = Scores(Spread.over([0.9]), None)
        run.rounds.append(Round(t, None, scores, 0.0, 500, 400, 5_000_000, 0.5))
    return run


def history(devices: int, rounds: int = 5) -> History:
    scenario = {"dataset": "digits", "topology": "ring", "rounds": rounds}
    return History(scenario, {"cores": 2}, [peers(devices, rounds), by_server(devices, rounds)])


def network(devices: int, rounds: int = 5, links: str = "bernoulli:up=0.5") -> Network:
    graphs = schedule("ring", devices, 0)
    return Network.over("ring", graphs, rounds, 1, LINKS.of(links, seed=0))
