"""A module to fork: writes which of the modules that it is given were imported before it was asked."""

import sys


def main() -> None:
    """Write their names."""
    sys.stdout.write(" ".join(name for name in sys.argv[1:] if name in sys.modules))
