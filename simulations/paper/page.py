"""The page of results, and the table of claims in the README, from the histories alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from p2pl_flower.history import History

from ..plots import human_bytes
from ..report import aligned, plain
from .claims import Claim
from .facts import FACTS
from .figures import draw
from .interval import Interval
from .kept import RESULTS, TUNING, kept_history
from .measured import final
from .sentence import Verdict, verdict
from .summary import Row, rows
from .tuned import tuning_table

Table = Sequence[Sequence[str]]

PAGE, SUMMARY, TABLE, CHOICES = "README.md", "claims.json", "table.json", "tuning-table.json"

_HEAD = """\
# What the paper claims, run anew

`python -m simulations paper` runs all of this on the swarm engine, goes on where it was
interrupted, and makes this page from the histories beside it; `--only NAME` runs one claim.

A verdict follows from intervals: of the difference to the reference, paired over seeds, the 95 %
interval of its mean by Student's t. It *holds* where all of the interval is within the claim's
tolerance, it *does not hold* where all of it is beyond, and is *undecided* in between, or with
fewer than three seeds. The worst device is compared with the reference's worst device, which for
federated and centralized training is the one model that there is. The tolerances for accuracy, in
`simulations/scenarios/paper/`, were set before the runs; those for rounds and swings, and this rule
of verdicts, came after the runs of some claims. The verdict is that of a case as it stands; other
settings of the algorithm that were tried have verdicts of their own, and as several were tried,
one that holds says less than it would alone. A run that ends with a loss that is no number, or
with less than half of the best accuracy that it had, has *diverged*: it is marked, and nothing is
compared with it.

"""
_LEGEND = """
Accuracies are in percent, on the whole test set, after the last consensus step: the mean over
devices, the worst and the best device, each the mean over seeds (± half of its 95 % interval over
seeds). Differences, with their intervals in brackets, are those of the judged one minus its
reference, in points of accuracy or in rounds: an accuracy below zero is behind, rounds below zero
are fewer. *Swing* is how far accuracy rises from after training to after consensus, in the mean
over the second half of the rounds. *Rounds to* counts the first scored round in which the mean over
devices is reached, in the slowest of the seeds; in a difference, a run that never reaches it counts
as one round longer than it was, which decides nothing in favor of it.
*Busiest node* is the model bytes that the node which sends most sends in a round (of FedAvg,
the server), *server* all bytes to and from the server in a round, both in the mean.
"""


def write(claims: Sequence[Claim], results: Path = RESULTS) -> None:
    """Write page, table of claims and figures into the results folder."""
    for claim in claims:
        found = _rows(claim, results)
        if found:
            draw(claim, found, results / claim.name)
    for name, text in texts(claims, results).items():
        (results / name).write_text(text, encoding="utf-8")


def texts(claims: Sequence[Claim], results: Path = RESULTS) -> dict[str, str]:
    """Return the page, the table of claims and each claim's own, by their files' names.

    The tables are JSON, as `simulations.readme` takes them.
    """
    histories = {claim.name: kept_history(claim, results) for claim in claims}
    summary = [("claim", "verdict", "by how much")]
    sections, tables = [], {}
    for claim in claims:
        found = _rows(claim, results)
        judged = verdict(claim, found)
        summary.append((claim.title, judged.word, judged.brief))
        if found:
            lines = _table(claim, found)
            tables[f"{claim.name}/{TABLE}"] = _json(lines)
            tuning = tuning_table(claim, kept_history(claim, results, TUNING))
            if tuning:
                tables[f"{claim.name}/{CHOICES}"] = _json(tuning)
            sections.append(_section(claim, judged, found, (lines, tuning), histories[claim.name]))
    page = "\n".join([_HEAD + plain(summary), _LEGEND, *sections])
    return {PAGE: page, SUMMARY: _json(summary), **tables}


def _rows(claim: Claim, results: Path) -> list[Row]:
    return rows(claim, kept_history(claim, results), kept_history(claim, results, TUNING))


def _section(
    claim: Claim,
    judged: Verdict,
    found: Sequence[Row],
    tables: tuple[Table, Table],
    history: History,
) -> str:
    lines, tuning = tables
    keys = ", ".join(f"`{key} = {value}`" for key, value in claim.base.items())
    return "\n".join(
        [
            f"## {claim.title}\n",
            f"{claim.text}\n",
            f"**{judged.word.capitalize()}**\n",
            "".join(f"- {line}\n" for line in judged.detail),
            aligned(lines),
            *(f"![{name}]({claim.name}/{name}.png)\n" for name in claim.figures),
            *_choices(claim, tuning),
            f"`python -m simulations paper --only {claim.name}`; {_seeds(claim, found)} {keys}. "
            f"{_environment(history.environment)}\n",
        ]
    )


def _choices(claim: Claim, tuning: Table) -> list[str]:
    """Say how the settings were chosen, with the scores that they were chosen by."""
    if claim.tune is None or not tuning:
        return []
    seeds = range(claim.tune.seeds)
    said = (
        f"Chosen on a validation part, {100 * claim.tune.validation:g} % of each device's training "
        f"samples, after {claim.tune.rounds} rounds ({_count(list(seeds))}); the devices' mean "
        "accuracy on it:\n"
    )
    return [said, aligned(tuning)]


def _table(claim: Claim, found: Sequence[Row]) -> Table:
    engines = ["engine"] * (len({v.engine for v in claim.variants}) > 1)
    facts = [*claim.columns]
    keys = list(dict.fromkeys([*claim.keys, *(key for row in found for key in row.chosen)]))
    header = [
        "contender",
        *engines,
        *keys,
        *facts,
        "accuracy",
        "worst device",
        "best device",
        f"rounds to {_levels(claim)}",
        "busiest node/round",
        "server/round",
    ]
    lines = [header]
    for row in found:
        chosen = row.variant.with_settings(row.chosen)
        own = [_shown(chosen.value(key)) for key in (*engines, *keys)]
        known = [_fact(claim, row, name) for name in facts]
        lines.append([row.variant.contender, *own, *known, *_figures(claim, row)])
    return lines


def _shown(value: Any) -> str:
    return "" if value is None else str(value)


def _figures(claim: Claim, row: Row) -> list[str]:
    rounds = row.rounds_to(claim.level(row.variant))
    return [
        *accuracies(row),
        "-" if rounds is None else str(rounds),
        human_bytes(row.bytes_of("bytes_sent_busiest")),
        human_bytes(row.bytes_of("bytes_through_server")),
    ]


def accuracies(row: Row) -> list[str]:
    """Return the cells for the devices' mean, the worst and the best, in percent."""
    if row.diverged:
        return ["diverged", "-", "-"]
    mean, worst = (row.over_seeds(f) for f in (lambda r: final(r).mean, lambda r: final(r).min))
    return [_percent(mean), _percent(worst), f"{100 * row.best:.2f}"]


