"""The model and its parameters."""

import numpy as np
from sklearn.linear_model import LogisticRegression


def get_model(penalty: str, local_epochs: int) -> LogisticRegression:
    """Return a model that goes on from the parameters that it has."""
    return LogisticRegression(C=1.0 if penalty == "l2" else 1e6, max_iter=local_epochs, warm_start=True)


def get_model_params(model: LogisticRegression) -> list[np.ndarray]:
    """Return the parameters."""
    return [model.coef_, model.intercept_]


def set_model_params(model: LogisticRegression, params: list[np.ndarray]) -> None:
    """Set the parameters."""
    model.coef_, model.intercept_ = params


def set_initial_params(model: LogisticRegression) -> None:
    """Set zeros, so that the model has parameters before it saw data."""
    model.classes_ = np.array([0.0, 1.0])
    model.coef_, model.intercept_ = np.zeros((1, 4)), np.zeros(1)
