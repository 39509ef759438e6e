"""Looks at a Flower project's text, without running it: what P2PL asks for, and refuses."""
