"""A relay over the network: gRPC, with certificates on both sides."""

from .credentials import Credentials
from .endpoint import Endpoint
from .endpoint_relay import EndpointMailbox, EndpointRelay
from .waiting import Waiting

__all__ = ["Credentials", "Endpoint", "EndpointMailbox", "EndpointRelay", "Waiting"]
