"""Several inputs and several outputs, against plain PyTorch and against one tensor of them."""

from __future__ import annotations

import inspect
from collections import namedtuple
from functools import partial

import datasets
import numpy as np
import pytest
import torch
from plain import difference, seeded, swarm
from torch import nn
from torch.nn import functional
from torch.utils.data import Dataset

from p2pl_flower.errors import ConfigError
from p2pl_flower.seeding import batch_order
from p2pl_flower.swarm import Machine, TrainOptions, nested, simulate
from p2pl_flower.swarm.nested import each, joined
from p2pl_flower.swarm.sources import samples

PATHS = ("torch.func", "one by one")
COUNTS = (7, 9, 4)
SGD = partial(torch.optim.SGD, lr=0.1, momentum=0.5)


class Masked(nn.Module):
    """A classifier of tokens, of which a mask says which count."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.last = nn.Embedding(6, 4), nn.Linear(4, 3)

    def forward(self, input_ids, attention_mask):
        mask = attention_mask[..., None].to(self.words.weight.dtype)
        return self.last((torch.tanh(self.words(input_ids)) * mask).sum(1))


class TwoHeads(Masked):
    """The same, with its hidden numbers beside the logits."""

    def forward(self, input_ids, attention_mask):
        logits = super().forward(input_ids, attention_mask)
        return {"logits": logits, "squares": logits.square().mean(1)}


class AsOne(Masked):
    """The same, given everything as one argument."""

    def forward(self, batch):
        ids, mask = batch.values() if isinstance(batch, dict) else batch
        return super().forward(ids, mask)


def of_logits(outputs, targets):
    return functional.cross_entropy(outputs["logits"], targets) + outputs["squares"].mean() / 10


def make(form):
    """Return the devices' samples, whose inputs are tokens and a mask in ``form``."""
    draw = torch.Generator().manual_seed(3)
    found = []
    for count in COUNTS:
        ids = torch.randint(0, 6, (count, 5), generator=draw)
        mask = torch.randint(0, 2, (count, 5), generator=draw)
        found.append((form(ids, mask), torch.randint(0, 3, (count,), generator=draw)))
    return found


def as_dict(ids, mask):
    return {"input_ids": ids, "attention_mask": mask}


def as_tuple(ids, mask):
    return ids, mask


def alone(factory, data, options, loss, call):
    """Return the models of plain PyTorch after two rounds without mixing."""
    found = []
    for device, (x, y) in enumerate(data):
        net = seeded(factory, device).train()
        for number in (1, 2):
            optimizer = SGD(net.parameters())
            order = torch.from_numpy(batch_order(0, device, number, 0, len(y)))
            for part in torch.split(order, options.batch_size):
                optimizer.zero_grad()
                loss(call(net, each(lambda tensor, part=part: tensor[part], x)), y[part]).backward()
                optimizer.step()
        found.append({name: t.detach().clone() for name, t in net.state_dict().items()})
    return found


