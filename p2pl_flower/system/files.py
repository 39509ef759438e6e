"""Files that appear whole or not at all, and that only the run they are of goes on from."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError


@contextlib.contextmanager
def replacing(path: Path, durable: bool = False) -> Iterator[Path]:
    """Give a path to write at; what is there when the block ends moves to ``path``.

    Whoever reads ``path`` sees all of the new file or all of the old one. A block that raises
    leaves the old one; so does a process that is killed, and the next to write cleans up.

    Parameters
    ----------
    path : Path
        The file to replace. Its folder must be there, and one process at a time may write it.
    durable : bool
        Whether the file must outlast a loss of power, too: it is put onto the disk before it
        is moved, and the move after it.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        if durable:
            _flush(part)
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    if durable:
        with contextlib.suppress(OSError):  # folders cannot be opened on every system
            _flush(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a text file that appears whole, and its folder if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def filling(folder: Path) -> Iterator[Path]:
    """Give an empty folder to write in; its files move to ``folder`` when the block ends.

    A folder that is not there appears with all of them at once. One that exists keeps its other
    files, and each that is replaced is replaced whole. A block that raises changes nothing.
    """
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        draft = Path(scratch, "draft")
        draft.mkdir()
        yield draft
        if not folder.exists():
            with contextlib.suppress(OSError):  # another process may be quicker
                draft.rename(folder)
                return
        for file in sorted(draft.iterdir()):
            file.replace(folder / file.name)


def check_same_run(path: Path, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Refuse to go on from a checkpoint of another run.

    Parameters
    ----------
    path : Path
        The checkpoint.
    wanted, found : Mapping[str, Any]
        What identifies this run and the checkpoint's, in JSON's types.

    Raises
    ------
    ConfigError
        Names the first key, in alphabetical order, whose values differ.
    """
    wanted = json.loads(json.dumps(wanted))  # as `found` was when it was written
    for key in sorted(wanted.keys() | found.keys()):
        if wanted.get(key) != found.get(key):
            rule = f"is of a run with {key}={found.get(key)!r}, but this one has "
            rule += f"{wanted.get(key)!r}; keep this run's elsewhere, or delete it to begin anew"
            raise ConfigError("checkpoint", str(path), rule)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
