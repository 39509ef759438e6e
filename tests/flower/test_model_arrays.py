"""Models of unusual arrays: complex, empty, of no dimension, not finite; and networks of one."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
from local_grid import LocalGrid
from toy_app import device, record, run, values

from p2pl_flower import FileRelay, MemoryRelay, PeerApp, Relay
from p2pl_flower.errors import DeviceError, LayoutError

RELAYS = ("memory", "file")


@pytest.fixture(params=RELAYS)
def relay(request: pytest.FixtureRequest, tmp_path: Path) -> Relay:
    return MemoryRelay() if request.param == "memory" else FileRelay(tmp_path)


def make(relay: Relay, train: Any, draw: Any = None) -> PeerApp:
    """Return an app that trains by ``train(model, device)`` and starts from ``draw(device)``."""
    app = PeerApp(relay=relay)

    @app.train()
    def _(message: Message, context: Any) -> Message:
        model = train(values(message.content["arrays"]), device(context))
        content = {"arrays": record(model), "metrics": MetricRecord({"num-examples": 1})}
        return Message(RecordDict(content), reply_to=message)

    if draw:

        @app.init()
        def init(context: Any, seed: int) -> ArrayRecord:
            return record(draw(device(context)))

    return app


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_complex_arrays_are_mixed(relay: Relay, dtype: type) -> None:
    start = record({"w": np.zeros(2, np.float32), "spectral": np.zeros(2, dtype)})
    app = make(relay, lambda m, d: {"w": m["w"] + d, "spectral": m["spectral"] + (1 + 2j) * d})
    strategy, result = run(LocalGrid(app, 3), relay, rounds=1, initial=start, topology="complete")
    found = values(result.arrays)
    assert found["w"] == pytest.approx([1, 1])
    assert found["spectral"] == pytest.approx([1 + 2j] * 2)
    assert found["spectral"].dtype == dtype
    assert strategy.rounds[0].bytes_sent == 6 * (8 + 2 * np.dtype(dtype).itemsize)


def test_the_largest_norm_counts_both_parts_of_complex_numbers() -> None:
    relay = MemoryRelay()
    app = make(relay, lambda m, d: m, draw=lambda d: {"s": np.array([3, 4j, 2])[d : d + 1]})
    _, result = run(LocalGrid(app, 3), relay, rounds=0, initial=ArrayRecord(), topology="ring")
    assert values(result.arrays)["s"] == pytest.approx([4j])


def test_training_that_drops_the_imaginary_part_is_refused() -> None:
    relay = MemoryRelay()
    app = make(relay, lambda m, d: {"s": m["s"].real})
    start = record({"s": np.ones(2, np.complex64)})
    with pytest.raises(DeviceError, match=r"training changed array 's', which was complex64"):
        run(LocalGrid(app, 3), relay, initial=start, topology="ring")


def bfloat16(values: Any) -> np.ndarray:
    return np.asarray(values, pytest.importorskip("ml_dtypes").bfloat16)


ODD = {
    "bfloat16": lambda: bfloat16([1.0, 2.0]),
    "<U1": lambda: np.array(["a", "b"]),
    "datetime64": lambda: np.array(["2020-01-01"], "M8[D]"),
}
"""Arrays of what is no number to NumPy, as a client may return them."""


@pytest.mark.parametrize("dtype", ODD)
def test_arrays_of_no_numbers_are_refused_by_name(relay: Relay, dtype: str) -> None:
    app = make(relay, lambda m, d: {"w": m["w"], "odd": ODD[dtype]()})
    start = record({"w": np.zeros(2), "odd": np.zeros(2)})
    with pytest.raises(
        DeviceError, match=rf"array 'odd' is of dtype {dtype}.*convert it to float3"
    ):
        run(LocalGrid(app, 3), relay, initial=start, topology="ring")
    app = make(relay, lambda m, d: m)
    with pytest.raises(
        LayoutError, match=rf"array 'odd' is of dtype {dtype}.*convert it to float3"
    ):
        run(LocalGrid(app, 3), relay, initial=record({"odd": ODD[dtype]()}), topology="ring")


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn"])
def test_a_tensor_that_is_no_array_is_named(relay: Relay, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    odd = torch.ones(2).to(getattr(torch, dtype))
    app = PeerApp(relay=relay)

    @app.train()
    def train(message: Message, context: Any) -> Message:
        content = {"arrays": ArrayRecord({"w": torch.zeros(2), "odd": odd})}
        return Message(RecordDict(content), reply_to=message)

    said = r"device 0 failed at train\.p2pl: TypeError: .* \(array 'odd'\): NumPy, .* float32 where"
    with pytest.raises(DeviceError, match=said):
        run(LocalGrid(app, 3), relay, initial=record({"w": np.zeros(2)}), topology="ring")


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64"])
def test_what_is_not_mixed_stays_as_it_was_trained(relay: Relay, dtype: str) -> None:
    app = make(relay, lambda m, d: {"w": m["w"], "odd": np.full(2, d).astype(dtype)})
    start = record({"w": np.zeros(2), "odd": np.zeros(2, dtype)})
    _, result = run(LocalGrid(app, 3), relay, 1, start, topology="ring", result="device:2")
    odd = values(result.arrays)["odd"]
    assert odd.tolist() == np.full(2, 2).astype(dtype).tolist()
    assert odd.dtype == dtype


def test_arrays_without_an_element_and_without_a_dimension(relay: Relay) -> None:
    start = record({"w": np.zeros(2), "nothing": np.zeros((0, 3)), "s": np.zeros(())})
    app = make(relay, lambda m, d: {name: array + 1 for name, array in m.items()})
    _, result = run(LocalGrid(app, 3), relay, initial=start, topology="ring")
    found = values(result.arrays)
    assert found["w"].tolist() == [2, 2]
    assert found["nothing"].shape == (0, 3)
    assert found["s"] == 2


def test_arrays_come_back_in_the_order_and_type_of_the_start(relay: Relay) -> None:
    start = record({"w": np.ones((2, 2), np.float32), "a": np.zeros(2, np.float32)})

    def train(model: Any, own: int) -> Any:
        return {name: array.astype(np.float16) for name, array in reversed(model.items())}

    _, result = run(LocalGrid(make(relay, train), 3), relay, initial=start, topology="ring")
    assert [(n, a.dtype) for n, a in values(result.arrays).items()] == [
        ("w", np.float32),
        ("a", np.float32),
    ]


@pytest.mark.parametrize("scope", ["model", "tensor"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_draw_that_is_not_finite_loses(
    bad: float, scope: str, caplog: pytest.LogCaptureFixture
) -> None:
    relay = MemoryRelay()

    def draw(own: int) -> dict[str, np.ndarray]:
        return {"w": np.array([bad if own == 1 else own + 1.0, 1.0]), "v": np.array([5.0 - own])}

    app = make(relay, lambda m, d: m, draw)
    options = {"topology": "ring", "max_norm_scope": scope}
    with caplog.at_level(logging.WARNING, "flwr.p2pl"):
        strategy, result = run(LocalGrid(app, 4), relay, 1, ArrayRecord(), **options)
    found = values(result.arrays)
    norms = {d: np.hypot(np.hypot(d + 1, 1), 5 - d) for d in (0, 2, 3)}
    winner = max(norms, key=lambda d: norms[d]) if scope == "model" else 3
    assert found["w"].tolist() == [winner + 1, 1]
    assert found["v"].tolist() == [5 - winner if scope == "model" else 5]
    assert strategy.setup["synchronization_steps"] == 2
    assert "devices [1] start from others' models: in their own, array 'w'" in caplog.text


@pytest.mark.parametrize(("options", "bad"), [({}, (0, 1, 2)), ({"init": "independent"}, (1,))])
def test_where_no_other_draw_can_stand_in_it_is_refused(
    options: dict[str, str], bad: tuple[int, ...]
) -> None:
    relay = MemoryRelay()
    app = make(relay, lambda m, d: m, lambda d: {"w": np.array([np.nan if d in bad else 1.0])})
    with pytest.raises(DeviceError, match=f"initial model of device {bad[0]} is no start: its arr"):
        run(LocalGrid(app, 3), relay, 1, ArrayRecord(), topology="ring", **options)


def test_a_common_start_that_is_not_finite_is_refused() -> None:
    relay = MemoryRelay()
    app = make(relay, lambda m, d: m)
    with pytest.raises(DeviceError, match="device 0 is no start: its array 'w' holds a NaN"):
        run(LocalGrid(app, 3), relay, 1, record({"w": np.array([np.inf])}), topology="ring")


@pytest.mark.parametrize(
    "topology",
    ["ring", "complete", "star", "path", "exponential", "one-peer-exponential", "random-matchings"],
)
@pytest.mark.parametrize("algorithm", ["p2pl", "exact-diffusion", "p2pl-affinity:strength=0"])
def test_a_network_of_one_trains_alone(topology: str, algorithm: str) -> None:
    relay = MemoryRelay()
    app = make(relay, lambda m, d: {"w": m["w"] + 1})
    weights = "metropolis" if algorithm == "exact-diffusion" else "data-size"
    options = {"topology": topology, "algorithm": algorithm, "weights": weights}
    start = record({"w": np.zeros(2)})
    strategy, result = run(LocalGrid(app, 1), relay, 2, start, num_devices=1, **options)
    assert values(result.arrays)["w"].tolist() == [2, 2]
    assert strategy.setup["synchronization_steps"] == 0
