"""From a consent to a pooled dataset and to its deletion, over two hospitals' consoles and a pool node."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from fedstudy_node.datasets import Datasets
from fedstudy_node.pooling.memory import file_system_of
from fedstudy_node.pooling.papers import Papers
from fedstudy_node.pooling.sealing import open_sealed
from fedstudy_node.pooling.vault import Vault
from tests.agent.pooling.conftest import Hospital, Region
from tests.factories.agent import STUDY

CANARY = "Planted77"


def test_rows_go_from_hospitals_to_one_dataset_of_the_pool_node(region: Region) -> None:
    """Two sites consent and send; the pool node opens, offers one table with a column for the site, and says so."""
    consents = region.open()
    (dataset,) = region.centre.datasets
    assert dataset.config == {"pooled": True}
    table = region.centre.table()
    assert table.column_names == ["age", "sex", "chol", "admitted", "num", "site"]
    assert set(table["site"].to_pylist()) == {hospital.site for hospital in region.hospitals}, "they begin alike here"
    sent = [entry["rows"] for entry in region.centre.journal("pool_opened")]
    assert len(table) == sum(sent) > 200
    told = region.portal.datasets[-1]
    assert told["pooled"] == sorted(consents)
    assert told["report"]["passed"]
    assert told["columns"] == ["age", "sex", "chol", "admitted", "num"]
    assert Path(dataset.path).stat().st_mode & 0o777 == 0o600
    region.centre.work()
    assert len(region.portal.datasets) == 1, "nothing new, nothing told"


def test_a_preview_shows_what_would_leave_and_signs_nothing(region: Region) -> None:
    hospital = region.hospitals[0]
    seen = hospital.facts("preview", STUDY, "-f", hospital.wish())
    assert seen["enough"]
    assert [column["name"] for column in seen["columns"]] == ["age", "sex", "chol", "admitted", "num"]
    assert seen["stays"] == ["smoker", "remark", "mrn", "record"]
    assert seen["rows"] == seen["rows_chosen"] <= seen["rows_for_training"] == 198
    narrow = hospital.wish(profile={"age": {"action": "keep"}, "sex": {"action": "keep"}, "num": {"action": "keep"}})
    assert not hospital.facts("preview", STUDY, "-f", narrow)["enough"]
    _, shown, _ = hospital.type("pool", "preview", STUDY, "-f", hospital.wish())
    assert "rows would leave" in shown
    assert seen["rows_idle"] == seen["rows_for_training"] - seen["rows"] > 0
    assert f"{seen['rows_idle']} rows for training would stay; what stays trains nothing" in " ".join(shown.split())
    assert CANARY not in shown
    assert not region.portal.consents


def test_two_people_sign_or_nothing_leaves(region: Region) -> None:
    region.centre.work()
    hospital = region.hospitals[0]
    word = ("--passphrase-file", str(hospital.folder / "passphrase"), "--yes")
    file = hospital.wish()
    people = ("--approver", "Demo Admin", "--second", "Demo Steward")
    assert hospital.fails("consent", STUDY, "-f", file, *people, *word) == "E_KEY", "the site's own key first"
    hospital.facts("recovery-key", str(hospital.folder / "recovery.txt"))
    assert hospital.fails("recovery-key", str(hospital.folder / "again.txt")) == "E_EXISTS"
    alone = ("--approver", "Demo Admin", "--second", "Demo Admin")
    assert hospital.fails("consent", STUDY, "-f", file, *alone, *word) == "E_SECOND_PERSON"
    narrow = hospital.wish(profile={"age": {"action": "keep"}, "sex": {"action": "keep"}, "num": {"action": "keep"}})
    assert hospital.fails("consent", STUDY, "-f", narrow, *people, *word) == "E_POOL_K"
    assert hospital.fails("send", STUDY) == "E_NO_CONSENT"
    begun = hospital.facts("consent", STUDY, "-f", hospital.wish(), *people, *word)
    assert hospital.facts("cosign")[0]["awaited"] == ["Demo Steward"]
    assert hospital.fails("send", STUDY) == "E_NO_CONSENT"
    assert hospital.fails("cosign", begun["consent"][:12], "--approver", "Nobody", *word) == "E_NOT_FOUND"
    assert hospital.facts("cosign", begun["consent"][:12], *word)["portal_told"]
    assert hospital.facts("status")["consents"][0]["state"] == "consented"


def test_a_file_that_changed_since_is_not_sent(region: Region) -> None:
    region.centre.work()
    hospital = region.hospitals[0]
    hospital.facts("recovery-key", str(hospital.folder / "recovery.txt"))
    hospital.consent()
    hospital.file.write_text(hospital.file.read_text() + "50,male,200.0,2020-01-01,True,x,MRN-9,1,0\n")
    assert hospital.fails("send", STUDY) == "E_DATASET"


def test_a_broken_upload_goes_on_where_it_stopped(region: Region) -> None:
    region.centre.work()
    hospital = region.hospitals[0]
    hospital.facts("recovery-key", str(hospital.folder / "recovery.txt"))
    hospital.consent()
    region.portal.break_after = 1000
    assert hospital.facts("send", STUDY)["sent"]
    (item,) = region.portal.objects.values()
    assert region.portal.taken == [1000, item.manifest.size - 1000]
    assert hospital.facts("send", STUDY)["sent"], "once more, and nothing is sent again"
    assert len(region.portal.taken) == 2
    assert not list(Papers(hospital.home).folder.glob("outgoing/*"))


def test_the_site_opens_what_it_sent_by_its_own_key(region: Region) -> None:
    region.share()
    secret = (region.hospitals[0].folder / "recovery.txt").read_text().splitlines()[-1]
    item = next(iter(region.portal.objects.values()))
    path = region.folder / "copy.age"
    path.write_bytes(item.content)
    with path.open("rb") as file:
        assert open_sealed(file, secret)


def test_the_canary_is_nowhere_but_in_the_hospitals_own_file(region: Region) -> None:
    """A value of a patient, and one that leaves: on no disk of site, portal or pool node, and in no word to them."""
    region.open()
    (dataset,) = region.centre.datasets
    for mark in (CANARY.encode(), b"MRN-77000077", b"female"):
        found = _files_with(region.folder, mark)
        assert found <= {hospital.file for hospital in region.hospitals}, mark
    told = json.dumps([region.portal.datasets, list(region.portal.consents.values())])
    assert CANARY not in told
    for item in region.portal.objects.values():
        assert b"female" not in item.content
        assert item.content.startswith(b"age-encryption.org/v1\n")
    assert file_system_of(Path(dataset.path)) == "tmpfs"
    assert file_system_of(Path("/proc")) == "proc"


def test_a_site_takes_its_rows_back(region: Region) -> None:
    """The other site's rows stay, as another table; the first site's go, and never come back."""
    consents = region.open()
    (before,) = region.centre.datasets
    region.hospitals[0].facts("revoke", STUDY, "--reason", "a patient asked")
    region.centre.work()
    (after,) = region.centre.datasets
    assert after.fingerprint != before.fingerprint
    assert len(set(region.centre.table()["site"].to_pylist())) == 1
    assert region.portal.datasets[-1]["pooled"] == [consents[1]]
    assert region.hospitals[0].fails("revoke", STUDY) == "E_CONSENT_REVOKED"
    assert region.hospitals[0].fails("send", STUDY) == "E_CONSENT_REVOKED"
    for item in region.portal.objects.values():  # a portal that forgets the revocation
        item.state, item.revocation, item.delete = "complete", "", False
    region.centre.restart()
    region.centre.work()
    assert len(set(region.centre.table()["site"].to_pylist())) == 1
    assert region.centre.journal("pool_dropped")[0]["why"] == "revoked"


def test_deleted_rows_cannot_be_opened_again(region: Region) -> None:
    """The key is gone; whoever kept the ciphertext has nothing; the deletion is signed and says what it was about."""
    consents = region.open()
    copies = [item.content for item in region.portal.objects.values()]
    vault = Vault(region.centre.home)
    first = region.hospitals[0]
    kept = vault.key(STUDY, first.site)
    first.facts("revoke", STUDY, "--delete")
    region.centre.work()
    assert kept is not None
    assert vault.key(STUDY, first.site) is None
    assert not _files_with(region.folder, kept.secret.encode())
    (deletion,) = region.portal.deletions
    assert deletion.consent == consents[0]
    assert deletion.recipient == kept.recipient
    assert deletion.objects == [item.manifest.sha256 for item in list(region.portal.objects.values())[:1]]
    assert not vault.sealed_path(deletion.objects[0]).exists()
    assert region.centre.journal("pool_destroyed")[0]["recipient"] == kept.recipient
    for item, content in zip(region.portal.objects.values(), copies, strict=True):  # a backup of the portal is restored
        item.state, item.revocation, item.delete, item.content = "complete", "", False, content
    region.centre.restart()
    region.centre.work()
    assert len(set(region.centre.table()["site"].to_pylist())) == 1
    assert len(region.portal.deletions) == 1


def test_a_new_consent_takes_the_place_of_the_old_one(region: Region) -> None:
    region.open()
    rows = len(region.centre.table())
    first = region.hospitals[0]
    first.share(level="F4", filter=[], k={"columns": ["sex"]})
    region.centre.work()
    assert len(region.centre.table()) > rows
    assert region.centre.journal("pool_dropped")[0]["why"] == "a newer consent"


def test_time_ends_use_and_then_the_rows(region: Region) -> None:
    """At the consent's end nothing is used; at the end of retention the key is destroyed without anybody asking."""
    region.open()
    region.centre.now += timedelta(days=91)
    region.centre.work()
    assert region.centre.datasets == []
    assert {entry["why"] for entry in region.centre.journal("pool_dropped")} == {"expired"}
    assert not region.portal.deletions
    region.centre.now += timedelta(days=300)
    region.centre.work()
    assert {deletion.reason for deletion in region.portal.deletions} == {"retention"}
    assert not Vault(region.centre.home).keys()


