"""A device: what it does with its mailbox, its neighbor list and its own options.

This is decentralized learning from one device's point of view, with no trace of Flower in it.
A `Device` holds no model between calls: its own publications in the relay are its memory, so
that it can be made anew for every message that reaches a device.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..algorithms import State, Training, each
from ..algorithms.codecs import StepKey, moved, of_codec, with_codec, without_codec
from ..algorithms.max_norm import Candidates, choose, claims_of
from ..errors import ForgottenError, P2PLError
from ..named_arrays import Model
from ..options import Options
from ..relay import Mailbox, Slot
from ..relay.contents import (
    COPY,
    MODEL,
    STATE,
    Holding,
    adopted,
    check_names,
    flattened,
    from_publication,
    is_encoded,
    to_publication,
    unflattened,
)
from ..relay.mailbox import ages_of, fresh
from ..weights import StepWeights, keep_answered, row_of, told_weights, weaken_stale
from .exchange import Exchange, Step, as_arrays, put_together, sum_bytes
from .hearing import heard_messages

if TYPE_CHECKING:
    from ..topology.neighborhood import Neighbor

log = logging.getLogger("flwr.p2pl")

CANDIDATES, _BOUND = "candidates", "bound"
THERE, HEARD = "there", "heard"
"""Channels on which a device says that its message is there, and whom it has heard saying so."""


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
    without : frozenset[int]
        Neighbors that sit out the round: nothing of theirs is asked for.
    """

    me: Neighbor
    neighbors: Sequence[Neighbor]
    mailbox: Mailbox
    options: Options
    without: frozenset[int] = frozenset()

    def start(
        self,
        model: Model | None,
        drawn: bool = True,
        bound: NDArray[np.float64] | None = None,
    ) -> None:
        """Begin with an initial model, or with none, to be given one by a neighbor.

        Neighbors see all of a model that this device was given: it is the common start,
        which they may need as a whole. Of one that was ``drawn`` here they never see the
        arrays that stay at home. Claims of norms above ``bound``, shape (G,), are refused.
        """
        if model is None:
            self._stand(Candidates.nothing(0, self.me.id), held=0, step=0)
            return
        sharing = self.options.shared
        sharing.check(model)
        check_names(model)
        self.mailbox.publish(Slot(MODEL, 0, 0), model, sharing.personal(model) if drawn else ())
        if bound is not None:
            self.mailbox.publish(Slot(_BOUND, 0, 0), {_BOUND: bound}, [_BOUND])
        self._stand(self._candidates(model).within(bound), held=0, step=0)

    @property
    def has_begun(self) -> bool:
        """Whether the device holds a model other than one that it has just drawn."""
        kept = self.mailbox.recall(MODEL, newest=1)
        return bool(kept) and kept[0][0] != Slot(MODEL, 0, 0)

    def take_over(self, slot: Slot) -> None:
        """Go on from the first neighbor's model that is handed over, beside what stays at home.

        Raises ForgottenError where none is.
        """
        kept = self.mailbox.recall(MODEL, newest=1)
        own = from_publication(kept[0][1])[0] if kept else {}
        for neighbor in self.neighbors:
            for arrived in self.mailbox.collect([neighbor.id], slot, 0).values():
                if is_encoded(arrived):
                    continue
                model = adopted(own, arrived)
                private = model.keys() - self.options.shared.part(model).keys()
                return self.mailbox.publish(Slot(MODEL, 0, 1), model, private)
        rule = f"device {self.me.id} has lost its model, and no neighbor has handed one over"
        raise ForgottenError(rule)

    def synchronize(self, step: int) -> Exchange:
        """Make step ``step`` (from 1) of max norm synchronization.

        Neighbors' norms, a few bytes each, are compared first; a model is fetched only
        from a neighbor that holds a stronger one. One whose model has not the norm that it
        claims is refused. Links change from step to step as they later do from round to round.
        """
        [(_, entry)] = self.mailbox.recall(CANDIDATES, newest=1)
        own, held = Candidates(entry["norms"], entry["origins"]), int(entry["held"])
        asked = self._reachable(round_number=step, step=0)
        entries = self.mailbox.collect(asked, Slot(CANDIDATES, 0, step - 1))
        kept = self.mailbox.recall(_BOUND, newest=1)
        others = claims_of(entries, own.norms.size, kept[0][1][_BOUND] if kept else None)
        groups = next((c.norms.size for c in others.values()), own.norms.size)
        mine = own if own.norms.size else Candidates.nothing(groups, self.me.id)
        held_by = {j: int(entries[j]["held"].item()) for j in others}
        fetch = lambda sources: self._fetch({j: held_by[j] for j in sources})  # noqa: E731
        norms_of = lambda offer: self._candidates(offer).norms  # noqa: E731
        holder, offers, liars = choose(self.me.id, mine, others, fetch, norms_of)
        if liars:
            log.warning("device %d: devices %s name norms that are not so", self.me.id, liars)
        merged = self._merge(offers, holder) if offers else None
        if merged is not None:
            had_none = not own.norms.size  # then this is the common start
            held, own = step, mine.taking({j: others[j] for j in offers}, holder)
            private = () if had_none else self.options.shared.personal(merged)
            self.mailbox.publish(Slot(MODEL, 0, step), merged, private)
        self._stand(own, held, step)
        return Exchange(sum_bytes(entries, offers), tuple(own.origins.tolist()))

    def model(self) -> Model:
        """Return the device's current model.

        Raises
        ------
        ForgottenError
            It has none yet, or none any more.
        """
        return from_publication(self._newest()[1])[0]

    def holding(self) -> Holding:
        """Return what the device holds now, or raise as `model` does."""
        slot, publication = self._newest()
        model, message = from_publication(publication)
        states = self.mailbox.recall(STATE, newest=1) if self._keeps else []
        # another one is that of the run before, in a mailbox that outlives runs
        kept = next((state for at, state in states if at == slot._replace(channel=STATE)), None)
        return Holding(model, message, self._state(model, kept))

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

    def after_training(
        self, round_number: int, trained: Model, state: State, begun: Model | None = None
    ) -> None:
        """Show neighbors what the algorithm makes of a trained model.

        Where the options ask for privacy, what training had ``begun`` from is compared with what
        came of it, and what is made private takes its place here, too.

        Raises
        ------
        P2PLError
            That is not known: nothing is shown then.
        """
        if self.options.privacy.is_private:
            if begun is None:
                raise P2PLError("privacy takes what training began from, to compare with")
            part, draw = self.options.shared.part, np.random.default_rng()
            trained = {**trained, **self.options.privacy.applied(part(begun), part(trained), draw)}
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
                self.mailbox.publish(Slot(COPY, round_number, step), as_arrays(sent.public))
        publication, private = to_publication(holding.model, holding.message, encoded)
        if self._keeps:  # first, so that a message never lacks its state
            flat = flattened(state)
            self.mailbox.publish(Slot(STATE, round_number, step), flat, list(flat))
        self.mailbox.publish(Slot(MODEL, round_number, step), publication, private)
        if self.options.tells_heard:
            self.mailbox.publish(Slot(THERE, round_number, step), {THERE: np.zeros(0, np.uint8)})

    def hear(self, round_number: int, step: int) -> Exchange:
        """Find out whom the device hears in a step, and tell it, before any message is moved."""
        asked = self._reachable(round_number, step)
        there = fresh(self.mailbox.collect(asked, Slot(THERE, round_number, step - 1)))
        heard = np.array(sorted(there), np.int64)
        self.mailbox.publish(Slot(HEARD, round_number, step), {HEARD: heard})
        return Exchange({})

    def mix(self, round_number: int, step: int) -> Step:
        """Make consensus step ``step`` (from 1) of a round with the neighbors that answer.

        The result is not published: after the last step of a round nobody asks for it.
        """
        slot = Slot(MODEL, round_number, step - 1)
        weights, asked, told = self._weigh(round_number, step)
        collected = self.mailbox.collect([self.me.id, *asked], slot)
        ages, received = ages_of(collected), dict(collected)
        whole = self.options.algorithm.is_plain and self.options.coder.is_exact
        if told or not whole:  # what goes with it is of this step alone
            received = {j: publication for j, publication in received.items() if j not in ages}
        own = received.pop(self.me.id, None)
        holding = self._published(own, slot)
        heard = heard_messages(self.mailbox, self.options, holding, own, received, slot)
        row = weaken_stale(
            keep_answered(weights.row, heard.messages, self.options.on_missing), ages
        )
        algorithm, sent = self.options.algorithm, holding.message
        gamma = self.options.consensus_gamma * algorithm.mixing_step
        rule = self.options.mixing
        combine = algorithm.combine if rule.is_weighted_sum else rule.combine
        scale = weights.scale(row, gamma)  # else rows sum to 1, and it is 1
        mixed = combine(heard.public, heard.messages, {j: a / scale for j, a in row.items()}, gamma)
        mixed = as_arrays(mixed if scale == 1 else each(lambda array: scale * array, mixed))
        if not self.options.coder.is_exact:
            mixed = as_arrays(moved(sent, heard.public, mixed))
        state = without_codec(holding.state)
        model, state = algorithm.after_mixing(sent, mixed, state, gamma)
        after = Holding({**holding.model, **model}, mixed, with_codec(state, heard.kept))
        return Step(after, Exchange(sum_bytes(*heard.bodies), told=sum_bytes(told)))

    def _newest(self) -> tuple[Slot, Model]:
        kept = self.mailbox.recall(MODEL, newest=1)
        if not kept:
            raise ForgottenError(
                f"device {self.me.id} has no model: it drew none, and no neighbor's reached it"
            )
        return kept[0]

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
        algorithm, part = self.options.algorithm, self.options.shared.part(model)
        if self.me.devices is None:
            return algorithm.start(part, ())
        place = np.arange(self.me.devices) == self.me.id
        return algorithm.start_at(part, (), place.astype(np.float32))

    def _sending(self, trained: Model, state: State) -> Holding:
        part = self.options.shared.part(trained)
        message, own = self.options.algorithm.after_training(part, without_codec(state))
        return Holding(trained, as_arrays(message), with_codec(own, of_codec(state)))

    def _weigh(
        self, round_number: int, step: int
    ) -> tuple[StepWeights, list[int], Mapping[int, Model]]:
        """Return the weights of a step, whose messages to fetch, and what others told for it."""
        rule, me = self.options.weights, self.me
        if not self.options.tells_heard:
            row = row_of(rule, me, self.neighbors)
            return StepWeights(row), self._reachable(round_number, step), {}
        slot = Slot(HEARD, round_number, step)
        own = self.mailbox.collect([me.id], slot).get(me.id)
        mine = [] if own is None else own[HEARD].tolist()
        whom = self._listeners() if rule.column_stochastic else mine
        told = fresh(self.mailbox.collect(whom, slot))
        heard = {me.id: mine, **{j: entry[HEARD].tolist() for j, entry in told.items()}}
        weights = told_weights(rule, me, self.neighbors, heard)
        return weights, sorted(weights.row), told

    def _listeners(self) -> Sequence[int]:
        """Return who may hear the device: its neighbors, unless links are one-way."""
        return [j.id for j in self.neighbors] if self.me.listeners is None else self.me.listeners

    def _reachable(self, round_number: int, step: int) -> list[int]:
        ids = np.array([n.id for n in self.neighbors], dtype=np.int64)
        up = self.options.links.up(self.me.id, ids, round_number, step)
        found: list[int] = ids[np.broadcast_to(up, ids.shape)].tolist()
        return [j for j in found if j not in self.without]

    def _stand(self, candidates: Candidates, held: int, step: int) -> None:
        entry = {"norms": candidates.norms, "origins": candidates.origins, "held": np.array(held)}
        self.mailbox.publish(Slot(CANDIDATES, 0, step), entry)

    def _fetch(self, held: dict[int, int]) -> dict[int, Model]:
        offers: dict[int, Model] = {}
        for j in sorted(held):
            offers |= self.mailbox.collect([j], Slot(MODEL, 0, held[j]))
        return offers

    def _candidates(self, model: Model) -> Candidates:
        part = self.options.shared.part(model)
        return Candidates.of(part, self.options.max_norm_scope, self.me.id)

    def _merge(
        self, offers: dict[int, Model], holder: NDArray[np.int64]
    ) -> dict[str, NDArray[Any]] | None:
        """Put the strongest groups together; None while a device without a model lacks one."""
        kept = self.mailbox.recall(MODEL, newest=1)
        own = kept[0][1] if kept else None
        return put_together(own, offers, holder, self.options)
