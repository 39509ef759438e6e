"""FedLab: FedAvg with clients trained one after the other in one process."""

from __future__ import annotations

import logging

import torch
from fedlab.contrib.algorithm.fedavg import FedAvgSerialClientTrainer, FedAvgServerHandler
from fedlab.core.standalone import StandalonePipeline
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from ..clock import Clock, main
from ..setting import Setting, perceptron


class Shares:
    """Each client's data, as its trainers ask for it."""

    def __init__(self, setting: Setting) -> None:
        self.all = [TensorDataset(*pair) for pair in zip(setting.x, setting.y, strict=True)]

    def get_dataloader(self, client: int, batch_size: int) -> DataLoader[tuple[Tensor, ...]]:
        """Return a client's batches, drawn anew."""
        return DataLoader(self.all[client], batch_size, shuffle=True)


class Ticking(StandalonePipeline):  # type: ignore[misc]
    """Notes the end of each round in place of scoring."""

    def __init__(self, handler: object, trainer: object, clock: Clock) -> None:
        super().__init__(handler, trainer)
        self.clock = clock

    def evaluate(self) -> None:
        """Note a round's end."""
        self.clock.tick()


def work(setting: Setting, clock: Clock) -> list[Tensor]:
    """Train all clients."""
    quiet = logging.getLogger("quiet")
    trainer = FedAvgSerialClientTrainer(perceptron(), setting.devices, logger=quiet)
    trainer.setup_dataset(Shares(setting))
    trainer.setup_optim(setting.epochs, setting.batch, setting.rate)
    parameters = trainer._model.parameters()
    trainer.optimizer = torch.optim.SGD(parameters, setting.rate, setting.momentum)
    handler = FedAvgServerHandler(perceptron(), setting.rounds, 1.0, logger=quiet)
    Ticking(handler, trainer, clock).main()
    return list(handler._model.parameters())


if __name__ == "__main__":
    main(work)
