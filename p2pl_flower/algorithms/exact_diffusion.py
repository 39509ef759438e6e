"""Exact diffusion: averaging without the bias that data which differ bring."""

from __future__ import annotations

from dataclasses import dataclass

from .base import Algorithm, Arrays, Sending, State, Training, each


@dataclass(frozen=True)
class ExactDiffusion(Algorithm):
    r"""Each device adds to what it sends how far its last consensus step moved it.

    .. math:: \psi_k^{t} = \mathrm{train}(w_k^{t-1}), \qquad
              \phi_k^{t} = \psi_k^{t} + w_k^{t-1} - \psi_k^{t-1}, \qquad
              w_k^{t} = \sum_j \bar a_{kj} \phi_j^{t}, \quad \bar A = (I + A) / 2

    with :math:`\psi_k^0 = w_k^0`. Where training is one gradient step of constant size on a
    convex smooth loss, and A is symmetric and doubly stochastic (``metropolis`` weights over
    links that lose nothing), all devices converge to the optimum of the mean loss, where plain
    averaging stays off it; with several local steps a small bias is left. Nothing is sent beyond
    the model; one model is kept. Synonym: D2.

    References
    ----------
    .. [1] Yuan, Ying, Zhao and Sayed, "Exact Diffusion for Distributed Optimization and
       Learning", arXiv 1702.05122.
    .. [2] Tang, Lian, Yan, Zhang and Liu, "D2: Decentralized Training over Decentralized Data",
       arXiv 1803.07068.
    """

    name = "exact-diffusion"
    mixing_step = 0.5
    symmetric_weights = True

    def start(self, model: Arrays, shape: tuple[int, ...]) -> State:
        """Begin with psi = w."""
        return {"psi": model}

    def before_training(self, model: Arrays, state: State) -> Training:
        """Keep w - psi, how far the last consensus step moved the device."""
        moved = each(lambda w, psi: w - psi, model, state["psi"])
        return Training(model, None, {"moved": moved})

    def after_training(self, trained: Arrays, state: State) -> Sending:
        """Send phi = psi + (w - psi of the round before)."""
        message = each(lambda psi, moved: psi + moved, trained, state["moved"])
        return Sending(message, {"psi": trained})
