"""From a draft to a statement that counts: signed by all whom it names, and by nobody else."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from fedstudy_core import bundle as bundles
from fedstudy_core import keys
from fedstudy_core.approvers import ApproverKey
from fedstudy_core.errors import FedStudyError
from fedstudy_core.statement import verify_statement
from fedstudy_node.approvals import Approvals, Limits
from fedstudy_node.ledger import Ledger
from fedstudy_node.offers import Offer
from fedstudy_node.signing import Draft, Signing
from fedstudy_node.trust import Trust, pinned
from tests.factories.agent import STUDY, Node, approval_key, make_node, script

FAB = script()
OFFER = Offer(
    {"version": "v", "study": STUDY, "study_title": "Hearts", "script": "numbers", "number": 1},
    FAB,
    bundles.inspect(FAB),
)
STEWARD_KEY = keys.generate()
STRANGER = keys.generate()


class Site:
    """A node with a site admin and a data steward."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.node: Node = make_node(folder)
        self.trust = Trust(self.node.home)
        self.admin: ApproverKey = self.trust.on_console()
        public = keys.public_text(STEWARD_KEY.public_key())
        self.steward = pinned(kind="console", name="Demo Steward", role="data steward", key=public)
        self.trust.add(self.steward)
        self.signing = Signing(self.node.home, ledger)

    def begin(self, *people: ApproverKey, two: bool = False, **limits: int) -> Draft:
        dataset = replace(self.node.dataset, people=2) if two else self.node.dataset
        return self.signing.begin(OFFER, dataset, replace(Limits(), **limits), "approved", people or (self.admin,))  # type: ignore[arg-type]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        yield Site(tmp_path, ledger)


def code_of(act: object, *arguments: object, **named: object) -> str:
    with pytest.raises(FedStudyError) as error:
        act(*arguments, **named)  # type: ignore[operator]
    return error.value.code


def test_one_persons_signature_makes_the_statement(site: Site) -> None:
    draft = site.begin()
    assert code_of(site.signing.finish, draft) == "E_STATE"
    signed = site.signing.finish(site.signing.add(draft, site.admin.id, approval_key().sign(draft.to_sign)))
    assert signed.statement_id == draft.id
    statement = verify_statement(signed.envelope, site.trust.approvers())
    assert [signer.name for signer in statement.approvers] == ["Demo Admin"]
    assert [kept.statement_id for kept in Approvals(site.node.home).all()] == [draft.id]


def test_the_second_of_two_people_signs_the_same_bytes_later(site: Site) -> None:
    draft = site.begin(site.admin, site.steward, two=True)
    half = site.signing.add(draft, site.admin.id, approval_key().sign(draft.to_sign))
    assert half.awaited == ["Demo Steward"]
    assert code_of(site.signing.finish, half) == "E_STATE"
    assert Approvals(site.node.home).all() == []
    [waiting] = site.signing.waiting()
    assert waiting.to_sign == draft.to_sign
    found = site.signing.find(draft.id[:8])
    signed = site.signing.finish(site.signing.add(found, site.steward.id, STEWARD_KEY.sign(found.to_sign)))
    assert verify_statement(signed.envelope, site.trust.approvers()).study == STUDY
    assert site.signing.waiting() == []


def test_one_person_cannot_sign_for_two(site: Site) -> None:
    draft = site.begin(site.admin, site.steward, two=True)
    for _ in range(2):
        draft = site.signing.add(draft, site.admin.id, approval_key().sign(draft.to_sign))
    assert draft.awaited == ["Demo Steward"]
    assert code_of(site.signing.add, draft, site.steward.id, approval_key().sign(draft.to_sign)) == "E_SIG"
    assert code_of(site.signing.finish, draft) == "E_STATE"


def test_two_people_are_a_site_admin_and_a_data_steward(site: Site) -> None:
    another = pinned(kind="console", name="Demo Second", role="site admin", key=keys.public_text(STRANGER.public_key()))
    twin = pinned(kind="console", name="Demo Admin", role="data steward", key=keys.public_text(STRANGER.public_key()))
    for people in ([site.admin], [site.steward], [site.admin, site.admin], [site.admin, another], [site.admin, twin]):
        assert code_of(site.begin, *people, two=True) == "E_SECOND_PERSON"


def test_a_signature_that_does_not_fit_is_not_taken_in(site: Site) -> None:
    draft = site.begin()
    good = approval_key().sign(draft.to_sign)
    stranger = keys.key_id(STRANGER.public_key())
    assert code_of(site.signing.add, draft, site.steward.id, STEWARD_KEY.sign(draft.to_sign)) == "E_SIGNERS"
    assert code_of(site.signing.add, draft, stranger, STRANGER.sign(draft.to_sign)) == "E_SIGNERS"
    assert code_of(site.signing.add, draft, site.admin.id, STRANGER.sign(draft.to_sign)) == "E_SIG"
    assert code_of(site.signing.add, draft, site.admin.id, good[:-1] + bytes([good[-1] ^ 1])) == "E_SIG"
    assert code_of(site.signing.add, draft, site.admin.id, approval_key().sign(draft.payload)) == "E_SIG"
    other = site.begin()
    assert code_of(site.signing.add, other, site.admin.id, good) == "E_SIG", "each draft has a nonce of its own"


def test_who_is_trusted_no_more_cannot_finish(site: Site) -> None:
    draft = site.begin()
    signed = site.signing.add(draft, site.admin.id, approval_key().sign(draft.to_sign))
    site.trust.remove(site.admin)
    assert code_of(site.signing.add, draft, site.admin.id, approval_key().sign(draft.to_sign)) == "E_SIGNERS"
    assert code_of(site.signing.finish, signed) == "E_NO_TRUSTED_SIGNATURE"
    assert Approvals(site.node.home).all() == []


def test_a_draft_is_written_from_what_the_node_holds(site: Site) -> None:
    statement = site.begin(rounds=7).statement
    settings = site.node.home.settings()
    assert (statement.site, statement.node, statement.rounds) == (settings.site, settings.node, 7)
    assert statement.script.sha256 == OFFER.bundle.sha256
    assert statement.dataset.fingerprint == site.node.dataset.fingerprint
    Path(site.node.dataset.path).write_text("age,sex\n1,1\n")
    assert code_of(site.begin) == "E_DATASET"


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"days": 181}, "E_TOO_LONG"),
        ({"days": 0}, "E_TOO_LONG"),
        ({"rounds": 0}, "E_INVALID"),
        ({"max_norm": 0}, "E_INVALID"),
    ],
)
def test_limits_that_make_no_sense_are_not_signed(site: Site, limits: dict[str, int], code: str) -> None:
    assert code_of(site.begin, **limits) == code


def test_limits_are_never_below_the_datasets_own(site: Site) -> None:
    strict = replace(site.node.dataset, min_sites=4, min_rows=2, sandbox_min="S4")
    draft = site.signing.begin(OFFER, strict, Limits(min_sites=1, sandbox_min="S0"), "approved", [site.admin])
    statement = draft.statement
    assert (statement.privacy.min_sites, statement.privacy.min_rows, statement.sandbox_min) == (4, 2, "S4")


def test_a_draft_that_was_dropped_is_gone(site: Site) -> None:
    draft = site.begin(site.admin, site.steward)
    site.signing.add(draft, site.admin.id, approval_key().sign(draft.to_sign))
    site.signing.drop(draft)
    assert code_of(site.signing.find, draft.id[:8]) == "E_NOT_FOUND"
