"""What is said of a soak: see `benchmarks.soak`."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.soak import Plan


def growth(samples: dict[str, dict[int, list[tuple[int, int]]]]) -> dict[str, Any]:
    """Return medians of memory and open files before and after, by survivor, and the most of all.

    Growth is what there is more at the end than at the start, as a share.
    """
    found: dict[str, Any] = {}
    for place, name in enumerate(("memory_bytes", "open_files")):
        medians = {
            k: [statistics.median(s[place] for s in samples[when][k]) for when in samples]
            for k in samples["before"]
        }
        most = max((end / start - 1 for start, end in medians.values()), default=0.0)
        found[name] = {"before_after": {str(k): m for k, m in medians.items()}, "growth": most}
    return found


def table(plan: Plan, storm: dict[str, Any], calm: dict[str, Any]) -> list[list[str]]:
    """Return what is shown of it."""
    grown = storm["growth"]
    kills = sum(n for kind, n in storm["disturbed"].items() if kind != "stopped")
    rows = [
        ["over the soak", "figure"],
        ["minutes", f"{storm['seconds'] / 60:.1f}"],
        ["rounds", str(plan.rounds)],
        ["kills and returns", str(kills)],
        ["stops (SIGSTOP)", str(storm["disturbed"].get("stopped", 0))],
        ["links cut, slow, far or lossy for a while", str(sum(storm["links"].values()))],
        ["survivors' median round, s", f"{storm['median_round_s']:.2f}"],
        ["survivors' longest round, s", f"{storm['longest_round_s']:.2f}"],
        [f"survivors' rounds of more than {plan.limit:g} s", str(storm["rounds_beyond_deadline"])],
        ["rounds that survivors skipped", str(storm["rounds_skipped_by_survivors"])],
        ["stalls, of survivors and of all", f"{storm['stalls']}, {len(storm['hung'])}"],
        ["survivors' memory", f"{grown['memory_bytes']['growth']:+.1%}"],
        ["survivors' open files", f"{grown['open_files']['growth']:+.1%}"],
        ["accuracy", f"{storm['accuracy']:.4f}"],
    ]
    return [*rows, ["accuracy undisturbed", f"{calm['accuracy']:.4f}"]] if calm else rows
