"""What went wrong in a run that came to its end all the same, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

ALONE = 3
"""Exit code of a device that has exchanged no model with anybody."""

_SURE = 3  # models: who has heard so many times would have been asked as often
OUTCOMES = "arrived", "given", "stale"
"""What neighbors' answers are counted as that are no failure."""


def exit_code(setup: Mapping[str, Any], found: list[str]) -> int:
    """Return the exit code of a device about which these problems were found."""
    return ALONE if _was_alone(setup) else int(bool(found))


def _was_alone(setup: Mapping[str, Any]) -> bool:
    models = setup.get("models", {})
    return bool(models.get("asked")) and not models.get("arrived")


def _reason(setup: Mapping[str, Any]) -> str:
    """Return what became of the neighbors' answers, the most frequent first."""
    counts: Counter[str] = Counter()
    for answers in setup.get("answers", {}).values():
        counts.update({kind: n for kind, n in answers.items() if kind not in OUTCOMES})
    return ", ".join(f"{kind} {n}" for kind, n in counts.most_common()) or "nobody was asked"


def problems(device: int, setup: Mapping[str, Any]) -> list[str]:
    """Return what a history's setup says against a device's model.

    ``models`` counts the neighbors' models that rounds asked for and that arrived;
    ``not_finite_since`` is the first round whose model held a NaN or an infinity.
    """
    found = []
    models, answers = setup.get("models", {}), setup.get("answers", {})
    if _was_alone(setup):
        found.append(
            f"device {device} trained alone: no neighbor's model arrived in any round, of "
            f"{models['asked']} asked for ({_reason(setup)}); compare addresses, certificates and "
            "settings with the neighbors', and see `answers` in the history"
        )
    if models.get("arrived", 0) >= _SURE and not any(
        counts.get("given") for counts in answers.values()
    ):
        found.append(
            f"no neighbor has fetched a model of device {device}: can they open a connection to "
            "its address? See `listen`, and what neighbors' files say of it"
        )
    if healed := setup.get("healed"):
        found.append(
            f"device {device}'s own training gave a NaN or an infinity in {len(healed)} round(s), "
            f"the last of them {list(healed)[-1]}, after which it went on from a neighbor's model"
        )
    if "not_finite_since" in setup:
        found.append(
            f"device {device}'s model holds a NaN or an infinity since round "
            f"{setup['not_finite_since']}: its neighbors refuse it; begin anew, with smaller "
            "steps of training, say"
        )
    return found
