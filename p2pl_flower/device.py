"""A device: what it does with its mailbox, its neighbor list and its own options.

This is the algorithm from one device's point of view, with no trace of Flower in it. A
`Device` holds no model between calls: its own publications in the relay are its memory, so
that it can be made anew for every message that reaches a device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import consensus
from .consensus import Claims, Model
from .errors import P2PLError
from .options import Options
from .relay import Mailbox, Slot
from .topology.neighborhood import Neighbor
from .weights import keep_answered

MODEL, CLAIMS = "model", "claims"


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
class Mixed:
    """A device's model before and after a consensus step, and what it took."""

    before: Model
    after: Model
    exchange: Exchange


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
        The algorithm's options; the same on all devices.
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
            self._claim(Claims.nothing(0, self.me.id), held=0, step=0)
            return
        sharing = self.options.shared
        sharing.check(model)
        self.mailbox.publish(Slot(MODEL, 0, 0), model, sharing.personal(model) if drawn else ())
        claims = Claims.of(sharing.part(model), self.options.max_norm_scope, self.me.id)
        self._claim(claims, held=0, step=0)

    def synchronize(self, step: int) -> Exchange:
        """Make step ``step`` (from 1) of max norm synchronization.

        Neighbors' claims, a few bytes each, are compared first; a model is fetched only
        from a neighbor that holds a stronger one. Links change from step to step as they
        later do from round to round.
        """
        [(_, entry), *_] = self.mailbox.recall(CLAIMS)
        claims, held = _claims(entry), int(entry["held"])
        asked = self._reachable(round_number=step, step=0)
        entries = self.mailbox.collect(asked, Slot(CLAIMS, 0, step - 1))
        others = {j: _claims(e) for j, e in entries.items() if e["norms"].size}
        groups = claims.norms.size or max([0, *(c.norms.size for c in others.values())])
        others = {j: c for j, c in others.items() if c.norms.shape == c.origins.shape == (groups,)}
        mine = claims if claims.norms.size else Claims.nothing(groups, self.me.id)
        holder = consensus.strongest(self.me.id, mine, others)
        sources = set(holder.tolist()) - {self.me.id}
        offers = self._fetch({j: int(entries[j]["held"]) for j in sources})
        merged = self._merge(offers, holder) if offers else None
        if merged is not None:
            had_none = not claims.norms.size  # then this is the common start
            held, claims = step, _chosen(mine, others, holder, offers)
            private = () if had_none else self.options.shared.personal(merged)
            self.mailbox.publish(Slot(MODEL, 0, step), merged, private)
        self._claim(claims, held, step)
        return Exchange(_sum_bytes(entries, offers), tuple(claims.origins.tolist()))

    def publish(self, round_number: int, step: int, model: Model) -> None:
        """Show neighbors the mixed arrays of a model; the others stay private."""
        private = model.keys() - self.options.shared.part(model).keys()
        self.mailbox.publish(Slot(MODEL, round_number, step), model, private)

    def mix(self, round_number: int, step: int) -> Mixed:
        """Make consensus step ``step`` (from 1) of a round with the neighbors that answer.

        The result is not published: after the last step of a round nobody asks for it.
        """
        slot = Slot(MODEL, round_number, step - 1)
        asked = self._reachable(round_number, step)
        received = self.mailbox.collect([self.me.id, *asked], slot)
        own = received.pop(self.me.id, None)
        if own is None:  # the device missed this round's training
            own = self.model()
        row = self.options.weights.row(self.me, self.neighbors)
        row = keep_answered(row, received, self.options.on_missing)
        part = self.options.shared.part(own)
        mixed = consensus.mix(part, received, row, self.options.consensus_gamma)
        return Mixed(own, {**own, **mixed}, Exchange(_sum_bytes(received)))

    def model(self) -> Model:
        """Return the device's current model.

        Raises
        ------
        P2PLError
            It has none yet.
        """
        kept = self.mailbox.recall(MODEL)
        if not kept:
            raise P2PLError(
                f"device {self.me.id} has no model: it drew none, and no neighbor's reached it"
            )
        return kept[0][1]

    def drift(self) -> Model | None:
        """Return the pull of the last consensus step; None where there was none yet."""
        kept = self.mailbox.recall(MODEL)
        (slot, after), *older = kept
        if slot.round == 0 or slot.step == 0 or not older:
            return None
        return consensus.drift(older[0][1], after, self.options.consensus_gamma)

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
        self, offers: dict[int, Model], holder: NDArray[np.int64]
    ) -> dict[str, NDArray[Any]] | None:
        """Put the strongest groups together; None while a device without a model lacks one."""
        kept = self.mailbox.recall(MODEL)
        own = kept[0][1] if kept else None
        template = next(iter(offers.values())) if own is None else own
        mixed = self.options.shared.part(template)
        for j, offer in offers.items():
            consensus.check_layout(mixed, self.options.shared.part(offer), f"device {j}")
        merged = dict(template)
        sources = np.broadcast_to(holder, len(mixed)).tolist()
        for name, source in zip(mixed, sources, strict=True):
            chosen = offers.get(source, own)
            if chosen is None:
                return None
            merged[name] = chosen[name]
        return merged


def _claims(entry: Model) -> Claims:
    return Claims(entry["norms"], entry["origins"])


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
