"""A device's place in the network, made from its settings: certificates, port, tunnels."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..relay.group import Standing
from ..relay.group.authority import Admission, Authority
from ..relay.group.reception import JOIN, Reception
from ..relay.grpc import Credentials, Endpoint
from ..relay.grpc.streams import MOST_STREAMS
from ..relay.tunnel import Tunnels
from .membership import Membership
from .newcomers import welcome
from .settings import Settings

log = logging.getLogger("flwr.p2pl")

_SPARE_CALLS = 16


def open_endpoint(settings: Settings, membership: Callable[[], Membership]) -> Endpoint:
    """Return the endpoint of a device: it listens, and answers nobody until it is started.

    Parameters
    ----------
    settings : Settings
        The device's settings.
    membership : Callable
        Whom the device knows, when a newcomer is to be told.

    Raises
    ------
    ConfigError
        A certificate is of no use, or the address cannot be listened at.
    """
    folder = Path(settings.certificates)
    credentials = None if settings.insecure else Credentials.load(folder, settings.device)
    made = Endpoint(
        settings.device,
        settings.listen,
        credentials,
        settings.waiting,
        most_calls=MOST_STREAMS * settings.most_neighbors + _SPARE_CALLS,
        folder=Path(settings.checkpoint) if settings.checkpoint else None,
        tunnels=_tunnels(settings, credentials, membership) if settings.tunneled else None,
        standing=None if credentials is None else Standing(credentials.ca, folder),
    )
    made.for_rounds = settings.options.mode == "sync"
    if settings.insecure:
        rule = "device %d: insecure, as asked for: whoever reaches %s can read and send models"
        log.warning(rule, settings.device, made.address)
    return made


def _tunnels(
    settings: Settings, credentials: Credentials | None, membership: Callable[[], Membership]
) -> Tunnels:
    def told(_admission: Admission, _address: str) -> dict[str, Any]:
        return welcome(settings, membership())

    others = {}
    if settings.authority and credentials is not None:
        authority = Authority(Path(settings.authority), least=settings.num_devices)
        others[JOIN] = Reception(authority, credentials, told).receive
    own = settings.device, settings.listen, credentials
    return Tunnels(*own, settings.rendezvous, settings.serve_rendezvous, others)
