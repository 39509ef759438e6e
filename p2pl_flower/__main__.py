"""``python -m p2pl_flower`` is the command ``p2pl-flower``."""

import sys

from .cli import main

sys.exit(main())
