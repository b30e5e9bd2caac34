"""The address of a node's own page, of which the portal makes a link for the site's people."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.db import transaction

from audit.services import record
from fedstudy_core.errors import Invalid
from nodes.registry.models import Node

LONGEST_URL = 300


def checked_page_url(text: str) -> str:
    """The address without a slash at its end.

    Raises:
        Invalid: E_INVALID for anything but a plain http or https address: nothing that a browser would run, and nothing
            that hides where it leads.
    """
    told = text.strip().rstrip("/")
    if not told:
        return ""
    wrong = Invalid("E_INVALID", "A node's page has a plain address that starts with https:// or http://.")
    if (
        len(told) > LONGEST_URL
        or not told.isascii()
        or any(not 32 < ord(sign) < 127 or sign in "\"'<>\\^`{|}" for sign in told)
    ):
        raise wrong
    try:
        parts = urlsplit(told)
        port = parts.port
    except ValueError as error:
        raise wrong from error
    plain = not (parts.username or parts.password or parts.query or parts.fragment or "@" in parts.netloc)
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain or port == 0:
        raise wrong
    return told


@transaction.atomic
def set_page_url(*, node: Node, page_url: str) -> Node:
    """Note where the node's own page is, as the node itself says; "" for nowhere.

    Raises:
        Invalid: E_INVALID, as `checked_page_url` does.
    """
    told = checked_page_url(page_url)
    node = Node.objects.select_for_update(of=("self",)).select_related("site").get(pk=node.pk)
    if node.page_url != told:
        node.page_url = told
        node.save(update_fields=["page_url"])
        record(action="registry:node:page", actor=node, obj=node, site=node.site_id, detail={"page_url": told})
    return node
