"""flwr-datasets as projects use it: each device trains on the partition of its own id."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from local_grid import RUN_ID, LocalGrid

from p2pl_flower import P2PL, MemoryRelay, PeerApp
from p2pl_flower.relay.contents import MODEL, models_of

datasets = pytest.importorskip("datasets")
flwr_datasets = pytest.importorskip("flwr_datasets")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
]  # pandas and pyarrow, of each other

DEVICES = 5


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A dataset on the disk: what `load_dataset` reads without a network."""
    folder = tmp_path_factory.mktemp("data")
    labels = np.random.default_rng(0).integers(0, 4, 400).tolist()
    path = folder / "train.parquet"
    datasets.Dataset.from_dict({"x": list(range(400)), "label": labels}).to_parquet(path)
    return {"data_files": {"train": str(path)}, "cache_dir": str(folder / "cache")}


def partitioners() -> dict[str, Any]:
    kinds = flwr_datasets.partitioner
    return {
        "iid": kinds.IidPartitioner(DEVICES),
        "dirichlet": kinds.DirichletPartitioner(DEVICES, "label", alpha=0.5, seed=1),
        "linear": kinds.LinearPartitioner(DEVICES),
    }


class Kept(MemoryRelay):
    last: dict[int, Any]

    def close(self, run: int) -> None:
        self.last = models_of(self.observe(RUN_ID, MODEL))
        super().close(run)


@pytest.mark.parametrize("kind", ["iid", "dirichlet", "linear"])
def test_the_partition_id_is_the_device_id(kind: str, files: dict[str, Any]) -> None:
    fds = None  # cached, as in Flower's quickstart
    relay = Kept()
    app = PeerApp(relay=relay)

    def load_data(partition_id: int) -> Any:
        nonlocal fds
        if fds is None:
            fds = flwr_datasets.FederatedDataset(
                dataset="parquet", partitioners={"train": partitioners()[kind]}, **files
            )
        return fds.load_partition(partition_id)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        labels = load_data(context.node_config["partition-id"])["label"]
        counts = np.bincount(np.asarray(labels), minlength=4).astype(float)
        metrics = MetricRecord({"num-examples": len(labels)})
        content = {"arrays": ArrayRecord([counts]), "metrics": metrics}
        return Message(RecordDict(content), reply_to=message)

    grid = LocalGrid(app, DEVICES)
    strategy = P2PL("ring", relay=relay, consensus_steps=0)
    strategy.start(grid, ArrayRecord([np.zeros(4)]), 1)
    assert sorted(relay.last) == list(range(DEVICES))
    for device, model in relay.last.items():
        own = np.bincount(np.asarray(load_data(device)["label"]), minlength=4)
        assert model["0"].tolist() == own.tolist()
    assert sum(model["0"].sum() for model in relay.last.values()) == 400


def test_neighbors_know_the_partitions_sizes(files: dict[str, Any], tmp_path: Path) -> None:
    fds = flwr_datasets.FederatedDataset(
        dataset="parquet", partitioners={"train": partitioners()["linear"]}, **files
    )
    sizes = [len(fds.load_partition(i)) for i in range(DEVICES)]
    assert len(set(sizes)) == DEVICES
    relay = MemoryRelay()
    app = PeerApp(relay=relay)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        own = len(fds.load_partition(context.node_config["partition-id"]))
        content = {
            "arrays": ArrayRecord([np.full(1, float(own))]),
            "metrics": MetricRecord({"num-examples": own}),
        }
        return Message(RecordDict(content), reply_to=message)

    strategy = P2PL("complete", relay=relay, weights="data-size", init="shared")
    result = strategy.start(LocalGrid(app, DEVICES), ArrayRecord([np.zeros(1)]), 1)
    expected = np.dot(sizes, sizes) / sum(sizes)
    assert result.arrays["0"].numpy() == pytest.approx(expected)
