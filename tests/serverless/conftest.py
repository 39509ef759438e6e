from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _what_is_loaded_is_no_garbage() -> Iterator[None]:
    """Spare peers in threads, which collect garbage after every message, what is loaded."""
    gc.freeze()
    yield
    gc.unfreeze()
