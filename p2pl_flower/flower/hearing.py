"""Subclasses of P2PL that hear devices' replies first, and may keep them to themselves."""

from __future__ import annotations

from . import messages

_METHODS = {messages.TRAIN: "aggregate_train", messages.EVALUATE: "aggregate_evaluate"}


def may_keep_replies(strategy: object, kind: str) -> bool:
    """Return whether a subclass, or a function put in a method's place, hears replies first.

    What is in them may then get lost.
    """
    return not is_ours(getattr(strategy, _METHODS[kind]))


def is_ours(method: object) -> bool:
    """Return whether a method is one of this package's, and no subclass's."""
    return str(getattr(method, "__module__", "")).startswith(f"{__package__}.")


def unheard(strategy: object, kind: str, what: str) -> str:
    """Return a sentence on what is not known because a subclass kept replies to itself."""
    method = _METHODS[kind]
    return (
        f"{method} of {type(strategy).__name__} does not call super().{method}(server_round, "
        f"replies): {what} are not known"
    )
