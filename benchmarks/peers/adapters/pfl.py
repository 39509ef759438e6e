"""pfl-research: its simulation of FedAvg, one user after the other in one process."""

from __future__ import annotations

from functools import partial
from itertools import cycle
from typing import Any

import torch
from pfl.aggregate.simulate import SimulatedBackend
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.callback.base import TrainingProcessCallback
from pfl.data.federated_dataset import FederatedDataset
from pfl.data.pytorch import PyTorchTensorDataset
from pfl.hyperparam.base import NNTrainHyperParams
from pfl.metrics import Metrics
from pfl.model.pytorch import PyTorchModel
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..clock import Clock, main
from ..setting import Setting, perceptron


class Perceptron(nn.Module):
    """The perceptron with the two methods that pfl asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.net = perceptron()

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the cross-entropy."""
        return cross_entropy(self.net(x), y)

    def metrics(self, x: Tensor, y: Tensor) -> dict[str, Any]:
        """Return no metrics: nothing is scored."""
        return {}


class Ticks(TrainingProcessCallback):  # type: ignore[misc]
    """Notes the end of each round."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def after_central_iteration(
        self, aggregate_metrics: Any, model: Any, *, central_iteration: int
    ) -> tuple[bool, Any]:
        """Note it, and go on."""
        self.clock.tick()
        return False, Metrics()


def work(setting: Setting, clock: Clock) -> list[Tensor]:
    """Train all users."""
    users = cycle(range(setting.devices))
    data = FederatedDataset(
        lambda user: PyTorchTensorDataset((setting.x[user], setting.y[user])), partial(next, users)
    )
    net = Perceptron()
    model = PyTorchModel(
        net,
        partial(torch.optim.SGD, momentum=setting.momentum),
        torch.optim.SGD(net.parameters(), lr=1.0),
    )
    FederatedAveraging().run(
        algorithm_params=NNAlgorithmParams(setting.rounds, setting.rounds + 1, setting.devices, 0),
        backend=SimulatedBackend(data, data),
        model=model,
        model_train_params=NNTrainHyperParams(
            local_batch_size=setting.batch,
            local_num_epochs=setting.epochs,
            local_learning_rate=setting.rate,
        ),
        callbacks=[Ticks(clock)],
        send_metrics_to_platform=False,
    )
    return list(net.parameters())


if __name__ == "__main__":
    main(work)
