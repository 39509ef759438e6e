"""Model, data, training and evaluation."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression


def load_data(partition_id: int, num_partitions: int):
    """Load a partition of the digits: every n-th image, one fifth of them for testing."""
    digits = load_digits()
    own = np.arange(partition_id, len(digits.target), num_partitions)
    x, y = digits.data[own] / 16, digits.target[own]
    cut = len(own) * 4 // 5
    return x[:cut], x[cut:], y[:cut], y[cut:]


def create_log_reg_and_instantiate_parameters(local_epochs: int):
    """Return a warm-started model with all parameters at zero."""
    model = LogisticRegression(max_iter=local_epochs, warm_start=True)
    set_initial_params(model, n_features=64, n_classes=10)
    return model


def get_model_parameters(model):
    return [model.coef_, model.intercept_] if model.fit_intercept else [model.coef_]


def set_model_params(model, params):
    model.coef_ = params[0]
    if model.fit_intercept:
        model.intercept_ = params[1]
    return model


def set_initial_params(model, n_features, n_classes):
    model.classes_ = np.arange(n_classes)
    model.coef_ = np.zeros((n_classes, n_features))
    if model.fit_intercept:
        model.intercept_ = np.zeros((n_classes,))
