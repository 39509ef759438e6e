"""The page of results, and the table of claims in the README, from the histories alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from p2pl_flower.history import History

from ..plots import human_bytes
from ..report import aligned, plain
from .claims import Claim
from .facts import FACTS
from .figures import draw
from .runner import RESULTS, kept_history
from .summary import Row, rows
from .verdict import Verdict, verdict

Table = Sequence[Sequence[str]]

PAGE, SUMMARY, TABLE = "README.md", "claims.json", "table.json"

_HEAD = """\
# What the paper claims, run anew

`python -m simulations paper` runs all of this on the swarm engine, goes on where it was
interrupted, and makes this page from the histories beside it; `--only NAME` runs one claim.
The tolerances were set before the runs, in `simulations/scenarios/paper/`. Where a case did not
hold as it stands, other settings within the algorithm were looked for; all that were tried are in
the tables.

"""
_LEGEND = """
Accuracies are in percent, on the whole test set, after the last consensus step: the mean over
devices, the worst and the best device, each the mean over seeds (± standard deviation over
seeds). *Rounds to* counts the first scored round in which the mean over devices is reached.
*Busiest node* is the model bytes that the node which sends most sends in a round (of FedAvg,
the server), *server* all bytes to and from the server in a round, both in the mean.
"""


def write(claims: Sequence[Claim], results: Path = RESULTS) -> None:
    """Write page, table of claims and figures into the results folder."""
    for claim in claims:
        found = rows(claim, kept_history(claim, results))
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
        found = rows(claim, histories[claim.name])
        judged = verdict(claim, found)
        summary.append((claim.title, judged.word, judged.brief))
        if found:
            lines = _table(claim, found)
            tables[f"{claim.name}/{TABLE}"] = _json(lines)
            sections.append(_section(claim, judged, lines, histories[claim.name]))
    page = "\n".join([_HEAD + plain(summary), _LEGEND, *sections])
    return {PAGE: page, SUMMARY: _json(summary), **tables}


def _section(claim: Claim, judged: Verdict, lines: Table, history: History) -> str:
    seeds = sorted({run.seed for run in history.runs})
    complete = len(history.runs) == len(seeds) * len(claim.variants)
    state = "" if complete else f" {len(history.runs)} runs so far, not all seeds are complete."
    keys = ", ".join(f"`{key} = {value}`" for key, value in claim.base.items())
    return "\n".join(
        [
            f"## {claim.title}\n",
            f"{claim.text}\n",
            f"**{judged.word.capitalize()}**\n",
            "".join(f"- {line}\n" for line in judged.detail),
            aligned(lines),
            *(f"![{name}]({claim.name}/{name}.png)\n" for name in claim.figures),
            f"`python -m simulations paper --only {claim.name}`; {_seeds(seeds)}.{state} {keys}. "
            f"{_environment(history.environment)}\n",
        ]
    )


def _table(claim: Claim, found: Sequence[Row]) -> Table:
    engines = ["engine"] * (len({v.engine for v in claim.variants}) > 1)
    facts = [*claim.columns]
    header = [
        "contender",
        *engines,
        *claim.keys,
        *facts,
        "accuracy",
        "worst device",
        "best device",
        f"rounds to {100 * claim.reach:g}",
        "busiest node/round",
        "server/round",
    ]
    lines = [header]
    for row in found:
        own = [str(row.variant.value(key) or "") for key in (*engines, *claim.keys)]
        known = [_fact(claim, row, name) for name in facts]
        lines.append([row.variant.contender, *own, *known, *_figures(claim, row)])
    return lines


def _figures(claim: Claim, row: Row) -> list[str]:
    spread = "" if row.deviation is None else f" ± {100 * row.deviation:.2f}"
    rounds = row.rounds_to(claim.reach)
    return [
        f"{100 * row.mean:.2f}{spread}",
        f"{100 * row.worst:.2f}",
        f"{100 * row.best:.2f}",
        "-" if rounds is None else str(rounds),
        human_bytes(row.bytes_of("bytes_sent_busiest")),
        human_bytes(row.bytes_of("bytes_through_server")),
    ]


def _fact(claim: Claim, row: Row, name: str) -> str:
    if row.variant.contender not in claim.test.judged.get("contender", ()):
        return ""
    value = FACTS[name](claim.scenario(row.variant, row.runs[0].seed))
    return "" if value is None else f"{value:.3g}"


def _seeds(seeds: Sequence[int]) -> str:
    listed = ", ".join(map(str, seeds))
    return f"one seed, {listed}" if len(seeds) == 1 else f"{len(seeds)} seeds, {listed}"


def _environment(environment: Any) -> str:
    machine = f"{environment['cores']} cores of {environment['cpu']}"
    versions = ", ".join(f"{name} {environment[name]}" for name in ("torch", "numpy", "python"))
    return f"Revision {environment['git_revision']}; {machine}; {versions}."


def _json(lines: Table) -> str:
    return json.dumps({"table": lines}, indent=1, ensure_ascii=False) + "\n"
