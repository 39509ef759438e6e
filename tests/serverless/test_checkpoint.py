"""A checkpoint: all that a device goes on from, whole at any instant."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from p2pl_flower.errors import ConfigError
from p2pl_flower.history import Round, Run
from p2pl_flower.relay import Slot
from p2pl_flower.relay.grpc.own_publications import OwnPublications
from p2pl_flower.serverless.checkpoint import Checkpoint, State
from p2pl_flower.serverless.folder_lock import FolderLock

IDENTITY = {"device": 1, "rounds": 5}


def filled(number: int, size: int = 3) -> OwnPublications:
    publications = OwnPublications(1, 5)
    for step in (0, 1):
        model = {"w": np.full(size, number + step / 2), "n": np.array(number), "b": np.array(0.5)}
        publications.put(Slot("model", number, step), model, private=["n"])
    return publications


def state(number: int) -> State:
    context = RecordDict(
        {
            "arrays": ArrayRecord({"a": Array(np.arange(3.0)), "e": Array(np.zeros((0, 2)))}),
            "config": ConfigRecord({"t": "x", "raw": b"\x00\xff", "many": [1, 2], "yes": True}),
            "metrics": MetricRecord({"m": 0.25, "ms": [1.5, 2.5]}),
        }
    )
    return State(number, Run("p2pl", "network", 0, 1, {"k": [1]}, [Round(number)]), context)


def test_there_and_back(tmp_path) -> None:
    checkpoint = Checkpoint(tmp_path / "new" / "folder", IDENTITY)
    assert checkpoint.load(OwnPublications(1)) is None
    torch = pytest.importorskip("torch")
    checkpoint.save(state(3), filled(3), ["model"])
    expected = random.random(), np.random.random(), torch.rand(1).item()  # noqa: NPY002
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    publications = OwnPublications(1, 5)
    back = checkpoint.load(publications)
    assert back is not None
    assert (random.random(), np.random.random(), torch.rand(1).item()) == expected  # noqa: NPY002
    assert (back.round, back.run, publications.round) == (3, state(3).run, 3)
    for key, record in state(3).context.items():
        assert back.context[key] == record
    kept = publications.own("model")
    assert [slot for slot, _ in kept] == [Slot("model", 3, 1), Slot("model", 3, 0)]
    assert list(kept[0][1]) == ["w", "n", "b"]
    assert kept[0][1]["w"].tolist() == [3.5] * 3
    assert kept[0][1]["n"] == 3


def test_a_checkpoint_of_another_run_is_refused(tmp_path) -> None:
    Checkpoint(tmp_path, IDENTITY).save(state(1), filled(1), ["model"])
    with pytest.raises(ConfigError, match="of a run with rounds=5, but this one has 6"):
        Checkpoint(tmp_path, {**IDENTITY, "rounds": 6}).load(OwnPublications(1))


def test_a_damaged_file_is_refused_by_name(tmp_path) -> None:
    checkpoint = Checkpoint(tmp_path, IDENTITY)
    checkpoint.save(state(1), filled(1), ["model"])
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:-7])
    with pytest.raises(ConfigError, match=r"checkpoint\.safetensors.*cannot be read.*delete it"):
        checkpoint.load(OwnPublications(1))


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        Checkpoint(tmp_path / "file" / "x", IDENTITY).save(state(1), filled(1), ["model"])


def damage(path: Path, what: str) -> None:
    content = path.read_bytes()
    if what == "flipped":  # one bit of an array
        content = content[:-1] + bytes([content[-1] ^ 1])
    elif what == "short":
        content = content[:-7]
    elif what == "metadata":
        content = content.replace(b'\\"mail\\"', b'\\"male\\"')
    else:
        content = b"nonsense"
    path.write_bytes(content)


@pytest.mark.parametrize("what", ["flipped", "short", "metadata", "nonsense"])
def test_the_one_before_is_taken_where_the_last_is_damaged(tmp_path, what, caplog) -> None:
    checkpoint = Checkpoint(tmp_path, IDENTITY)
    for number in (1, 2, 3):
        checkpoint.save(state(number), filled(number), ["model"])
    damage(checkpoint.path, what)
    publications = OwnPublications(1, 5)
    found = checkpoint.load(publications)
    assert found is not None
    assert found.round == 2
    assert publications.own("model")[0][0] == Slot("model", 2, 1)
    assert "is damaged or gone" in caplog.text
    damage(tmp_path / "checkpoint-before.safetensors", what)
    with pytest.raises(ConfigError, match=r"checkpoint\.safetensors.*cannot be read.*delete it"):
        checkpoint.load(OwnPublications(1, 5))


def test_there_is_a_last_file_at_every_instant(tmp_path, monkeypatch) -> None:
    checkpoint = Checkpoint(tmp_path, IDENTITY)
    checkpoint.save(state(1), filled(1), ["model"])
    replace, seen = Path.replace, []

    def watched(self, target):
        before = checkpoint.path.is_file()
        replace(self, target)
        seen.append(before and checkpoint.path.is_file())

    monkeypatch.setattr(Path, "replace", watched)
    checkpoint.save(state(2), filled(2), ["model"])
    assert seen == [True, True]
    assert checkpoint.load(OwnPublications(1, 5)).round == 2  # type: ignore[union-attr]
    damage(checkpoint.path, "short")
    assert checkpoint.load(OwnPublications(1, 5)).round == 1  # type: ignore[union-attr]


def test_a_full_disk_pauses_saving_and_training_goes_on(tmp_path, monkeypatch, caplog) -> None:
    checkpoint = Checkpoint(tmp_path, IDENTITY)
    checkpoint.save(state(1), filled(1), ["model"])
    with monkeypatch.context() as full:
        full.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space")))
        for number in (2, 3):
            checkpoint.save(state(number), filled(number), ["model"])
    assert caplog.text.count("training goes on") == 1
    found = checkpoint.load(OwnPublications(1, 5))
    assert found is not None
    assert found.round == 1
    checkpoint.save(state(4), filled(4), ["model"])
    assert checkpoint.load(OwnPublications(1, 5)).round == 4  # type: ignore[union-attr]


def test_a_twin_in_the_same_folder_is_refused_by_name(tmp_path) -> None:
    held = FolderLock(tmp_path)
    with pytest.raises(ConfigError, match=rf"{tmp_path}.*running \(process {os.getpid()}\)"):
        FolderLock(tmp_path)
    held.close()
    FolderLock(tmp_path).close()


def save_forever(folder: str, first: int) -> None:
    checkpoint = Checkpoint(Path(folder), IDENTITY)
    for number in range(first, 10**6):
        checkpoint.save(state(number), filled(number, size=100_000), ["model"])


@pytest.mark.slow
def test_kill_at_any_instant_leaves_a_whole_file(tmp_path) -> None:
    """Killed while it saves in a loop, at instants spread over several saves."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["p2pl_flower.serverless.checkpoint"])
    checkpoint, last = Checkpoint(tmp_path, IDENTITY), 0
    for attempt in range(8):
        process = context.Process(target=save_forever, args=(str(tmp_path), last + 1))
        process.start()
        end = time.monotonic() + 60
        while time.monotonic() < end:  # until it has saved something of its own
            found = checkpoint.load(OwnPublications(1))
            if found is not None and found.round > last:
                break
        time.sleep(0.005 * attempt)
        process.kill()
        process.join()
        publications = OwnPublications(1)
        found = checkpoint.load(publications)
        assert found is not None
        assert found.round > last
        for slot, model in publications.own("model"):
            assert (model["w"] == found.round + slot.step / 2).all()
        last = found.round
