"""Whether what a neighbor has sent can be used."""

from __future__ import annotations

from ...errors import LayoutError, RelayError
from ...named_arrays import Model, check_layout
from ..contents import MODEL, is_encoded
from ..mailbox import Slot
from ..spool import Document
from ..tensors import not_finite, strangers_header
from .protocol import Refusal, RefusedError

UNFORESEEN = "what it sends cannot be read"
"""How a refusal begins whose cause no parser has foreseen."""


def checked(document: Document, own: Document | None, slot: Slot, sender: int) -> Model:
    """Return the model in a document from a neighbor; nothing of it has been used until then.

    Parameters
    ----------
    document : Document
        What came.
    own : Document or None
        The own publication, which it must be like.
    slot : Slot
        What was asked for.
    sender : int
        The neighbor.

    Raises
    ------
    RefusedError
        It is no model that can be used, whatever is the matter with it.
    OSError
        This machine cannot look at it.
    """
    try:
        return _checked(document, own, slot, sender)
    except (RefusedError, OSError):
        raise
    except RelayError as error:
        raise RefusedError(Refusal.MALFORMED, f"what it sends {error}") from None
    except Exception as error:  # nothing that a neighbor sends may end a device
        reason = f"{UNFORESEEN}: {type(error).__name__}: {str(error)[:100]}"
        raise RefusedError(Refusal.MALFORMED, reason) from None


def _checked(document: Document, own: Document | None, slot: Slot, sender: int) -> Model:
    model = document.model(strangers_header(document.size, own.size if own else 0))
    if own is not None:
        _check_fit(own.model(), model, slot, sender)
    if (name := not_finite(model)) is not None:
        raise RefusedError(Refusal.NOT_FINITE, f"array {name!r:.100} holds a NaN or an infinity")
    return model


def _check_fit(own: Model, model: Model, slot: Slot, sender: int) -> None:
    """Compare with the own publication: a model exactly, what travels beside one in kind."""
    try:
        if slot.channel == MODEL and is_encoded(model) and not is_encoded(own):
            return  # the device has nothing of this step itself, and will look at it
        if slot.channel == MODEL:
            check_layout(own, model, f"device {sender}")
        elif _kinds(own) != _kinds(model):
            raise LayoutError(f"{slot.channel} has other arrays at device {sender} than here")
    except LayoutError as error:
        raise RefusedError(Refusal.LAYOUT, str(error)[:300]) from None


def _kinds(model: Model) -> dict[str, tuple[int, str]]:
    return {name: (array.ndim, str(array.dtype)) for name, array in model.items()}
