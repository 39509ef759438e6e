"""What devices say of themselves when they join, and what follows from it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.metadata import version

from flwr.app import ConfigRecord

from ..errors import ConfigError
from .unsupported import REFUSED_MODS

log = logging.getLogger("flwr.p2pl")


def refuse_mods(said: Mapping[int, ConfigRecord]) -> None:
    """Refuse devices with mods that need a server which aggregates."""
    for reply in said.values():
        if name := str(reply.get("refused-mod", "")):
            raise ConfigError("mods", name, REFUSED_MODS[name])


def all_evaluate(said: Mapping[int, ConfigRecord]) -> bool:
    """Return whether all devices can evaluate; warn where they cannot."""
    evaluates = all(bool(reply["evaluates"]) for reply in said.values())
    if not evaluates:
        log.warning("the PeerApp has no @app.evaluate(): models are not scored on devices")
    return evaluates


def warn_of_versions(said: Mapping[int, ConfigRecord]) -> None:
    """Warn where devices run another version of this package."""
    versions = {str(reply["version"]) for reply in said.values()} | {version("p2pl-flower")}
    if len(versions) > 1:
        log.warning("devices and strategy run different versions of p2pl-flower: %s", versions)
