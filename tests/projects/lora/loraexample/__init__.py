"""A transformer whose clients train adapters."""
