"""Configuration of the trees."""


def params_of(run_config) -> dict:
    """Return XGBoost's parameters out of the run's configuration."""
    return {
        name.removeprefix("params.").replace("-", "_"): value
        for name, value in run_config.items()
        if name.startswith("params.")
    }
