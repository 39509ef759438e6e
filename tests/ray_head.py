"""A Ray cluster on this machine, until standard input ends: ``python ray_head.py CPUS NODES``.

Starting Ray takes longer than what the tests run on it, so that several runs share one. It
prints the address that goes into ``RAY_ADDRESS``.
"""

from __future__ import annotations

import sys

import ray
from ray.cluster_utils import Cluster

cpus, nodes = map(int, sys.argv[1:])
if nodes == 1:  # whoever looks for a cluster on this machine does not find this one
    ray.init(num_cpus=cpus, include_dashboard=False, log_to_driver=False)
    address, stop = ray.get_runtime_context().gcs_address, ray.shutdown
else:
    head = {"num_cpus": cpus, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(nodes - 1):
        cluster.add_node(num_cpus=cpus)
    cluster.wait_for_nodes()
    address, stop = cluster.address, cluster.shutdown
sys.stdout.write(f"address={address}\n")
sys.stdout.flush()
sys.stdin.read()
stop()
