"""The studies that this node's site takes part in, as the portal tells them."""

from collections.abc import Mapping
from typing import Any

from fedstudy_core import dictionary as dictionaries
from fedstudy_core.dictionary import DataDictionary
from fedstudy_node.errors import NodeError
from fedstudy_node.portal import Portal


def find_study(portal: Portal, text: str) -> dict[str, Any]:
    """Return the study with this id or title. Raises NodeError (E_NOT_FOUND)."""
    found = [study for study in portal.studies() if text in (study["id"], study["title"])]
    if len(found) != 1:
        raise NodeError("E_NOT_FOUND", f"This site takes part in no study {text!r} (or in several of that title).")
    if not found[0].get("dictionary"):
        raise NodeError("E_NOT_FOUND", "The study has no data dictionary yet.")
    return found[0]


def dictionary_of(study: Mapping[str, Any]) -> DataDictionary:
    """Return a study's data dictionary. Raises Invalid (E_DICTIONARY)."""
    return dictionaries.parse({"variables": study["dictionary"]["variables"]})
