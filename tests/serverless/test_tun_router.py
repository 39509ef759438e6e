"""The links of the user-space router do what they say: others judge networks by them."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from tun_router import Link, TunRouter, unavailable

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable())

ECHO = """
import socket, sys
listening = socket.create_server(("0.0.0.0", 9400))
print("there", flush=True)
while True:
    other, _ = listening.accept()
    size = 0
    while data := other.recv(1 << 16):
        size += len(data)
    other.sendall(str(size).encode())
    other.close()
"""
SEND = """
import socket, sys, time
size = int(sys.argv[2])
other = socket.create_connection((sys.argv[1], 9400), float(sys.argv[3]))
begun = time.monotonic()
other.sendall(bytes(size))
other.shutdown(socket.SHUT_WR)
assert int(other.recv(100)) == size
print(time.monotonic() - begun)
"""


class Two:
    """Two hosts, of which the second takes what it is sent."""

    def __init__(self, router: TunRouter) -> None:
        self._router = router
        router.host("one")
        self.address = router.host("other")
        command = router.command("other", [sys.executable, "-c", ECHO])
        self.listening = subprocess.Popen(command, stdout=subprocess.PIPE)
        self.listening.stdout.readline()

    def seconds(self, size: int, patience: float = 30) -> float:
        """Return the seconds from the first byte to the answer to the last."""
        command = [sys.executable, "-c", SEND, self.address, str(size), str(patience)]
        command = self._router.command("one", command)
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.fixture
def two():
    with TunRouter(f"t{os.getpid() % 100_000}") as router:
        made = Two(router)
        yield made, router
        made.listening.kill()
        made.listening.wait()
        made.listening.stdout.close()


def test_a_link_delays_slows_loses_and_cuts(two) -> None:
    made, router = two
    router.link("one", "other", Link(delay=0.1))
    assert 0.2 <= made.seconds(1) < 0.3  # there and back
    router.link("one", "other", Link(rate=1e6))
    assert 0.95 <= made.seconds(1_000_000) < 1.3  # headers take their share
    before = router.counts["lost"]
    router.link("one", "other", Link(delay=0.01, loss=0.1))
    made.seconds(300_000)  # all of it arrives: TCP sends again what was lost
    assert router.counts["lost"] > before
    router.link("one", "other", Link(cut=True))
    with pytest.raises(subprocess.CalledProcessError, match=re.escape("exit status 1")):
        made.seconds(1, patience=0.5)
    router.link("one", "other", Link())
    assert made.seconds(1) < 0.1


def test_a_queue_that_is_full_drops(two) -> None:
    made, router = two
    router.one_way("one", "other", Link(rate=1e6, queue=0.001))
    made.seconds(100_000)
    assert router.counts["dropped"]
    assert router.bytes["one", "other"] > 100_000
