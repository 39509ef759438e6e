"""A PyTorch project with a learning-rate schedule and central evaluation."""
