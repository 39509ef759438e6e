"""The strategies that a ServerApp makes: what they are, and what it takes to make them P2PL."""
