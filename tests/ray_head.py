"""A Ray cluster on this machine, until standard input ends: ``python ray_head.py CPUS NODES``.

Starting Ray takes longer than what the tests run on it, so that several runs share one. It
prints the address that goes into ``RAY_ADDRESS``.
"""

from __future__ import annotations

import sys

from ray.cluster_utils import Cluster

cpus, nodes = map(int, sys.argv[1:])
cluster = Cluster(
    initialize_head=True, head_node_args={"num_cpus": cpus, "include_dashboard": False}
)
for _ in range(nodes - 1):
    cluster.add_node(num_cpus=cpus)
cluster.wait_for_nodes()
sys.stdout.write(f"address={cluster.address}\n")
sys.stdout.flush()
sys.stdin.read()
cluster.shutdown()
