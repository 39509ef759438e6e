"""The global random generators that a user's training may draw from, as JSON and arrays."""

from __future__ import annotations

import random
import sys
from typing import Any

import numpy as np

from ..named_arrays import Model

_TORCH = "torch"


def capture() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the state of Python's, NumPy's and, if it is loaded, PyTorch's CPU generator."""
    numpy_state: Any = np.random.get_state(legacy=False)  # noqa: NPY002 - what users may use
    inner = {key: np.asarray(value).tolist() for key, value in numpy_state["state"].items()}
    content = {
        "python": random.getstate(),
        "numpy": {**numpy_state, "state": inner},
    }
    torch = sys.modules.get(_TORCH)
    arrays = {} if torch is None else {_TORCH: torch.get_rng_state().numpy()}
    return content, arrays


def restore(content: dict[str, Any], arrays: Model) -> None:
    """Set what `capture` returned."""
    version, internal, gauss = content["python"]
    random.setstate((version, tuple(internal), gauss))
    inner = dict(content["numpy"]["state"])
    inner["key"] = np.array(inner["key"], np.uint32)
    np.random.set_state({**content["numpy"], "state": inner})  # noqa: NPY002
    torch = sys.modules.get(_TORCH)
    if torch is not None and _TORCH in arrays:
        torch.set_rng_state(torch.from_numpy(arrays[_TORCH].copy()))