def test_the_time_of_a_replaced_consent_ends_without_the_key_of_the_newer_one(region: Region) -> None:
    region.centre.work()
    first = region.hospitals[0]
    old = first.share(retention_until=(region.centre.now + timedelta(days=100)).date())
    region.centre.work()
    (sealed,) = [item.manifest.sha256 for item in region.portal.objects.values()]
    first.share(days=200)
    region.centre.work()
    rows, vault = len(region.centre.table()), Vault(region.centre.home)
    assert vault.sealed_path(sealed).exists()
    next(iter(region.portal.objects.values())).state = "revoked"  # as the portal has it, once a newer one is on file
    region.centre.now += timedelta(days=102)
    for _ in range(2):
        region.centre.work()
    assert not vault.sealed_path(sealed).exists()
    assert len(region.centre.journal("pool_removed")) == 1
    assert vault.key(STUDY, first.site) is not None
    assert not region.portal.deletions
    assert len(region.centre.table()) == rows
    region.centre.now += timedelta(days=200)
    region.centre.work()
    assert vault.key(STUDY, first.site) is None
    assert old in {deletion.consent for deletion in region.portal.deletions}
    assert len(region.portal.deletions) == 2


def test_rows_of_a_replaced_consent_are_deleted_and_their_key_with_the_newer_ones(region: Region) -> None:
    region.centre.work()
    first = region.hospitals[0]
    old = first.share()
    region.centre.work()
    (sealed,) = [item.manifest.sha256 for item in region.portal.objects.values()]
    new = first.share(days=200)
    region.centre.work()
    rows, vault = len(region.centre.table()), Vault(region.centre.home)
    first.facts("revoke", old[:12], "--delete")
    for _ in range(2):
        region.centre.work()
    assert not vault.sealed_path(sealed).exists()
    assert [entry["why"] for entry in region.centre.journal("pool_removed")] == ["revoked"]
    assert (vault.key(STUDY, first.site) is not None, len(region.centre.table())) == (True, rows)
    assert not region.portal.deletions
    first.facts("revoke", STUDY, "--delete")
    region.centre.work()
    assert vault.key(STUDY, first.site) is None
    assert {deletion.consent for deletion in region.portal.deletions} == {old, new}


