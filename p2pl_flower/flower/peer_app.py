"""PeerApp: a Flower ClientApp whose devices average their models with their neighbors'.

It runs the user's own train and evaluate functions, mods and ``client_fn`` as they are, on
the device's own model. It still answers FedAvg, and every other Flower strategy, just as
`flwr.clientapp.ClientApp` does: that is what makes a comparison fair.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any, cast

from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from ..consensus import Layout, conformed, layout
from ..device import Device, Step
from ..relay import FileRelay, Relay
from ..seeding import Stream, derive
from . import messages, records
from ._compat import registered
from .client_fn import from_client, is_legacy, to_client
from .local_steps import correcting
from .unsupported import refused_mod

InitFunction = Callable[[Context, int], ArrayRecord]


_CATEGORIES = ("train", "evaluate")


class PeerApp(ClientApp):
    """A `ClientApp` that can also train peer to peer.

    Parameters
    ----------
    client_fn : Callable[[Context], Client], optional
        As in `ClientApp`, for projects with a `Client` or `NumPyClient`.
    mods : list[Mod], optional
        As in `ClientApp`. What train mods do to the reply (clipping and noise, say) is done
        before neighbors see the model.
    relay : Relay, optional
        How models get from device to device; `FileRelay` unless given.

    Attributes
    ----------
    mods : list[Mod]
        Those of the app and of its train function.

    Examples
    --------
    ::

        app = PeerApp()  # was: app = ClientApp()

        @app.init()  # optional: devices draw their own initial models
        def init(context: Context, seed: int) -> ArrayRecord:
            torch.manual_seed(seed)
            return ArrayRecord(Net().state_dict())

        @app.train()  # as before
        def train(message: Message, context: Context) -> Message: ...
    """

    def __init__(
        self,
        client_fn: Callable[[Context], Any] | None = None,
        mods: list[Any] | None = None,
        *,
        relay: Relay | None = None,
    ) -> None:
        super().__init__(client_fn=client_fn, mods=mods)
        self._relay = FileRelay() if relay is None else relay
        self._init: InitFunction | None = None
        self._legacy = self._evaluates = client_fn is not None
        self.mods = list(mods or [])

    @classmethod
    def adopt(cls, app: ClientApp, relay: Relay, init: InitFunction | None = None) -> PeerApp:
        """Return a PeerApp with the functions of any ClientApp, which stays as it is.

        Parameters
        ----------
        app : ClientApp
            A `PeerApp`, or an app that knows nothing of peers.
        relay : Relay
            How models get from device to device.
        init : InitFunction, optional
            Draws the initial model, in place of what was registered by ``@app.init()``.
        """
        made = cls(relay=relay)
        # All that a ClientApp is made of is what was registered with it.
        vars(made).update(vars(app))
        if not isinstance(app, PeerApp):
            made._legacy, made._evaluates, made.mods = registered(app)
        made._relay, made._init = relay, init or made._init
        return made

    def init(self) -> Callable[[InitFunction], InitFunction]:
        """Register the function that draws a device's own initial model.

        It gets the context and a seed of the device's own, and returns the arrays. Without
        it, all devices start from the strategy's ``initial_arrays``.
        """

        def decorator(function: InitFunction) -> InitFunction:
            self._init = function
            return function

        return decorator

    def train(
        self, action: str = "default", *, mods: list[Any] | None = None
    ) -> Callable[..., Any]:
        """Register a train function, as in `ClientApp`."""
        self.mods += mods or []
        return super().train(action, mods=mods)

    def evaluate(
        self, action: str = "default", *, mods: list[Any] | None = None
    ) -> Callable[[Any], Any]:
        """Register an evaluate function, as in `ClientApp`; without one nothing is scored."""
        self._evaluates = True
        return super().evaluate(action, mods=mods)

    @property
    def evaluates(self) -> bool:
        """Whether an evaluate function is registered."""
        return self._evaluates

    def __call__(self, message: Message, context: Context) -> Message:
        """Answer one message: our own actions here, all others as `ClientApp` does."""
        handlers = {
            messages.JOIN: self._answer_join,
            messages.INIT: self._answer_init,
            messages.SYNC: self._answer_sync,
            messages.TRAIN: self._answer_train,
            messages.MIX: self._answer_mix,
            messages.EVALUATE: self._answer_evaluate,
        }
        kind = message.metadata.message_type
        if kind in handlers:
            return handlers[kind](message, context)
        if kind == "train":
            return self._train_and_score(message, context)
        return self._run(message, context)

    def _run(self, message: Message, context: Context) -> Message:
        """Run the user's function, translating for a ``client_fn`` where that is needed."""
        category, content = message.metadata.message_type, message.content
        if not self._legacy or category not in _CATEGORIES or is_legacy(content):
            return super().__call__(message, context)
        message.content = to_client(category, content)
        reply = super().__call__(message, context)
        message.content = content
        if reply.has_content():
            reply.content = from_client(category, reply.content)
        return reply

    def _answer_join(self, message: Message, context: Context) -> Message:
        entry: dict[str, Any] = {
            "partition-id": int(context.node_config.get("partition-id", -1)),
            "draws": self._init is not None,
            "evaluates": self._evaluates,
            "version": version("p2pl-flower"),
            "refused-mod": refused_mod(self.mods),
        }
        if address := self._relay.at(context.node_config).address():
            entry["address"] = address
        return records.reply_to(message, entry)

    def _answer_init(self, message: Message, context: Context) -> Message:
        order = message.content.config_records[messages.RECORD]
        context.state[messages.RECORD] = order
        device = self._device(context)
        model, drawn = None, False
        if message.content.array_records:
            [arrays] = message.content.array_records.values()
            model = messages.to_model(arrays)
        elif self._init is not None and device.options.init != "shared":
            seed = derive(device.options.seed, Stream.INIT, device.me.id)
            model, drawn = messages.to_model(self._init(context, seed)), True
        device.start(model, drawn)
        digest = "" if model is None else messages.layout_digest(device.options.shared.part(model))
        return records.reply_to(message, {"layout": digest})

    def _answer_sync(self, message: Message, context: Context) -> Message:
        order = self._note(message, context)
        exchange = self._device(context).synchronize(order["step"])
        return records.reply_to(message, records.exchange_entry(exchange))

    def _answer_mix(self, message: Message, context: Context) -> Message:
        order = self._note(message, context)
        step = self._mix(self._device(context), order, publish=True)
        return records.reply_to(message, records.exchange_entry(step.exchange))

    def _answer_train(self, message: Message, context: Context) -> Message:
        order = self._note(message, context)
        device = self._device(context)
        step = self._mix(device, order, publish=False) if messages.MIX_STEP in order else None
        exchange = step.exchange if step else None
        model, correction, state = device.before_training(
            step.holding if step else device.holding()
        )
        content = records.with_arrays(message.content, order["arrays-key"], model)
        before = layout(model)
        del step, model  # while the user's function runs, the message alone holds it
        algorithm = device.options.algorithm
        with correcting(algorithm.corrects, correction) as used:
            reply = self._as("train", message, context, content, before)
        if reply.has_error():
            return reply
        used.require_use(algorithm.name)
        trained = messages.to_model(records.only_arrays(reply.content))
        device.after_training(order["round"], conformed(before, trained), state)
        for key in list(reply.content.array_records):
            del reply.content[key]
        return records.with_exchange(reply, exchange)

    def _answer_evaluate(self, message: Message, context: Context) -> Message:
        order = self._note(message, context)
        device = self._device(context)
        step = self._mix(device, order, publish=True) if messages.MIX_STEP in order else None
        exchange = step.exchange if step else None
        model = step.holding.model if step else device.model()
        del step  # the message before the step makes room for the model's
        content = records.with_arrays(message.content, order["arrays-key"], model)
        del model
        return records.with_exchange(self._as("evaluate", message, context, content), exchange)

    def _mix(self, device: Device, order: dict[str, Any], publish: bool) -> Step:
        """Make the consensus step that the order asks for."""
        round_number, number = order[messages.MIX_ROUND], order[messages.MIX_STEP]
        step = device.mix(round_number, number)
        if publish:
            device.publish(round_number, number, step.holding)
        return step

    def _train_and_score(
        self, message: Message, context: Context, before: Layout | None = None
    ) -> Message:
        """Run the train function and, in rounds that the config names, the evaluate function.

        The scores are added to the train metrics with a prefix, under every strategy alike. A
        model that does not fit the one ``before`` is refused before a function trips over it.
        """
        received, config = records.without_score_config(message.content)
        scored = records.is_scored(received)
        message.content = RecordDict(dict(received))  # which functions may change
        reply = self._run(message, context)
        if reply.has_error() or not scored:
            return reply
        arrays_key = next(iter(received.array_records))
        arrays = records.only_arrays(reply.content)
        if before is not None:
            conformed(before, messages.to_model(arrays))
        trained = RecordDict({**received, **config, arrays_key: arrays})
        scores = self._as("evaluate", message, context, trained)
        if scores.has_error():
            return scores
        records.add_scores(
            records.only_metrics(reply.content), records.only_metrics(scores.content)
        )
        return reply

    def _as(
        self,
        category: str,
        message: Message,
        context: Context,
        content: Any,
        before: Layout | None = None,
    ) -> Message:
        """Run the user's function of a category as if ``content`` had come for it."""
        kept = message.metadata.message_type, message.content
        message.metadata.message_type, message.content = category, content
        try:
            if category == "train":
                reply = self._train_and_score(message, context, before)
            else:
                reply = self._run(message, context)
        finally:
            message.metadata.message_type, message.content = kept
        if reply.has_error():  # some mods answer their own reply, as if it came from the server
            return Message(reply.error, reply_to=message)
        reply.metadata.message_type = kept[0]
        return reply

    def _note(self, message: Message, context: Context) -> dict[str, Any]:
        """Keep a new neighbor list, if one came, and return the order that came with it."""
        order = dict(message.content.config_records[messages.RECORD])
        if "id" in order:
            state = cast("ConfigRecord", context.state[messages.RECORD])
            rest = {k: v for k, v in state.items() if not k.startswith("neighbor-")}
            news = {k: v for k, v in order.items() if k.startswith("neighbor-") or k in rest}
            context.state[messages.RECORD] = ConfigRecord({**rest, **news})
        return order

    def _device(self, context: Context) -> Device:
        state = context.state.config_records[messages.RECORD]
        me, neighbors = messages.neighbors_from_config(state)
        mailbox = self._relay.at(context.node_config).mailbox(context.run_id, me.id)
        mailbox.meet({n.id: n.address for n in neighbors})
        return Device(me, neighbors, mailbox, messages.options_from_config(state))
