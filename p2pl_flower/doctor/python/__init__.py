"""A project's Python code: what its names stand for, and changes to its text."""
