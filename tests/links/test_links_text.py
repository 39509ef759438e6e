from dataclasses import dataclass

import numpy as np
import pytest

from p2pl_flower.config import text_of
from p2pl_flower.errors import ConfigError
from p2pl_flower.links import (
    LINKS,
    All,
    Bernoulli,
    Churn,
    GilbertElliott,
    Links,
    Perfect,
)


def test_text_gets_the_seed_of_the_run_where_it_gives_none():
    assert LINKS.make("bernoulli:0.5", seed=7) == Bernoulli(0.5, seed=7)
    assert LINKS.make("bernoulli:up=0.5,seed=1", seed=7) == Bernoulli(0.5, seed=1)
    assert LINKS.make("gilbert-elliott:up=0.5,loss-bad=0.9", seed=7) == GilbertElliott(
        0.5, loss_bad=0.9, seed=7
    )
    assert LINKS.make(" bernoulli:up=0.5 + churn:away=0.1 ", seed=7) == All(
        (Bernoulli(0.5, seed=7), Churn(0.1, seed=7))
    )
    assert LINKS.make("perfect", seed=7) == Perfect()


def test_numbers_read_back_exactly():
    for up in (1 / 3, 1e-17, np.float64(0.1), 1):
        assert LINKS.make(text_of(Bernoulli(up), LINKS)) == Bernoulli(up)
    long = GilbertElliott(0.5, burst=1e20, seed=np.int64(2**62))
    assert LINKS.make(f"{text_of(long, LINKS)}+perfect") == All((long, Perfect()))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bernoulli:up=0", r"links='bernoulli:up=0': up=0.0: must be in \(0, 1\]"),
        ("bernoulli:up=nan", r"up=nan: must be a number in \(0, 1\]"),
        ("bernoulli", "needs up"),
        ("periodic:every=0", "every=0: must be at least 1"),
        ("bernoulli:0.5,-1", "seed=-1: must be from 0 to"),
        ("gilbert-elliott:0.1,burst=2", "burst=2.0: must be finite and at least 9 rounds"),
        ("gilbert-elliott:0.9,burst=0.5", "burst=0.5: must be finite and at least 1 rounds"),
        ("gilbert-elliott:0.9,loss_bad=1.5", r"loss-bad=1.5: must be in \[0, 1\]"),
        ("churn:away=1", r"away=1.0: must be in \[0, 1\)"),
        ("churn:away=0.9", "absence=5.0: must be finite and at least 9 rounds"),
        ("bernoulli:0.5+bernoulli:0.6", "two of a kind need seeds that differ"),
        ("perfect+", "unknown name; choose one of: bernoulli, churn"),
        ("fading", "links='fading': unknown name; choose one of: bernoulli, churn"),
    ],
)
def test_refusals_say_what_is_wrong(text, message):
    with pytest.raises(ConfigError, match=message):
        LINKS.make(text, seed=0)


def test_refusals_of_objects():
    with pytest.raises(ConfigError, match=r"parts=.*use Perfect"):
        All(())

    @dataclass(frozen=True)
    class Own(Links):
        def up(self, i, j, round_number, step):
            return np.asarray(False)

    assert Own().present(1, 1)
    with pytest.raises(ConfigError, match="Own is defined within a function"):
        text_of(All((Own(),)), LINKS)
