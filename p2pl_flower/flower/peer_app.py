"""PeerApp: a Flower ClientApp whose devices average their models with their neighbors'.

It runs the user's own train and evaluate functions, mods and ``client_fn`` as they are, on
the device's own model. It still answers FedAvg, and every other Flower strategy, just as
`flwr.clientapp.ClientApp` does: that is what makes a comparison fair.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

from flwr.app import ArrayRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from ..device import Device, Step
from ..errors import P2PLError
from ..named_arrays import Model, conformed, layout
from ..relay import Relay, Slot, make_relay
from ..relay.contents import MODEL
from ..relay.tensors import not_finite
from . import client_fn as legacy
from . import failures, messages, records, told
from ._compat import registered
from .drawing import Drawing
from .local_steps import correcting
from .unsupported import refused_mod
from .user_functions import UserFunctions

InitFunction = Callable[[Context, int], ArrayRecord]
RelayFunction = Callable[[Context], Relay]

_DEFAULT = "default"


class PeerApp(UserFunctions):
    """A `ClientApp` that can also train peer to peer.

    Parameters
    ----------
    client_fn : Callable[[Context], Client], optional
        As in `ClientApp`, for projects with a `Client` or `NumPyClient`.
    mods : list[Mod], optional
        As in `ClientApp`. What train mods do to the reply (clipping and noise, say) is done
        before neighbors see the model.
    relay : Relay, str or Callable[[Context], Relay], optional
        How models get from device to device: the same kind that `P2PL` is given, by its name in
        `p2pl_flower.relay.RELAYS` or as a function of the context; `AutoRelay` unless given.

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
        relay: Relay | str | RelayFunction | None = None,
    ) -> None:
        given = client_fn and legacy.plain_numbers(client_fn)
        super().__init__(client_fn=given, mods=mods)
        self._relay = _checked(relay)
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
        made._relay, made._init = _checked(relay), init or made._init
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

    def train(self, action: str = _DEFAULT, *, mods: list[Any] | None = None) -> Callable[..., Any]:
        """Register a train function, as in `ClientApp`."""
        if action == _DEFAULT:
            self.mods += mods or []
        return super().train(action, mods=mods)

    def evaluate(
        self, action: str = _DEFAULT, *, mods: list[Any] | None = None
    ) -> Callable[[Any], Any]:
        """Register an evaluate function, as in `ClientApp`.

        Without one for the default action nothing is scored.
        """
        self._evaluates = self._evaluates or action == _DEFAULT
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
            messages.HEAR: self._answer_hear,
            messages.MIX: self._answer_mix,
            messages.EVALUATE: self._answer_evaluate,
            messages.MODEL: self._answer_model,
        }
        kind = message.metadata.message_type
        if kind in handlers:
            return handlers[kind](message, context)
        if kind == "train" and messages.RECORD in message.content:
            return self._train_and_score(message, context)
        return self._run(message, context)

    def _answer_join(self, message: Message, context: Context) -> Message:
        entry: dict[str, Any] = {
            messages.PARTITION: int(context.node_config.get("partition-id", -1)),
            messages.DRAWS: self._init is not None,
            messages.EVALUATES: self._evaluates,
            messages.OFFERS: self._legacy,
            messages.VERSION: version("p2pl-flower"),
            messages.REFUSED_MOD: refused_mod(self.mods),
        }
        if address := self._relay_of(context).at(context.node_config).address():
            entry[messages.ADDRESS] = address
        return records.reply_to(message, entry)

    def _answer_init(self, message: Message, context: Context) -> Message:
        order, device = self._open(message, context)
        if messages.ADOPT_ROUND in order and device.has_begun:
            return records.reply_to(message, {messages.LAYOUT: ""})  # it has lost nothing
        model: Model | None = None
        drawn, bound = False, None
        said: dict[str, Any] = {}
        if message.content.array_records:
            [arrays] = message.content.array_records.values()
            model = messages.to_model(arrays)
        elif order.get(messages.OWN_PARAMETERS, False):
            model = messages.to_model(self._parameters(message, context))
        elif self._init is not None and device.options.init != "shared":
            draws = Drawing(functools.partial(self._init, context), device.options)
            model, drawn, said = draws.model(device.me.id), True, draws.told()
            bound = draws.bound()
        device.start(model, drawn, bound)
        if messages.ADOPT_ROUND in order:
            device.take_over(Slot(MODEL, order[messages.ADOPT_ROUND], order[messages.ADOPT_STEP]))
        if model is None:
            return records.reply_to(message, {messages.LAYOUT: ""})
        part = device.options.shared.part(model)
        said[messages.LAYOUT] = messages.layout_digest(part)
        if name := not_finite(part):
            said[messages.NOT_FINITE] = name
        return records.reply_to(message, said)

    def _parameters(self, message: Message, context: Context) -> ArrayRecord:
        """Return what a ``client_fn`` client's ``get_parameters`` returns."""
        asked = self._as(legacy.ASK_PARAMETERS, message, context, legacy.ask_for_parameters())
        return legacy.parameters_in(asked.content)

    def _answer_sync(self, message: Message, context: Context) -> Message:
        order, device = self._open(message, context)
        exchange = device.synchronize(order[messages.STEP])
        return records.reply_to(message, records.exchange_entry(exchange))

    def _answer_hear(self, message: Message, context: Context) -> Message:
        order, device = self._open(message, context)
        exchange = device.hear(order[messages.MIX_ROUND], order[messages.MIX_STEP])
        return records.reply_to(message, records.exchange_entry(exchange))

    def _answer_mix(self, message: Message, context: Context) -> Message:
        order, device = self._open(message, context)
        step = self._mix(device, order)
        self._publish(device, order, step)
        return records.reply_to(message, records.exchange_entry(step.exchange))

    def _answer_model(self, message: Message, context: Context) -> Message:
        """Answer with the arrays that neighbors may see: the strategy's ``result`` asks for it."""
        _, device = self._open(message, context)
        takes = device.options.shared.takes
        shown = {name: array for name, array in device.model().items() if takes(name)}
        return Message(RecordDict({"arrays": messages.to_arrays(shown)}), reply_to=message)

    def _answer_train(self, message: Message, context: Context) -> Message:
        order, device = self._open(message, context)
        step = self._mix(device, order) if messages.MIX_STEP in order else None
        exchange = step.exchange if step else None
        model, correction, state = device.before_training(
            step.holding if step else device.holding()
        )
        content = records.with_arrays(message.content, order[messages.ARRAYS_KEY], model)
        before = layout(model)
        begun = model if device.options.privacy.is_private else None
        del step, model  # while the user's function runs, the message alone holds it
        algorithm = device.options.algorithm
        try:
            with correcting(algorithm.corrects, correction) as used:
                reply = self._as("train", message, context, content, before)
        except P2PLError:
            if exchange is not None:  # the device goes on from where the mixing brought it
                self._publish(device, order, self._mix(device, order))
            raise
        used.require_use(algorithm.name)
        trained = messages.to_model(records.only_arrays(reply.content))
        device.after_training(order[messages.ROUND], conformed(before, trained), state, begun)
        records.take_arrays(reply.content)
        return records.filtered(reply, exchange)

    def _answer_evaluate(self, message: Message, context: Context) -> Message:
        order, device = self._open(message, context)
        exchange = None
        if messages.MIX_STEP in order:
            step = self._mix(device, order)
            self._publish(device, order, step)
            model, exchange = step.holding.model, step.exchange
            del step  # the message before the step makes room for the model's
        else:
            model = device.model()
        content = records.with_arrays(message.content, order[messages.ARRAYS_KEY], model)
        del model
        try:
            reply = self._as("evaluate", message, context, content)
        except P2PLError as error:
            if messages.SAY_WHY not in order or not failures.is_the_functions(str(error)):
                raise
            why = {messages.UNSCORED_WHY: str(error)}
            return records.reply_to(message, {**records.exchange_entry(exchange), **why})
        return records.filtered(reply, exchange)

    def _mix(self, device: Device, order: Mapping[str, Any]) -> Step:
        """Make the consensus step that the order asks for."""
        return device.mix(order[messages.MIX_ROUND], order[messages.MIX_STEP])

    def _publish(self, device: Device, order: Mapping[str, Any], step: Step) -> None:
        """Show neighbors what the device holds after the consensus step of the order."""
        device.publish(order[messages.MIX_ROUND], order[messages.MIX_STEP], step.holding)

    def _relay_of(self, context: Context) -> Relay:
        return self._relay if isinstance(self._relay, Relay) else self._relay(context)

    def _open(self, message: Message, context: Context) -> tuple[dict[str, Any], Device]:
        """Return the order in a message, and the device that it is for."""
        order: dict[str, Any] = dict(message.content.config_records[messages.RECORD])
        number = int(order[messages.DEVICE])
        mailbox = self._relay_of(context).at(context.node_config).mailbox(context.run_id, number)
        me, neighbors, options = told.keep(mailbox, order)
        without = frozenset(order.get(messages.MIX_WITHOUT, ()))
        return order, Device(me, neighbors, mailbox, options, without)


def _checked(given: Relay | str | RelayFunction | None) -> Relay | RelayFunction:
    """Return a relay, or what gives a device its own."""
    return given if callable(given) and not isinstance(given, Relay) else make_relay(given)
