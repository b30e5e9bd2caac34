"""Numbers of things in English sentences."""


def counted(number: int, thing: str) -> str:
    """A number of things whose plural takes an s: "1 site", "3 sites"."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
