"""Which arrays a run ends with on the server: none of them got there before."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

from flwr.app import ArrayRecord

from ..errors import ConfigError
from ..named_arrays import Model
from ..sharing import Sharing
from .coordinator import Coordinator
from .mean_model import MeanModel

log = logging.getLogger("flwr.p2pl")

AUTO, MEAN, NONE = "auto", "mean", "none"
_DEVICE = re.compile(r"device:(\d+)")


def check_result(result: str) -> str:
    """Return what users say that ``result.arrays`` is to be.

    Raises
    ------
    ConfigError
        It is none of ``auto``, ``mean``, ``none`` and ``device:0``, or another device's number.
    """
    if result not in (AUTO, MEAN, NONE) and not _DEVICE.fullmatch(str(result)):
        raise ConfigError("result", result, "unknown name", (AUTO, MEAN, NONE, "device:0"))
    return result


def final_arrays(
    result: str,
    observable: bool,
    mean: MeanModel,
    coordinator: Coordinator,
    sharing: Sharing,
    initial: Model,
) -> ArrayRecord:
    """Return the arrays of a run that is over.

    Where models are in one place they are read there; else the devices that are needed are asked
    for theirs, once, and only if ``result`` says so.
    """
    if result == NONE or (result == AUTO and not observable):
        log.info(
            "The result has no arrays: the models are on the devices, and stay there. "
            'P2PL(result="mean") or P2PL(result="device:0") asks for them once, at the end'
        )
        return ArrayRecord()
    if found := _DEVICE.fullmatch(result):
        number = int(found[1])
        models = coordinator.models() if observable else coordinator.ask_for_models([number])
        if number not in models:
            rule = f"there is no model of this device; there are those of {sorted(models)}"
            raise ConfigError("result", result, rule)
        log.info("The result's arrays are those of device %d", number)
        return _with_initial({number: models[number]}, sharing, initial)
    if observable:
        log.info("The result's arrays are the mean of all models, read from the relay")
        return mean.arrays()
    log.info("The result's arrays are the mean of all models, which the devices are asked for")
    return _with_initial(coordinator.ask_for_models(), sharing, initial)


def _with_initial(models: Mapping[int, Model], sharing: Sharing, initial: Model) -> ArrayRecord:
    """Return the mean of models, with arrays that stay at home as they were in the beginning."""
    return MeanModel(initial, sharing, lambda: models, lambda: (0, 0)).arrays()
