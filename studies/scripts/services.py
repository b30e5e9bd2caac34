"""Scripts and their versions: adding, submitting, taking back."""

from __future__ import annotations

from django.db import transaction

from accounts.models import User
from accounts.permissions import Permission, check
from audit.services import record
from fedstudy_core.archives import read_archive
from fedstudy_core.bundle import Bundle, inspect
from fedstudy_core.errors import Conflict, Invalid
from studies.lifecycle.models import Study
from studies.lifecycle.states import EDITABLE
from studies.scripts import states
from studies.scripts.approvals import record_approval, record_revocation, revoke_approval
from studies.scripts.findings import findings_of
from studies.scripts.models import Script, ScriptVersion

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
    study = Study.objects.select_for_update().get(pk=study.pk)
    check(by, Permission.SCRIPT_SUBMIT, study)
    _check_open(study)
    name = name.strip()
    if not 1 <= len(name) <= 120:
        raise Invalid("E_INVALID", "A script's name has 1 to 120 characters.")
    if Script.objects.filter(study=study, name__iexact=name).exists():
        raise Conflict("E_EXISTS", f"This study has a script “{name}” already.")
    script = Script.objects.create(study=study, name=name, created_by=by)
    record(action="scripts:script:created", actor=by, obj=script, study=study.pk)
    return script


@transaction.atomic
def submit_version(*, script: Script, bundle: bytes, by: User) -> ScriptVersion:
    """Check a bundle and offer it to the sites for approval; it never changes again.

    Raises:
        Forbidden: E_FORBIDDEN.
        Conflict: E_STATE in a closed study; E_EXISTS when the script has this very bundle as a version.
        Refusal: E_BUNDLE_* for a bundle that is not sound.
    """
    script = Script.objects.select_for_update(of=("self",)).select_related("study").get(pk=script.pk)
    check(by, Permission.SCRIPT_SUBMIT, script.study)
    _check_open(script.study)
    inspected = inspect(bundle)
    same = script.versions.filter(sha256=inspected.sha256).first()
    if same is not None:
        raise Conflict("E_EXISTS", f"This is exactly version {same.number} of the script.")
    newest = script.versions.order_by("-number").first()
    version = _stored(script, newest.number + 1 if newest else 1, inspected, bundle, by)
    detail = {
        "number": version.number,
        "sha256": version.sha256,
        "size": version.size,
        "findings": len(version.findings),
    }
    record(action="scripts:version:submitted", actor=by, obj=version, study=script.study_id, detail=detail)
    return version


def _stored(script: Script, number: int, inspected: Bundle, bundle: bytes, by: User) -> ScriptVersion:
    sources = {path: content for path, content in read_archive(bundle).items() if path.endswith(".py")}
    return ScriptVersion.objects.create(
        script=script,
        number=number,
        sha256=inspected.sha256,
        size=inspected.size,
        bundle=bundle,
        files=[{"path": file.path, "sha256": file.sha256, "size": file.size} for file in inspected.files],
        parameters=[parameter.model_dump(mode="json") for parameter in inspected.parameters],
        default_config=dict(inspected.default_config),
        declaration=inspected.declaration.model_dump(mode="json"),
        findings=findings_of(sources),
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


def _check_open(study: Study) -> None:
    if study.state not in EDITABLE:
        raise Conflict("E_STATE", f"This study is {study.state} and takes no more scripts.")
