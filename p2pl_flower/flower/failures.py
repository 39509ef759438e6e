"""A device's own function that failed: as the device says it, and as the strategy reads it."""

from __future__ import annotations

import re

from ..errors import DeviceError
from . import messages
from ._compat import unconverted_array

RAISE, SKIP = ON_FAILURE = "raise", "skip"
"""What may become of a run in which a device's own function fails."""

_FUNCTIONS = re.compile(r"the (train|evaluate) function (raised|answered|returned no)")
_NOT_THERE = re.compile(r"\b(UnavailableError|ForgottenError)\b")
_RAISED = re.compile(r"^(DeviceError: )?(the \w+ function raised )?")
_NOT_A_PEER = re.compile(r"No \w+ function registered with name '?p2pl|p2pl_join")
_EXCEPTION = re.compile(r"^<class '(?P<kind>[\w.()]+)'>:<'(?P<text>.*)'>$", re.DOTALL)
_WRAPPINGS = "ClientAppException occurred. Message: ", "\nMessage: "


def raised(category: str, error: Exception) -> DeviceError:
    """Return what a device answers whose function has raised: the error's type and all its text.

    Flower itself would pass on the text alone, which of a KeyError is the key.
    """
    said = f"the {category} function raised {type(error).__name__}: {error}"
    if name := unconverted_array(error):
        said += f" (array {name!r}): {messages.CONVERT}"
    return DeviceError(said)


def answered(category: str, what: str) -> DeviceError:
    """Return what a device answers whose function has answered with an error of its own."""
    return DeviceError(f"the {category} function answered with an error: {what}")


def no_message(category: str, returned: object) -> DeviceError:
    """Return what a device answers whose function has returned something else than a message."""
    return DeviceError(
        f"the {category} function returned no Message but {type(returned).__name__}: return "
        "Message(content, reply_to=message)"
    )


def is_the_functions(reason: str) -> bool:
    """Return whether a reason is a function's own failure: no refusal, and no fault of P2PL's."""
    return _FUNCTIONS.search(reason) is not None


def is_absence(reason: str) -> bool:
    """Return whether a reason says that a device's relay is gone, or has lost what it kept.

    The device is no worse than one that does not answer, and comes back as such.
    """
    return _NOT_THERE.search(reason) is not None


def failure(device: int, kind: str, reason: str) -> DeviceError:
    """Return the error of a device that answered ``kind`` with an error of this reason."""
    if kind == messages.JOIN and _NOT_A_PEER.search(reason):
        return DeviceError(
            "the ClientApp cannot train peer to peer: replace `ClientApp(` by `PeerApp(` "
            "(from p2pl_flower import PeerApp)"
        )
    text = _RAISED.sub("", unwrapped(reason))
    return DeviceError(f"device {device} failed at {kind}: {text}")


def unwrapped(reason: str) -> str:
    """Return the error, all of it, out of the wrapping that Flower and Ray put around it."""
    kind, text = "", reason
    if found := _EXCEPTION.match(reason.strip()):
        kind, text = found["kind"].rpartition(".")[2], found["text"]
    for wrapping in _WRAPPINGS:
        if wrapping in text:
            return text.rpartition(wrapping)[2].strip()
    ours = kind in ("", DeviceError.__name__, "ClientAppException")
    return (text if ours else f"{kind}: {text}").strip() or "no reason was given"
