"""How sealed objects travel between this node and the portal: as large contents of messages do (`freight`)."""

from fedstudy_node.freight import FreightClient
from fedstudy_node.home import Home
from fedstudy_node.portal import open_bulk_client

OBJECTS = "/api/v1/node/pool/objects/"


def freight_client(home: Home) -> FreightClient:
    """Return what carries large bodies between this node and the portal."""
    settings = home.enrolled()
    client = open_bulk_client(settings.portal, home.portal_ca())
    return FreightClient(client, settings.node, home.identity_key, home.path)
