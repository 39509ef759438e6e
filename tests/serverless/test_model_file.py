"""The trained model comes out: at the end, and on request from a checkpoint."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from devices import history, own_model, run_here, settings
from numbers_app import SIZE

from p2pl_flower.cli import main
from p2pl_flower.relay.spool import Document
from p2pl_flower.serverless.peer import ServerlessPeer
from p2pl_flower.serverless.settings import Settings

pytestmark = pytest.mark.slow

safetensors = pytest.importorskip("safetensors.numpy")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"algorithm": "exact-diffusion", "consensus_steps": 2},
        {"consensus_steps": 0},
        {"shared": "w"},
    ],
)
def test_the_model_beside_the_checkpoint_scores_what_the_history_says(tmp_path, options) -> None:
    made = settings(nx.path_graph(3), tmp_path, **options)
    run_here(made)
    for device in made:
        model = safetensors.load_file(tmp_path / f"device-{device}" / "model.safetensors")
        layout = {name: (array.shape, str(array.dtype)) for name, array in model.items()}
        assert layout == {"w": ((SIZE,), "float64"), "steps": ((), "int64")}
        assert model["steps"] == 3
        [run] = history(tmp_path, device).runs
        assert run.rounds[-1].after_consensus.loss.mean == model["w"].mean()


def test_it_goes_where_the_settings_say_with_and_without_a_checkpoint(tmp_path) -> None:
    made = settings(nx.path_graph(2), tmp_path, rounds=1)
    made[0]["model"] = str(tmp_path / "new" / "zero.safetensors")
    made[1]["checkpoint"] = ""
    made[1]["model"] = "one.safetensors"
    peers = {d: Settings.of(values, tmp_path) for d, values in made.items()}
    assert peers[1].model_file == tmp_path / "one.safetensors"  # relative to the settings file
    made[1]["model"] = str(peers[1].model_file)
    run_here(made)
    for file in (tmp_path / "new" / "zero.safetensors", tmp_path / "one.safetensors"):
        assert list(Document.at(file).model()) == ["w", "steps"]
    assert not (tmp_path / "device-0" / "model.safetensors").exists()


def test_a_place_that_cannot_be_written_to_is_named_before_training(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    values = settings(nx.path_graph(2), tmp_path)[0]
    with pytest.raises(ValueError, match=r"model='.*file/x': cannot be written"):
        ServerlessPeer(Settings.of({**values, "model": str(tmp_path / "file" / "x")}))
    with pytest.raises(ValueError, match=r"model='.*folder': is a folder: name the file"):
        ServerlessPeer(Settings.of({**values, "model": str(tmp_path / "folder")}))


def test_export_writes_what_the_checkpoint_holds_while_its_peer_trains(tmp_path, capsys) -> None:
    made = settings(nx.path_graph(2), tmp_path, rounds=2)
    exported: list[Path] = []

    def export(report) -> None:
        out = tmp_path / f"after-{report.measured.round}.safetensors"
        assert main(["export", made[0]["checkpoint"], "--out", str(out)]) == 0
        exported.append(out)

    peers = [ServerlessPeer(Settings.of(made[d]), [export, None][d]) for d in made]
    threads = [threading.Thread(target=peer.run) for peer in peers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for peer in peers:
        peer.close()
    means = [safetensors.load_file(file)["w"].mean() for file in exported]
    [run] = history(tmp_path, 0).runs
    assert means == [r.after_consensus.loss.mean for r in run.rounds]
    assert f"{exported[0]}: 2 arrays, {SIZE + 1:,} numbers" in capsys.readouterr().out


def test_without_a_name_the_export_lies_beside_the_checkpoint(tmp_path, capsys) -> None:
    made = settings(nx.path_graph(2), tmp_path, rounds=1)
    run_here(made)
    state = Path(made[1]["checkpoint"])
    (state / "model.safetensors").unlink()
    assert main(["export", str(state / "checkpoint.safetensors")]) == 0
    model = safetensors.load_file(state / "model.safetensors")
    assert np.array_equal(model["w"], own_model(made[1])["w"])
    assert (state / "checkpoint.safetensors").exists()


def test_what_cannot_be_exported_is_said_in_one_sentence(tmp_path, capsys) -> None:
    made = settings(nx.path_graph(2), tmp_path, rounds=1)
    run_here(made)
    state = Path(made[0]["checkpoint"])
    file, model = state / "checkpoint.safetensors", state / "model.safetensors"
    (tmp_path / "empty").mkdir()
    os.link(file, tmp_path / "same")
    before = file.read_bytes()
    for arguments, complaint in (
        ([tmp_path / "nowhere"], "holds no checkpoint.safetensors: name the folder"),
        ([tmp_path / "empty"], "holds no checkpoint.safetensors: name the folder"),
        ([tmp_path], "holds several devices' folders: name one of device-0, device-1"),
        ([model], "is no whole checkpoint of a peer: name its checkpoint.safetensors"),
        ([state, "--out", file], "is the checkpoint itself: name another file"),
        ([state, "--out", tmp_path / "same"], "is the checkpoint itself: name another file"),
        ([state, "--out", file / "x"], "cannot be written"),
    ):
        assert main(["export", *map(str, arguments)]) == 2, arguments
        said = capsys.readouterr().err
        assert said.startswith("p2pl-flower export: ")
        assert said.count("\n") == 1
        assert complaint in said
    assert file.read_bytes() == before


def test_one_line_loads_it_in_pytorch(tmp_path) -> None:
    """Names, shapes and dtypes are those of the module that the app trains."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    from p2pl_flower.serverless import model_file

    net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    state = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    model_file.write(tmp_path / "model.safetensors", state)
    other = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    for name, tensor in other.state_dict().items():
        assert torch.equal(tensor, net.state_dict()[name])
        assert tensor.dtype == net.state_dict()[name].dtype


def test_complex_numbers_that_safetensors_lacks_are_written_as_pairs(tmp_path, caplog) -> None:
    from p2pl_flower.serverless import model_file

    model = {"s": np.array([1 + 2j, 3j]), "n": np.array(4j), "w": np.ones(1, np.complex64)}
    model_file.write(tmp_path / "model.safetensors", model)
    found = safetensors.load_file(tmp_path / "model.safetensors")
    assert found["s"].tolist() == [[1, 2], [0, 3]]
    assert found["n"].tolist() == [0, 4]
    assert found["w"].dtype == np.complex64
    assert "array(s) 's', 'n' are written as float64 with a last axis of 2" in caplog.text
