"""What the doctor finds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Change:
    """Lines of a file that have to be replaced, or one that has to be added.

    Attributes
    ----------
    path : Path
        The file.
    line : int
        Number of the first line; of the line before, where one is added.
    old : tuple[str, ...]
        The lines that go; none where one is added.
    new : str
        The line that comes.
    """

    path: Path
    line: int
    old: tuple[str, ...]
    new: str

    def __str__(self) -> str:
        """Return it as it is shown: where, what goes and what comes."""
        where = f"{self.path}:{self.line}" + ("" if self.old else " (after it)")
        return "\n".join([where, *(f"  - {line}" for line in self.old), f"  + {self.new}"])


@dataclass(frozen=True)
class Remark:
    """A sentence about a line of a file."""

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        """Return it as it is shown."""
        return f"{self.path}:{self.line}: {self.text}"


@dataclass
class Findings:
    """All that was found.

    Attributes
    ----------
    changes : list[Change]
        What has to change for the project to train peer to peer.
    refused : list[Remark]
        What P2PL would refuse.
    notes : list[Remark]
        What is worth knowing.
    """

    changes: list[Change]
    refused: list[Remark]
    notes: list[Remark]
