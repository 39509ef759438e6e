"""The run as a whole: history, callbacks, checkpoints, portions, and what is refused."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from p2pl_flower.algorithms.p2pl_affinity import P2PLAffinity
from p2pl_flower.errors import ConfigError, LayoutError
from p2pl_flower.history import History, Round
from p2pl_flower.options import Clock, Options
from p2pl_flower.swarm import Averaging, Gossip, Job, Machine, Swarm, TrainOptions, simulate
from p2pl_flower.swarm.memory import Needs, available, pick_chunk
from p2pl_flower.swarm.progress import Progress
from p2pl_flower.topology import schedule

COUNTS = (9, 4, 12, 7, 1, 6)
OPTIONS = Options(
    links="bernoulli:up=0.7+churn:away=0.2,absence=2",
    algorithm="p2pl-affinity:strength=0.3",
    seed=3,
)


def net(seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))


def make_data(counts=COUNTS):
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(n, 6)).astype(np.float32) for n in counts]
    return [(each, (each[:, 0] > 0).astype(np.int64)) for each in x]


TEST = make_data((20,))[0]


def make_swarm(rounds: int = 4, options: Options = OPTIONS, **rest) -> Swarm:
    training = TrainOptions(batch_size=4, learning_rate=0.2)
    job = Job(net, make_data(), TEST, rounds, training=training, **rest)
    return Swarm(job, Gossip(schedule("ring", len(COUNTS), 0), options, np.array(COUNTS)))


def models(swarm: Swarm) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in swarm.stack.tensors.items()}


def assert_equal(one: Swarm, two: Swarm, tolerance: float = 0.0) -> None:
    for name, tensor in models(one).items():
        torch.testing.assert_close(tensor, models(two)[name], rtol=tolerance, atol=tolerance)


def measured(swarm: Swarm) -> list[Round]:
    return [replace(r, seconds=None) for r in swarm.measured.rounds]


def test_one_call_from_data_to_history() -> None:
    history = simulate(net, make_data(), "ring", rounds=3, test=TEST, progress=False).history
    [run] = history.runs
    assert (run.contender, run.engine, run.devices) == ("p2pl", "swarm", 6)
    assert [r.round for r in run.rounds] == [1, 2, 3]
    assert run.setup["synchronization_steps"] == 3
    assert run.rounds[0].bytes_sent == 12 * 4 * (6 * 5 + 5 + 5 * 3 + 3)
    assert History.from_json(history.to_json()) == history


def test_a_class_is_a_factory_too() -> None:
    class Net(nn.Sequential):
        def __init__(self) -> None:
            super().__init__(nn.Linear(6, 3))

    before = torch.random.get_rng_state()
    one, two = (
        simulate(Net, make_data(), "ring", rounds=1, test=TEST, progress=False) for _ in range(2)
    )
    assert one.runs[0].rounds[0].after_consensus == two.runs[0].rounds[0].after_consensus
    assert torch.equal(torch.random.get_rng_state(), before)


def test_chunks_and_workers_make_no_difference() -> None:
    expected = make_swarm()
    expected.run()
    for machine in (Machine(chunk=1, workers=1), Machine(chunk=2, workers=2), Machine(chunk=5)):
        other = make_swarm(machine=machine)
        other.run()
        assert_equal(expected, other, tolerance=1e-5)


def test_two_runs_are_identical() -> None:
    one, two = make_swarm(), make_swarm()
    one.run()
    two.run()
    assert_equal(one, two)
    assert measured(one) == measured(two)


COPIES = {"codec": "low-bit", "codec_memory": "public-copies", "links": "bernoulli:up=0.8"}
ERRORS = {"codec": "top-k", "codec_memory": "error-feedback", "consensus_gamma": 0.2}


@pytest.mark.parametrize("changes", [{}, COPIES, ERRORS], ids=["whole", "copies", "errors"])
def test_a_run_that_was_interrupted_ends_the_same(changes, tmp_path) -> None:
    options = replace(OPTIONS, **changes)
    whole = make_swarm(rounds=5, options=options)
    whole.run()

    def interrupt(measured: Round) -> None:
        if measured.round == 4:
            raise KeyboardInterrupt

    path = tmp_path / "deep" / "state.pt"
    common = {"rounds": 5, "options": options, "checkpoint": path}
    first = make_swarm(**common, checkpoint_every=2, on_round=interrupt)
    with pytest.raises(KeyboardInterrupt):
        first.run()
    seen = []
    second = make_swarm(**common, on_round=lambda r: seen.append(r.round))
    run = second.run()
    assert seen == [3, 4, 5]
    assert_equal(whole, second)
    assert measured(whole) == measured(second)
    assert run.setup["synchronization_steps"] == whole.measured.setup["synchronization_steps"]
    assert [p.name for p in path.parent.iterdir()] == ["state.pt"]


def test_the_clock_goes_on_from_a_checkpoint(tmp_path) -> None:
    options = replace(OPTIONS, links="bernoulli:up=0.7")
    clock = Clock("wifi:spread=1", "lognormal:sigma=1")
    path = tmp_path / "checkpoint.pt"
    make_swarm(rounds=2, checkpoint=path, options=options, clock=clock).run()
    again = make_swarm(rounds=4, checkpoint=path, options=options, clock=clock).run()
    whole = make_swarm(rounds=4, options=options, clock=clock).run()
    assert [r.clock for r in again.rounds] == [r.clock for r in whole.rounds]
    assert all(r.clock.seconds > 0 and r.clock.waiting.max > 0 for r in whole.rounds)
    assert all(r.bytes_transmitted > r.bytes_sent for r in whole.rounds)
    assert again.setup["clock_seconds"] == whole.setup["clock_seconds"] > 0


def test_privacy_that_was_spent_before_a_checkpoint_counts(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("p2pl_flower.options.spending.epsilon_of", lambda *given: float(given[2]))
    monkeypatch.setattr("p2pl_flower.options.spending.check_accountant", lambda _: None)
    options = replace(OPTIONS, privacy="gaussian:clip=1,noise=0.1")
    path = tmp_path / "checkpoint.pt"
    first = make_swarm(rounds=2, checkpoint=path, options=options).run()
    assert [r.epsilon for r in first.rounds] == [1.0, 2.0]
    assert first.setup["epsilon_per_round"] == 1.0
    again = make_swarm(rounds=3, checkpoint=path, options=options).run()
    assert [r.epsilon for r in again.rounds] == [1.0, 2.0, 3.0]


def test_a_checkpoint_of_another_run_is_refused(tmp_path) -> None:
    path = tmp_path / "state.pt"
    make_swarm(checkpoint=path).run()
    with pytest.raises(ConfigError, match="is of a run with algorithm="):
        make_swarm(options=replace(OPTIONS, algorithm=P2PLAffinity(0.1)), checkpoint=path).run()
    with pytest.raises(ConfigError, match="rounds=2: must be at least the 4 rounds"):
        make_swarm(rounds=2, checkpoint=path).run()
    path.write_bytes(b"no checkpoint")
    with pytest.raises(ConfigError, match=r"cannot be read .* delete it"):
        make_swarm(checkpoint=path).run()
    torch.save({"format": 99}, path)
    with pytest.raises(ConfigError, match="no checkpoint of a swarm"):
        make_swarm(checkpoint=path).run()


def test_federated_averaging_of_a_sample() -> None:
    plan = Averaging(np.array(COUNTS), fraction=0.5, seed=1)
    chosen = {tuple(plan.trains(t).tolist()) for t in range(1, 9)}
    assert all(len(c) == 3 for c in chosen)
    assert len(chosen) > 1
    swarm = Swarm(Job(net, make_data(), TEST, 2), plan)
    swarm.run()
    size = swarm.stack.model_bytes
    for entry in swarm.measured.rounds:
        assert entry.bytes_sent == entry.bytes_through_server == 6 * size
        assert entry.bytes_sent_busiest == 3 * size
        assert entry.consensus_distance == 0
    assert all((t == t[0]).all() for t in swarm.stack.tensors.values())
    with pytest.raises(ConfigError, match="fraction-train=0"):
        Averaging(np.array(COUNTS), fraction=0)


def test_progress_is_shown_on_one_line_or_not_at_all() -> None:
    stream = io.StringIO()
    for number in (1, 2):
        Progress(2, shown=True, stream=stream).show(Round(number, seconds=0.5))
        Progress(2, shown=False, stream=stream).show(Round(number))
    assert stream.getvalue().count("\r") == 2
    assert stream.getvalue().endswith("round 2/2  0.50 s\n")


def test_what_does_not_fit_into_memory_is_refused() -> None:
    needs = Needs(models=3 * 2**30, algorithm=2**30, training=2**30)
    words = r"needs 5.00 GiB \(models 3.00 GiB, algorithm 1.00 GiB, training 1.00 GiB\), but 4"
    with pytest.raises(ConfigError, match=words):
        needs.check(Machine(), free=4 * 2**30)
    needs.check(Machine(), free=5 * 2**30)
    free = available(Machine())
    assert free is None or free > 0


def test_a_run_that_cannot_fit_stops_before_it_begins(monkeypatch) -> None:
    monkeypatch.setattr("p2pl_flower.swarm.memory.available", lambda machine: 100)
    with pytest.raises(ConfigError, match="use fewer devices"):
        make_swarm()


def test_the_chunk_is_as_set_or_suits_the_cache() -> None:
    assert pick_chunk(Machine(chunk=7), 10, 100) == 7
    assert pick_chunk(Machine(chunk=70), 10, 30) == 30
    assert pick_chunk(Machine(), 2**40, 100) == 1  # each of them takes long by itself
    assert pick_chunk(Machine(), 2**20, 100) >= 16
    assert pick_chunk(Machine(), 8, 50) == 50


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Machine(chunk=0), "chunk=0: must be at least 1"),
        (lambda: Machine(workers=0), "workers=0: must be at least 1"),
        (lambda: Machine(torch_device="tpu"), "torch-device='tpu': must be 'cpu', 'cuda'"),
        (lambda: make_swarm(rounds=0), "rounds=0: must be at least 1"),
        (lambda: make_swarm(evaluate_every=-1), "evaluate-every=-1: must be at least 0"),
        (
            lambda: make_swarm(evaluate_precision="half"),
            "evaluate-precision='half': unknown name.*bfloat16",
        ),
        (
            lambda: simulate(net, [], "ring", rounds=1),
            r"data=\[\]: must hold \(x, y\) for at least one device",
        ),
        (
            lambda: simulate(net, [(np.zeros((2, 6)), np.zeros(1))] * 3, "ring", rounds=1),
            "device 0: must have as many labels as inputs",
        ),
        (
            lambda: Swarm(
                Job(net, make_data(), TEST, 1),
                Gossip(schedule("ring", 4, 0), Options(), np.ones(4)),
            ),
            "data=6: must hold 4 devices' samples",
        ),
        (
            lambda: Gossip(schedule("ring", 4, 0), Options(), np.ones(5)),
            "has 4 devices, but there is data for 5",
        ),
    ],
)
def test_refused(make, words) -> None:
    with pytest.raises(ConfigError, match=words):
        make()


def test_a_factory_that_changes_its_mind() -> None:
    widths = iter((5, 5, 6))

    def factory(seed: int) -> nn.Module:
        return nn.Sequential(nn.Linear(6, next(widths)))

    with pytest.raises(LayoutError, match=r"tensor '0.weight' is"):
        simulate(factory, make_data(), "ring", rounds=1, progress=False)


@pytest.mark.slow
def test_neither_flwr_nor_ray_is_needed() -> None:
    code = (
        "import sys; sys.modules['flwr'] = sys.modules['ray'] = None\n"
        "import numpy as np, torch\n"
        "from p2pl_flower.swarm import simulate\n"
        "from p2pl_flower.options import Options\n"
        "data = [(np.ones((3, 2), np.float32), np.array([0, 1, 0]))] * 3\n"
        "h = simulate(lambda: torch.nn.Linear(2, 2), data, 'ring', Options(links='perfect'),"
        " rounds=1, progress=False)\n"
        "assert len(h.runs[0].rounds) == 1\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
