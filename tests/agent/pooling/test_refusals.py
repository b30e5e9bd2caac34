"""What a pool node does not open: objects that are not what a site signed, or not for it, or not any more."""

import base64
import io
import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pyarrow
import pytest

from fedstudy_core.keys import public_text
from fedstudy_core.pooling.documents import sign
from fedstudy_core.pooling.statements import ObjectManifest
from fedstudy_node.pooling.deidentify import named_types, written_table
from fedstudy_node.pooling.sealing import make_key, seal
from tests.agent.pooling.conftest import Region
from tests.agent.pooling.portal import Stored
from tests.factories import consents
from tests.factories.agent import STUDY
from tests.factories.consents import OTHER_STUDY, SITE_KEY, text

CHUNK = 64 * 1024 + 16


def reseal(region: Region, item: Stored, table: pyarrow.Table, **changed: Any) -> None:
    """Put another object in the place of one, as somebody would who has the site's node in hand."""
    into = io.BytesIO()
    consent = region.portal.consent()
    sealed = seal(written_table(table), into, changed.pop("recipients", consent.recipients))
    item.content = into.getvalue()
    facts = {"sha256": sealed.sha256, "size": sealed.size, "rows": len(table)} | changed
    item.manifest = ObjectManifest.model_validate({**item.manifest.model_dump(), **facts})
    item.envelope = text(sign(item.manifest, [region.hospitals[-1].home.identity_key()]))


def table_of(region: Region, rows: int = 40) -> pyarrow.Table:
    """Rows with the columns that the consent names."""
    return pyarrow.table(
        {
            "age": [30, 60] * (rows // 2),
            "sex": ["male"] * rows,
            "chol": [200.0] * rows,
            "admitted": pyarrow.array([18000] * rows, pyarrow.int32()).cast(pyarrow.date32()),
            "num": [1] * rows,
        }
    )


def altered(region: Region, item: Stored) -> None:
    item.content = item.content[:-1] + bytes([item.content[-1] ^ 1])


def cut(region: Region, item: Stored) -> None:
    item.content = item.content[: len(item.content) // 2]


def with_another_hash(region: Region, item: Stored) -> None:
    """The portal has other bytes and says so: the manifest is the site's word, and says otherwise."""
    altered(region, item)
    region.portal.lies = {"sha256": "5" * 64}


def sealed_for_another(region: Region, item: Stored) -> None:
    """The manifest says the consented keys, the ciphertext is for others."""
    reseal(region, item, table_of(region), recipients=[make_key().recipient])


def sealed_and_altered(region: Region, item: Stored) -> None:
    """The site's node signs what it altered after sealing."""
    reseal(region, item, table_of(region))
    altered(region, item)
    _say_what_is_there(region, item)


def reordered(region: Region, item: Stored) -> None:
    reseal(region, item, table_of(region, 12_000))
    begin = item.content.index(b"\n", item.content.index(b"\n--- ") + 1) + 17
    first, second = (item.content[begin + at * CHUNK : begin + (at + 1) * CHUNK] for at in (0, 1))
    item.content = item.content[:begin] + second + first + item.content[begin + 2 * CHUNK :]
    _say_what_is_there(region, item)


def another_column(region: Region, item: Stored) -> None:
    """In the object, not in the manifest."""
    reseal(region, item, table_of(region).append_column("smoker", [[True] * 40]))


def another_column_signed(region: Region, item: Stored) -> None:
    table = table_of(region).append_column("smoker", [[True] * 40])
    reseal(region, item, table, columns=named_types(table))


def another_type(region: Region, item: Stored) -> None:
    table = table_of(region)
    reseal(region, item, table.set_column(0, "age", [["30 Planted"] * 40]))


def small_groups(region: Region, item: Stored) -> None:
    table = table_of(region)
    reseal(region, item, table.set_column(0, "age", [[30] * 39 + [60]]))


def more_rows(region: Region, item: Stored) -> None:
    reseal(region, item, table_of(region), rows=41)


def no_table(region: Region, item: Stored) -> None:
    into = io.BytesIO()
    seal(b"age,sex\n", into, region.portal.consent().recipients)
    item.content = into.getvalue()
    _say_what_is_there(region, item)


def of_another_consent(region: Region, item: Stored) -> None:
    _sign(region, item, consent="6" * 64)


def of_another_study(region: Region, item: Stored) -> None:
    _sign(region, item, study=OTHER_STUDY)


def signed_by_another_node(region: Region, item: Stored) -> None:
    item.envelope = text(sign(item.manifest, [SITE_KEY]))


def consent_of_strangers(region: Region, item: Stored) -> None:
    """A consent that nobody at the site signed."""
    made = consents.consent()
    region.portal.lies = {"consent": text(consents.signed(made))}


def consent_by_one(region: Region, item: Stored) -> None:
    """One of the two signatures is missing."""
    name = item.manifest.consent
    raw = json.loads(base64.b64decode(region.portal.consents[name]))
    raw["signatures"] = raw["signatures"][:1]
    written = json.dumps(raw, separators=(",", ":"), sort_keys=True).encode()
    region.portal.lies = {"consent": text(written)}


def listed_for_another_study(region: Region, item: Stored) -> None:
    region.portal.lies = {"study": OTHER_STUDY}


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (altered, "E_PORTAL"),  # what comes is not what its name says: not kept, and asked for again
        (cut, "E_PORTAL"),
        (with_another_hash, "E_CONSENT"),
        (sealed_for_another, "E_SEALED"),
        (sealed_and_altered, "E_SEALED"),
        (reordered, "E_SEALED"),
        (another_column, "E_POOL_COLUMNS"),
        (another_column_signed, "E_POOL_COLUMNS"),
        (another_type, "E_POOL_COLUMNS"),
        (small_groups, "E_POOL_K"),
        (more_rows, "E_SEALED"),
        (no_table, "E_SEALED"),
        (of_another_consent, "E_CONSENT"),
        (of_another_study, "E_CONSENT"),
        (signed_by_another_node, "E_NO_TRUSTED_SIGNATURE"),
        (consent_of_strangers, "E_NO_TRUSTED_SIGNATURE"),
        (consent_by_one, "E_SIGNERS"),
        (listed_for_another_study, "E_CONSENT"),
    ],
)
def test_only_what_the_site_signed_is_opened(region: Region, harm: Callable[[Region, Stored], None], code: str) -> None:
    region.centre.work()
    region.hospitals[-1].share()
    (item,) = region.portal.objects.values()
    harm(region, item)
    if code == "E_PORTAL":
        with pytest.raises(Exception, match=code):
            region.centre.work()
    else:
        region.centre.work()
        assert [entry["code"] for entry in region.centre.journal("pool_refused")] == [code]
    assert region.centre.datasets == []
    assert not region.centre.journal("pool_opened")
    if code != "E_PORTAL":
        region.centre.work()
        assert len(region.centre.journal("pool_refused")) == 1, "written down once"


