"""A device: what it does with its mailbox, its neighbor list and its own options.

This is the algorithm from one device's point of view, with no trace of Flower in it. A
`Peer` holds no model between calls: its own publications in the relay are its memory, so
that it can be made anew for every message that reaches a device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import consensus
from .consensus import Claims, Model
from .errors import P2PLError
from .neighbors import Neighbor
from .options import Options
from .relay import Mailbox, Slot
from .weights import keep_answered

MODEL, PRIVATE, CLAIMS = "model", "private", "claims"


@dataclass(frozen=True)
class Exchange:
    """What one exchange with neighbors brought.

    Attributes
    ----------
    asked : int
        Neighbors on the list, whether their links were up or not.
    received : dict[int, int]
        Bytes that arrived, by the device that sent them.
    origins : tuple[int, ...]
        In synchronization: whose initial model the device now holds, for each group.
    """

    asked: int
    received: dict[int, int] = field(default_factory=dict)
    origins: tuple[int, ...] = ()


@dataclass(frozen=True)
class Peer:
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
        The algorithm's options; the same on all devices.
    """

    me: Neighbor
    neighbors: Sequence[Neighbor]
    mailbox: Mailbox
    options: Options

    def start(self, model: Model | None) -> None:
        """Begin with an initial model, or with none, to be given one by a neighbor."""
        if model is None:
            self._claim(Claims.nothing(0, self.me.id), held=0, step=0)
            return
        self.mailbox.publish(Slot(MODEL, 0, 0), model)
        claims = Claims.of(model, self.options.max_norm_scope, self.me.id)
        self._claim(claims, held=0, step=0)

    def synchronize(self, step: int) -> Exchange:
        """Make step ``step`` (from 1) of max norm synchronization.

        Neighbors' claims, a few bytes each, are compared first; a model is fetched only
        from a neighbor that holds a stronger one.
        """
        [[(_, entry), *_], models] = self.mailbox.recall(CLAIMS, MODEL)
        claims, held = _claims(entry), int(entry["held"])
        entries = self.mailbox.collect(self._reachable(0, step), Slot(CLAIMS, 0, step - 1))
        others = {j: _claims(e) for j, e in entries.items() if e["norms"].size}
        if not claims.norms.size and others:
            groups = next(iter(others.values())).norms.size
            claims = Claims.nothing(groups, self.me.id)
        holder = consensus.strongest(self.me.id, claims, others)
        offers = self._fetch(
            {j: int(entries[j]["held"]) for j in set(holder.tolist()) & set(others)}
        )
        own = models[0][1] if models else None
        merged = self._merge(own, offers, holder)
        if merged is not None:
            held = step
            claims = _chosen(claims, others, holder, offers)
            self.mailbox.publish(Slot(MODEL, 0, step), merged)
        self._claim(claims, held, step)
        return Exchange(
            asked=len(self.neighbors),
            received=_sum_bytes(entries, offers),
            origins=tuple(claims.origins.tolist()),
        )

    def publish(self, round_number: int, model: Model) -> None:
        """Show neighbors the model after training; what is not mixed stays private."""
        private = _private_part(model)
        if private:
            self.mailbox.publish(Slot(PRIVATE, round_number, 0), private)
        self.mailbox.publish(Slot(MODEL, round_number, 0), consensus.mixed_part(model))

    def mix(self, round_number: int, step: int) -> Exchange:
        """Make consensus step ``step`` (from 1) of a round with the neighbors that answer."""
        before = Slot(MODEL, round_number, step - 1)
        received = self.mailbox.collect(self._reachable(round_number, step), before)
        row = self.options.weights.row(self.me, self.neighbors)
        row = keep_answered(row, received, self.options.on_loss)
        [[(_, own), *_]] = self.mailbox.recall(MODEL)
        mixed = consensus.mix(own, received, row, self.options.consensus_gamma)
        self.mailbox.publish(Slot(MODEL, round_number, step), mixed)
        return Exchange(asked=len(self.neighbors), received=_sum_bytes(received))

    def model(self) -> dict[str, NDArray[Any]]:
        """Return the device's current model, private arrays included, in their order.

        Raises
        ------
        P2PLError
            It has none yet.
        """
        return self.model_and_drift()[0]

    def model_and_drift(self) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]] | None]:
        """Return the current model and, if affinity asks for it, the last consensus's pull."""
        models, privates = self.mailbox.recall(MODEL, PRIVATE)
        if not models:
            raise P2PLError(
                f"device {self.me.id} has no model: it drew none, and no neighbor's reached it"
            )
        (slot, newest), *older = models
        model = whole(newest, privates[0][1] if privates else {})
        if not self.options.affinity or slot.round == 0 or slot.step == 0 or not older:
            return model, None
        return model, consensus.drift(older[0][1], newest, self.options.consensus_gamma)

    def _reachable(self, round_number: int, step: int) -> list[int]:
        ids = np.array([n.id for n in self.neighbors], dtype=np.int64)
        up = self.options.links.up(self.me.id, ids, round_number, step)
        return [int(j) for j in ids[np.broadcast_to(up, ids.shape)]]

    def _claim(self, claims: Claims, held: int, step: int) -> None:
        entry = {"norms": claims.norms, "origins": claims.origins, "held": np.array(held)}
        self.mailbox.publish(Slot(CLAIMS, 0, step), entry)

    def _fetch(self, held: dict[int, int]) -> dict[int, Model]:
        offers: dict[int, Model] = {}
        for j in sorted(held):
            offers |= self.mailbox.collect([j], Slot(MODEL, 0, held[j]))
        return offers

    def _merge(
        self, own: Model | None, offers: dict[int, Model], holder: NDArray[np.int64]
    ) -> dict[str, NDArray[Any]] | None:
        """Put the strongest groups together; None where nothing changes or one is missing."""
        if not offers:
            return None
        template = next(iter(offers.values())) if own is None else own
        for j, offer in offers.items():
            consensus.check_layout(template, offer, f"device {j}")
        sources = _by_array(template, holder)
        merged = dict(template)
        for name, source in sources.items():
            chosen = offers.get(source, own)
            if chosen is None:
                return None
            merged[name] = chosen[name]
        return merged


