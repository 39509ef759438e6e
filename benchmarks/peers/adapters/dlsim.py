"""DLSim: D-PSGD as a graph of tasks, which one broker with one worker process solves.

Its datasets and models are names in its own code, so the functions that look them up are replaced
here, and so is the look-up of this machine's address. It trains on a random graph of degree 10.
"""

from __future__ import annotations

import asyncio
import tempfile
from types import SimpleNamespace
from typing import Any

import torch
from dasklearn import communication, functions, models
from dasklearn.broker import Broker
from dasklearn.session_settings import LearningSettings
from dasklearn.simulation import simulation as simulations
from dasklearn.simulation.dpsgd.settings import DPSGDSettings
from dasklearn.simulation.dpsgd.simulation import DPSGDSimulation
from torch import Tensor

from ..clock import Clock, main
from ..setting import Setting, perceptron

DEGREE = 10
LOOK_SECONDS = 0.02
PORT = 15555


class Share:
    """A device's images, as its trainer reads them."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, place: int) -> dict[str, Tensor]:
        return {"img": self.x[place], "label": self.y[place]}

    def with_transform(self, _: Any) -> Share:
        """Return itself: these are tensors already."""
        return self


class Keeping(DPSGDSimulation):  # type: ignore[misc]
    """Keeps one device's model when it comes in."""

    found: list[Tensor]

    def on_message(self, identity: str, msg: dict[str, Any]) -> None:
        """Keep the model of a last task."""
        if msg["type"] == "result":
            self.found = list(msg["result"][0].parameters())
        super().on_message(identity, msg)


def work(setting: Setting, clock: Clock) -> list[Tensor]:
    """Train all devices."""
    _replace(setting)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    with tempfile.TemporaryDirectory() as folder:
        return loop.run_until_complete(_run(setting, clock, folder))


async def _run(setting: Setting, clock: Clock, folder: str) -> list[Tensor]:
    simulation = Keeping(_settings(setting, folder))
    address = f"tcp://127.0.0.1:{PORT}"
    broker = Broker(SimpleNamespace(port=PORT + 1, coordinator=address, workers=1))
    building = asyncio.ensure_future(simulation.run())
    await asyncio.sleep(0)  # until it listens
    await broker.start()
    for number in range(1, setting.rounds + 1):
        while broker.completed_tasks < 2 * setting.devices * number:  # a training, a mean
            if building.done():
                building.result()
            await asyncio.sleep(LOOK_SECONDS)
        clock.tick()
    await building
    while simulation.sink_tasks_counter < setting.devices:
        await asyncio.sleep(LOOK_SECONDS)
    broker.monitor_task.cancel()
    for worker in broker.workers:
        worker.terminate()
    return simulation.found


def _settings(setting: Setting, folder: str) -> Any:
    learning = LearningSettings(
        learning_rate=setting.rate,
        momentum=setting.momentum,
        weight_decay=0.0,
        batch_size=setting.batch,
        local_steps=setting.steps,
    )
    return DPSGDSettings(
        algorithm="dpsgd",
        seed=0,
        work_dir=folder,
        dataset="cifar10",
        model="resnet8",  # names for what is replaced: images, and the cross-entropy on logits
        learning=learning,
        participants=setting.devices,
        synchronous=True,
        rounds=setting.rounds,
        brokers=1,
        port=PORT,
        duration=10**12,
        torch_threads=1,
        profile=False,
        log_level="WARNING",
        k=min(DEGREE, setting.devices - 1),
    )


def _replace(setting: Setting) -> None:
    def create_model(*_: Any, **__: Any) -> torch.nn.Module:
        return perceptron()

    shares = [Share(x, y) for x, y in zip(setting.x, setting.y, strict=True)]
    functions.create_dataset = lambda _: SimpleNamespace(load_partition=lambda k, _: shares[k])
    for module in (functions, models, simulations):
        module.create_model = create_model
    communication.subprocess = SimpleNamespace(check_output=lambda *_, **__: b"127.0.0.1")


if __name__ == "__main__":
    main(work)
