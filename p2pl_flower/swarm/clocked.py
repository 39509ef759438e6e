"""What goes over links in a consensus step, for the clock."""

from __future__ import annotations

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from ..options import Options, Step, step_of
from .edges import Edges

Mask = NDArray[np.bool_]


def sent_step(
    options: Options,
    graph: nx.Graph,
    edges: Edges,
    heard: Mask,
    there: Mask,
    late: Mask,
    round_number: int,
    step: int,
) -> Step:
    """Return the messages that devices send in a step, those that get lost among them.

    Parameters
    ----------
    options : Options
        Those of the run: who is sent nothing follows from the links.
    graph : networkx.Graph
        The step's, with the places of devices where it has them.
    edges : Edges
        Its links to devices that are there.
    heard : NDArray[bool]
        On which of them something arrives.
    there : NDArray[bool], shape (K,)
        Which devices are there.
    late : NDArray[bool], shape (K,)
        Which of them are heard by nobody, for they train too long.
    round_number, step : int
        Both from 1.
    """
    tried = options.links.tried(edges.to, edges.source, round_number, step)
    sent = np.broadcast_to(tried, edges.to.shape) & there[edges.source]
    return step_of(graph, edges.to[sent], edges.source[sent], heard[sent], late)
