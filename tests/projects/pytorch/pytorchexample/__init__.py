"""A PyTorch project with Flower's message API."""
