"""What the Python blocks of a page take for granted: the reader's own model, data and app."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flwr.app import Context, Message, MetricRecord, RecordDict
from toy_app import record, values

from p2pl_flower import MemoryRelay, PeerApp


def given(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the names that a page's first block finds."""
    make = {"docs/convert.md": _converting, "docs/network.md": _trained_peer}.get(page)
    return {"__name__": "page", **(make(folder, monkeypatch) if make else {})}


def _converting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    import torch
    from flwr.app import ArrayRecord, Context
    from flwr.serverapp.strategy import FedAvg

    import p2pl_flower

    net = torch.nn.Linear(2, 1)
    logged: list[Any] = []
    wandb = SimpleNamespace(log=lambda values, step: logged.append((step, values)))
    return {
        "ArrayRecord": ArrayRecord,
        "Context": Context,
        "FedAvg": FedAvg,
        "P2PL": p2pl_flower.P2PL,
        "Net": lambda: torch.nn.Linear(2, 1),
        "app": p2pl_flower.PeerApp(),
        "corrected": p2pl_flower.corrected,
        "epochs": 1,
        "logged": logged,
        "net": net,
        "torch": torch,
        "trainloader": [1, 2],
        "wandb": wandb,
    }


def _trained_peer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    import safetensors.torch
    import torch

    model = torch.nn.Linear(2, 1)
    (folder / "state").mkdir()
    safetensors.torch.save_file(model.state_dict(), folder / "state" / "model.safetensors")
    return {"model": model, "safetensors": sys.modules["safetensors"]}


def adding_one(relay: MemoryRelay) -> PeerApp:
    """Return an app that takes any model, and reports what Flower's own templates do."""
    app = PeerApp(relay=relay)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        trained = {name: array + 1 for name, array in values(message.content["arrays"]).items()}
        content = {"arrays": record(trained), "metrics": MetricRecord({"num-examples": 1})}
        return Message(RecordDict(content), reply_to=message)

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        metrics = MetricRecord({"num-examples": 1, "eval_loss": 0.5, "eval_acc": 0.5})
        return Message(RecordDict({"metrics": metrics}), reply_to=message)

    return app
