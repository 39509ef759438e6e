"""What the doctor finds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .python.edits import hunks, patch


@dataclass(frozen=True, order=True)
class Remark:
    """A sentence about a line of a file."""

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        """Return it as it is shown."""
        return f"{self.path}:{self.line}: {self.text}"


@dataclass(frozen=True)
class Changed:
    """A file that has to change.

    Attributes
    ----------
    path : Path
        The file, relative to the project's folder.
    old, new : str
        Its text, before and after.
    encoding : str
        How it is written.
    """

    path: Path
    old: str
    new: str
    encoding: str = "utf-8"

    @property
    def patch(self) -> str:
        """The change as a unified diff."""
        return patch(self.path.as_posix(), self.old, self.new)

    @property
    def count(self) -> int:
        """How many lines go or, where more come, come."""
        return sum(max(len(gone), len(come)) for _, gone, come in hunks(self.old, self.new))

    def __str__(self) -> str:
        """Return the lines as they are shown: where, what goes and what comes."""
        shown = []
        for line, gone, come in hunks(self.old, self.new):
            where = f"{self.path}:{line}" + ("" if gone else " (after it)")
            lines = [*(f"  - {text}" for text in gone), *(f"  + {text}" for text in come)]
            shown.append("\n".join([where, *lines]))
        return "\n".join(shown)


@dataclass
class Findings:
    """All that was found.

    Attributes
    ----------
    refused : list[Remark | str]
        Why P2PL would refuse the project, or could not run it.
    changed : list[Changed]
        What has to change for the project to train peer to peer; nothing where it cannot.
    lost : list[Remark]
        What the project does now and will not do then.
    notes : list[Remark | str]
        What is worth knowing.
    """

    refused: list[Remark | str] = field(default_factory=list)
    changed: list[Changed] = field(default_factory=list)
    lost: list[Remark] = field(default_factory=list)
    notes: list[Remark | str] = field(default_factory=list)

    @property
    def convertible(self) -> bool:
        """Whether the project can train peer to peer, or does already."""
        return not self.refused


def ordered(remarks: Iterable[Remark]) -> list[Remark]:
    """Return remarks once each, in the order of files and lines."""
    return sorted(set(remarks))
