"""A peer with no server at all: one device, its app, and its neighbors over the network."""
