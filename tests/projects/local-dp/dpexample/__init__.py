"""A PyTorch project whose updates are clipped and noised by a mod."""
