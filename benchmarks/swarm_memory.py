"""Memory that the swarm announces, beside the peak that the kernel counts.

``python -m benchmarks.swarm_memory`` runs two rounds with 100 devices of each network in a
process of its own, and notes by how much its resident memory grows at most, beside the data, and
what was announced before the run, once with scores on 200 images; and of a network with adapters
over a frozen base, how much it grows beside one base and all devices' adapters.
"""

from __future__ import annotations

import ctypes
import gc
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from p2pl_flower.options import Options
from p2pl_flower.swarm import Gossip, Job, Swarm, TrainOptions
from p2pl_flower.topology import schedule

from .memory import memory
from .swarm_common import parser, write
from .swarm_models import work

DEVICES, SAMPLES, BATCH, WORDS, TEST = 100, 20, 10, 32, 200
_SCORED = ", scored"
_PEAK = Path("/proc/self/clear_refs")


class Transformer(nn.Module):
    """Two layers of attention on words."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.0, batch_first=True)
        self.words, self.places = nn.Embedding(100, 64), nn.Parameter(torch.zeros(WORDS, 64))
        self.layers, self.last = nn.TransformerEncoder(layer, 2), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        return self.last(self.layers(self.words(x) + self.places).mean(1))  # type: ignore[no-any-return]


class Recurrent(nn.Module):
    """An LSTM on words."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.last = nn.Embedding(100, 32), nn.Linear(128, 10)
        self.layer = nn.LSTM(32, 128, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        return self.last(self.layer(self.words(x))[0][:, -1])  # type: ignore[no-any-return]


class Adapted(nn.Module):
    """A frozen base of 100 MB, loaded once, with adapters of rank 8 beside its layers."""

    loaded: list[nn.Module] = []  # noqa: RUF012  all devices' modules have it in common

    def __init__(self, size: int = 2048, layers: int = 6) -> None:
        super().__init__()
        if not self.loaded:
            self.loaded.extend(nn.Linear(size, size).requires_grad_(False) for _ in range(layers))
        self.base = nn.ModuleList(self.loaded)
        self.lora_a = nn.ModuleList(nn.Linear(size, 8, bias=False) for _ in range(layers))
        self.lora_b = nn.ModuleList(nn.Linear(8, size, bias=False) for _ in range(layers))
        self.last = nn.Linear(size, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        for base, a, b in zip(self.base, self.lora_a, self.lora_b, strict=True):
            x = torch.tanh(base(x) + b(a(x)))
        return self.last(x)  # type: ignore[no-any-return]


CASES = [
    *((name, optimizer) for name in ("mlp", "cnn") for optimizer in ("sgd", "adamw")),
    ("cnn, scored", "sgd"),
    ("resnet20", "sgd"),
    ("resnet20 with BatchNorm", "sgd"),
    ("transformer", "adamw"),
    ("lstm", "sgd"),
    ("adapters", "adamw"),
]


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the JSON and print a summary."""
    line = parser(__file__, __doc__)
    line.add_argument("--case", help="measure one, in this process")
    parsed = line.parse_args(arguments)
    if parsed.case:
        sys.stdout.write(json.dumps(measure(*json.loads(parsed.case))) + "\n")
        return 0
    found = []
    table: list[tuple[str, ...]] = [("network", "optimizer", "announced MiB", "peak MiB", "ratio")]
    for case in CASES:
        line_of = [sys.executable, "-m", "benchmarks.swarm_memory", "--case", json.dumps(case)]
        output = subprocess.run(line_of, check=True, capture_output=True, text=True).stdout
        found.append(json.loads(output.splitlines()[-1]))
        announced, peak = found[-1]["announced"], found[-1]["peak"]
        shown = f"{announced / 2**20:.0f}", f"{peak / 2**20:.0f}", f"{announced / peak:.2f}"
        table.append((*case, *shown))
    write(parsed, table, bytes=found, devices=DEVICES)
    return 0


def measure(name: str, optimizer: str) -> dict[str, Any]:
    """Return what was announced, and by how much the process grew at most, in bytes."""
    factory, shape = _networks()[name.removesuffix(_SCORED)]
    test = _test(shape) if shape is not None and name.endswith(_SCORED) else None
    _swarm(factory, shape, optimizer, 2).run()  # so that libraries are there
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    before = memory("VmRSS")  # with the images that are scored
    Adapted.loaded.clear()
    _PEAK.write_text("5", encoding="ascii")  # the peak begins anew
    made = _swarm(factory, shape, optimizer, DEVICES, test)
    made.run()
    block: Any = made.block
    peak = memory("VmHWM") - before - block._samples.x.nbytes
    needs, stack = block.needs, block.stack
    found = {"network": name, "optimizer": optimizer, "announced": needs.total, "peak": peak}
    return {**found, "needs": vars(needs), "models": stack.nbytes, "held once": stack.once_bytes}


def _networks() -> dict[str, tuple[Any, tuple[int, ...] | None]]:
    found: dict[str, tuple[Any, tuple[int, ...] | None]] = {
        each.name: (each.factory, each.shape) for each in work()
    }
    found |= {"transformer": (Transformer, None), "lstm": (Recurrent, None)}
    return {**found, "adapters": (Adapted, (2048,))}


def _test(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    return torch.randn(TEST, *shape), torch.randint(0, 10, (TEST,))


def _swarm(
    factory: Any,
    shape: tuple[int, ...] | None,
    optimizer: str,
    devices: int,
    test: tuple[Tensor, Tensor] | None = None,
) -> Swarm:
    data = []
    for _ in range(devices):
        x = (
            torch.randint(0, 100, (SAMPLES, WORDS))
            if shape is None
            else torch.randn(SAMPLES, *shape)
        )
        data.append((x, torch.randint(0, 10, (SAMPLES,))))
    training = TrainOptions(batch_size=BATCH, optimizer=optimizer, learning_rate=1e-3)
    job = Job(factory, data, test, 2, training=training)
    shared = "!base.*" if factory is Adapted else "*"
    graph = schedule("ring" if devices > 2 else "complete", devices, 0)
    counts: Any = [SAMPLES] * devices
    return Swarm(job, Gossip(graph, Options(shared=shared), counts))


if __name__ == "__main__":
    sys.exit(main())
