"""Scripts and their versions: adding, submitting, taking back."""

from __future__ import annotations

from django.db import transaction

from accounts.models import User
from accounts.permissions import Permission, check
from audit.services import record
from fedstudy_core.analysis import EDITION, Risk, analyse
from fedstudy_core.archives import read_archive
from fedstudy_core.bundle import Bundle, inspect
from fedstudy_core.errors import Conflict, Invalid
from studies.lifecycle.models import Study
from studies.lifecycle.services import check_under_way
from studies.scripts import states
from studies.scripts.approvals import record_approval, record_revocation, revoke_approval
from studies.scripts.models import Script, ScriptVersion
from studies.scripts.signals import version_submitted

__all__ = [
    "create_script",
    "record_approval",
    "record_revocation",
    "revoke_approval",
    "submit_version",
    "withdraw_version",
]


@transaction.atomic
def create_script(*, study: Study, name: str, by: User) -> Script:
    """Add a script, without a version yet.

    Raises:
        Forbidden: E_FORBIDDEN.
        Conflict: E_STATE in a closed study; E_EXISTS for a name that is taken.
        Invalid: E_INVALID.
    """
    study = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    check(by, Permission.SCRIPT_SUBMIT, study)
    check_under_way(study, "and takes no more scripts")
    name = name.strip()
    if not 1 <= len(name) <= 120:
        raise Invalid("E_INVALID", "A script's name has 1 to 120 characters.")
    if Script.objects.filter(study=study, name__iexact=name).exists():
        raise Conflict("E_EXISTS", f"This study has a script “{name}” already.")
    script = Script.objects.create(study=study, name=name, created_by=by)
    record(action="scripts:script:created", actor=by, obj=script, study=study.pk)
    return script


@transaction.atomic
def submit_version(*, script: Script, bundle: bytes, replaces_previous: bool = True, by: User) -> ScriptVersion:
    """Check a bundle and offer it to the sites for approval; it never changes again.

    Approvals of other versions stay as they are. With `replaces_previous` the version replaces the newest one that was
    not taken back: a site's approval of that one ends when the site signs this one, and not before.

    Raises:
        Forbidden: E_FORBIDDEN.
        Conflict: E_STATE in a closed study; E_EXISTS when the script has this very bundle as a version.
        Refusal: E_BUNDLE_* for a bundle that is not sound.
    """
    script = Script.objects.select_for_update(of=("self",)).select_related("study").get(pk=script.pk)
    check(by, Permission.SCRIPT_SUBMIT, script.study)
    check_under_way(script.study, "and takes no more scripts")
    inspected = inspect(bundle)
    same = script.versions.filter(sha256=inspected.sha256).first()
    if same is not None:
        raise Conflict("E_EXISTS", f"This is exactly version {same.number} of the script.")
    newest = script.versions.order_by("-number").first()
    version = _stored(script, inspected, bundle, by)
    version.number = newest.number + 1 if newest else 1
    version.replaces = (
        script.versions.filter(state="submitted").order_by("-number").first() if replaces_previous else None
    )
    version.save(force_insert=True)
    detail = {
        "number": version.number,
        "sha256": version.sha256,
        "size": version.size,
        "findings": len(version.findings),
        "high": sum(item["risk"] == Risk.HIGH for item in version.findings),
        "replaces": version.replaces.number if version.replaces else 0,
    }
    record(action="scripts:version:submitted", actor=by, obj=version, study=script.study_id, detail=detail)
    version_submitted.send(sender=ScriptVersion, version=version, by=by)
    return version


def _stored(script: Script, inspected: Bundle, bundle: bytes, by: User) -> ScriptVersion:
    return ScriptVersion(
        script=script,
        sha256=inspected.sha256,
        size=inspected.size,
        bundle=bundle,
        files=[{"path": file.path, "sha256": file.sha256, "size": file.size} for file in inspected.files],
        parameters=[parameter.model_dump(mode="json") for parameter in inspected.parameters],
        default_config=dict(inspected.default_config),
        declaration=inspected.declaration.model_dump(mode="json"),
        findings=[finding.as_json() for finding in analyse(read_archive(bundle))],
        edition=EDITION,
        created_by=by,
    )


@transaction.atomic
def withdraw_version(*, version: ScriptVersion, by: User) -> ScriptVersion:
    """Take a version back; no new run may use it, whatever sites approved.

    Raises:
        Forbidden: E_FORBIDDEN.
        Conflict: E_STATE when it was taken back before.
    """
    version = ScriptVersion.objects.select_for_update(of=("self",)).select_related("script__study").get(pk=version.pk)
    check(by, Permission.SCRIPT_SUBMIT, version.script.study)
    states.VERSION.move(version, "withdrawn")
    version.save(update_fields=["state"])
    detail = {"sha256": version.sha256}
    record(
        action="scripts:version:withdrawn",
        actor=by,
        obj=version,
        study=version.script.study_id,
        detail=detail,
    )
    return version


@transaction.atomic
def refresh_findings(*, version: ScriptVersion) -> bool:
    """Analyse a version again when the rules have changed since; returns whether they had."""
    version = ScriptVersion.objects.select_for_update(of=("self",)).get(pk=version.pk)
    if version.edition >= EDITION:
        return False
    version.findings = [finding.as_json() for finding in analyse(read_archive(bytes(version.bundle)))]
    version.edition = EDITION
    version.save(update_fields=["findings", "edition"])
    detail = {"sha256": version.sha256, "findings": len(version.findings), "edition": EDITION}
    record(
        action="scripts:version:analysed",
        actor="system:portal",
        obj=version,
        study=version.script.study_id,
        detail=detail,
    )
    return True