def test_tools_for_backups_leave_the_keys_out(region: Region) -> None:
    region.centre.work()
    tag = region.centre.home.path / "poolnode" / "CACHEDIR.TAG"
    assert tag.read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55\n")


def test_rows_are_deleted_though_one_who_consented_has_left_the_site(region: Region) -> None:
    region.open()
    first = region.hospitals[0]
    node = first.home.settings().node
    first.facts("revoke", STUDY, "--delete")
    region.portal.approvers[node] = region.portal.approvers[node][:1]
    region.centre.work()
    assert Vault(region.centre.home).key(STUDY, first.site) is None
    assert len(region.portal.deletions) == 1


def test_an_object_that_cannot_be_read_keeps_no_other_from_being_dropped(region: Region) -> None:
    region.open()
    other = list(region.portal.objects.values())[1]
    region.hospitals[0].facts("revoke", STUDY)
    region.portal.consents[other.manifest.consent] = "no base64"
    region.centre.work()
    assert region.centre.datasets == []
    assert {entry["why"] for entry in region.centre.journal("pool_dropped")} == {"revoked", "not listed any more"}


def test_after_a_restart_the_same_rows_are_the_same_dataset(region: Region) -> None:
    region.open()
    (before,) = region.centre.datasets
    Path(before.path).unlink()
    region.centre.restart()
    region.centre.work()
    assert region.centre.datasets == [before]
    assert Datasets(region.centre.home).present_fingerprint(before) == before.fingerprint
    assert len(region.portal.datasets) == 1


def test_rows_lie_in_memory_or_nowhere(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    region.share()
    monkeypatch.setattr("fedstudy_node.pooling.memory.file_system_of", lambda path: "ext4")
    with pytest.raises(Exception, match="E_POOL_MEMORY"):
        region.centre.work()
    assert region.centre.datasets == []


def test_a_sites_consents_are_shown(region: Region) -> None:
    region.open()
    hospital: Hospital = region.hospitals[0]
    assert hospital.facts("status")["consents"][0]["state"] == "sent"
    status, shown, _ = hospital.type("pool", "status")
    assert status == 0
    assert "sent" in shown
    assert len(Papers(hospital.home).all()) == 1


def _files_with(folder: Path, mark: bytes) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() and mark in path.read_bytes()}
