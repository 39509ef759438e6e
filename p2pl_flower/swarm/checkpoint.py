"""A run's state in a file: what is needed to go on as if it had never stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import ConfigError
from ..history import History, Run
from ..system.files import check_same_run, replacing

_FORMAT = 1


@dataclass
class Checkpoint:
    """The file that a run saves its state in after a round, and goes on from.

    Parameters
    ----------
    path : Path
        The file; it may not be there yet.
    identity : Mapping[str, Any]
        What must be the same for the run to be continued, in JSON's types.
    """

    path: Path
    identity: Mapping[str, Any]

    def save(self, run: Run, tensors: Mapping[str, Tensor]) -> None:
        """Write the state: the file is replaced as a whole, or stays as it was."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "format": _FORMAT,
            "identity": json.dumps(self.identity),
            "run": History({}, {}, [run]).to_json(),
            "tensors": dict(tensors),
        }
        with replacing(self.path) as part:
            torch.save(state, part)

    def load(self, device: str) -> tuple[Run, dict[str, Tensor]] | None:
        """Return the run so far and its tensors; None where there is no file yet.

        Raises
        ------
        ConfigError
            The file is of another run; names the first setting that differs.
        """
        if not self.path.is_file():
            return None
        try:
            state = torch.load(self.path, map_location=device, weights_only=True)
        except Exception as error:
            rule = f"cannot be read ({type(error).__name__}); delete it to begin anew"
            raise ConfigError("checkpoint", str(self.path), rule) from error
        if not isinstance(state, dict) or state.get("format") != _FORMAT:
            rule = "is no checkpoint of a swarm, or of another version; delete it to begin anew"
            raise ConfigError("checkpoint", str(self.path), rule)
        check_same_run(self.path, self.identity, json.loads(state["identity"]))
        [run] = History.from_json(state["run"]).runs
        return run, state["tensors"]
