"""A device that is put out of its group while it trains."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import pytest
from devices import run_here, settings, setup_of

from p2pl_flower.cli import main
from p2pl_flower.errors import ConfigError
from p2pl_flower.relay.group import Revocations
from p2pl_flower.relay.grpc.certificates import make_certificates

pytestmark = pytest.mark.slow


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    authority = tmp_path / "authority"
    make_certificates(authority, range(3))
    made = [tmp_path / f"own-{k}" for k in range(3)]
    for k, folder in enumerate(made):
        folder.mkdir()
        for name in ("ca.pem", f"device-{k}.pem", f"device-{k}.key"):
            (folder / name).write_bytes((authority / name).read_bytes())
    return made


def test_its_neighbors_go_on_without_it(tmp_path, folders, capsys) -> None:
    made = settings(nx.complete_graph(3), tmp_path, rounds=6, certificates="", linger=1)
    for k, values in made.items():
        values["certificates"] = str(folders[k])
        values["waiting"] = {"deadline": 5}
    done = []

    def on_round(report) -> None:
        done.append(report.measured.round)
        if done.count(1) == 3 and not (folders[0] / Revocations.FILE).exists():
            main(["revoke", "2", "--authority", str(tmp_path / "authority")])
            listed = (tmp_path / "authority" / Revocations.FILE).read_bytes()
            (folders[0] / Revocations.FILE).write_bytes(listed)  # one peer is told

    run_here(made, on_round)
    assert "list 1 in" in capsys.readouterr().out
    for k in (0, 1):
        answers = setup_of(tmp_path, k)["answers"]
        assert answers[str(1 - k)]["arrived"] >= 6
        assert answers["2"]["arrived"] < answers[str(1 - k)]["arrived"] - 1
        assert (folders[k] / Revocations.FILE).exists()
    assert setup_of(tmp_path, 2)["models"]["arrived"] <= 6


def test_names_and_folders_that_are_not_there_are_refused(tmp_path, folders) -> None:
    authority = str(tmp_path / "authority")
    assert main(["revoke", "nobody", "--authority", authority]) == 2
    assert main(["revoke", "1", "--authority", str(tmp_path / "nowhere")]) == 2
    assert not (tmp_path / "authority" / Revocations.FILE).exists()
    (folders[0] / Revocations.FILE).write_text("{}")
    values = settings(nx.path_graph(2), tmp_path, certificates=str(folders[0]))[0]
    with pytest.raises(ConfigError, match="has signed"):
        run_here({0: values})
