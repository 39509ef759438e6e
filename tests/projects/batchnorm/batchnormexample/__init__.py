"""A PyTorch project with batch normalization."""
