"""A project whose strategy is a class of its own, in a file of its own."""
