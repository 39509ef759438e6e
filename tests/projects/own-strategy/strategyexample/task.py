"""Model, data, training and evaluation: softmax regression in NumPy."""

import numpy as np
from sklearn.datasets import load_digits


def load_data(partition_id: int, num_partitions: int):
    """Load a partition of the digits: every n-th image, one fifth of them for testing."""
    digits = load_digits()
    own = np.arange(partition_id, len(digits.target), num_partitions)
    x, y = digits.data[own] / 16, digits.target[own]
    cut = len(own) * 4 // 5
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])


def start():
    return {"weight": np.zeros((64, 10)), "bias": np.zeros(10)}


def probabilities(model, x):
    scores = x @ model["weight"] + model["bias"]
    scores = np.exp(scores - scores.max(1, keepdims=True))
    return scores / scores.sum(1, keepdims=True)


def train(model, x, y, lr, steps=20):
    """Make steps of gradient descent and return the loss before the last."""
    for _ in range(steps):
        found = probabilities(model, x)
        error = found - np.eye(10)[y]
        gradient = x.T @ error / len(y)
        model = {"weight": model["weight"] - lr * gradient, "bias": model["bias"] - lr * error.mean(0)}
    return model, float(-np.log(found[np.arange(len(y)), y]).mean())


def test(model, x, y):
    """Return loss and accuracy."""
    found = probabilities(model, x)
    loss = -np.log(found[np.arange(len(y)), y]).mean()
    return float(loss), float((found.argmax(1) == y).mean())
