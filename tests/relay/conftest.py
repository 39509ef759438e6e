"""What the tests of this folder share."""

from __future__ import annotations

import pytest
from endpoints import RUN

from p2pl_flower.relay.grpc import Credentials, Endpoint, Waiting


@pytest.fixture
def network():
    """Make endpoints, and close them in the end."""
    made: list[Endpoint] = []

    def make(
        device: int, credentials: Credentials | None = None, listen: str = "127.0.0.1:0", **waiting
    ) -> Endpoint:
        waiting = {"deadline": 5.0, **waiting}
        endpoint = Endpoint(device, listen, credentials, Waiting(**waiting))
        endpoint.open(RUN, last_round=9)
        endpoint.start()
        made.append(endpoint)
        return endpoint

    yield make
    for endpoint in made:
        endpoint.close()
