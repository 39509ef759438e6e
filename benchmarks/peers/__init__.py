"""The swarm beside other systems: ``python -m benchmarks.peers``; see ``benchmarks/peers.md``."""
