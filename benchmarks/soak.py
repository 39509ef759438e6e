"""Peers that are killed, stopped and started again, over links that are cut, slow and lossy.

``python -m benchmarks.soak``, as root: eight peers train a softmax regression on scikit-learn's
digits, each with its share and on a host of its own (a network namespace), four neighbors each,
TLS on. Every packet goes through a router in this process, which delays and loses some on every
link, and in turn cuts links, slows them, delays or loses much. Two peers, the survivors, are left
alone; the others are killed (SIGKILL at the start, while they train, exchange models or save their
state, and SIGTERM) and return after some seconds, or are stopped and go on.

Reported of the survivors: rounds that took longer than training, the deadline and a second; rounds
that they skipped; stalls, in which nothing was over for twice as long; memory and open files before
the first kill and after the last. Reported of all: the accuracy of the last round, beside a run of
as many rounds in which nobody is disturbed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import networkx as nx

from benchmarks.soak_network import Device, devices, router_module
from benchmarks.soak_table import growth, table
from p2pl_flower.history import environment
from p2pl_flower.system.signals import as_ctrl_c
from simulations.report import aligned

PHASES = ("start", "training", "exchange", "save")
_SLACK = 1.0
_STALLS = 2  # times the longest round that there may be
_MOST_DOWN = 3
_WORST_ROUND_SECONDS = 60.0
_HUNG_SECONDS = 180.0


@dataclass(frozen=True)
class Plan:
    """What is done to whom, and when.

    Parameters
    ----------
    peers, survivors : int
        How many there are, and how many of them are never killed: the first ones.
    kills, stops : int
        How many, spread evenly over the rounds between the calm ones.
    calm, rounds : int
        Rounds before the first kill, and after the last; rounds in all.
    pause : float
        Seconds that training takes.
    deadline : float
        Seconds that neighbors are waited for.
    linger : float
        Seconds in which neighbors are served after the last round.
    away : float
        Seconds until who was killed is started again, at most; those that are stopped sleep up to
        twice as long.
    seed : int
        Of what is drawn.
    """

    peers: int = 8
    survivors: int = 2
    kills: int = 100
    stops: int = 25
    calm: int = 30
    rounds: int = 420
    pause: float = 1.5
    deadline: float = 4.0
    linger: float = 30.0
    away: float = 12.0
    seed: int = 0

    @property
    def limit(self) -> float:
        """The seconds that a survivor's round may take."""
        return self.pause + self.deadline + _SLACK


