"""What a subclass's own methods make of messages and replies: noticed, and explained."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from flwr.app import Message, RecordDict

from ..errors import ConfigError, P2PLError
from . import messages
from .hearing import is_ours

_MARK = "_is_watched"

_NO_ARRAYS = (
    "its aggregate_train looks for arrays in the devices' replies, where there are none: models "
    "stay on the devices; `arrays, metrics = super().aggregate_train(server_round, replies)` gives "
    "the mean of the trained models, and self.mean_model() that of the present ones"
)
_NO_MESSAGES = "its {} must return messages, of those that super().{} returns: all, some or none"


def inherited(cls: type, name: str) -> Callable[..., Any]:
    """Return a method that calls the next one of its name, whichever that is in a subclass."""

    @functools.wraps(getattr(cls, name))
    def method(self: Any, *args: Any, **options: Any) -> Any:
        return getattr(super(cls, self), name)(*args, **options)

    return method


def watch(cls: type) -> None:
    """Watch the methods that a subclass of P2PL, or a mixin of it, overrides."""
    for name, watched in _WATCHED.items():
        method = getattr(cls, name)
        if not is_ours(method) and (name in vars(cls) or not hasattr(method, _MARK)):
            own = watched(vars(cls).get(name) or inherited(cls, name))
            setattr(own, _MARK, True)
            setattr(cls, name, own)


class _Content(RecordDict):
    """A reply's records that note it if somebody looks for arrays among them."""

    def __init__(self, records: dict[str, Any]) -> None:
        super().__init__(records)
        vars(self)["sought"] = False

    def __getitem__(self, key: str) -> Any:
        if key not in self:
            vars(self)["sought"] = True
        return super().__getitem__(key)

    @property
    def array_records(self) -> Any:
        """None of them."""
        vars(self)["sought"] = True
        return super().array_records


def _sends(kind: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Tell the run which messages of a kind are sent: a method may leave some out."""

    def watched(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def configure(self: Any, *args: Any, **options: Any) -> list[Message]:
            made = method(self, *args, **options)
            if not isinstance(made, Iterable):
                name = method.__name__
                raise ConfigError("strategy", type(self).__name__, _NO_MESSAGES.format(name, name))
            sent = list(made)
            self._sends_only(kind, sent)
            return sent

        return configure

    return watched


def _explains(method: Callable[..., Any]) -> Callable[..., Any]:
    """Say what there is instead, where a method looks for arrays in replies."""

    @functools.wraps(method)
    def aggregate(self: Any, server_round: int, replies: Iterable[Message]) -> Any:
        heard = list(replies)
        contents = []
        for reply in heard:
            if reply.has_content():
                contents.append(_Content(dict(reply.content)))
                reply.content = contents[-1]
        try:
            returned = method(self, server_round, heard)
        except P2PLError:
            raise
        except Exception as error:
            if not any(vars(content)["sought"] for content in contents):
                raise
            said = f"{_NO_ARRAYS} ({type(error).__name__}: {error})"
            raise ConfigError("strategy", type(self).__name__, said) from error
        if any(vars(content)["sought"] for content in contents):
            self._warn_once(f"{type(self).__name__}: {_NO_ARRAYS}")
        return returned

    return aggregate


_WATCHED = {
    "configure_train": _sends(messages.TRAIN),
    "configure_evaluate": _sends(messages.EVALUATE),
    "aggregate_train": _explains,
}
