"""Runs the functions of the user's own, whatever they are written as, on what P2PL gives them."""

from __future__ import annotations

from typing import Any

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from ..errors import ConfigError, DeviceError, P2PLError
from ..named_arrays import Layout, conformed
from . import client_fn as legacy
from . import failures, messages, records
from .unsupported import REFUSED_MODS, refused_by, refused_in

_CATEGORIES = ("train", "evaluate")


class UserFunctions(ClientApp):
    """A `ClientApp` whose functions can be called as if another message had come for them."""

    _legacy: bool
    """Whether they are a ``client_fn`` client's."""

    def _run(self, message: Message, context: Context) -> Message:
        """Run the user's function, translating for a ``client_fn`` where that is needed."""
        category, content = message.metadata.message_type, message.content
        if not self._legacy or category not in _CATEGORIES or legacy.is_legacy(content):
            return super().__call__(message, context)
        message.content = legacy.to_client(category, content)
        reply = super().__call__(message, context)
        message.content = content
        if reply.has_content():
            reply.content = legacy.from_client(category, reply.content)
        return reply

    def _run_own(self, message: Message, context: Context) -> Message:
        """Run the user's function, and refuse a reply that is none or has a record of our name."""
        category = message.metadata.message_type
        reply: Any = self._run(message, context)
        if not isinstance(reply, Message):
            raise failures.no_message(category, reply)
        ours = reply.has_content() and messages.RECORD in reply.content
        if ours and not self._legacy and messages.RECORD not in reply.content.array_records:
            raise DeviceError(
                f"the {category} function returns a record named {messages.RECORD!r}, which is "
                "the name of P2PL's own: give it another"
            )
        return reply

    def _train_and_score(
        self, message: Message, context: Context, before: Layout | None = None
    ) -> Message:
        """Run the train function and, where our own record asks for it, the evaluate function.

        The scores are added to the train metrics with a prefix, under every strategy alike. A
        model that does not fit the one ``before`` is refused before a function trips over it.
        """
        received = message.content
        message.content = records.without_ours(received)  # which functions may change
        config = records.score_config(received)
        theirs = records.without_ours(received) if records.is_scored(received) else None
        reply = self._run_own(message, context)
        message.content = received
        if theirs is None or reply.has_error():
            return reply
        arrays_key = next(iter(theirs.array_records))
        arrays = records.only_arrays(reply.content)
        if before is not None:
            conformed(before, messages.to_model(arrays))
        trained = RecordDict({**theirs, **config, arrays_key: arrays})
        try:
            scores = records.filtered(self._as("evaluate", message, context, trained), None)
        except P2PLError as error:
            if not failures.is_the_functions(str(error)):
                raise
            # what was trained is not lost with its scores
            reply.content[messages.RECORD] = ConfigRecord({messages.UNSCORED_WHY: str(error)})
            return reply
        if not records.has_no_scores(scores.content):
            found = records.only_metrics(scores.content)
            records.add_scores(records.only_metrics(reply.content), found)
        if held_back := records.held_back_in(scores.content):
            entry = ConfigRecord({messages.HELD_BACK: held_back})
            reply.content[messages.RECORD] = entry
        return reply

    def _as(
        self,
        category: str,
        message: Message,
        context: Context,
        content: RecordDict,
        before: Layout | None = None,
    ) -> Message:
        """Run the user's function of a category as if ``content`` had come for it.

        Raises
        ------
        P2PLError
            A refusal of ours; or the function failed, and then it says how.
        """
        kept = message.metadata.message_type, message.content
        message.metadata.message_type, message.content = category, content
        try:
            if category == "train":
                reply = self._train_and_score(message, context, before)
            else:
                message.content = records.without_ours(content)
                reply = self._run_own(message, context)
        except P2PLError:
            raise
        except Exception as error:
            _refuse(refused_in(error))
            raise failures.raised(category, error) from error
        finally:
            message.metadata.message_type, message.content = kept
        if reply.has_error():  # some mods answer so
            _refuse(refused_by(reply.error.reason or ""))
            raise failures.answered(category, reply.error.reason or "")
        reply.metadata.message_type = kept[0]
        return reply


def _refuse(mod: str) -> None:
    """Refuse a mod that is called by another, and so was not seen before."""
    if mod:
        raise ConfigError("mods", mod, REFUSED_MODS[mod])
