"""A PyTorch project with a NumPyClient."""
