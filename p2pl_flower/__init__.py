"""Serverless peer-to-peer deep learning (P2PL) for the Flower framework.

Two lines convert a Flower project: `PeerApp` for ``ClientApp``, and ``P2PL(...)`` for
``FedAvg(...)``. Names are listed in ``__init__.pyi`` and imported when they are first used, so
that ``import p2pl_flower`` is quick, and so that what needs no flwr does not ask for it.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
