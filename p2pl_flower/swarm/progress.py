"""A progress bar on standard error."""

from __future__ import annotations

import sys
from typing import TextIO

from ..history import Round

_WIDTH = 30


class Progress:
    """Shows how far a run is, on one line that is written over.

    Parameters
    ----------
    total : int
        Rounds of the run.
    shown : bool
        Whether anything is written.
    stream : TextIO or None
        Where to; standard error unless given.
    """

    def __init__(self, total: int, shown: bool = True, stream: TextIO | None = None) -> None:
        self._total, self._shown, self._stream = total, shown, stream

    def show(self, measured: Round) -> None:
        """Show a round that has ended."""
        if not self._shown:
            return
        done = _WIDTH * measured.round // self._total
        parts = [
            f"\r[{'#' * done:<{_WIDTH}}] round {measured.round}/{self._total}",
            f"{measured.seconds or 0.0:.2f} s",
        ]
        if measured.after_consensus is not None and measured.after_consensus.accuracy is not None:
            parts.append(f"accuracy {measured.after_consensus.accuracy.mean:.4f}")
        end = "\n" if measured.round == self._total else ""
        stream = sys.stderr if self._stream is None else self._stream
        stream.write("  ".join(parts) + end)
        stream.flush()
