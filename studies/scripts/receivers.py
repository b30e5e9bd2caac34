def connect() -> None:
    """Nothing to listen to yet."""