CASES = {
    "by name": (Masked, as_dict, lambda net, x: net(**x), "cross-entropy"),
    "in turn": (Masked, as_tuple, lambda net, x: net(*x), "cross-entropy"),
    "a dict as one": (AsOne, as_dict, lambda net, x: net(x), "cross-entropy"),
    "a tuple as one": (AsOne, as_tuple, lambda net, x: net(x), "cross-entropy"),
    "two outputs": (TwoHeads, as_dict, lambda net, x: net(**x), of_logits),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("case", CASES)
def test_several_tensors_train_as_they_would_alone(case, path) -> None:
    factory, form, call, loss = CASES[case]
    data = make(form)
    options = TrainOptions(batch_size=4, learning_rate=0.1, loss=loss)
    made = swarm(factory, data, options, machine=Machine(workers=1, path=path))
    plain = functional.cross_entropy if isinstance(loss, str) else loss
    assert difference(made, alone(factory, data, options, plain, call)) < 1e-6


@pytest.mark.parametrize("path", PATHS)
def test_several_outputs_are_scored_by_functions_of_them(path) -> None:
    test = make(as_dict)[1]

    def hits(outputs, targets):
        return (outputs["logits"].argmax(1) == targets).double().mean()

    result = simulate(
        TwoHeads,
        make(as_dict),
        "ring",
        rounds=1,
        test=test,
        progress=False,
        loss=of_logits,
        metrics=hits,
        machine=Machine(path=path),
        max_test_samples=8,
    )
    [scores] = [result.final().after_consensus]
    full = simulate(
        TwoHeads, make(as_dict), "ring", rounds=1, test=test, progress=False, loss=of_logits,
        metrics=hits, machine=Machine(path=path),
    )  # fmt: skip
    net, found, losses = TwoHeads(), [], []
    for device in range(len(COUNTS)):
        net.load_state_dict(full.state_dict(device))
        with torch.no_grad():
            outputs = net(**test[0])
        found.append(float(hits(outputs, test[1])))
        losses.append(float(of_logits(outputs, test[1])))
    whole = full.final().after_consensus
    assert whole.metrics["hits"].mean == pytest.approx(np.mean(found))
    assert whole.loss.mean == pytest.approx(np.mean(losses), rel=1e-5)
    assert scores.accuracy is whole.accuracy is None


class Items(Dataset):
    def __init__(self, make_item) -> None:
        self.make_item = make_item

    def __len__(self) -> int:
        return 4

    def __getitem__(self, k):
        return self.make_item(k)


IDS, MASK, LABELS = torch.arange(12).reshape(4, 3), torch.ones(4, 3), torch.tensor([0, 1, 1, 0])
TABLE = datasets.Dataset.from_dict(
    {"ids": IDS.tolist(), "mask": MASK.tolist(), "label": LABELS.tolist(), "text": list("abcd")}
)
FORMS = {
    "pair": ({"ids": IDS, "mask": MASK}, LABELS),
    "items with a label": Items(lambda k: {"ids": IDS[k], "mask": MASK[k], "labels": LABELS[k]}),
    "items of a dict and a label": Items(lambda k: ({"ids": IDS[k], "mask": MASK[k]}, LABELS[k])),
    "columns by name": (TABLE, ["ids", "mask"], "label"),
    "columns as tensors": (TABLE.with_format("torch"), ["ids", "mask"], "label"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_several_inputs_gives_the_same(form) -> None:
    x, y = samples(FORMS[form], "data")
    assert x.keys() == {"ids", "mask"}
    torch.testing.assert_close(x["ids"].float(), IDS.float())
    torch.testing.assert_close(x["mask"].float(), MASK)
    assert torch.equal(y, LABELS)


def test_tuples_of_several_inputs() -> None:
    for given in (((IDS, MASK), LABELS), Items(lambda k: ((IDS[k], MASK[k]), LABELS[k]))):
        (ids, mask), _ = samples(given, "data")
        assert torch.equal(ids, IDS)
        assert torch.equal(mask, MASK)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (({"ids": IDS, "mask": MASK[:3]}, LABELS), "as many labels as inputs"),
        ((TABLE, ["ids", "masks"], "label"), "data='masks': .*there is no such column; choose one"),
        (TABLE, "it is not plain which columns .* or a list of names for several inputs"),
        (Items(lambda k: {"ids": IDS[k]}), "dictionaries with one label, but item 0 is none"),
        ((IDS, {"boxes": MASK}), "must be numbers, of the same shape for each sample"),
    ],
)
def test_what_is_not_plain_is_refused(given, words) -> None:
    with pytest.raises(ConfigError, match=words):
        samples(given, "data")


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ({}, "model='dict': returns several outputs, and the loss cross-entropy takes one tensor"),
        ({"loss": of_logits, "metrics": "mse"}, "metrics='mse': takes one tensor, but the model"),
        ({"loss": lambda o, y: o["logit"].sum()}, "do not suit the loss: 'logit'"),
    ],
)
def test_losses_and_metrics_of_one_tensor_are_refused(rest, words) -> None:
    data = make(as_dict)
    with pytest.raises(ConfigError, match=words):
        simulate(TwoHeads, data, "ring", rounds=1, test=data[0], progress=False, **rest)


def test_inputs_that_differ_from_device_to_device_are_named() -> None:
    data = make(as_dict)
    data[1] = ({"input_ids": data[1][0]["input_ids"]}, data[1][1])
    with pytest.raises(ConfigError, match=r"on device 1.: must be alike on all devices; device 0"):
        simulate(Masked, data, "ring", rounds=1, progress=False)


def test_nests_keep_their_kinds() -> None:
    pair = namedtuple("pair", "first second")
    nest = pair(torch.ones(2), {"a": [torch.zeros(2), None]})
    found = joined([nest, each(lambda tensor: tensor + 1, nest)])
    assert isinstance(found, pair)
    assert found.first.tolist() == [1, 1, 2, 2]
    assert found.second["a"][0].tolist() == [0, 0, 1, 1]
    assert found.second["a"][1] is None


def test_how_a_forward_takes_its_inputs_is_found_out_once(monkeypatch) -> None:
    asked, signature = [], inspect.signature

    def noted(function):
        asked.append(function)
        return signature(function)

    class Pair(nn.Module):
        def forward(self, one, two=0):
            return one

    x, pair = {"one": torch.zeros(2), "two": torch.zeros(2)}, Pair()
    monkeypatch.setattr(nested.inspect, "signature", noted)
    for module in (pair, Pair(), pair):
        assert nested.arguments(module, x) == ((), x)
        assert nested.arguments(module, (*x.values(), 1)) == (((*x.values(), 1),), {})
    assert len(asked) == 2
