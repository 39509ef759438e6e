"""``device.toml``: what is wrong with it is said in one sentence that names the key."""

from __future__ import annotations

import sys

import pytest

from p2pl_flower.cli import main
from p2pl_flower.errors import ConfigError
from p2pl_flower.options import Options
from p2pl_flower.serverless.settings import Settings
from p2pl_flower.weights import Uniform

GOOD = """
device = 0
num-devices = 3
listen = "0.0.0.0:9400"
app = "my.client_app:app"
rounds = 5
certificates = "certs"
checkpoint = "state"
weights = "uniform"
consensus-steps = 2
seed = 4
[neighbors]
2 = "192.168.1.22:9400"
1 = "host.example:9400"
[waiting]
quorum = 1
deadline = 5
[run-config]
lr = 0.1
"""


def load(tmp_path, text: str = GOOD, *changes: str) -> Settings:
    file = tmp_path / "device.toml"
    file.write_text(text)
    return Settings.load(file, changes)


def test_a_good_file(tmp_path) -> None:
    made = load(tmp_path)
    assert list(made.neighbors.items()) == [(1, "host.example:9400"), (2, "192.168.1.22:9400")]
    assert (made.waiting.quorum, made.waiting.deadline) == (1, 5)
    assert (made.options.weights, made.options.consensus_steps) == (Uniform(), 2)
    assert made.certificates == str(tmp_path / "certs")  # relative to the file, not to the shell
    assert made.run_config == {"lr": 0.1}
    assert made.common()["weights"] == "uniform"


def test_set_overrides_keys_and_entries_of_tables(tmp_path) -> None:
    made = load(tmp_path, GOOD, "rounds=7", "run-config.lr=0.5", "node-config.name=a b", "app=x:y")
    assert (made.rounds, made.run_config["lr"], made.node_config["name"], made.app) == (
        7,
        0.5,
        "a b",
        "x:y",
    )


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("device=3", "device=3: must be from 0 to 2"),
        ("device='0'", "device='0': must be an integer"),
        ("rounds=0", "rounds=0: must be at least 1"),
        ("rounds=true", "rounds=True: must be an integer of at least 1"),
        ("num-devices=1", "num-devices=1: must be at least 2"),
        ("listen=here", "listen='here': must be host:port"),
        ("listen='h:99999'", "listen='h:99999': must be host:port"),
        ("neighbors.1='no port'", "neighbors.1='no port': must be host:port"),
        ("neighbors.0='h:1'", "neighbors.0='h:1': must be the id of another device"),
        ("neighbors.9='h:1'", "neighbors.9='h:1': must be the id of another device"),
        ("neighbors.x='h:1'", "neighbors.x='h:1': must be a line such as"),
        ("neighbors.1=5", "neighbors.1=5: must be a line such as"),
        ("neighbors={}", "neighbors={}: must name at least one device"),
        ("neighbors=5", "neighbors=5: must be a table"),
        ("waiting.quorum=-1", "waiting.quorum=-1: must be"),
        ("waiting.deadline=0", "waiting.deadline=0: must be in \\(0, inf\\) \\(seconds\\)"),
        ("waiting.patience=3", "waiting.patience=3: unknown key; choose one of: quorum"),
        ("round=3", "round=3: unknown key; choose one of"),
        ("weights=best", "weights='best': unknown name; choose one of: data-size"),
        ("init=shared", "init='shared': there is no server to hand out a common start"),
        ("consensus-gamma=2.0", "consensus-gamma=2.0: must be in"),
        ("run-config.a=[1]", "run-config.a=\\[1\\]: must be a text, a number"),
        ("insecure=true", "certificates=.*: name the folder"),
        ("certificates=''", "certificates='': name the folder"),
        ("topology=rings", "topology='rings': unknown name"),
        ("start=-1", "start=-1: must be in \\[0, inf\\) \\(seconds\\)"),
        ("rounds", "set='rounds': must look like key=value"),
        ("rounds.x=1", "set='rounds.x=1': rounds is no table"),
    ],
)
def test_a_bad_value_is_named(tmp_path, change, complaint) -> None:
    with pytest.raises(ConfigError, match=f"^{complaint}"):
        load(tmp_path, GOOD, change)


def test_a_schedule_links_none_but_listed_neighbors(tmp_path) -> None:
    few = GOOD.replace('2 = "192.168.1.22:9400"\n', "")
    assert load(tmp_path, few, "topology=path", "device=0").schedule.graph(1).degree[1] == 2
    with pytest.raises(ConfigError, match="links device 0 to devices that neighbors lacks: 2;"):
        load(tmp_path, few, "topology=random-matchings")
    made = load(tmp_path, GOOD, "topology=random-matchings")
    assert made.common()["topology"] == "random-matchings"
    assert "topology" not in load(tmp_path, GOOD).common()


def test_an_algorithm_that_must_know_all_devices_lets_none_join(tmp_path) -> None:
    changes = ("algorithm=eigenvector-correction", "joining.links=2", "address=h:9400")
    with pytest.raises(ConfigError, match="must know how many devices there are, and devices may"):
        load(tmp_path, GOOD, *changes)
    assert load(tmp_path, GOOD, changes[0]).options.algorithm.knows_place


@pytest.mark.parametrize("key", ["device", "num-devices", "listen", "app", "rounds"])
def test_a_missing_key_is_named(tmp_path, key) -> None:
    lines = [line for line in GOOD.splitlines() if not line.startswith(f"{key} ")]
    with pytest.raises(ConfigError, match=f"^{key}=None: must be given"):
        load(tmp_path, "\n".join(lines))


def test_the_command_says_it_in_one_sentence(tmp_path, capsys) -> None:
    file = tmp_path / "device.toml"
    for text, complaint in (
        ("device = ", "is not valid TOML"),
        (GOOD.replace("device = 0", "device = 5"), "device=5: must be from 0 to 2"),
        (GOOD, "certs/ca.pem'? cannot be read|certificates=.*cannot be read"),
    ):
        file.write_text(text)
        assert main(["peer", str(file)]) == 2
        said = capsys.readouterr().err
        assert said.startswith("p2pl-flower peer: ")
        assert said.count("\n") == 1
        assert "Traceback" not in said
        if "|" not in complaint:
            assert complaint in said
    assert main(["peer", str(tmp_path / "nowhere.toml")]) == 2
    assert "cannot be read: No such file" in capsys.readouterr().err


def test_objects_are_found_in_the_working_folder(tmp_path, monkeypatch) -> None:
    rule = "from p2pl_flower.weights import Uniform\n\n\nclass Kind(Uniform):\n    pass\n"
    (tmp_path / "kind_rules.py").write_text(rule)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    made = load(tmp_path, GOOD, "weights=kind_rules.Kind")
    assert type(made.options.weights).__name__ == "Kind"
    assert made.common()["weights"] == "kind_rules.Kind"


def test_what_a_file_could_not_name_is_refused() -> None:
    good = {"device": 0, "num_devices": 2, "listen": "h:1", "app": "a:b", "rounds": 1}
    good |= {"neighbors": {1: "h:2"}, "insecure": True}
    assert Settings(**good).neighbors == {1: "h:2"}
    with pytest.raises(ConfigError, match="cannot be sent to devices"):
        Settings(**good, options=Options(weights=lambda own, neighbors: {}))
    with pytest.raises(ConfigError, match="weights='matrix': a device knows its neighbors alone"):
        Settings(**good, options=Options(weights=[[0.5, 0.5], [0.5, 0.5]]))
