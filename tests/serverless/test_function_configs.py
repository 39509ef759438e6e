"""What functions find in their messages' config on a peer: as from a strategy's ``start``."""

from __future__ import annotations

import flower_projects
import networkx as nx
import pytest
from devices import history, run_here, settings
from flwr.app import ConfigRecord, Context
from flwr.clientapp import ClientApp
from numbers_app import add_functions, draw

from p2pl_flower import PeerApp

pytestmark = pytest.mark.slow

seen: list[tuple[str, dict[str, object]]] = []


def noting(message, context: Context, call_next):
    config = message.content["config"]
    assert isinstance(config, ConfigRecord)
    if context.node_config["partition-id"] == 0:
        seen.append((message.metadata.message_type, dict(config)))
    return call_next(message, context)


app = PeerApp(mods=[noting])
app.init()(draw)
add_functions(app)

TRAIN, EVALUATE = {"lr": 0.1, "name": "a"}, {"depth": 3}


@pytest.mark.parametrize("evaluate", [EVALUATE, {}])
def test_functions_get_their_own_config_and_the_round(tmp_path, evaluate) -> None:
    seen.clear()
    given = {"train_config": TRAIN, "evaluate_config": evaluate}
    run_here(settings(nx.path_graph(2), tmp_path, app=f"{__name__}:app", rounds=2, **given))
    rounds = [{"server-round": number} for number in (1, 2)]
    trained = [{**TRAIN, **r} for r in rounds]
    assert [config for kind, config in seen if kind == "train"] == trained
    after_training = [{**evaluate, **r} for r in rounds] if evaluate else trained
    expected = [
        c for r, a in zip(rounds, after_training, strict=True) for c in (a, {**evaluate, **r})
    ]
    assert [config for kind, config in seen if kind == "evaluate"] == expected


def test_a_project_as_flower_makes_it_trains_without_a_server(tmp_path) -> None:
    torch = pytest.importorskip("torch")
    safetensors = pytest.importorskip("safetensors.torch")
    folder = flower_projects.copy("pytorch", tmp_path, peer_to_peer=False)
    with flower_projects.loaded(folder) as apps:
        assert type(apps.client) is ClientApp
        from pytorchexample.task import Net, load_data, test

        safetensors.save_file(Net().state_dict(), tmp_path / "start.safetensors")
        made = settings(
            nx.path_graph(2),
            tmp_path,
            app="pytorchexample.client_app:app",
            initial_arrays=str(tmp_path / "start.safetensors"),
            run_config=apps.config,
            train_config={"lr": 0.1},
        )
        run_here(made)
        for device in made:
            net = Net()
            file = tmp_path / f"device-{device}" / "model.safetensors"
            net.load_state_dict(safetensors.load_file(file))
            loss, accuracy = test(net, load_data(device, 2, 32)[1], torch.device("cpu"))
            said = history(tmp_path, device).runs[0].final().after_consensus
            assert (loss, accuracy) == pytest.approx((said.loss.mean, said.accuracy.mean))
            assert accuracy > 0.3  # it has learned something
