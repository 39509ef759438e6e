"""Who looks at the models during a run sees those of that moment."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import networkx as nx
import numpy as np
import pytest
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from own_strategies import RING, OwnStart, start
from test_strategy import by_hand
from toy_app import device, make_app, record, trained, values

from p2pl_flower import P2PL, MemoryRelay, PeerApp
from p2pl_flower.errors import ConfigError, P2PLError, RelayError


def test_what_is_saved_in_aggregate_train_is_the_mean_of_the_trained_models() -> None:
    saved: list[float] = []

    class Saving(P2PL):
        def aggregate_train(self, server_round: int, replies: Any) -> Any:
            arrays, metrics = super().aggregate_train(server_round, replies)
            assert arrays is not None
            saved.append(float(values(pickle.loads(pickle.dumps(arrays)))["w"][0]))
            return arrays, metrics

    app, relay = make_app()
    result = start(Saving("star", relay=relay, weights="uniform"), relay, app)
    star = nx.star_graph(4)
    befores = [by_hand(star, n, weights="uniform") for n in range(3)]
    assert saved == pytest.approx([(0.5 * (w + np.arange(5))).mean() for w in befores])
    after = by_hand(star, 3, weights="uniform").mean()
    assert values(result.arrays)["w"][0] == pytest.approx(after)
    assert saved[-1] != pytest.approx(after)


def test_arrays_of_a_round_that_is_over_are_those_that_were_read_in_it() -> None:
    kept: list[ArrayRecord] = []

    class Keeping(P2PL):
        def aggregate_train(self, server_round: int, replies: Any) -> Any:
            arrays, metrics = super().aggregate_train(server_round, replies)
            kept.append(arrays)
            return arrays, metrics

        def aggregate_evaluate(self, server_round: int, replies: Any) -> Any:
            metrics = super().aggregate_evaluate(server_round, replies)
            if server_round == 1:
                len(kept[0])
            return metrics

    app, relay = make_app()
    start(Keeping("ring", relay=relay), relay, app)
    assert values(kept[0])["w"][0] == pytest.approx(by_hand(RING, 1).mean())
    with pytest.raises(P2PLError, match="mean model of round 2, and round 3 has begun"):
        values(kept[1])
    assert values(kept[2])["w"][0] == pytest.approx(by_hand(RING, 3).mean())


def test_on_round_has_the_models_and_the_devices_metrics() -> None:
    means, losses, trained = [], [], []

    def note(measured: Any) -> None:
        means.append(float(values(strategy.mean_model())["w"][0]))
        losses.append([m["eval_loss"] for m in strategy.evaluate_metrics.values()])
        trained.append([m["num-examples"] for m in strategy.train_metrics.values()])

    app, relay = make_app()
    strategy = P2PL("ring", relay=relay, on_round=note)
    with pytest.raises(P2PLError, match="while a run is under way"):
        strategy.mean_model()
    assert strategy.rounds == []
    start(strategy, relay, app)
    expected = [by_hand(RING, n) for n in (1, 2, 3)]
    assert means == pytest.approx([w.mean() for w in expected])
    assert losses == [pytest.approx(w) for w in expected]
    assert trained == [[10, 20, 30, 40, 50]] * 3


def test_a_relay_that_cannot_be_looked_into() -> None:
    class Opaque(MemoryRelay):
        observable = False

    app, _ = make_app()
    app._relay = relay = Opaque()
    strategy = OwnStart("ring", relay=relay)
    with pytest.raises(ConfigError, match=r"evaluate_fn=.*there are no models on the server"):
        start(strategy, relay, app, evaluate_fn=lambda number, arrays: None)
    seen = []
    strategy = OwnStart("ring", relay=relay, on_round=lambda r: seen.append(_refused(strategy)))
    result = start(strategy, relay, app)
    assert len(result.arrays) == 0
    assert all("cannot be observed" in text for text in seen)
    assert len(seen) == 3


def _refused(strategy: P2PL) -> str:
    with pytest.raises(RelayError) as caught:
        strategy.mean_model()
    return str(caught.value)


PAGE = Path(__file__).parents[2] / "docs" / "convert.md"


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_class_in_the_docs_saves_and_logs_the_same(when: str) -> None:
    pytest.importorskip("torch")
    [block] = re.findall(rf"```python\n# {when}: (.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    code = block.partition("\n")[2].replace("(FedAvg)", "(P2PL)").replace("Mine()", 'Mine("ring")')
    logged: list[dict[str, float]] = []
    saved: list[float] = []
    relay, app = MemoryRelay(), PeerApp()
    app._relay = relay

    @app.train()
    def train(message: Message, context: Context) -> Message:
        model = trained(values(message.content["arrays"]), device(context))
        lr = message.content["config"]["lr"]
        metrics = MetricRecord({"num-examples": 1, "lr": lr})
        content = RecordDict({"arrays": record(model), "metrics": metrics})
        return Message(content, reply_to=message)

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        number = message.content["config"]["server-round"]
        metrics = {"num-examples": 1, "eval_loss": 1.0, "eval_acc": [0.2, 0.9, 0.5][number - 1]}
        return Message(RecordDict({"metrics": MetricRecord(metrics)}), reply_to=message)

    names: dict[str, Any] = {
        "P2PL": P2PL,
        "wandb": SimpleNamespace(log=lambda entry, step=None: logged.append(entry)),
        "torch": SimpleNamespace(save=lambda state, path: saved.append(float(state["w"][0]))),
    }
    exec(compile(code, "convert.md", "exec"), names)
    strategy = names["strategy"]
    strategy.relay = relay
    result = start(strategy, relay, app)
    assert saved == pytest.approx([by_hand(RING, n).mean() for n in (1, 2)])  # the third is no best
    key = "eval_acc" if when == "before" else "accuracy"
    accuracies = [entry[key] for entry in logged if key in entry]
    assert accuracies == pytest.approx([0.2, 0.9, 0.5])
    rates = [result.train_metrics_clientapp[n]["lr"] for n in (1, 2, 3)]
    assert rates == pytest.approx([0.09, 0.081, 0.0729])
