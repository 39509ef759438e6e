"""One page that shows a history: no server, no network, one file that any browser opens.

Bokeh draws it: its script lies in its wheel, so that a page can hold it, and takes 1.3 MB.
"""

from __future__ import annotations

from .network import Network
from .page import write
from .words import sentences

__all__ = ["Network", "sentences", "write"]
