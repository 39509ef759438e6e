"""A PyTorch project whose clients keep their own head."""
