"""The fast path: perceptrons trained by batched products alone, to the same numbers."""
