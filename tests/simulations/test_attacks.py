"""What attackers do: each by hand, and alike in both engines; they are never scored."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from local_grid import RUN_ID, LocalGrid

from p2pl_flower import P2PL, MemoryRelay
from p2pl_flower.errors import ConfigError
from p2pl_flower.history import Run
from p2pl_flower.relay.contents import MODEL, models_of
from p2pl_flower.swarm.edges import Edges
from p2pl_flower.swarm.mixing import Mixing
from simulations.attacks import ATTACKS, Agreed, Attack, Omniscient
from simulations.attacks.base import Where
from simulations.attacks.flower import attacked, relay_of
from simulations.attacks.swarm import HostileDevices
from simulations.client_app import make_client_app
from simulations.flower_engine import run_contender
from simulations.scenario import Scenario
from simulations.swarm_engine import make_swarm
from simulations.swarm_engine import run_contender as run_in_swarm
from simulations.task import make_task
from strategies import contender

OWN = {"w": torch.tensor([1.0, -2.0]), "b": torch.tensor(4.0)}
FIRST = {"w": torch.tensor([7.0, 8.0]), "b": torch.tensor(9.0)}
HERE = Where(seed=3, device=5, round=2, step=1)

KEYS: dict[str, Any] = {
    "dataset": "digits",
    "num-devices": 6,
    "model": "logistic",
    "topology": "small-world:k=4,p=0.2",
    "consensus-steps": 2,
    "rounds": 3,
    "evaluate-every": 1,
    "contenders": "p2pl",
    "seed": 3,
}


def said(text: str, where: Where = HERE) -> list[float]:
    lie = ATTACKS.make(text).message(OWN, FIRST, where)
    return [*lie["w"].tolist(), float(lie["b"])]


def test_what_attackers_make_of_their_messages() -> None:
    assert said("sign-flip:scale=2") == [-2, 4, -8]
    assert said("scaling:scale=3") == [3, -6, 12]
    assert said("replay") == [7, 8, 9]
    assert np.isnan(said("nan")).all()
    assert said("label-flip") == said("large-norm") == said("none") == [1, -2, 4]


def test_noise_is_new_each_time_and_the_same_model_is_not() -> None:
    later, other = HERE._replace(round=3), HERE._replace(device=6)
    assert said("noise") == said("noise")
    assert len({tuple(said("noise", where)) for where in (HERE, later, other)}) == 3
    assert said("same-model") == said("same-model", later) == said("same-model", other)
    big = {"w": torch.zeros(20_000)}
    for text, deviation in (("noise:deviation=0.5", 0.5), ("same-model:deviation=2", 2.0)):
        drawn = ATTACKS.make(text).message(big, big, HERE)["w"]
        assert float(drawn.std()) == pytest.approx(deviation, rel=0.02)


def test_labels_and_draws() -> None:
    flipped = ATTACKS.make("label-flip").labels(torch.tensor([0, 3, 9]), 10)
    assert flipped.tolist() == [9, 6, 0]
    large = ATTACKS.make("large-norm:scale=10").drawn({**OWN, "n": torch.tensor(2)})
    assert [*large["w"].tolist(), float(large["b"]), int(large["n"])] == [10, -20, 40, 2]


def test_attackers_are_a_seeded_share() -> None:
    attack = ATTACKS.make("sign-flip:fraction=0.1")
    who = attack.attackers(0, 100)
    assert len(who) == 10
    assert list(who) == sorted(set(who))
    assert who == attack.attackers(0, 100) != attack.attackers(1, 100)
    assert attack.attackers(0, 1) == ()


@pytest.mark.slow  # it imports much
def test_byzfl_agrees() -> None:
    byzfl = pytest.importorskip("byzfl")
    honest = torch.tensor([[1.0, 5.0], [3.0, 5.0], [5.0, 8.0]])
    alie = ATTACKS.make("alie:tau=1.5").crafted({"w": honest})["w"]
    np.testing.assert_allclose(alie, honest.mean(0) + 1.5 * honest.std(0), rtol=1e-6)
    product = ATTACKS.make("inner-product:tau=2").crafted({"w": honest})["w"]
    np.testing.assert_allclose(product, -2 * honest.mean(0), rtol=1e-6)
    flipped = byzfl.SignFlipping()(OWN["w"][None])
    assert said("sign-flip")[:2] == flipped.tolist()


def star_step(devices: int = 4) -> Mixing:
    """Device 0 hears the rest, by weights of 0.2; they hear it by 0.5."""
    edges = Edges.of(nx.star_graph(devices - 1))
    weights = np.where(edges.to == 0, 0.2, 0.5)
    everybody = np.full(devices, True)
    return Mixing.gossip(edges, weights, np.full(len(weights), True), everybody, 1.0)


class Chosen(HostileDevices):
    def __init__(self, attack: str | Attack, *devices: int) -> None:
        super().__init__(ATTACKS.of(attack), 0, 4)
        self.devices = np.array(devices)


def mixed(hostile: Chosen, step: Mixing) -> list[float]:
    sent = {"w": torch.tensor([[1.0], [2.0], [4.0], [8.0]])}
    mixing, lies = hostile.heard(sent, step)
    mixing.apply(sent, beside=lies)
    return sent["w"].flatten().tolist()


def test_neighbors_hear_lies_and_attackers_go_on_as_if_they_had_not() -> None:
    after = mixed(Chosen("sign-flip", 3), star_step())
    assert after == pytest.approx([0.4 + 0.2 * (2 + 4 - 8), 1.5, 2.5, 4.5])
    both = mixed(Chosen("sign-flip", 0, 3), star_step())
    assert both == pytest.approx([0.4 + 0.2 * (2 + 4 - 8), 1 - 0.5, 2 - 0.5, 4 - 0.5])


class Mean(Agreed):
    def crafted(self, honest):
        return {name: 10 * tensor.mean(0) for name, tensor in honest.items()}


def test_attackers_of_your_own_may_know_what_honest_devices_send() -> None:
    assert mixed(Chosen(Mean(), 2, 3), star_step())[:2] == pytest.approx(
        [0.4 + 0.2 * 2 + 0.4 * 15, 1.5]
    )

    class Silent(Omniscient):
        pass

    with pytest.raises(ConfigError, match=r"attack='Silent': .* derive it from Agreed"):
        Chosen(Silent())


def test_dissensus_leaves_a_device_where_it_is() -> None:
    after = mixed(Chosen("dissensus:epsilon=1", 2, 3), star_step())
    assert after[0] == pytest.approx(1.0)
    pushed = mixed(Chosen("dissensus:epsilon=2", 2, 3), star_step())
    assert pushed[0] == pytest.approx(1 - 0.2 * (2 - 1))


@pytest.mark.parametrize("size", [4, 40])  # a dense product, and a sparse one
def test_nans_reach_neighbors_alone(size: int) -> None:
    edges = Edges.of(nx.path_graph(size))
    heard = np.full(len(edges.to), True)
    step = Mixing.gossip(edges, np.full(len(heard), 0.3), heard, np.full(size, True), 1.0)
    assert step.is_dense == (size == 4)
    hostile = HostileDevices(ATTACKS.make("nan"), 0, size)
    hostile.devices = np.array([0])
    sent = {"w": torch.arange(float(size)).reshape(-1, 1)}
    expected = step.dense() @ sent["w"].numpy()
    mixing, lies = hostile.heard(sent, step)
    mixing.apply(sent, beside=lies)
    after = sent["w"].flatten().numpy()
    assert np.isnan(after).tolist() == [False, True, *[False] * (size - 2)]
    np.testing.assert_allclose(after[2:], expected[2:, 0], rtol=1e-5)


class Kept(MemoryRelay):
    def close(self, run: int) -> None:
        self.last = models_of(self.observe(RUN_ID, MODEL))
        super().close(run)


def in_flower(scenario: Scenario) -> tuple[Run, dict[int, Any]]:
    relay = Kept()
    grid = LocalGrid(make_client_app(lambda _: scenario, relay), scenario.num_devices)
    task = make_task(scenario)
    strategy = P2PL(
        scenario.topology,
        **contender("p2pl").options(task),
        evaluate_every=1,
        num_devices=scenario.num_devices,
        relay=relay_of(scenario, relay),
    )
    strategy.start(grid, task.initial_arrays, scenario.rounds)
    return Run("p2pl", "flower", 0, 6, strategy.setup, strategy.rounds), relay.last


@pytest.mark.parametrize(
    ("attack", "algorithm"),
    [
        ("sign-flip", "p2pl"),
        ("sign-flip", "slowmo"),
        ("scaling:scale=2", "p2pl"),
        ("noise", "p2pl"),
        ("replay", "slowmo"),
        ("same-model", "p2pl"),
        ("label-flip", "p2pl"),
        ("large-norm", "p2pl"),
    ],
)
def test_engines_agree_under_attack(attack: str, algorithm: str) -> None:
    text = f"{attack}{',' if ':' in attack else ':'}fraction=0.34"
    scenario = Scenario.of({**KEYS, "attack": text, "algorithm": algorithm})
    swarm = make_swarm(scenario, contender("p2pl"), lambda *_: None)
    ours, (theirs, models) = swarm.run(), in_flower(scenario)
    honest = swarm.plan.hostile.honest(np.arange(6))
    assert len(honest) == 4
    for device in honest.tolist():
        for name, tensor in swarm.stack.model(device).items():
            apart = np.linalg.norm(tensor.numpy() - models[device][name])
            assert apart <= 1e-4 * np.linalg.norm(models[device][name])
    for our, their in zip(ours.rounds, theirs.rounds, strict=True):
        assert our.bytes_sent == their.bytes_sent
        assert our.consensus_distance == pytest.approx(their.consensus_distance, rel=1e-3)
        for when in ("after_training", "after_consensus"):
            one, other = getattr(our, when).accuracy, getattr(their, when).accuracy
            assert [one.mean, one.min] == pytest.approx([other.mean, other.min], abs=2e-3)


@pytest.mark.parametrize("init", ["seed", "bounded-norm", "shared"])
def test_nobody_claims_the_start_where_it_is_not_to_be_claimed(init: str) -> None:
    keys = {**KEYS, "num-devices": 10, "attack": "large-norm:fraction=0.5", "seed": 4}
    assert 0 in Scenario.of(keys).attacking.attackers(4, 10)
    norms = {}
    for start in (init, "max-norm"):
        swarm = make_swarm(Scenario.of({**keys, "init": start}), contender("p2pl"), lambda *_: None)
        with swarm.block:
            swarm.start()
            norms[start] = float(swarm.stack.tensors[swarm.stack.mixed[0]][0].norm())
    assert norms["max-norm"] > 50 * norms[init]


def test_attackers_are_not_scored_and_a_history_names_them() -> None:
    scenario = Scenario.of({**KEYS, "attack": "scaling:fraction=0.34,scale=50"})
    run = run_in_swarm(scenario, contender("p2pl"), lambda *_: None)
    attackers = list(scenario.attacking.attackers(3, 6))
    assert run.setup["attackers"] == attackers
    swarm = make_swarm(scenario, contender("p2pl"), lambda *_: None)
    scored = []
    real = swarm.block.values
    swarm.block.values = lambda devices: scored.append(devices.tolist()) or real(devices)
    swarm.run()
    assert all(not set(devices) & set(attackers) for devices in scored)
    assert len(scored) == 2 * scenario.rounds


def test_a_server_hears_lies_too() -> None:
    scenario = Scenario.of({**KEYS, "attack": "sign-flip:fraction=0.34", "contenders": "fedavg"})
    [chosen] = scenario.named_contenders()
    swarm = run_in_swarm(scenario, chosen, lambda *_: None)
    grid = LocalGrid(make_client_app(lambda _: scenario, MemoryRelay()), 6)
    flower = chosen.run(grid, attacked(make_task(scenario), scenario.attacking, chosen))
    for one, other in zip(swarm.rounds, flower.rounds, strict=True):
        found = one.after_consensus.accuracy.mean
        assert found == pytest.approx(other.after_consensus.accuracy.mean, abs=2e-3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sign-flip:fraction=1", "fraction=1.0: must be in [0, 1)"),
        ("sign-flip:fraction=0.01", "fraction=0.01: is nobody among 6 devices"),
        ("sign-flip:scale=-1", "scale=-1.0: must be in (0, inf)"),
        ("sign", "unknown name; choose one of: alie, dissensus"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Scenario.of({**KEYS, "attack": text})
    assert words in str(caught.value)


def test_what_a_device_cannot_know_is_for_the_swarm() -> None:
    scenario = Scenario.of({**KEYS, "attack": "dissensus:fraction=0.34"})
    with pytest.raises(ConfigError, match="is for the swarm"):
        run_contender(scenario, contender("p2pl"), lambda *_: None)
    with pytest.raises(ConfigError, match="leave out fedavg"):
        run_in_swarm(scenario, contender("fedavg"), lambda *_: None)


def test_lies_are_not_encoded() -> None:
    keys = {**KEYS, "attack": "sign-flip:fraction=0.34"}
    for chosen in ({"codec": "int8"}, {"contenders": "p2pl,choco@int8"}):
        with pytest.raises(ConfigError, match="has a codec: leave out either"):
            Scenario.of({**keys, **chosen})
    wrong_labels = {**KEYS, "attack": "label-flip:fraction=0.34", "codec": "int8"}
    [chosen] = Scenario.of(wrong_labels).named_contenders()
    assert len(run_in_swarm(Scenario.of(wrong_labels), chosen, lambda *_: None).rounds) == 3
