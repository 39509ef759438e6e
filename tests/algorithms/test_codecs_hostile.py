"""What neighbors send that no codec makes: refused and counted, and never the end of a device."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pl_flower import Options
from p2pl_flower.algorithms.codecs import CODECS, MEMORIES, Coder, StepKey
from p2pl_flower.device import Device
from p2pl_flower.relay import Mailbox, Slot
from p2pl_flower.relay.daemon.client import LocalMailbox
from p2pl_flower.relay.daemon.server import LocalServer
from p2pl_flower.relay.grpc import Endpoint, EndpointMailbox, Waiting
from p2pl_flower.topology.neighborhood import Neighbor

RUN = "1"
KEY = StepKey(0, 1, 0)
MODEL = {"w": np.linspace(-1, 1, 10, dtype=np.float32), "b": np.float32(0.5) + np.zeros(2, "f4")}
TEXTS = [
    "float16",
    "bfloat16",
    "int8:block=4",
    "low-bit:block=4",
    "top-k:fraction=0.4",
    "random-k",
    "partial",
]

Bodies = dict[str, np.ndarray]


def positions(*values: int) -> Bodies:
    return {"positions/w": np.array(values, "uint8")}


TOP_K = [
    positions(0, 1, 2, 10),  # beyond the array
    positions(0, 1, 2, 255),
    positions(0, 1, 1, 2),  # twice
    positions(3, 2, 1, 0),  # descending
    {"positions/w": np.array([-1, 0, 1, 2], "int8")},
    {"positions/w": np.array([0, 1, 2, 1 << 40], "int64")},
    positions(0, 1, 2),  # fewer than are due
    {"values/w": np.ones(5, "float32")},
    {"values/w": np.ones(4, "float64")},
    {"values/w": np.ones((4, 1), "float32")},
    {"more": np.zeros(1)},
    {"values/w": None},
]
INT8 = [
    {"scales/w": np.full(3, 3e38, "float32")},  # 127 times which is infinite
    {"scales/w": np.ones(4, "float32")},
    {"codes/w": np.ones(10, "uint8")},
    {"codes/w": np.ones(11, "int8")},
    {"codes/w": np.ones((2, 5), "int8")},
]
CASES = [("top-k:fraction=0.4", change) for change in TOP_K] + [
    ("int8:block=4", change) for change in INT8
]


def changed(encoded: Bodies, change: dict[str, np.ndarray | None]) -> Bodies:
    return {name: array for name, array in {**encoded, **change}.items() if array is not None}


def refusals(coder: Coder, body: Bodies, memory: Bodies | None = None) -> list[str]:
    said: list[str] = []

    def refuse(device: int, error: ValueError) -> None:
        said.append(f"{device}: {error}")

    kept = coder.begin({}, {})
    heard = coder.hear({7: body}, MODEL, kept, KEY, lambda js: dict.fromkeys(js, memory), refuse)
    assert bool(said) != bool(heard.messages)
    return said


@pytest.mark.parametrize(("text", "change"), CASES)
def test_bodies_that_no_codec_makes_are_refused(text, change) -> None:
    coder = Coder(CODECS.make(text))
    sent = coder.send(MODEL, {}, KEY).encoded
    assert not refusals(coder, dict(sent))
    [reason] = refusals(coder, changed(dict(sent), change))
    assert reason.startswith("7: ")


@pytest.mark.parametrize("base", [np.zeros(3, "int64"), np.zeros(2, "int32"), None])
def test_a_base_that_is_none_is_refused(base) -> None:
    coder = Coder(CODECS.make("int8"), MEMORIES["public-copies"])
    sent = coder.send(MODEL, coder.begin(MODEL, {}), KEY)
    assert not refusals(coder, dict(sent.encoded), dict(sent.public))
    assert refusals(coder, changed(dict(sent.encoded), {"base": base}), dict(sent.public))


def test_copies_that_add_up_to_no_number_are_refused() -> None:
    coder, begun = (
        Coder(CODECS.make("top-k"), MEMORIES["public-copies"]),
        {"w": np.full(4, 3e38, "f4")},
    )
    kept, more = coder.begin(begun, {}), {"w": np.float32(3.4e38) * np.ones(4, "f4")}
    sent = dict(coder.send(more, kept, KEY).encoded) | {"values/w": np.array([3e38], "f4")}
    said: list[int] = []
    heard = coder.hear({7: sent}, begun, kept, KEY, pytest.fail, lambda j, _: said.append(j))
    assert said == [7]
    assert not heard.messages


@pytest.mark.parametrize("text", TEXTS)
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_arrives_is_a_message_or_a_refusal(text, data) -> None:
    coder = Coder(CODECS.make(text))
    body = dict(coder.send(MODEL, {}, KEY).encoded)
    name = data.draw(st.sampled_from(sorted(body)))
    kind = data.draw(st.sampled_from(["int8", "uint8", "uint16", "int64", "float16", "float32"]))
    size = data.draw(st.sampled_from([0, 1, 2, 3, 4, 10]))
    numbers = data.draw(st.binary(min_size=size * 8, max_size=size * 8))
    array = np.frombuffer(numbers, kind)[:size]
    if data.draw(st.booleans()) and array.size >= body[name].size:  # of the right kind
        array = np.frombuffer(numbers.ljust(400, b"\0"), body[name].dtype)[: body[name].size]
    refusals(coder, {**body, name: array})


@pytest.fixture(params=["endpoint", "daemon"])
def boxes(request, tmp_path) -> Iterator[tuple[Endpoint, Mailbox, Endpoint]]:
    """Return a device's endpoint and mailbox, and the endpoint of a neighbor that lies."""
    mine, theirs = (Endpoint(d, "127.0.0.1:0", None, Waiting(deadline=20)) for d in (0, 1))
    server = LocalServer(f"unix:{tmp_path}/0.sock", mine)
    for part in (mine, theirs, server):
        part.start()
    theirs.open(RUN)
    theirs.meet(RUN, {0: mine.address})
    if request.param == "daemon":
        box: Mailbox = LocalMailbox(server.address, RUN, 0)
        box.meet({1: theirs.address})
    else:
        mine.open(RUN)
        mine.meet(RUN, {1: theirs.address})
        box = EndpointMailbox(mine, RUN)
    yield mine, box, theirs
    for part in (server, mine, theirs):
        part.close()


