"""A module in bfloat16, handed over as docs/convert.md says."""

from __future__ import annotations

from typing import Any

import pytest
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from local_grid import LocalGrid
from toy_app import run

from p2pl_flower import MemoryRelay, PeerApp

torch = pytest.importorskip("torch")


def arrays_of(model: Any) -> ArrayRecord:
    state = model.state_dict().items()
    return ArrayRecord({n: t.float() if t.dtype == torch.bfloat16 else t for n, t in state})


def test_a_module_in_bfloat16_trains() -> None:
    relay = MemoryRelay()
    app = PeerApp(relay=relay)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        model = torch.nn.Linear(2, 1).bfloat16()
        model.load_state_dict(message.content["arrays"].to_torch_state_dict())
        assert model.weight.dtype == torch.bfloat16
        with torch.no_grad():
            model.bias.fill_(float(context.node_config["partition-id"]))
        content = {"arrays": arrays_of(model), "metrics": MetricRecord({"num-examples": 1})}
        return Message(RecordDict(content), reply_to=message)

    start = arrays_of(torch.nn.Linear(2, 1).bfloat16())
    _, result = run(LocalGrid(app, 3), relay, 1, start, topology="complete", weights="uniform")
    model = torch.nn.Linear(2, 1).bfloat16()
    model.load_state_dict(result.arrays.to_torch_state_dict())
    assert model.bias.tolist() == [1.0]
