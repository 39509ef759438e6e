"""What the strategy and the devices say to each other, as Flower records.

No model is among it, but for the initial arrays that one device is given where the devices
draw none of their own.
"""

from __future__ import annotations

import functools
import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord
from numpy.typing import NDArray

from .. import named_arrays
from ..errors import ConfigError, LayoutError
from ..named_arrays import Model
from ..options import Options
from ..topology.neighborhood import Neighbor

JOIN = "query.p2pl_join"
INIT = "query.p2pl_init"
SYNC = "query.p2pl_sync"
TRAIN = "train.p2pl"
HEAR = "query.p2pl_hear"
MIX = "query.p2pl_mix"
EVALUATE = "evaluate.p2pl"
MODEL = "query.p2pl_model"

RECORD = "p2pl"
"""Key of our own record in messages and replies."""

SCORE_CONFIG = "p2pl-evaluate-config"
"""Key of the config record that evaluate functions are to get after training."""

CLIENT_METRICS = "p2pl-client-metrics"
"""Key of the record with a ``client_fn`` client's metrics as it returned them, texts too."""

AFTER_TRAINING = "after-training-"
"""Prefix of the metrics of a device's model after training, before consensus."""

SERVER_ROUND = "server-round"
"""Key under which Flower's strategies tell users' functions the round."""

DEVICE, ROUND, STEP, ARRAYS_KEY = "device", "round", "step", "arrays-key"
"""Keys of every order: the device's id; and of some: the round, the step, and the key under which
users' functions expect the model."""

MIX_ROUND, MIX_STEP = "mix-round", "mix-step"
"""Keys of an order to make a consensus step, alone or before something else."""

SAY_WHY = "say-why"
"""Key of an order to evaluate whose failure is told beside what the consensus step brought."""

MIX_WITHOUT = "mix-without"
"""Key of such an order: devices that have sat out the round, whatever they have published."""

ADOPT_ROUND, ADOPT_STEP = "adopt-round", "adopt-step"
"""Keys of an order to begin again, to a device that may have lost its model: the slot in which
neighbors keep theirs, of which it takes one if it has."""

SCORED = "scored"
"""Key of an order to train that asks for the trained model to be evaluated."""

OWN_PARAMETERS = "own-parameters"
"""Key of an order to start from what a ``client_fn`` client's ``get_parameters`` returns."""

PARTITION, DRAWS, EVALUATES, OFFERS = "partition-id", "draws", "evaluates", "offers-parameters"
VERSION, REFUSED_MOD, ADDRESS, HELLO = "version", "refused-mod", "address", "hello"
"""Keys of what a device says of itself when it joins."""

LAYOUT, NOT_FINITE = "layout", "not-finite"
"""Keys of what a device says of its initial model: the digest of its names, shapes and dtypes, and
the name of the first array with a NaN or an infinity in it."""

NUMBERS, SEEDLESS = "numbers", "seedless"
"""Keys of the same, where all are to draw one model: the digest of its numbers, and whether they
are the same whatever the seed."""

SENDERS, BYTES, ORIGINS = "senders", "bytes", "origins"
TELLERS, TOLD = "tellers", "told"
"""Keys of what an exchange with neighbors brought."""

HELD_BACK, UNSCORED, UNSCORED_WHY = "held-back", "unscored", "unscored-why"
"""Keys of a reply: bytes of arrays that a function returned and that stay on the device; that the
client has no evaluate function; and how it failed at scoring what it had trained."""

_NUMPY = "numpy.ndarray"  # how Flower calls arrays in the format of NumPy's own files
_PREFIX = "neighbor-"
_OUT_DEGREE, _LISTENERS, _DEVICES = "out-degree", "listeners", "devices"
_ELSEWHERE = f"{_PREFIX}elsewhere"
_NUMBERS = "biufc"
CONVERT = (
    "NumPy, in whose format Flower sends arrays, has no numbers of this type (nor of bfloat16 and "
    "float8); convert it to float32 where arrays are handed to Flower, and back where they come in"
)
"""What to do about arrays that no relay can move."""


def check_keys(arrays_key: str, config_key: str) -> None:
    """Refuse keys of records under which one would hide another.

    Raises
    ------
    ConfigError
        Two of them are the same, or one is P2PL's own.
    """
    given = {"arrayrecord_key": arrays_key, "configrecord_key": config_key}
    for argument, key in given.items():
        if key in (RECORD, SCORE_CONFIG, CLIENT_METRICS):
            raise ConfigError(argument, key, "is the name of a record of P2PL's: take another")
    if arrays_key == config_key:
        rule = "must differ from arrayrecord_key: a message holds one record under each name"
        raise ConfigError("configrecord_key", config_key, rule)


