"""What samples are kept in, and come out of as tensors."""

from __future__ import annotations

import datasets
import numpy as np
import pytest
import torch
from flwr_datasets.partitioner import IidPartitioner
from PIL import Image
from torch import nn
from torch.utils.data import Dataset, IterableDataset, Subset, TensorDataset

from p2pl_flower.errors import ConfigError
from p2pl_flower.swarm import simulate
from p2pl_flower.swarm.sources import device_samples, samples

X = torch.arange(12.0).reshape(6, 2)
Y = torch.tensor([0, 1, 2, 0, 1, 2])


class Pairs(Dataset):
    """A dataset of PyTorch's that makes its items one by one."""

    def __init__(self, make=lambda k: (X[k].numpy(), int(Y[k]))) -> None:
        self.make = make

    def __len__(self) -> int:
        return 6

    def __getitem__(self, k):
        return self.make(k)


def columns(**more):
    return datasets.Dataset.from_dict({"x": X.tolist(), "label": Y.tolist(), **more})


ALL = list(range(6))
FORMS = {
    "tensors": (X, Y),
    "arrays": (X.numpy(), Y.numpy()),
    "lists": (X.tolist(), Y.tolist()),
    "read-only arrays": (np.broadcast_to(X.numpy(), (6, 2)), Y.numpy()),
    "dataset": Pairs(),
    "tensor dataset": TensorDataset(X, Y),
    "subset": Subset(Pairs(), ALL),
    "subset of tensors": Subset(TensorDataset(X, Y), ALL),
    "indices": (Pairs(), np.arange(6)),
    "hugging face": columns(),
    "its rows": (columns(), ALL),
    "its columns": (columns(more=ALL), "x", "label"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same(form) -> None:
    x, y = samples(FORMS[form], "data")
    torch.testing.assert_close(x.float(), X)
    torch.testing.assert_close(y.long(), Y)


def test_some_indices() -> None:
    for form in ((Pairs(), [4, 1]), Subset(TensorDataset(X, Y), [4, 1]), (columns(), [4, 1])):
        x, y = samples(form, "data")
        torch.testing.assert_close(x.float(), X[[4, 1]])
        assert y.tolist() == [1, 1]


def test_pictures_have_their_channels_first_and_are_scaled() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    x, _ = samples(Pairs(lambda k: (Image.fromarray(pixels), k)), "data")
    assert x.shape == (6, 3, 2, 4)
    torch.testing.assert_close(x[0, 1], torch.from_numpy(pixels[..., 1] / 255).float())
    gray, _ = samples(Pairs(lambda k: (Image.fromarray(pixels[..., 0]), k)), "data")
    assert gray.shape == (6, 1, 2, 4)


def test_partitions_are_the_devices() -> None:
    whole = IidPartitioner(num_partitions=3)
    whole.dataset = columns()
    pairs = device_samples(whole)
    assert [len(y) for _, y in pairs] == [2, 2, 2]
    seen = torch.cat([x for x, _ in pairs])
    assert sorted(map(tuple, seen.tolist())) == sorted(map(tuple, X.tolist()))
    history = simulate(
        lambda: nn.Linear(2, 3), whole, "ring", rounds=1, test=columns(), progress=False
    )
    assert history.runs[0].devices == 3
    assert history.runs[0].final().after_consensus.loss.mean > 0


class Stream(IterableDataset):
    def __iter__(self):
        yield X[0], Y[0]

    def __len__(self) -> int:
        return 1

    def __getitem__(self, k):
        raise AssertionError


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (3, "data='int': must hold for each device a pair"),
        (X, r"data='Tensor of shape \(6, 2\)': must hold for each device a pair"),
        ([], "must hold .x, y. for at least one device"),
        ([(X, Y), 7], "data='int': device 1: must be a pair"),
        ([(X, Y[:5])], r"data=\(6, 5\): device 0: must have as many labels as inputs"),
        ([(X, 5)], "must have as many labels as inputs"),
        ([([[1, 2], [3]], [0, 1])], "must be numbers, of the same shape for each sample"),
        ([(["a", "b"], [0, 1])], "must be numbers"),
        (
            [Pairs(lambda k: k)],
            r"items must be pairs \(x, y\), or dictionaries with one label, but item 0",
        ),
        ([Stream()], "make a list of what it yields"),
        ([columns(more=ALL)], "it is not plain which columns are inputs and targets"),
    ],
)
def test_what_is_not_plain_is_refused_in_one_sentence(data, words) -> None:
    with pytest.raises(ConfigError, match=words):
        device_samples(data)
