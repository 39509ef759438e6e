"""Changes to a text, by position; the rest stays as the user wrote it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .source import Source

_CONTEXT = 3


@dataclass(frozen=True, order=True)
class Edit:
    """A piece of a text that is replaced.

    Attributes
    ----------
    start, end : int
        Where it begins and ends; the same where something is inserted.
    new : str
        What comes in its place.
    """

    start: int
    end: int
    new: str


def applied(text: str, edits: Iterable[Edit]) -> str:
    """Return a text with edits made. One edit that lies within another is covered by it."""
    done: list[Edit] = []
    for edit in sorted(set(edits), key=lambda e: (e.start, -e.end)):
        if not done or edit.start >= done[-1].end:
            done.append(edit)
    for edit in reversed(done):
        text = text[: edit.start] + edit.new + text[edit.end :]
    return text


def without(
    source: Source, items: list[tuple[int, int]], gone: set[int], start: int, end: int
) -> list[Edit]:
    """Return the edits that take items out of a list that is separated by commas.

    An item with lines to itself goes with its lines, their comments, and lines of comment
    above it. Items on a line with others go with one comma.

    Parameters
    ----------
    source : Source
        The file.
    items : list[tuple[int, int]]
        Where each item begins and ends.
    gone : set[int]
        Positions in `items` of those that go.
    start, end : int
        Where the inside of the parentheses begins and ends.
    """
    if len(gone) == len(items):
        return [Edit(start, end, "")]
    return [
        edit for position in sorted(gone) for edit in _one(source, items, gone, position, start)
    ]


def _one(
    source: Source, items: list[tuple[int, int]], gone: set[int], position: int, start: int
) -> Iterator[Edit]:
    begin, stop = items[position]
    floor = items[position - 1][1] if position else start
    top, bottom = source.line_start(begin), source.line_end(stop)
    following = items[position + 1][0] if position + 1 < len(items) else bottom
    if top > floor and bottom <= following and not _rest(source.text[stop:bottom]):
        yield Edit(_above(source, top, floor), bottom, "")
    elif position + 1 < len(items):
        comments = "#" in source.text[bottom:following]  # those of the item that follows
        yield Edit(begin, bottom - len(source.newline) if comments else following, "")
    else:
        kept = items[max(i for i in range(position) if i not in gone)][1]
        comments = "#" in source.text[kept:begin]
        yield Edit(begin if comments else kept, stop, "")


def _rest(text: str) -> str:
    """Return what stands after an item on its line, but for a comma and a comment."""
    return text.strip().removeprefix(",").partition("#")[0].strip()


def _above(source: Source, top: int, floor: int) -> int:
    """Return where the lines of comment begin that stand right above a line."""
    while top > 0:
        previous = source.line_start(top - 1)
        if previous < floor or not source.text[previous:top].strip().startswith("#"):
            break
        top = previous
    return top


def patch(name: str, old: str, new: str) -> str:
    """Return a unified diff that ``git apply`` and ``patch -p1`` take; empty if nothing changed."""
    before, after = _lines(old), _lines(new)
    groups = list(_matched(before, after).get_grouped_opcodes(_CONTEXT))
    shown = [f"--- a/{name}\n", f"+++ b/{name}\n"] if groups else []
    for group in groups:
        spans = (_range(group[0][1], group[-1][2]), _range(group[0][3], group[-1][4]))
        shown.append("@@ -{} +{} @@\n".format(*spans))
        for tag, i, j, k, m in group:
            if tag == "equal":
                shown += [f" {line}" for line in before[i:j]]
            else:
                shown += [f"-{line}" for line in before[i:j]]
                shown += [f"+{line}" for line in after[k:m]]
    ended = (s if s.endswith("\n") else f"{s}\n\\ No newline at end of file\n" for s in shown)
    return "".join(ended)


def hunks(old: str, new: str) -> Iterator[tuple[int, list[str], list[str]]]:
    """Yield what changed: the number of its first line, the lines that go, those that come.

    The number is that of the line before where lines only come.
    """
    before, after = _lines(old), _lines(new)
    for tag, i, j, k, m in _matched(before, after).get_opcodes():
        if tag != "equal":
            yield i + (j > i), _bare(before[i:j]), _bare(after[k:m])


def _matched(before: list[str], after: list[str]) -> difflib.SequenceMatcher[str]:
    return difflib.SequenceMatcher(None, before, after, autojunk=False)


def _range(start: int, stop: int) -> str:
    """Return lines from `start` (counted from 0) up to `stop` as a unified diff names them."""
    length = stop - start
    first = start + (length > 0)
    return f"{first}" if length == 1 else f"{first},{length}"


def _lines(text: str) -> list[str]:
    parts = text.split("\n")
    ends = [f"{line}\n" for line in parts[:-1]]
    return [*ends, parts[-1]] if parts[-1] else ends


def _bare(lines: list[str]) -> list[str]:
    return [line.rstrip("\r\n") for line in lines]
