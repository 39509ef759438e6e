"""What comes out of a run: what was measured, and the models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..errors import ConfigError, LayoutError
from ..history import History, Round, Run
from ..options import Options
from ..report import Network, write
from ..topology import Schedule
from .initial import STACKED
from .stack import Stack, rows_of
from .workers import Ids


@dataclass(frozen=True)
class Result:
    """What `simulate` returns.

    Attributes
    ----------
    history : History
        What the rounds measured, with the whole configuration.
    stack : Stack
        All devices' models.
    graphs : Schedule or None
        Who was linked to whom.
    options : Options or None
        What devices did.
    """

    history: History
    stack: Stack
    graphs: Schedule | None = None
    options: Options | None = None

    @property
    def runs(self) -> list[Run]:
        """The history's runs, of which there is one."""
        return self.history.runs

    def final(self) -> Round:
        """Return the last round in which models were scored after consensus.

        Raises
        ------
        P2PLError
            No round was scored.
        """
        return self.runs[0].final()

    def state_dict(self, device: int) -> dict[str, Tensor]:
        """Return a device's model, as its module's ``load_state_dict`` takes it.

        Raises
        ------
        ConfigError
            There is no such device.
        """
        if not 0 <= device < self.stack.devices:
            rule = f"must be from 0 to {self.stack.devices - 1}"
            raise ConfigError("device", device, rule)
        model = {name: tensor.clone() for name, tensor in self.stack.model(device).items()}
        return {name: model[first] for name, first in self.stack.names.items()}

    def mean(self) -> dict[str, Tensor]:
        """Return the mean of all devices' models: see `mean_of`."""
        return mean_of(self.stack)

    def report(self, path: str | Path) -> Path:
        """Write a page that shows the run, for any browser, and return its path.

        One file that needs no network: see `p2pl_flower.report.write`.

        Raises
        ------
        ImportError
            Bokeh, which draws it, is not there: ``pip install 'p2pl-flower[report]'``.
        """
        network, options = None, self.options
        if self.graphs is not None and options is not None:
            name, rounds = str(self.history.scenario["topology"]), len(self.runs[0].rounds)
            steps = options.consensus_steps
            network = Network.over(name, self.graphs, rounds, steps, options.links)
        return write(self.history, path, network)

    def save(self, path: str | Path) -> None:
        """Write all devices' models to a safetensors file, which `simulate` can begin with.

        Each tensor has the devices as leading axis; tied parameters are there once. The metadata
        hold the number of devices.

        Raises
        ------
        LayoutError
            A tensor is of complex128, which such a file cannot hold.
        """
        for name, tensor in self.stack.tensors.items():
            if tensor.dtype == torch.complex128:
                rule = "which safetensors has not: write result.state_dict(device) by torch.save"
                raise LayoutError(f"tensor {name!r} is of torch.complex128, {rule}")
        tensors = {
            name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, tensor in self.stack.tensors.items()
        }
        save_file(tensors, path, metadata={STACKED: str(self.stack.devices)})


def mean_of(stack: Stack, devices: Ids | None = None) -> dict[str, Tensor]:
    """Return the mean of models, of all or some; integers and booleans are the first's.

    Computed in double precision, and returned in the model's own, under all its names.
    """
    rows = slice(None) if devices is None else rows_of(devices)
    model = {
        name: tensor[rows]
        .to(torch.promote_types(tensor.dtype, torch.float64))
        .mean(0)
        .to(tensor.dtype)
        if tensor.is_floating_point() or tensor.is_complex()
        else tensor[rows][0].clone()
        for name, tensor in stack.tensors.items()
    }
    return {name: model[first] for name, first in stack.names.items()}