def whole(mixed: Model, private: Model) -> dict[str, NDArray[Any]]:
    """Put private arrays back into their places in a model."""
    model = dict(mixed)
    for place_and_name, array in private.items():
        place, name = int(place_and_name[:6]), place_and_name[6:]
        entries = [entry for entry in model.items() if entry[0] != name]
        model = dict([*entries[:place], (name, array), *entries[place:]])
    return model


def _claims(entry: Model) -> Claims:
    return Claims(entry["norms"], entry["origins"])


def _by_array(model: Model, holder: NDArray[np.int64]) -> dict[str, int]:
    """Return the device that holds the strongest version of each mixed array."""
    names = list(consensus.mixed_part(model))
    return dict(zip(names, np.broadcast_to(holder, len(names)).tolist(), strict=True))


def _chosen(
    own: Claims, others: dict[int, Claims], holder: NDArray[np.int64], offers: dict[int, Model]
) -> Claims:
    norms, origins = own.norms.copy(), own.origins.copy()
    for j in offers:
        taken = holder == j
        norms[taken], origins[taken] = others[j].norms[taken], others[j].origins[taken]
    return Claims(norms, origins)


def _sum_bytes(*arrived: dict[int, Model]) -> dict[int, int]:
    senders = sorted({j for models in arrived for j in models})
    return {j: sum(consensus.nbytes(m[j]) for m in arrived if j in m) for j in senders}


def _private_part(model: Model) -> dict[str, NDArray[Any]]:
    """Return the arrays that are not mixed, each name led by the array's place in the model."""
    return {
        f"{place:06d}{name}": array
        for place, (name, array) in enumerate(model.items())
        if not consensus.is_mixed(array)
    }
