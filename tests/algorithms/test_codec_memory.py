"""What devices remember of what a codec left out, on vectors and on a quadratic."""

from __future__ import annotations

import numpy as np
import pytest
from stacked import Quadratic

from p2pl_flower import Options
from p2pl_flower.algorithms import ALGORITHMS
from p2pl_flower.algorithms.codecs import CODECS, MEMORIES, Coder, StepKey, digest, moved
from p2pl_flower.errors import ConfigError
from p2pl_flower.topology import schedule
from p2pl_flower.weights import Metropolis, mixing_matrix

DEVICES, SIZE = 8, 40
MATRIX = mixing_matrix(schedule("ring", DEVICES).graph(1), Metropolis())
BEGIN = np.random.default_rng(1).normal(size=(DEVICES, SIZE))


def gossip(codec: str, memory: str, steps: int, gamma: float) -> np.ndarray:
    """Return what consensus alone makes of the devices' vectors, shape (K, n)."""
    coder, message = Coder(CODECS.make(codec), MEMORIES[memory]), {"w": BEGIN}
    kept = coder.memory.start(message, {})
    for step in range(steps):
        public, kept = coder.public(message, kept, StepKey(0, 1, step), (DEVICES,))
        mixed = public["w"] + gamma * (MATRIX @ public["w"] - public["w"])
        message = moved(message, public, {"w": mixed})
    return message["w"]


def apart(vectors: np.ndarray) -> float:
    return float(np.linalg.norm(vectors - vectors.mean(0)))


LOSSY = [
    ("int8", "none", 1.0),
    ("random-k:fraction=0.1", "none", 1.0),
    ("top-k:fraction=0.1", "none", 0.5),
    ("top-k:fraction=0.1", "error-feedback", 0.02),
    ("top-k:fraction=0.1", "public-copies", 0.1),
    ("top-k:fraction=0.1+int8", "public-copies", 0.1),
    ("low-bit:bits=1", "public-copies", 0.5),
]


@pytest.mark.parametrize(("codec", "memory", "gamma"), LOSSY)
def test_equal_weights_keep_the_mean_whatever_is_lost(codec, memory, gamma) -> None:
    after = gossip(codec, memory, 50, gamma)
    np.testing.assert_allclose(after.mean(0), BEGIN.mean(0), atol=1e-12)
    assert apart(after) != apart(BEGIN)


def test_copies_reach_consensus_where_naive_top_k_does_not() -> None:
    naive = gossip("top-k:fraction=0.1", "none", 3000, 0.1)
    assert apart(naive) > 0.1 * apart(BEGIN)
    for codec, gamma in (("top-k:fraction=0.1", 0.1), ("low-bit:bits=1", 0.3)):
        copies = gossip(codec, "public-copies", 3000, gamma)
        np.testing.assert_allclose(copies, np.tile(BEGIN.mean(0), (DEVICES, 1)), atol=1e-6)


def test_numbers_at_random_reach_consensus_with_no_memory() -> None:
    after = gossip("random-k:fraction=0.1", "none", 3000, 1.0)
    np.testing.assert_allclose(after, np.tile(BEGIN.mean(0), (DEVICES, 1)), atol=1e-6)


def test_error_feedback_comes_nearer_than_forgetting() -> None:
    forgetting = gossip("top-k:fraction=0.1", "none", 3000, 0.02)
    remembering = gossip("top-k:fraction=0.1", "error-feedback", 3000, 0.02)
    assert apart(remembering) < 0.3 * apart(forgetting)


def test_error_feedback_by_hand() -> None:
    coder = Coder(CODECS.make("top-k:fraction=0.5"), MEMORIES["error-feedback"])
    message, kept = {"w": np.array([3.0, 2.0])}, {}
    sent = [coder.send(message, kept, StepKey(0, 1, 0))]
    sent.append(coder.send(message, sent[0].kept, StepKey(0, 1, 1)))
    sent.append(coder.send(message, sent[1].kept, StepKey(0, 1, 2)))
    assert [s.public["w"].tolist() for s in sent] == [[3, 0], [0, 4], [6, 0]]
    assert [s.kept["error"]["w"].tolist() for s in sent] == [[0, 2], [3, 0], [0, 2]]