@pytest.mark.parametrize("memory", ["none", "public-copies"])
def test_a_device_goes_on_and_counts(boxes, memory) -> None:
    endpoint, box, liar = boxes
    options = Options(codec="top-k:fraction=0.4", codec_memory=memory, consensus_steps=2)
    device = Device(Neighbor(0, 1), [Neighbor(1, 1)], box, options)
    device.start(MODEL)
    device.after_training(1, MODEL, device.before_training(device.holding()).state)
    hostile = {f"={name}": array for name, array in positions(9, 9, 9, 9).items()}
    kept = options.coder.begin({"w": np.zeros(10, "f4")}, {})
    shown = {f"={n}": a for n, a in options.coder.send(MODEL, kept, KEY).encoded.items()}
    liar.publications(RUN).put(Slot("model", 1, 0), {**shown, **hostile})
    step = device.mix(1, 1)
    np.testing.assert_array_equal(step.holding.model["w"], MODEL["w"])
    assert not step.exchange.received
    assert endpoint.statistics.counts()[1]["malformed"] == 1
    device.publish(1, 1, step.holding)
    liar.publications(RUN).put(Slot("model", 1, 1), {"=w": np.ones(3, "float32")})
    step = device.mix(1, 2)
    np.testing.assert_array_equal(step.holding.model["w"], MODEL["w"])
    assert sum(endpoint.statistics.counts()[1][kind] for kind in ("malformed", "layout")) == 2


def test_copies_that_are_no_copies_are_refused(boxes) -> None:
    endpoint, box, liar = boxes
    options = Options(codec="top-k:fraction=0.4", codec_memory="public-copies")
    device = Device(Neighbor(0, 1), [Neighbor(1, 1)], box, options)
    device.start(MODEL)
    device.after_training(1, MODEL, device.before_training(device.holding()).state)
    kept = options.coder.begin({"w": np.zeros(10, "f4")}, {})
    shown = {f"={n}": a for n, a in options.coder.send(MODEL, kept, KEY).encoded.items()}
    whole = {"w": np.ones(9, "float32"), "b": MODEL["b"]}
    liar.publications(RUN).put(Slot("copy", 1, 0), whole)
    liar.publications(RUN).put(Slot("model", 1, 0), shown)
    step = device.mix(1, 1)
    np.testing.assert_array_equal(step.holding.model["w"], MODEL["w"])
    assert not step.exchange.received
    assert endpoint.statistics.counts()[1]["malformed"] == 1


@pytest.mark.parametrize("codec", ["none", "int8"])
@pytest.mark.parametrize("published", [True, False])
def test_what_another_codec_makes_is_refused(boxes, codec, published) -> None:
    endpoint, box, liar = boxes
    device = Device(Neighbor(0, 1), [Neighbor(1, 1)], box, Options(codec=codec))
    device.start(MODEL)
    if published:
        device.after_training(1, MODEL, {})
    shown = {
        f"={n}": a for n, a in Coder(CODECS.make("top-k")).send(MODEL, {}, KEY).encoded.items()
    }
    liar.publications(RUN).put(Slot("model", 1, 0), shown)
    step = device.mix(1, 1)
    np.testing.assert_array_equal(step.holding.model["w"], MODEL["w"])
    counts = endpoint.statistics.counts()[1]
    assert counts.get("malformed", 0) + counts.get("layout", 0) == 1
