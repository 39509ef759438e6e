"""What all tests share."""

from __future__ import annotations

import os

from hypothesis import settings

# The same examples in every run: a red build is then somebody's change, not chance.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