def test_the_same_rows_are_not_taken_twice(region: Region) -> None:
    """A portal that lists an object again, under another name: the site consented to its rows once."""
    region.centre.work()
    region.hospitals[-1].share()
    (item,) = region.portal.objects.values()
    region.portal.objects["again"] = replace(item, id="again")
    region.centre.work()
    (opened,) = region.centre.journal("pool_opened")
    assert len(region.centre.table()) == opened["rows"]


def test_ciphertext_altered_on_the_pool_nodes_disk_is_refused(region: Region) -> None:
    region.centre.work()
    region.hospitals[-1].share()
    (item,) = region.portal.objects.values()
    region.centre.work()
    path = region.centre.keeper._vault.sealed_path(item.manifest.sha256)
    path.write_bytes(path.read_bytes()[:-1])
    region.centre.restart()
    region.centre.work()
    assert [entry["code"] for entry in region.centre.journal("pool_refused")] == ["E_DIGEST"]
    assert region.centre.datasets == []


def test_a_key_that_the_pool_node_did_not_sign_is_not_consented_to(region: Region) -> None:
    """The portal puts a key of its own in the place of the pool node's."""
    region.centre.work()
    hospital = region.hospitals[0]
    pair = (STUDY, hospital.site)
    mine = make_key()
    region.portal.keys[pair] = region.portal.keys[pair].model_copy(update={"recipient": mine.recipient})
    with pytest.raises(Exception, match="E_CONSENT"):
        hospital.share()
    region.portal.nodes[region.portal.pool_node] = public_text(SITE_KEY.public_key())
    with pytest.raises(Exception, match="E_NO_TRUSTED_SIGNATURE"):
        hospital.share()
    region.portal.keys.pop(pair)
    with pytest.raises(Exception, match="E_NO_POOL"):
        hospital.share()


def _sign(region: Region, item: Stored, **changed: Any) -> None:
    item.manifest = ObjectManifest.model_validate({**item.manifest.model_dump(), **changed})
    envelope = sign(item.manifest, [region.hospitals[-1].home.identity_key()])
    item.envelope = text(envelope)
    for name in list(region.portal.consents):
        region.portal.consents[item.manifest.consent] = region.portal.consents[name]


def _say_what_is_there(region: Region, item: Stored) -> None:
    _sign(region, item, sha256=sha256(item.content).hexdigest(), size=len(item.content))
