"""The arrays that a run on a SuperLink ends with load into the project's model, and score."""

from __future__ import annotations

import json
from pathlib import Path

import flower_projects
import pytest
from federation import Federation

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

pytestmark = pytest.mark.slow

DEVICES = 2


def sample_project(folder: Path) -> Path:
    """Return a copy of the PyTorch project that trains peer to peer over relays of machines."""
    app = flower_projects.copy("pytorch", folder, peer_to_peer=True, installs=False)
    logger = f'on_round="json-lines:path={folder}/rounds.jsonl"'
    strategy = f'P2PL("complete", num_devices={DEVICES}, relay="grpc", result="mean", {logger})'
    for file, old, new in (
        ("client_app.py", "PeerApp()", 'PeerApp(relay="grpc")'),
        ("server_app.py", 'P2PL("ring")', strategy),
        ("server_app.py", '"final_model.pt"', f'"{folder}/final_model.pt"'),
    ):
        path = app / "pytorchexample" / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
    return app


def test_what_comes_out_scores_what_the_history_says(tmp_path: Path) -> None:
    app = sample_project(tmp_path)
    federation = Federation(tmp_path, DEVICES)
    try:
        federation.start()
        printed, _ = federation.flwr_run("num-server-rounds=1", app).communicate(timeout=500)
        assert (tmp_path / "final_model.pt").exists(), printed + federation.logs()
    finally:
        federation.end()
    rounds = (tmp_path / "rounds.jsonl").read_text(encoding="utf-8").splitlines()
    said = json.loads(rounds[-1])["after_consensus"]
    with flower_projects.loaded(app):
        from pytorchexample.task import Net, load_data, test

        net = Net()
        net.load_state_dict(torch.load(tmp_path / "final_model.pt"))
        tests = [load_data(device, DEVICES, batch_size=32)[1] for device in range(DEVICES)]
        # on the complete graph all devices end with the mean, and each scores it on data of its own
        losses, accuracies = zip(
            *(test(net, own, torch.device("cpu")) for own in tests), strict=True
        )
    for found, name in ((losses, "loss"), (accuracies, "accuracy")):
        assert [min(found), max(found)] == pytest.approx([said[name]["min"], said[name]["max"]])
    assert min(accuracies) > 0.15  # it has learned something
