"""Memory of a process, as the Linux kernel counts it."""

from __future__ import annotations

from pathlib import Path

PEAK, NOW, ANONYMOUS = "VmHWM", "VmRSS", "RssAnon"
"""The most so far and what is resident now, files that are mapped included; without them."""


def memory(key: str, process: int | str = "self") -> int:
    """Return a figure of a process in bytes; 0 when it has ended."""
    try:
        text = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    found = [line for line in text.splitlines() if line.startswith(f"{key}:")]
    return 1024 * int(found[0].split()[1]) if found else 0
