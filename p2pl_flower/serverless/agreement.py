"""Whether a device and its neighbors start from the same initial model.

Nobody sees all devices. But where every device agrees with its neighbors, and the graph is
connected, all agree; and where they do not, the two ends of some link know it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..flower.messages import numbers_digest
from ..named_arrays import Model

log = logging.getLogger("flwr.p2pl")

_SEEDED = (
    "with init='seed' an init function must draw all of a model from the seed that it is given, "
    "by the same libraries on all devices; or begin anew with init='max-norm' on all devices"
)
_DIGEST_BYTES = 16
_DIGEST = re.compile(rf"[0-9a-f]{{{2 * _DIGEST_BYTES}}}")
_MOST_DEVICES, _LISTED = 1 << 31, 20
_WHAT_TO_DO = (
    "averaging unrelated models shrinks them; begin anew with sync-steps of at least the graph's "
    "diameter on all devices (0, one less than there are devices, always suffices), and start "
    "all of them before `start` seconds are over"
)


@dataclass(frozen=True)
class InitialModel:
    """What a device says of the initial model that it starts from.

    Attributes
    ----------
    digest : str
        Of the numbers of all arrays that are mixed, in hexadecimal digits.
    origins : tuple[int, ...]
        The devices that drew it, ascending: several where scope ``tensor`` put it together.
    """

    digest: str
    origins: tuple[int, ...]

    @classmethod
    def of(cls, model: Model, origins: Iterable[int]) -> InitialModel:
        """Describe the mixed arrays of a model, each of which was drawn by one of ``origins``."""
        return cls(numbers_digest(model), tuple(sorted(set(origins))))

    def to_json(self) -> dict[str, Any]:
        """Return it as a part of a greeting, and of a checkpoint."""
        return {"digest": self.digest, "origins": list(self.origins)}

    @classmethod
    def from_json(cls, said: object) -> InitialModel | None:
        """Read what `to_json` wrote; None where there is none, or none that can be read."""
        if not isinstance(said, Mapping):
            return None
        digest, origins = said.get("digest"), said.get("origins")
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            return None
        if not isinstance(origins, list) or not all(type(d) is int for d in origins):
            return None
        return cls(digest, tuple(d for d in origins if 0 <= d < _MOST_DEVICES))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return it as a publication."""
        digest = np.frombuffer(bytes.fromhex(self.digest), np.uint8)
        return {"digest": digest, "origins": np.array(self.origins, np.int64)}

    @classmethod
    def from_arrays(cls, arrays: Model) -> InitialModel:
        """Read what `to_arrays` made."""
        origins = arrays["origins"].reshape(-1).tolist()
        return cls(arrays["digest"].tobytes().hex(), tuple(origins))

    def __str__(self) -> str:
        """Return whose it is, for a sentence: of no device where all draw it themselves."""
        if not self.origins:
            return "its own draw from the run's seed"
        listed = ", ".join(map(str, self.origins[:_LISTED]))
        listed += ", ..." if len(self.origins) > _LISTED else ""
        return f"device {listed}" if len(self.origins) == 1 else f"devices {listed}"


class Agreement:
    """What a device knows of its own and its neighbors' initial models.

    Parameters
    ----------
    device : int
        Whose knowledge it is.

    Attributes
    ----------
    own : InitialModel or None
        What the device starts from; None until it does, or where each is to start from its own.
    """

    def __init__(self, device: int) -> None:
        self._device = device
        self.own: InitialModel | None = None
        self._heard: dict[int, InitialModel] = {}
        self._warned: set[int] = set()

    def hear(self, others: Mapping[int, InitialModel]) -> None:
        """Note what neighbors start from, and warn of those that are found to differ."""
        self._heard |= others
        news = [j for j in self.apart() if j not in self._warned]
        if not news:
            return
        self._warned |= set(news)
        listed = "; ".join(f"neighbor {j} from that of {self._heard[j]}" for j in news)
        log.warning(
            "device %d starts from the initial model of %s, but %s: %s",
            self._device,
            self.own,
            listed,
            _WHAT_TO_DO if self.own and self.own.origins else _SEEDED,
        )

    def heard_of(self, neighbor: int) -> InitialModel | None:
        """Return what a neighbor starts from, if it has said so."""
        return self._heard.get(neighbor)

    def apart(self) -> list[int]:
        """Return the neighbors that are known to start from another initial model."""
        heard = self._heard.items()
        return sorted(j for j, other in heard if self.own and other.digest != self.own.digest)

    def to_setup(self) -> dict[str, Any]:
        """Return what a history says of it.

        ``initial_model_of`` lists the devices that drew it; ``agrees`` is whether all neighbors
        that have been heard start from the same one, and None where none has.
        """
        if self.own is None:
            return {}
        apart = self.apart()
        agrees = not apart if self._heard else None
        told: dict[str, Any] = {"initial_model_of": list(self.own.origins), "agrees": agrees}
        return {**told, "disagrees_with": apart} if apart else told

    def to_json(self) -> dict[str, Any]:
        """Return all of it, by device, for a checkpoint."""
        own = {} if self.own is None else {self._device: self.own}
        return {str(d): model.to_json() for d, model in {**self._heard, **own}.items()}

    def restore(self, content: Mapping[str, Any]) -> None:
        """Take over what `to_json` returned."""
        read = {int(d): InitialModel.from_json(said) for d, said in content.items()}
        known = {d: model for d, model in read.items() if model is not None}
        self.own = known.pop(self._device, None)
        self._heard = known
