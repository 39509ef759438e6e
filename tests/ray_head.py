"""A Ray cluster of this machine's own, until standard input ends: ``python ray_head.py CPUS``.

Starting Ray takes longer than what the tests run on it, so that several runs share one. It
prints the address that goes into ``RAY_ADDRESS``.
"""

from __future__ import annotations

import sys

import ray

ray.init(num_cpus=int(sys.argv[1]), include_dashboard=False, log_to_driver=False)
sys.stdout.write(f"address={ray.get_runtime_context().gcs_address}\n")
sys.stdout.flush()
sys.stdin.read()
ray.shutdown()