class Storm:
    """What happens to devices and links, until it is over."""

    def __init__(self, plan: Plan, router: Any, made: dict[int, Device]) -> None:
        self._plan, self._router, self._made = plan, router, made
        self._draw = random.Random(plan.seed)  # noqa: S311
        self._link = router_module().Link
        self._usual = self._link(delay=0.01, loss=0.01)
        self._down: set[int] = set()
        self._threads: list[threading.Thread] = []
        self._over = threading.Event()
        self.done: Counter[str] = Counter()
        self.weather: Counter[str] = Counter()
        self.hung: list[int] = []
        self.samples: dict[str, dict[int, list[tuple[int, int]]]] = {"before": {}, "after": {}}
        pairs = [(f"d{i}", f"d{j}") for i in made for j in made if i < j]
        for pair in pairs:
            router.link(*pair, self._usual)
        self._pairs = pairs

    def run(self) -> None:
        """Start all, disturb them as the plan says, and wait for their end."""
        for device in self._made.values():
            device.start()
        plan, lead = self._plan, self._made[0]
        events = ["kill"] * plan.kills + ["stop"] * plan.stops
        self._draw.shuffle(events)
        span = plan.rounds - 2 * plan.calm
        due = [plan.calm + span * i // max(1, len(events)) for i in range(len(events))]
        weather = threading.Thread(target=self._rage, daemon=True)
        while any(device.is_running for device in self._made.values()) or self._down:
            number = lead.round
            self._sample(number)
            if number >= plan.calm and not weather.ident and plan.kills:
                weather.start()
            if due and number >= due[0] and self._disturb(events[0]):
                del due[0], events[0]
            if number >= plan.rounds - plan.calm:
                self._over.set()
            self._end_hung(lead)
            time.sleep(0.05)
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _end_hung(self, lead: Device) -> None:
        """Kill all where the first device stands still, or long after it has ended."""
        last = lead.life.ends[-1][0] if lead.life.ends else lead.life.started
        if time.monotonic() - last > _HUNG_SECONDS:
            self._over.set()
            for device in self._made.values():
                if device.is_running:
                    self.hung.append(device.number)
                    device.kill(signal.SIGKILL)

    def _sample(self, number: int) -> None:
        """Measure the survivors, in the second half of the calm and at the end of the other."""
        plan, calm = self._plan, self._plan.calm
        before = calm // 2 <= number < calm
        after = plan.rounds - calm // 2 <= number < plan.rounds
        if not (before or after) or time.monotonic() % 1 > 0.06:
            return
        kept = self.samples["before" if before else "after"]
        for k in range(plan.survivors):
            kept.setdefault(k, []).append(self._made[k].measure())

    def _disturb(self, kind: str) -> bool:
        """Begin what is done to one device; tell whether there is one to do it to."""
        mortal = range(self._plan.survivors, self._plan.peers)
        there = [k for k in mortal if k not in self._down and self._made[k].is_running]
        if not there or len(self._down) >= _MOST_DOWN:
            return False
        victim = self._made[self._draw.choice(there)]
        self._down.add(victim.number)
        act = {"kill": self._kill, "stop": self._stop}[kind]
        draw = random.Random(self._draw.random())  # noqa: S311
        thread = threading.Thread(target=self._act, args=(act, victim, draw), daemon=True)
        self._threads.append(thread)
        thread.start()
        return True

    def _act(self, act: Any, victim: Device, draw: random.Random) -> None:
        try:
            act(victim, draw)
        finally:
            self._down.discard(victim.number)

    def _stop(self, victim: Device, draw: random.Random) -> None:
        victim.sleep(draw.uniform(1, 2 * self._plan.away))
        self.done["stopped"] += 1

    def _kill(self, victim: Device, draw: random.Random) -> None:
        """Kill in some phase, and start again after some seconds."""
        phase, by = draw.choice(PHASES), signal.SIGKILL if draw.random() < 0.75 else signal.SIGTERM
        self._reach(phase, victim, draw)
        if not victim.is_running:
            return
        victim.kill(by)
        self.done[f"{phase}, {by.name}"] += 1
        time.sleep(draw.uniform(0.2, self._plan.away))
        victim.start()
        victim.until(lambda: victim.life.ends, _WORST_ROUND_SECONDS)

    def _reach(self, phase: str, victim: Device, draw: random.Random) -> None:
        """Wait until a device is in a phase of its round."""
        if phase == "start":
            victim.kill(signal.SIGTERM)
            victim.start()
            time.sleep(draw.uniform(0.1, 4))
            return
        number = victim.round
        victim.until(lambda: victim.round != number, _WORST_ROUND_SECONDS)
        if phase == "save":
            victim.until(lambda: victim.is_saving, _WORST_ROUND_SECONDS)
        early, late = (0.1, 0.9) if phase == "training" else (1.0, 1.1)
        time.sleep(self._plan.pause * draw.uniform(early, late) if phase != "save" else 0)

    def _rage(self) -> None:
        """Let links be bad in turn, a few at a time."""
        draw, bad = random.Random(self._plan.seed + 1), dict[tuple[str, str], float]()  # noqa: S311
        kinds = {
            "cut": self._link(cut=True),
            "slow": self._link(delay=0.05, rate=4000.0, queue=2.0),
            "far": self._link(delay=0.4, loss=0.01),
            "lossy": self._link(delay=0.02, loss=0.2),
        }
        while not self._over.wait(draw.uniform(1, 4)):
            now = time.monotonic()
            for pair in [pair for pair, end in bad.items() if end < now]:
                del bad[pair]
                self._router.link(*pair, self._usual)
            pair, kind = draw.choice(self._pairs), draw.choice(list(kinds))
            if pair not in bad:
                bad[pair] = now + draw.uniform(5, 25)
                self._router.link(*pair, kinds[kind])
                self.weather[kind] += 1
        for pair in bad:
            self._router.link(*pair, self._usual)


def soak(plan: Plan, folder: Path, tag: str) -> dict[str, Any]:
    """Carry out a plan, and return what came of it."""
    graph = nx.random_regular_graph(4, plan.peers, seed=1)
    common = {
        "rounds": plan.rounds,
        "run-config": {"pause": plan.pause},
        "waiting": {"deadline": plan.deadline},
        "linger": plan.linger,
        "start": max(20.0, 2 * plan.linger),
    }
    with router_module().TunRouter(f"{tag}{os.getpid() % 10_000}", seed=plan.seed) as router:
        made = devices(router, graph, folder, common)
        storm = Storm(plan, router, made)
        begun = time.monotonic()
        try:
            storm.run()
        finally:
            for device in made.values():
                if device.lives and device.is_running:
                    device.life.process.kill()
                    device.life.process.wait()
        packets = dict(router.counts)
    told = {"seconds": time.monotonic() - begun, "packets": packets}
    return {**told, **report(plan, storm, made)}


def report(plan: Plan, storm: Storm, made: dict[int, Device]) -> dict[str, Any]:
    """Return what a storm has left behind."""
    survivors = [made[k] for k in range(plan.survivors)]
    gaps = [b - a for device in survivors for a, b in gaps_between(device)]
    runs = {k: device.history().runs[0] for k, device in made.items()}
    last = {k: run.rounds[-1] for k, run in runs.items()}
    return {
        "disturbed": dict(sorted(storm.done.items())),
        "links": dict(sorted(storm.weather.items())),
        "longest_round_s": max(gaps),
        "median_round_s": statistics.median(gaps),
        "rounds_beyond_deadline": sum(gap > plan.limit for gap in gaps),
        "stalls": sum(gap > _STALLS * plan.limit for gap in gaps),
        "rounds_skipped_by_survivors": sum(
            len(runs[k].setup["skipped_rounds"]) for k in range(plan.survivors)
        ),
        "hung": storm.hung,
        "growth": growth(storm.samples),
        "accuracy": statistics.mean(_accuracy(r) for r in last.values()),
        "last_rounds": {str(k): r.round for k, r in last.items()},
        "exit_codes": {
            str(k): dict(Counter(str(life.process.returncode) for life in device.lives))
            for k, device in made.items()
        },
        "models": {str(k): run.setup["models"] for k, run in runs.items()},
    }


def gaps_between(device: Device) -> list[tuple[float, float]]:
    """Return when one round was over and the next, in the device's lives."""
    return [(a, b) for life in device.lives for (a, _), (b, _) in pairwise(life.ends)]


def _accuracy(measured: Any) -> float:
    return float(measured.after_consensus.accuracy.mean)


def main(arguments: list[str] | None = None) -> int:
    """Soak, write the JSON and print a summary."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak")
    parser.add_argument("--kills", type=int, default=Plan.kills)
    parser.add_argument("--rounds", type=int, default=Plan.rounds)
    parser.add_argument("--folder", type=Path, help="for logs and states, which then stay")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parsed = parser.parse_args(arguments)
    plan = Plan(kills=parsed.kills, stops=parsed.kills // 4, rounds=parsed.rounds)
    quiet = Plan(kills=0, stops=0, rounds=plan.rounds, pause=0.2)
    with as_ctrl_c(), tempfile.TemporaryDirectory() as scratch:
        folder = parsed.folder or Path(scratch)
        storm = soak(plan, folder / "storm", "s")
        calm = soak(quiet, folder / "calm", "c")
    content: dict[str, Any] = {"table": table(plan, storm, calm), "environment": environment()}
    content |= {"plan": vars(plan), "storm": storm, "undisturbed": calm}
    parsed.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(aligned(content["table"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
