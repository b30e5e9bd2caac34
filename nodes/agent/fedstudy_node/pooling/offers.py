"""Where a study's pooled rows would go, as the portal tells it and as this node verifies it."""

from base64 import b64decode
from dataclasses import dataclass

from pydantic import ValidationError

from fedstudy_core.errors import Refusal
from fedstudy_core.keys import key_id, public_from_text, six_words
from fedstudy_core.pooling.statements import verify_key
from fedstudy_core.wire_pool import PoolOffer
from fedstudy_node.errors import NodeError
from fedstudy_node.home import Settings
from fedstudy_node.portal import Portal


@dataclass(frozen=True)
class Destination:
    """A study's pool node, its key for this site, and the words by which two people compare that key."""

    node: str
    site_name: str
    recipient: str
    words: str


def words_of(recipient: str) -> str:
    """Return six words that stand for a pool key."""
    return six_words(recipient)


def destination(portal: Portal, settings: Settings, study: str) -> Destination:
    """Ask where the study's pooled rows go.

    Raises:
        NodeError: E_PORTAL, with the portal's E_NO_POOL where the study has no pool node.
        Refusal: E_NO_POOL while it has made no key for this site; E_CONSENT and the codes of `verify_key` for one that
            the pool node did not sign.
    """
    try:
        offer = PoolOffer.model_validate(portal.pool_offer(study))
    except ValidationError as error:
        raise NodeError("E_PORTAL", "The portal's answer has another form than it promises.") from error
    if not offer.recipient:
        raise Refusal("E_NO_POOL", "The pool node has made no key for this site yet; it does within a minute or so.")
    public = public_from_text(offer.node_key)
    key = verify_key(b64decode(offer.envelope), {key_id(public): public})
    told = (key.study, key.site, key.node, key.recipient)
    if told != (study, settings.site, offer.node, offer.recipient):
        raise Refusal("E_CONSENT", "The pool node signed this key for another study or site.")
    return Destination(offer.node, offer.site_name, offer.recipient, words_of(offer.recipient))