def neighbors_to_config(me: Neighbor, neighbors: Sequence[Neighbor]) -> dict[str, Any]:
    """Return a device's entry and its neighbor list as flat config values.

    Empty lists, and columns that nobody uses, are left out.
    """
    columns: dict[str, list[Any]] = {
        "id": [n.id for n in neighbors],
        "degree": [n.degree for n in neighbors],
        "samples": _of_one_type([n.samples for n in neighbors]),
        "address": [n.address for n in neighbors],
        "weight": [n.weight for n in neighbors],
        "out-degree": [n.out_degree for n in neighbors],
    }
    used = {k: v for k, v in columns.items() if k in ("id", "weight") or any(v)}
    if any(n.weight is None for n in neighbors):
        del used["weight"]
    lists = {_PREFIX + name: column for name, column in used.items() if column}
    own: dict[str, Any] = {"id": me.id, "degree": me.degree, "samples": me.samples}
    if me.out_degree is not None:
        own[_OUT_DEGREE] = me.out_degree
    if me.devices is not None:
        own[_DEVICES] = me.devices
    if me.listeners:
        own[_LISTENERS] = list(me.listeners)
    return {**own, **lists}


def neighbors_from_config(config: Mapping[str, Any]) -> tuple[Neighbor, tuple[Neighbor, ...]]:
    """Rebuild what `neighbors_to_config` made."""
    ids = config.get(_PREFIX + "id", [])
    blank = [0] * len(ids)
    columns = (
        ids,
        config.get(_PREFIX + "degree", blank),
        config.get(_PREFIX + "samples", blank),
        config.get(_PREFIX + "address", [""] * len(ids)),
        config.get(_PREFIX + "weight", [None] * len(ids)),
        config.get(_PREFIX + "out-degree", [None] * len(ids)),
    )
    me = Neighbor(int(config["id"]), int(config["degree"]), config["samples"])
    me = replace(me, devices=config.get(_DEVICES))
    if _OUT_DEGREE in config:
        listeners = tuple(config.get(_LISTENERS, ()))
        me = replace(me, out_degree=int(config[_OUT_DEGREE]), listeners=listeners)
    return me, tuple(Neighbor(*row) for row in zip(*columns, strict=True))


def addresses_to_config(addresses: Mapping[int, str]) -> dict[str, Any]:
    """Return the addresses of devices that are no neighbors now, as flat config values."""
    if not addresses:
        return {}
    return {_ELSEWHERE: list(addresses), f"{_ELSEWHERE}-address": list(addresses.values())}


def addresses_from_config(config: Mapping[str, Any]) -> dict[int, str]:
    """Rebuild what `addresses_to_config` made."""
    found = config.get(_ELSEWHERE, []), config.get(f"{_ELSEWHERE}-address", [])
    return dict(zip(*found, strict=True))


def _of_one_type(numbers: list[Any]) -> list[Any]:
    """Return numbers as Flower's records hold them: all integers, or all fractions."""
    return numbers if all(isinstance(n, int) for n in numbers) else list(map(float, numbers))


def is_neighbor_key(key: str) -> bool:
    """Return whether a config key is one of those that say who is where."""
    own = ("id", "degree", "samples", _OUT_DEGREE, _LISTENERS, _DEVICES)
    return key in own or key.startswith(_PREFIX)


def options_to_config(options: Options) -> dict[str, Any]:
    """Return the options as flat config values."""
    return dict(options.to_config())


def options_from_config(config: Mapping[str, Any]) -> Options:
    """Rebuild what `options_to_config` made."""
    return _from_config(*((name, config[name]) for name in OPTION_NAMES))


OPTION_NAMES = tuple(Options().to_config())
"""Keys of the config values that `options_to_config` returns."""


@functools.lru_cache(maxsize=8)
def _from_config(*items: tuple[str, Any]) -> Options:
    return Options.from_config(dict(items))  # the same for every message of a run


def to_arrays(model: Model) -> ArrayRecord:
    """Return a model as Flower's ArrayRecord, in the same order."""
    return ArrayRecord({name: Array(np.asarray(model[name])) for name in model})


def to_model(arrays: ArrayRecord) -> dict[str, NDArray[Any]]:
    """Return Flower's ArrayRecord as a model, in the same order: read-only, and no copy.

    Raises
    ------
    LayoutError
        There is nothing where an array should be, or an array of something else than numbers.
    """
    for name, array in arrays.items():
        if not array.data:  # as Flower sends an empty list of a client's
            raise LayoutError(f"array {name!r} is no array: return the model's arrays, all of them")
    model = {name: _native(_view(array)) for name, array in arrays.items()}
    for name, found in model.items():
        if found.dtype.kind not in _NUMBERS:
            raise LayoutError(f"array {name!r} is of dtype {arrays[name].dtype}: {CONVERT}")
    return model


def _native(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array in this machine's byte order, in which relays move it."""
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _view(array: Array) -> NDArray[Any]:
    """Return an array where it lies: ``Array.numpy()`` makes a copy of it."""
    file = io.BytesIO(array.data)
    if array.stype != _NUMPY or np.lib.format.read_magic(file) != (1, 0):
        return array.numpy()
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
    flat = np.frombuffer(array.data, dtype, math.prod(shape), file.tell())
    return flat.reshape(shape, order="F" if by_columns else "C")


def layout_digest(model: Model) -> str:
    """Return a short digest of the names, shapes and dtypes of a model's arrays."""
    text = repr(sorted(named_arrays.layout(model).items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def numbers_digest(model: Model) -> str:
    """Return a digest of the numbers of a model's arrays, in hexadecimal digits."""
    found = hashlib.blake2b(digest_size=16)
    for name in sorted(model):
        found.update(np.ascontiguousarray(model[name]).reshape(-1).view(np.uint8).data)
    return found.hexdigest()
