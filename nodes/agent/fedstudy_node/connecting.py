"""How the console and the agent's threads reach the portal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fedstudy_node.home import Home
from fedstudy_node.ledger import Ledger
from fedstudy_node.portal import Portal, PortalUnreachable, open_client


@contextmanager
def open_portal(home: Home, ledger: Ledger) -> Iterator[Portal]:
    """Open the portal of an enrolled node for some requests."""
    settings = home.enrolled()
    with open_client(settings.portal, home.portal_ca()) as client:
        yield Portal(client, node=settings.node, identity=home.identity_key(), ledger=ledger)


def told(tell: Callable[[], object]) -> bool:
    """Tell the portal what holds here already. False where it is away: the agent tells it by itself later."""
    try:
        tell()
    except PortalUnreachable:
        return False
    return True