def test_public_copies_by_hand() -> None:
    coder = Coder(CODECS.make("top-k:fraction=0.5"), MEMORIES["public-copies"])
    begun = {"w": np.array([1.0, 1.0])}
    first = coder.send({"w": np.array([3.0, 2.0])}, coder.begin(begun, {}), StepKey(0, 1, 0))
    assert first.encoded["values/w"].tolist() == [2]
    assert first.encoded["base"].tolist() == [0, digest(begun)]
    assert first.public["w"].tolist() == [3, 1]
    second = coder.send({"w": np.array([4.0, 5.0])}, first.kept, StepKey(0, 1, 1))
    assert second.encoded["values/w"].tolist() == [4]
    assert second.encoded["base"].tolist() == [1, digest(first.encoded)]
    assert second.public["w"].tolist() == [3, 5]


@pytest.mark.parametrize("alike", [True, False])
def test_who_lacks_the_last_copy_fetches_the_whole_one(alike: bool) -> None:
    coder, due = Coder(CODECS.make("top-k:fraction=0.5"), MEMORIES["public-copies"]), []
    message = {"w": np.array([3.0, 2.0])}
    sender, hearer = coder.begin(message, {}), coder.begin({"w": message["w"] + (not alike)}, {})
    for step, arrives in enumerate([True, True, False, True, True]):
        key, message = StepKey(0, 1, step), {"w": message["w"] + [1.0, -2.0]}
        sent = coder.send(message, sender, key)
        sender = sent.kept
        if not arrives:
            continue

        def fetch(devices, sent=sent, step=step):
            due.append((step, list(devices)))
            return {7: sent.public}

        for _ in range(2):  # a step that is made once more adds nothing
            heard = coder.hear({7: sent.encoded}, message, hearer, key, fetch, pytest.fail)
            hearer = heard.kept
            np.testing.assert_array_equal(heard.messages[7]["w"], sent.public["w"])
    assert due == [*([] if alike else [(0, [7])]), (3, [7])]


def test_a_device_that_makes_a_step_anew_has_another_copy_than_it_had() -> None:
    """As one that was stopped within a round, and draws other noise when it goes on."""
    coder, key = (
        Coder(CODECS.make("top-k:fraction=0.5"), MEMORIES["public-copies"]),
        StepKey(0, 1, 0),
    )
    message, due = {"w": np.array([3.0, 2.0])}, []
    before = coder.begin(message, {})
    hearer = coder.begin(message, {})

    def heard(sent, key):
        def fetch(devices):
            due.append(key.step)
            return {7: sent.public}

        return coder.hear({7: sent.encoded}, message, hearer, key, fetch, pytest.fail)

    for number in (9.0, 5.0):  # the first is sent, and then forgotten by the sender alone
        sent = coder.send({"w": np.array([number, 2.0])}, before, key)
        found = heard(sent, key)
        hearer = found.kept
        assert found.messages[7]["w"].tolist() == sent.public["w"].tolist() == [number, 2]
    sent = coder.send({"w": np.array([5.0, 8.0])}, sent.kept, StepKey(0, 1, 1))
    assert heard(sent, StepKey(0, 1, 1)).messages[7]["w"].tolist() == [5, 8]
    assert due == [0]


def test_an_algorithm_has_a_memory_of_its_own_unless_users_name_one() -> None:
    assert Options(algorithm="choco", codec="top-k").codec_memory == "public-copies"
    assert Options(algorithm="choco", codec="top-k", codec_memory="none").codec_memory == "none"
    assert Options(codec="top-k").codec_memory == "none"
    assert Options(algorithm="choco").codec_memory == "none"  # all is sent
    with pytest.raises(ConfigError, match=r"codec_memory='error-feedback'.*name a codec"):
        Options(codec_memory="error-feedback")


def test_choco_settles_where_plain_mixing_does_and_naive_top_k_elsewhere() -> None:
    """One of two numbers is sent: copies lose nothing in the limit, and no memory does."""
    problem = Quadratic()
    train, gamma = problem.train(1, 0.02), 0.2

    def settled(codec: str, memory: str) -> np.ndarray:
        coder = Coder(CODECS.make(codec), MEMORIES[memory])
        kept = coder.memory.start({"w": np.zeros((DEVICES, 2))}, {})
        w = np.zeros((DEVICES, 2))
        for number in range(1, 4001):
            message = {"w": train(w, np.zeros_like(w))}
            public, kept = coder.public(message, kept, StepKey(0, number, 0), (DEVICES,))
            mixed = public["w"] + gamma * (problem.matrix @ public["w"] - public["w"])
            w = moved(message, public, {"w": mixed})["w"]
        return w

    exact = settled("none", "none")
    np.testing.assert_allclose(settled("top-k:fraction=0.5", "public-copies"), exact, atol=1e-3)
    naive = settled("top-k:fraction=0.5", "none")
    assert np.abs(naive - exact).max() > 0.1
    assert ALGORITHMS.make("choco:gamma=0.2").mixing_step == gamma
