"""The walls around a node's scripts, as its settings ask for them."""

from fedstudy_core.sandbox.choosing import Sandbox, choose
from fedstudy_node.home import Home


def choose_sandbox(home: Home) -> Sandbox:
    """Probe this machine and return the sandbox for the node's scripts. Raises NoSandbox (E_HOME)."""
    settings = home.settings()
    return choose(home.path, at_most=settings.sandbox, processors=settings.torch_threads + 1, forks=settings.preload)
