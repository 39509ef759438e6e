"""Gradient tracking on whole rounds, for training that cannot be looked into."""

from __future__ import annotations

from dataclasses import dataclass

from .base import Algorithm, Arrays, Mixed, Sending, State, Training, each, zeros_like

TRACKER = "tracker of "


@dataclass(frozen=True)
class GradientTracking(Algorithm):
    r"""Each device follows an estimate of how far all devices' training moves them on average.

    .. math:: \Delta_k^t = \mathrm{train}(w_k^t) - w_k^t, \qquad
              u_k^t = y_k^t + \Delta_k^t - \Delta_k^{t-1}

    .. math:: w_k^{t+1} = \sum_j a_{kj} (w_j^t + u_j^t), \qquad
              y_k^{t+1} = \sum_j a_{kj} u_j^t

    from y = 0 and :math:`\Delta^{-1} = 0`, so that the mean of u over devices is that of Delta.
    A round's movement stands for [1]_'s gradient, times its step size: that is our reading, for
    training of which nothing is known but what it makes of a model. Two models are sent, w + u and
    u; three are kept.

    Where training is one gradient step of constant size on convex smooth losses, all devices
    reach the optimum of the mean loss. With several local steps, momentum or another optimizer,
    they agree on the point from which training moves their mean nowhere, where federated averaging
    of equal shares ends up, too; `KGradientTracking` and `LocalExactDiffusion` go on from there.
    The matrix must be doubly stochastic; symmetric ones are asked for, with which that holds
    while each link works both ways or not at all. Noise of training enters y twice, so that it
    wants larger batches or smaller rates. Synonyms: Aug-DGM, ATC-DIGing.

    References
    ----------
    .. [1] Xu, Zhu, Soh and Xie, "Augmented distributed gradient methods for multi-agent
       optimization under uncoordinated constant stepsizes", CDC 2015.
    .. [2] Di Lorenzo and Scutari, "NEXT: In-Network Nonconvex Optimization", arXiv 1602.00591.
    """

    name = "gradient-tracking"
    symmetric_weights = True

    def start(self, model: Arrays, shape: tuple[int, ...]) -> State:
        """Begin with y = 0, as if no round before had moved the device."""
        zeros = zeros_like(model)
        return {"tracker": zeros, "moved": zeros}

    def before_training(self, model: Arrays, state: State) -> Training:
        """Note where the round begins."""
        return Training(model, None, {**state, "begun": model})

    def after_training(self, trained: Arrays, state: State) -> Sending:
        """Send w + u, and u."""
        moved = each(lambda after, before: after - before, trained, state["begun"])
        estimate = each(
            lambda y, now, before: y + (now - before), state["tracker"], moved, state["moved"]
        )
        sent = each(lambda w, u: w + u, state["begun"], estimate)
        message = {**sent, **{f"{TRACKER}{name}": u for name, u in estimate.items()}}
        return Sending(message, {"tracker": state["tracker"], "moved": moved})

    def after_mixing(self, sent: Arrays, mixed: Arrays, state: State, gamma: float) -> Mixed:
        """Take apart the mixed models and estimates."""
        names = list(state["tracker"])
        tracker = {name: mixed[f"{TRACKER}{name}"] for name in names}
        return Mixed({name: mixed[name] for name in names}, {**state, "tracker": tracker})

    @property
    def looks_back(self) -> bool:
        """No: what was sent is not compared with what came of it."""
        return False