def _percent(share: Interval) -> str:
    half = "" if share.half is None else f" ± {100 * share.half:.2f}"
    return f"{100 * share.mean:.2f}{half}"


def _levels(claim: Claim) -> str:
    levels = claim.reach.values() if isinstance(claim.reach, Mapping) else [claim.reach]
    return " / ".join(f"{100 * level:g}" for level in levels)


def _fact(claim: Claim, row: Row, name: str) -> str:
    if row.variant.contender not in claim.test.judged.get("contender", ()):
        return ""
    value = FACTS[name](claim.scenario(row.variant, row.runs[0].seed))
    return "" if value is None else f"{value:.3g}"


def _seeds(claim: Claim, found: Sequence[Row]) -> str:
    """Say which seeds were run, and whether that is all of every variant."""
    seeds = sorted({run.seed for row in found for run in row.runs})
    runs = sum(len(row.runs) for row in found)
    complete = runs == len(seeds) * len(claim.variants)
    return _count(seeds) + ("." if complete else f". {runs} runs so far, not all are complete.")


def _count(seeds: Sequence[int]) -> str:
    listed = ", ".join(map(str, seeds))
    return f"one seed, {listed}" if len(seeds) == 1 else f"{len(seeds)} seeds, {listed}"


def _environment(environment: Any) -> str:
    machine = f"{environment['cores']} cores of {environment['cpu']}"
    versions = ", ".join(f"{name} {environment[name]}" for name in ("torch", "numpy", "python"))
    return f"Revision {environment['git_revision']}; {machine}; {versions}."


def _json(lines: Table) -> str:
    return json.dumps({"table": lines}, indent=1, ensure_ascii=False) + "\n"
