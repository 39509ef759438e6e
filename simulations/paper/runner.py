"""Runs what claims need, one after the other, and keeps what is done."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from p2pl_flower.history import History, Round, Run, environment
from p2pl_flower.system.files import write_text
from strategies import contender

from ..compare import ENGINES
from ..sweep import joined_environment
from .claims import Claim
from .kept import RESULTS, RUNS, TUNING, find, kept_history
from .measured import final
from .rule import Variant
from .tuning import trials, tuned


def run(claims: Sequence[Claim], seeds: int, results: Path = RESULTS) -> None:
    """Run all variants of the claims with seeds 0, 1, ...; those that are done are kept.

    What a claim tunes is tuned first, variant by variant. Every finished run is written at once,
    so that an interruption costs one run at most. All claims are run with one seed before any
    is with the next.
    """
    files = {claim.name: _Files.of(claim, results) for claim in claims}
    wanted = [(c, v, seed) for seed in range(seeds) for c in claims for v in c.variants]
    for number, (claim, variant, seed) in enumerate(wanted, start=1):
        counted = f"[{number}/{len(wanted)}] {claim.name}"
        kept = files[claim.name]
        for trial, trial_seed in trials(claim, variant):
            kept.complete(TUNING, trial, trial_seed, f"{counted}: tuning")
        chosen = tuned(claim, kept.histories[TUNING], variant)
        if chosen is not None:
            kept.complete(RUNS, chosen, seed, counted)


@dataclass
class _Files:
    """A claim's histories, each in its file."""

    claim: Claim
    folder: Path
    histories: dict[str, History]

    @classmethod
    def of(cls, claim: Claim, results: Path) -> _Files:
        histories = {name: kept_history(claim, results, name) for name in (RUNS, TUNING)}
        return cls(claim, results / claim.name, histories)

    def complete(self, name: str, variant: Variant, seed: int, counted: str) -> None:
        """Run a variant and write it into the file ``name``, unless it is there."""
        history = self.histories[name]
        if find(history, variant, seed) is not None:
            return
        started = time.perf_counter()
        done = _run(self.claim, variant, seed)
        history.runs.append(done)
        history.environment = joined_environment(history.environment, environment())
        write_text(self.folder / name, history.to_json())
        accuracy = final(done)
        sys.stderr.write(
            f"{counted}: {variant}, seed {seed}: {accuracy.mean:.4f} (worst device "
            f"{accuracy.min:.4f}) in {time.perf_counter() - started:.0f} s\n"
        )


def _run(claim: Claim, variant: Variant, seed: int) -> Run:
    scenario = claim.scenario(variant, seed)
    done = ENGINES[variant.engine](scenario, contender(variant.contender), lambda *_: None)
    return replace(_slim(done), settings=dict(variant.settings))


def _slim(run: Run) -> Run:
    """Return a run that has each device's own accuracy in the last scored round only."""
    scored = [entry.after_consensus for entry in run.rounds if entry.after_consensus]
    last = scored[-1] if scored else None
    rounds = [entry if entry.after_consensus is last else _means(entry) for entry in run.rounds]
    return replace(run, rounds=rounds)


def _means(entry: Round) -> Round:
    after = entry.after_consensus
    return replace(entry, after_consensus=after and replace(after, devices=None))
