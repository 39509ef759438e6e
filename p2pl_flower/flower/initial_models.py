"""What devices say of the models that they begin with, and what is wrong with it."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from flwr.app import ArrayRecord, RecordDict

from ..algorithms.max_norm import FLOODS
from ..errors import ConfigError, DeviceError, LayoutError
from ..options import Options
from ..sharing import Sharing
from . import messages

log = logging.getLogger("flwr.p2pl")


def given_arrays(draws: Mapping[int, bool], options: Options) -> list[int]:
    """Return the devices that are given the initial arrays in a message.

    ``draws`` says of all devices, in ascending order, whether each has an init function.

    Raises
    ------
    ConfigError
        Some have none, and the start is one that each device has to draw for.
    """
    lacking = [device for device, drawing in draws.items() if not drawing]
    if options.init == "shared" or len(lacking) == len(draws):
        if options.init != "shared":
            log.warning(
                "no device draws an initial model (PeerApp has no @app.init()): all start "
                "from initial_arrays, as with init='shared'"
            )
        return sorted(draws)[:1]  # neighbors hand it on from there
    if lacking and options.init in ("seed", "bounded-norm"):
        rule = f"devices {lacking} draw no initial model: give their PeerApp an @app.init(), "
        raise ConfigError("init", options.init, rule + "or take 'max-norm'")
    if lacking:
        log.info("devices %s draw no initial model and are given one", lacking)
    # Else a neighbor hands on a whole model, if none of its arrays stay at home.
    hands_on = options.init == "max-norm" and options.shared.is_everything
    return [] if hands_on else lacking


def check_layouts(
    initial_arrays: ArrayRecord, replies: Mapping[int, RecordDict], sharing: Sharing
) -> None:
    """Refuse devices whose own initial models differ from the others' in their arrays.

    Raises
    ------
    LayoutError
        Names the first of them.
    DeviceError
        None of the devices that were to begin with a model has answered.
    """
    drawn = {d: str(r.config_records[messages.RECORD][messages.LAYOUT]) for d, r in replies.items()}
    drawn = {d: digest for d, digest in drawn.items() if digest}
    if not drawn:
        raise DeviceError("none of the devices that were to begin with a model has answered")
    expected = next(iter(drawn.values()))
    if len(initial_arrays):
        model = messages.to_model(initial_arrays)
        expected = messages.layout_digest(sharing.part(model))
    for device, digest in drawn.items():
        if digest != expected:
            raise LayoutError(
                f"device {device} draws a model whose array names, shapes or dtypes differ "
                "from initial_arrays: build both from the same model class"
            )


def check_finite(replies: Mapping[int, RecordDict], init: str) -> None:
    """Refuse to start from NaNs and infinities, if no other device's draw can replace them."""
    said = {d: r.config_records[messages.RECORD] for d, r in replies.items()}
    started = [d for d, entry in said.items() if entry[messages.LAYOUT]]
    bad = [d for d in started if messages.NOT_FINITE in said[d]]
    if not bad:
        return
    rule = f"array {said[bad[0]][messages.NOT_FINITE]!r} holds a NaN or an infinity"
    if bad == started or init not in FLOODS:
        raise DeviceError(f"the initial model of device {bad[0]} is no start: its {rule}")
    log.warning("devices %s start from others' models: in their own, %s", bad, rule)


def check_seeds(replies: Mapping[int, RecordDict]) -> None:
    """Refuse devices that draw other models of the run's seed than the rest.

    Raises
    ------
    DeviceError
        Names them.
    """
    said = {d: r.config_records[messages.RECORD] for d, r in replies.items()}
    told = {d: entry for d, entry in said.items() if messages.NUMBERS in entry}
    if not told:
        return
    first, *rest = sorted(told)
    others = [d for d in rest if told[d][messages.NUMBERS] != told[first][messages.NUMBERS]]
    if others:
        raise DeviceError(
            f"devices {others} draw other initial models from the run's seed than device {first}: "
            "with init='seed' an init function must depend on the seed alone, not on the device, "
            "and libraries be the same on all; or take init='max-norm'"
        )
    if any(messages.SEEDLESS in entry for entry in told.values()):
        log.warning(
            "the init function returns the same arrays whatever the seed (pre-trained ones, or "
            "it seeds itself): with init='seed' that is what all devices start from"
        )
