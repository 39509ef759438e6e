"""How the commands log."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

from ..errors import ConfigError

FORMATS = ("text", "json")
_LONGEST = 2000
_PRINTED = {"\n": "\\n", "\r": "\\r", "\t": " "}


def configure_log(level: int, file: str = "", form: str = "text") -> None:
    """Send our log to standard error or to the end of a file, one line for each entry.

    Parameters
    ----------
    level : int
        The least level that is logged.
    file : str
        The file; empty for standard error.
    form : str
        ``text``: time, level and message; ``json``: an object with these.

    Raises
    ------
    ConfigError
        The file cannot be written to, or there is no such form.
    """
    if form not in FORMATS:
        raise ConfigError("log-format", form, "unknown name", FORMATS)
    log = logging.getLogger("flwr.p2pl")
    handler = _handler(file)
    handler.setFormatter(_Json() if form == "json" else _Text())
    log.handlers[:] = [handler]
    log.propagate = False
    log.setLevel(level)


def escaped(text: str, longest: int = _LONGEST) -> str:
    """Return a text as one line: what does not print is escaped, and the rest of it cut.

    Parts of it may come from others, who could forge lines or move the cursor of a terminal.
    """
    cut = text if len(text) <= longest else f"{text[:longest]}... ({len(text):,} characters)"
    return "".join(
        c if c.isprintable() else _PRINTED.get(c, c.encode("unicode_escape").decode()) for c in cut
    )


def _handler(file: str) -> logging.Handler:
    if not file:
        return logging.StreamHandler(sys.stderr)
    try:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        return logging.FileHandler(file, encoding="utf-8")
    except OSError as error:
        raise ConfigError("log-file", file, f"cannot be written: {error.strerror}") from None


class _Text(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        return escaped(super().format(record))


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        when = self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z")
        said = {"time": when, "level": record.levelname, "message": escaped(record.getMessage())}
        return json.dumps(said)
