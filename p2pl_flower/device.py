"""A device: what it does with its mailbox, its neighbor list and its own options.

This is decentralized learning from one device's point of view, with no trace of Flower in it.
A `Device` holds no model between calls: its own publications in the relay are its memory, so
that it can be made anew for every message that reaches a device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import named_arrays
from .algorithms import State, Training
from .algorithms.codecs import StepKey, moved, of_codec, with_codec, without_codec
from .algorithms.max_norm import Candidates, strongest
from .algorithms.mixing import Weighted
from .errors import ForgottenError
from .named_arrays import Model
from .options import Options
from .relay import Mailbox, Slot
from .relay.contents import (
    COPY,
    MODEL,
    STATE,
    Holding,
    adopted,
    check_names,
    encoded_of,
    flattened,
    from_publication,
    is_encoded,
    message_of,
    to_publication,
    unflattened,
)
from .topology.neighborhood import Neighbor
from .weights import keep_answered, row_of

CANDIDATES = "candidates"


@dataclass(frozen=True)
class Exchange:
    """What one exchange with neighbors brought.

    Attributes
    ----------
    received : Mapping[int, int]
        Bytes that arrived, by the device that sent them.
    origins : tuple[int, ...]
        In synchronization: whose initial model the device now holds, for each group.
    """

    received: Mapping[int, int]
    origins: tuple[int, ...] = ()


@dataclass(frozen=True)
class Step:
    """What a device holds after a consensus step, and what it took."""

    holding: Holding
    exchange: Exchange


@dataclass(frozen=True)
class _Heard:
    """The messages of a step as devices know them, the own among them, and what they took."""

    public: Model
    messages: Mapping[int, Model]
    kept: State
    bodies: tuple[Mapping[int, Model], ...]


@dataclass(frozen=True)
class Device:
    """One device at one moment.

    Parameters
    ----------
    me : Neighbor
        What neighbors know of this device: id, degree, samples.
    neighbors : Sequence[Neighbor]
        Its neighbor list, in ascending order of ids.
    mailbox : Mailbox
        Its access to the relay.
    options : Options
        The algorithm and its options; the same on all devices.
    """

    me: Neighbor
    neighbors: Sequence[Neighbor]
    mailbox: Mailbox
    options: Options

    def start(self, model: Model | None, drawn: bool = True) -> None:
        """Begin with an initial model, or with none, to be given one by a neighbor.

        Neighbors see all of a model that this device was given: it is the common start,
        which they may need as a whole. Of one that was ``drawn`` here they never see the
        arrays that stay at home.
        """
        if model is None:
            self._stand(Candidates.nothing(0, self.me.id), held=0, step=0)
            return
        sharing = self.options.shared
        sharing.check(model)
        check_names(model)
        self.mailbox.publish(Slot(MODEL, 0, 0), model, sharing.personal(model) if drawn else ())
        candidates = Candidates.of(sharing.part(model), self.options.max_norm_scope, self.me.id)
        self._stand(candidates, held=0, step=0)

    @property
    def has_begun(self) -> bool:
        """Whether the device holds a model other than one that it has just drawn."""
        kept = self.mailbox.recall(MODEL, newest=1)
        return bool(kept) and kept[0][0] != Slot(MODEL, 0, 0)

    def take_over(self, slot: Slot) -> None:
        """Go on from what the first neighbor that hands its model over shows of it.

        Arrays that stay at home are those that the device has drawn, if it has.

        Raises
        ------
        ForgottenError
            No neighbor hands over a model.
        """
        kept = self.mailbox.recall(MODEL, newest=1)
        own = from_publication(kept[0][1])[0] if kept else {}
        for neighbor in self.neighbors:
            arrived = self.mailbox.collect([neighbor.id], slot).get(neighbor.id)
            if arrived is not None and not is_encoded(arrived):
                model = adopted(own, arrived)
                private = model.keys() - self.options.shared.part(model).keys()
                self.mailbox.publish(Slot(MODEL, 0, 1), model, private)
                return
        raise ForgottenError(
            f"device {self.me.id} has lost its model, and no neighbor has handed one over"
        )

    def synchronize(self, step: int) -> Exchange:
        """Make step ``step`` (from 1) of max norm synchronization.

        Neighbors' norms, a few bytes each, are compared first; a model is fetched only
        from a neighbor that holds a stronger one. Links change from step to step as they
        later do from round to round.
        """
        [(_, entry)] = self.mailbox.recall(CANDIDATES, newest=1)
        own, held = _candidates(entry), int(entry["held"])
        asked = self._reachable(round_number=step, step=0)
        entries = self.mailbox.collect(asked, Slot(CANDIDATES, 0, step - 1))
        others = {j: _candidates(e) for j, e in entries.items() if e["norms"].size}
        groups = own.norms.size or max([0, *(c.norms.size for c in others.values())])
        others = {j: c for j, c in others.items() if c.norms.shape == c.origins.shape == (groups,)}
        mine = own if own.norms.size else Candidates.nothing(groups, self.me.id)
        holder = strongest(self.me.id, mine, others)
        sources = set(holder.tolist()) - {self.me.id}
        offers = self._fetch({j: int(entries[j]["held"]) for j in sources})
        merged = self._merge(offers, holder) if offers else None
        if merged is not None:
            had_none = not own.norms.size  # then this is the common start
            held, own = step, mine.taking({j: others[j] for j in offers}, holder)
            private = () if had_none else self.options.shared.personal(merged)
            self.mailbox.publish(Slot(MODEL, 0, step), merged, private)
        self._stand(own, held, step)
        return Exchange(_sum_bytes(entries, offers), tuple(own.origins.tolist()))

    def model(self) -> Model:
        """Return the device's current model.

        Raises
        ------
        ForgottenError
            It has none yet, or none any more.
        """
        return self._newest()[0]

    def holding(self) -> Holding:
        """Return what the device holds now, or raise as `model` does."""
        model, message = self._newest()
        states = self.mailbox.recall(STATE, newest=1) if self._keeps else []
        return Holding(model, message, self._state(model, states[0][1] if states else None))

    @property
    def _keeps(self) -> bool:
        """Whether anything beside the model is kept."""
        return not self.options.algorithm.is_plain or self.options.coder.keeps

    def before_training(self, holding: Holding) -> Training:
        """Return the whole model to train from, the correction of local steps, and the state."""
        part = self.options.shared.part(holding.model)
        algorithm, coder = self.options.algorithm, self.options.coder
        kept = of_codec(holding.state)
        if not coder.is_exact:
            kept = coder.begin(part, kept)
        model, correction, state = algorithm.before_training(part, without_codec(holding.state))
        return Training({**holding.model, **model}, correction, with_codec(state, kept))

    def after_training(self, round_number: int, trained: Model, state: State) -> None:
        """Show neighbors what the algorithm makes of a trained model."""
        self.publish(round_number, 0, self._sending(trained, state))

    def publish(self, round_number: int, step: int, holding: Holding) -> None:
        """Show neighbors the message of what the device holds; the rest stays private.

        After a round's last step nobody mixes it: then a codec leaves it as it is.
        """
        state, encoded, coder = holding.state, None, self.options.coder
        if not coder.is_exact and 0 <= step < self.options.consensus_steps:
            key = StepKey(self.options.seed, round_number, step)
            sent = coder.send(holding.message, of_codec(state), key)
            state, encoded = with_codec(state, sent.kept), sent.encoded
            if coder.memory.adds_up:
                self.mailbox.publish(Slot(COPY, round_number, step), _as_arrays(sent.public))
        publication, private = to_publication(holding.model, holding.message, encoded)
        if self._keeps:  # first, so that a message never lacks its state
            flat = flattened(state)
            self.mailbox.publish(Slot(STATE, round_number, step), flat, list(flat))
        self.mailbox.publish(Slot(MODEL, round_number, step), publication, private)

    def mix(self, round_number: int, step: int) -> Step:
        """Make consensus step ``step`` (from 1) of a round with the neighbors that answer.

        The result is not published: after the last step of a round nobody asks for it.
        """
        slot = Slot(MODEL, round_number, step - 1)
        asked = self._reachable(round_number, step)
        received = dict(self.mailbox.collect([self.me.id, *asked], slot))
        own = received.pop(self.me.id, None)
        holding = self._published(own, slot)
        heard = self._heard(holding, own, received, slot)
        row = row_of(self.options.weights, self.me, self.neighbors)
        row = keep_answered(row, heard.messages, self.options.on_missing)
        algorithm, sent = self.options.algorithm, holding.message
        gamma = self.options.consensus_gamma * algorithm.mixing_step
        rule = self.options.mixing
        combine = algorithm.combine if isinstance(rule, Weighted) else rule.combine
        mixed = _as_arrays(combine(heard.public, heard.messages, row, gamma))
        if not self.options.coder.is_exact:
            mixed = _as_arrays(moved(sent, heard.public, mixed))
        state = without_codec(holding.state)
        model, state = algorithm.after_mixing(sent, mixed, state, gamma)
        after = Holding({**holding.model, **model}, mixed, with_codec(state, heard.kept))
        return Step(after, Exchange(_sum_bytes(*heard.bodies)))

    def _heard(
        self, holding: Holding, own: Model | None, received: Mapping[int, Model], slot: Slot
    ) -> _Heard:
        """Return what the own message and the neighbors' are worth in a step."""
        coder, sent, kept = self.options.coder, holding.message, of_codec(holding.state)
        if coder.is_exact:
            messages = {j: message_of(publication) for j, publication in received.items()}
            for j, message in sorted(messages.items()):
                named_arrays.check_layout(sent, message, f"device {j}")
            return _Heard(sent, messages, {}, (messages,))
        key = StepKey(self.options.seed, slot.round, slot.step)
        arrived = {j: encoded_of(publication) for j, publication in received.items()}
        public = coder.own(None if own is None else encoded_of(own), sent, kept, key)

        def fetch(devices: Sequence[int]) -> Mapping[int, Model]:
            return self.mailbox.collect(devices, slot._replace(channel=COPY))

        heard = coder.hear(arrived, sent, kept, key, fetch, self.mailbox.refuse)
        used = {j: arrived[j] for j in heard.messages}
        return _Heard(public, heard.messages, heard.kept, (used, heard.fetched))

    def _newest(self) -> tuple[Model, Model]:
        kept = self.mailbox.recall(MODEL, newest=1)
        if not kept:
            raise ForgottenError(
                f"device {self.me.id} has no model: it drew none, and no neighbor's reached it"
            )
        return from_publication(kept[0][1])

    def _published(self, own: Model | None, slot: Slot) -> Holding:
        """Return what the device holds as it stood in a slot."""
        if own is None:  # it missed this round's training: it sends what it would have then
            model, _, state = self.before_training(self.holding())
            return self._sending(model, state)
        model, message = from_publication(own)
        kept = self._kept_state(slot) if self._keeps else {}
        return Holding(model, message, self._state(model, kept))

    def _kept_state(self, slot: Slot) -> Model | None:
        me = self.me.id
        return self.mailbox.collect([me], slot._replace(channel=STATE)).get(me)

    def _state(self, model: Model, kept: Model | None) -> State:
        if kept is not None:
            return unflattened(kept)
        return self.options.algorithm.start(self.options.shared.part(model), ())

    def _sending(self, trained: Model, state: State) -> Holding:
        part = self.options.shared.part(trained)
        message, own = self.options.algorithm.after_training(part, without_codec(state))
        return Holding(trained, _as_arrays(message), with_codec(own, of_codec(state)))

    def _reachable(self, round_number: int, step: int) -> list[int]:
        ids = np.array([n.id for n in self.neighbors], dtype=np.int64)
        up = self.options.links.up(self.me.id, ids, round_number, step)
        return [int(j) for j in ids[np.broadcast_to(up, ids.shape)]]

    def _stand(self, candidates: Candidates, held: int, step: int) -> None:
        entry = {"norms": candidates.norms, "origins": candidates.origins, "held": np.array(held)}
        self.mailbox.publish(Slot(CANDIDATES, 0, step), entry)

    def _fetch(self, held: dict[int, int]) -> dict[int, Model]:
        offers: dict[int, Model] = {}
        for j in sorted(held):
            offers |= self.mailbox.collect([j], Slot(MODEL, 0, held[j]))
        return offers

    def _merge(
        self, offers: dict[int, Model], holder: NDArray[np.int64]
    ) -> dict[str, NDArray[Any]] | None:
        """Put the strongest groups together; None while a device without a model lacks one."""
        kept = self.mailbox.recall(MODEL, newest=1)
        own = kept[0][1] if kept else None
        template = next(iter(offers.values())) if own is None else own
        mixed = self.options.shared.part(template)
        for j, offer in offers.items():
            named_arrays.check_layout(mixed, self.options.shared.part(offer), f"device {j}")
        merged = dict(template)
        sources = np.broadcast_to(holder, len(mixed)).tolist()
        for name, source in zip(mixed, sources, strict=True):
            chosen = offers.get(source, own)
            if chosen is None:
                return None
            merged[name] = chosen[name]
        return merged


def _candidates(entry: Model) -> Candidates:
    return Candidates(entry["norms"], entry["origins"])


def _as_arrays(arrays: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return NumPy's numbers, which its operators make of arrays of no dimension, as arrays."""
    return {name: np.asarray(array) for name, array in arrays.items()}


def _sum_bytes(*arrived: Mapping[int, Model]) -> dict[int, int]:
    senders = sorted({j for models in arrived for j in models})
    return {j: sum(named_arrays.nbytes(m[j]) for m in arrived if j in m) for j in senders}
