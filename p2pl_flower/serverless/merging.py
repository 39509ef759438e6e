"""One history out of what single devices measured."""

from __future__ import annotations

from collections.abc import Mapping

from ..history import Round, Run, Scores, Spread, each_device


def merge(runs: Mapping[int, Run], received: Mapping[int, Mapping[int, int]], devices: int) -> Run:
    """Return one run with the spread over devices, from the runs of single devices."""
    runs = dict(sorted(runs.items()))  # in whichever order they ended: sums are the same
    merged = []
    for number in sorted({r.round for run in runs.values() for r in run.rounds}):
        rounds = {d: r for d, run in runs.items() for r in run.rounds if r.round == number}
        sizes = list(received.get(number, {}).values())
        merged.append(
            Round(
                number,
                _over(rounds, "after_training"),
                _over(rounds, "after_consensus", each=True),
                None,  # no process has all models
                sum(r.bytes_sent or 0 for r in rounds.values()),
                max(sizes) if sizes else None,
                0,
                max((r.seconds or 0.0 for r in rounds.values()), default=None),
            )
        )
    setups = {device: run.setup for device, run in runs.items()}
    setup = {
        "synchronization_steps": max(s.get("synchronization_steps", 0) for s in setups.values()),
        "bytes_sent": sum(s.get("bytes_sent", 0) for s in setups.values()),
        "bytes_through_server": 0,
        "rounds_run": {str(d): [r.round for r in run.rounds] for d, run in runs.items()},
        "skipped_rounds": {str(d): s.get("skipped_rounds", []) for d, s in setups.items()},
        "models": {
            kind: sum(s.get("models", {}).get(kind, 0) for s in setups.values())
            for kind in ("asked", "arrived")
        },
        "initial_model_of": {
            str(d): s["initial_model_of"] for d, s in setups.items() if "initial_model_of" in s
        },
        "agrees": _all_agree([s.get("agrees") for s in setups.values()]),
        "answers": {str(d): s.get("answers", {}) for d, s in setups.items()},
    }
    return Run("p2pl", "network", next(iter(runs.values())).seed, devices, setup, merged)


def _all_agree(told: list[bool | None]) -> bool | None:
    """Return whether all devices agree with their neighbors; None where none could tell."""
    known = [agrees for agrees in told if agrees is not None]
    return all(known) if known else None


def _over(rounds: Mapping[int, Round], when: str, each: bool = False) -> Scores | None:
    """Return the spread over the rounds of single devices, and with it ``each`` device's own."""
    scores = {d: s for d, r in rounds.items() if (s := getattr(r, when)) is not None}
    own = {d: s.accuracy.mean for d, s in scores.items() if s.accuracy is not None}
    accuracy = Spread.over(own.values())
    loss = Spread.over(s.loss.mean for s in scores.values() if s.loss is not None)
    if accuracy is None and loss is None:
        return None
    return Scores(accuracy, loss, devices=each_device(own) if each else None)
