"""What messages are worth in a consensus step: the own one and the neighbors'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .. import named_arrays
from ..algorithms import State
from ..algorithms.codecs import StepKey, of_codec
from ..errors import LayoutError
from ..named_arrays import Model
from ..options import Options
from ..relay import Mailbox, Slot
from ..relay.contents import COPY, Holding, encoded_of, message_of


class Heard(NamedTuple):
    """The messages of a step as devices know them.

    Attributes
    ----------
    public : Model
        The own one.
    messages : Mapping[int, Model]
        Those of the neighbors that sent what can be used.
    kept : State
        What a codec's memory keeps from then on.
    bodies : tuple[Mapping[int, Model], ...]
        What was moved for it, by device.
    """

    public: Model
    messages: Mapping[int, Model]
    kept: State
    bodies: tuple[Mapping[int, Model], ...]


def heard_messages(
    mailbox: Mailbox,
    options: Options,
    holding: Holding,
    own: Model | None,
    received: Mapping[int, Model],
    slot: Slot,
) -> Heard:
    """Return what the own message and the neighbors' are worth in a step.

    Parameters
    ----------
    mailbox : Mailbox
        The device's: for whole copies, and to tell it what cannot be used.
    options : Options
        The algorithm's and the codec's.
    holding : Holding
        What the device held when it published its message.
    own : Model or None
        What it published in the slot, if it did.
    received : Mapping[int, Model]
        What neighbors published in the slot, by device.
    slot : Slot
        Where messages of the step are.
    """
    coder, sent, kept = options.coder, holding.message, of_codec(holding.state)
    if coder.is_exact:
        messages: dict[int, Model] = {}
        for j, publication in received.items():
            message = message_of(publication)
            try:
                named_arrays.check_layout(sent, message, f"device {j}")
                messages[j] = message
            except LayoutError as error:
                mailbox.refuse(j, error)
        return Heard(sent, messages, {}, (messages,))
    key = StepKey(options.seed, slot.round, slot.step)
    arrived = {j: encoded_of(publication) for j, publication in received.items()}
    public = coder.own(None if own is None else encoded_of(own), sent, kept, key)

    def fetch(devices: Sequence[int]) -> Mapping[int, Model]:
        return mailbox.collect(devices, slot._replace(channel=COPY))

    heard = coder.hear(arrived, sent, kept, key, fetch, mailbox.refuse)
    used = {j: arrived[j] for j in heard.messages}
    return Heard(public, heard.messages, heard.kept, (used, heard.fetched))
