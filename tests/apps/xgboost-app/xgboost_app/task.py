"""The trees' settings."""

from flwr.common.config import unflatten_dict


def replace_keys(config: dict) -> dict:
    """Write the names in tables within tables as XGBoost does, with underscores."""
    return {
        name.replace("-", "_"): replace_keys(value) if isinstance(value, dict) else value
        for name, value in config.items()
    }


def read_config(run_config: dict) -> dict:
    """Return the run's configuration as tables within tables; XGBoost's parameters are in "params"."""
    return replace_keys(unflatten_dict(run_config))
