"""What we use of flwr beyond its public API (``flwr.app``, ``clientapp``, ``serverapp``).

The codes of `flwr.app.Error` are public only as numbers. We must tell a device that could
not be reached (the others go on) from one whose code failed (the run ends).
"""

from __future__ import annotations

from flwr.common.constant import ErrorCode

UNREACHABLE = frozenset(
    {
        ErrorCode.MESSAGE_UNAVAILABLE,
        ErrorCode.REPLY_MESSAGE_UNAVAILABLE,
        ErrorCode.NODE_UNAVAILABLE,
    }
)
