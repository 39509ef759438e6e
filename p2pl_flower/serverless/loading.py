"""Finds what a settings file names: a ClientApp, an init function, initial arrays."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from flwr.app import ArrayRecord, Context
from flwr.clientapp import ClientApp

from ..config import found_at, look_here
from ..errors import ConfigError, RelayError
from ..flower import messages
from ..flower.peer_app import InitFunction, PeerApp
from ..flower.unsupported import REFUSED_MODS, refused_mod
from ..relay import Relay
from ..relay.spool import Document

log = logging.getLogger("flwr.p2pl")


def load_app(
    reference: str, init_function: str, initial_arrays: Path | None, relay: Relay
) -> PeerApp:
    """Return a ClientApp of any kind as a PeerApp over ``relay``.

    Parameters
    ----------
    reference : str
        ``package.module:attribute``; modules of the working folder are found.
    init_function : str
        The same for a function ``(context, seed) -> ArrayRecord``; empty for the app's own.
    initial_arrays : Path or None
        A safetensors file to start from, for apps that draw no model.
    relay : Relay
        How models get from device to device.

    Raises
    ------
    ConfigError
        A name leads nowhere, or to something else.
    """
    app = _resolve("app", reference)
    if not isinstance(app, ClientApp):
        rule = f"must be a flwr.clientapp.ClientApp or a PeerApp, not {type(app).__name__}"
        raise ConfigError("app", reference, rule)
    init: InitFunction | None = None
    if init_function:
        init = cast("InitFunction", _resolve("init-function", init_function))
        if not callable(init):
            raise ConfigError("init-function", init_function, "must be a function")
    elif initial_arrays is not None:
        init = _from_file(initial_arrays)
    made = PeerApp.adopt(app, relay, init)
    if name := refused_mod(made.mods):
        raise ConfigError("app", reference, f"has the mod {name}: {REFUSED_MODS[name]}")
    return made


def _resolve(key: str, reference: str) -> Any:
    module, colon, attribute = reference.partition(":")
    if not (module and colon and attribute):
        raise ConfigError(key, reference, "must look like package.module:name")
    look_here()
    try:
        found = found_at(f"{module}.{attribute}")
    except ImportError as error:
        raise ConfigError(key, reference, f"cannot be imported: {error}") from None
    except AttributeError as error:
        raise ConfigError(key, reference, f"is not there: {error}") from None
    except Exception as error:  # whatever a user's module does at its top
        log.debug("%s", reference, exc_info=True)
        rule = f"raised {type(error).__name__} when it was imported: {error}"
        raise ConfigError(key, reference, rule) from None
    return found


def _from_file(path: Path) -> Callable[[Context, int], ArrayRecord]:
    try:
        model = Document.at(path).model()
    except (OSError, RelayError) as error:
        raise ConfigError("initial-arrays", str(path), f"cannot be read: {error}") from None

    def init(context: Context, seed: int) -> ArrayRecord:
        return messages.to_arrays(model)

    return init
