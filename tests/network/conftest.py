"""What the tests of this folder share."""

from __future__ import annotations

import pytest
from stations import RUN

from p2pl_flower.relay.grpc import Credentials, Station, Waiting


@pytest.fixture
def network():
    """Make stations, and close them in the end."""
    made: list[Station] = []

    def make(
        device: int, credentials: Credentials | None = None, listen: str = "127.0.0.1:0", **waiting
    ) -> Station:
        waiting = {"deadline": 5.0, **waiting}
        station = Station(device, listen, credentials, Waiting(**waiting))
        station.open(RUN, last_round=9)
        station.start()
        made.append(station)
        return station

    yield make
    for station in made:
        station.close()
