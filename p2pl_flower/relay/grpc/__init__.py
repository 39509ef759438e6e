"""A relay over the network: gRPC, with certificates on both sides."""

from .credentials import Credentials
from .relay import GrpcRelay
from .station import Station
from .station_relay import StationMailbox, StationRelay
from .waiting import Waiting

__all__ = ["Credentials", "GrpcRelay", "Station", "StationMailbox", "StationRelay", "Waiting"]
