"""What becomes of memory that has been freed, as the operating system counts it."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

LOOP = """
import resource
import numpy as np
from p2pl_flower.system.allocator import keep_for_reuse
if {keep}:
    keep_for_reuse()
for turn in range(60):
    if turn == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [np.ones(200_000) for _ in range(5)]  # 1.6 MB each
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(keep: bool) -> int:
    """Return how many pages a loop has to be given anew in 50 turns."""
    program = [sys.executable, "-c", LOOP.format(keep=keep)]
    return int(subprocess.run(program, check=True, capture_output=True, timeout=60).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a matter of glibc")
def test_what_a_loop_frees_is_kept_for_its_next_turn() -> None:
    assert faults(keep=False) > 10_000
    assert faults(keep=True) < 1000
