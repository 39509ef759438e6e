"""Sub-commands of ``p2pl-flower``, one in each module; `p2pl_flower.cli` lists them."""
