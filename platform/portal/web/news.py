"""Who is told of what: news from below becomes notifications with a link to the page where it waits."""

from __future__ import annotations

from datetime import UTC
from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID, uuid4

from django.conf import settings
from django.db.models import Model, QuerySet
from django.urls import reverse
from django.utils.translation import gettext_noop

from accounts.asking import deciders
from accounts.groups import holders
from accounts.models import AccessRequest, Invitation, Site, User
from accounts.roles import Role
from accounts.signals import access_asked, access_decided, factors_reset, person_invited, person_moved
from audit.models import Event, WitnessRefusal
from audit.signals import recorded
from federation.releases.models import Release
from federation.releases.selectors import sites_in
from federation.releases.signals import release_changed
from federation.runs.models import Run
from nodes.registry.models import Node
from nodes.registry.signals import log_refused
from notifications.services import notify, send_link
from studies.enrolment.models import Enrolment
from studies.enrolment.signals import enrolment_changed, level_changed
from studies.enrolment.states import TAKING_PART
from studies.lifecycle.models import Study
from studies.pooling.models import PoolConsent
from studies.pooling.signals import consent_changed
from studies.scripts import signals
from studies.scripts.models import Approval, ReviewComment, ScriptVersion
from studies.scripts.selectors import versions_for_site


def connect() -> None:
    """Listen; called once when the pages are loaded."""
    factors_reset.connect(_factors, dispatch_uid="web.news.factors")
    access_asked.connect(_asked, dispatch_uid="web.news.asked")
    access_decided.connect(_decided, dispatch_uid="web.news.decided")
    person_moved.connect(_moved, dispatch_uid="web.news.moved")
    person_invited.connect(_person_invited, dispatch_uid="web.news.person_invited")
    enrolment_changed.connect(_invitation, dispatch_uid="web.news.invitation")
    level_changed.connect(_level, dispatch_uid="web.news.level")
    log_refused.connect(_log, dispatch_uid="web.news.log")
    release_changed.connect(_release, dispatch_uid="web.news.release")
    enrolment_changed.connect(_newcomer, dispatch_uid="web.news.newcomer")
    signals.version_submitted.connect(_version, dispatch_uid="web.news.version")
    signals.comment_written.connect(_comment, dispatch_uid="web.news.comment")
    signals.approval_expiring.connect(_expiring, dispatch_uid="web.news.expiring")
    signals.approval_recorded.connect(_decision, dispatch_uid="web.news.decision")
    consent_changed.connect(_consent, dispatch_uid="web.news.consent")
    signals.approval_revoked.connect(_revoked, dispatch_uid="web.news.revoked")
    enrolment_changed.connect(_site_moved, dispatch_uid="web.news.site_moved")
    recorded.connect(_run_ended, dispatch_uid="web.news.run_ended")


def _factors(*, user: User, by: User, **_: Any) -> None:
    notify(
        people=[user],
        kind="factors",
        subject=gettext_noop("{who} removed your second factors. If you did not ask for it, tell them at once."),
        facts={"who": by.name},
        link=reverse("web:account-factors"),
        key=f"factors:{uuid4()}",
    )


def _moved(*, user: User, origin: Site, to: Site, by: User, **_: Any) -> None:
    """Tell the new site's admins, who give a role if they want to, and who moved."""
    notify(
        people=_others(holders(Role.ADMIN, to), by),
        kind="arrival",
        subject=gettext_noop("{who} comes to {site} from another site, and has no role there yet."),
        facts={"who": user.name, "site": to.name},
        link=f"{reverse('web:site-people', args=[to.pk])}?{urlencode({'email': user.email})}",
        key=f"arrival:{uuid4()}",
    )
    notify(
        people=[user],
        kind="moved",
        subject=gettext_noop("You moved from {origin} to {site}: your roles at the former ended."),
        facts={"origin": origin.name, "site": to.name},
        link=reverse("web:account"),
        key=f"moved:{uuid4()}",
    )


def _asked(*, request: AccessRequest, **_: Any) -> None:
    obj = cast(Model, request.content_object)
    notify(
        people=deciders(obj),
        kind="access",
        subject=gettext_noop("{who} asks to be {role} of {obj}."),
        facts={"who": request.person.name, "role": Role(request.role).label, "obj": str(obj)},
        link=reverse("web:access"),
        key=f"access:{request.pk}",
    )


DECISIONS = {
    "accepted": gettext_noop("You are {role} of {obj} now, as you asked. {answer}"),
    "refused": gettext_noop("Your request to be {role} of {obj} is refused. {answer}"),
}


def _decided(*, request: AccessRequest, **_: Any) -> None:
    notify(
        people=[request.person],
        kind="decided",
        subject=DECISIONS[request.state],
        facts={"role": Role(request.role).label, "obj": str(request.content_object), "answer": request.answer},
        link=reverse("web:access"),
        key=f"decided:{request.pk}",
    )


def _person_invited(*, invitation: Invitation, token: str, **_: Any) -> None:
    send_link(to=invitation.email, who=invitation.invited_by.name, address=link_of(token))


def link_of(token: str) -> str:
    """The address at which an invitation is taken up."""
    return f"{settings.FEDSTUDY_PUBLIC_URL}{reverse('web:invitation')}?{urlencode({'token': token})}"


def _invitation(*, enrolment: Enrolment, by: Any, **_: Any) -> None:
    if enrolment.state == "invited":
        notify(
            people=_others(holders(Role.ADMIN, enrolment.site), by),
            kind="invitation",
            subject=gettext_noop("{site} is invited to “{study}”."),
            facts={"site": enrolment.site.name, "study": enrolment.study.title},
            link=reverse("web:enrolment", args=[enrolment.pk]),
            key=f"invitation:{enrolment.pk}:{enrolment.invited_at.timestamp():.0f}",
        )


MOVES = {
    "accepted": gettext_noop("{site} takes part in “{study}”."),
    "ready": gettext_noop("{site} is ready in “{study}”."),
    "declined": gettext_noop("{site} declined to take part in “{study}”."),
    "withdrawn": gettext_noop("{site} withdrew from “{study}”."),
}
UNREADY = gettext_noop("{site} is not ready any more in “{study}”.")


def _site_moved(*, enrolment: Enrolment, old: str, by: Any, **_: Any) -> None:
    """Investigators wait for a site's answer and for its data; that a ready site is not ready any more is news too."""
    if enrolment.state not in MOVES:
        return
    notify(
        people=_others(holders(Role.PI, enrolment.study), by),
        kind="enrolment",
        subject=UNREADY if old == "ready" and enrolment.state == "accepted" else MOVES[enrolment.state],
        facts={"site": enrolment.site.name, "study": enrolment.study.title},
        link=reverse("web:enrolment", args=[enrolment.pk]),
        key=f"enrolment:{uuid4()}",
    )


ENDS = {
    "runs:run:completed": gettext_noop("The run “{run}” is completed."),
    "runs:run:failed": gettext_noop("The run “{run}” failed."),
}


def _run_ended(*, event: Event, **_: Any) -> None:
    """Whoever leads the study need not sit by a run. The many runs of a comparison are told only where they fail."""
    if event.action not in ENDS:
        return
    run = Run.objects.select_related("study").get(pk=event.object_id)
    if event.action == "runs:run:completed" and run.degree_entries.exists():
        return
    notify(
        people=holders(Role.PI, run.study),
        kind="run",
        subject=ENDS[event.action],
        facts={"run": run.label},
        link=reverse("web:run", args=[run.pk]),
        key=f"run:{event.event_id}",
    )


def _level(*, enrolment: Enrolment, old: str, by: Any, **_: Any) -> None:
    """Tell who leads the study, and the site's own people."""
    site, study = enrolment.site, enrolment.study
    notify(
        people=_others([*_investigators(study), *_people_of(site)], by),
        kind="level",
        subject=gettext_noop("{site} takes part in “{study}” at level {level} now; before it was {old}."),
        facts={"site": site.name, "study": study.title, "level": enrolment.level, "old": old},
        link=reverse("web:enrolment", args=[enrolment.pk]),
        key=f"level:{uuid4()}",
    )


RELEASES = {
    "requested": gettext_noop("The release of the model of “{run}” waits for the consent of data stewards."),
    "granted": gettext_noop("The release of the model of “{run}” is granted."),
    "refused": gettext_noop("The release of the model of “{run}” is refused."),
}


def _release(*, release: Release, verb: str, by: Any, **_: Any) -> None:
    """Data stewards hear that they are asked; who asked hears what became of it."""
    if verb not in RELEASES:
        return
    stewards = [person for site in sites_in(release.model) for person in holders(Role.STEWARD, site)]
    notify(
        people=_others(stewards if verb == "requested" else holders(Role.PI, release.run.study), by),
        kind="release",
        subject=RELEASES[verb],
        facts={"run": release.run.label},
        link=reverse("web:release", args=[release.pk]),
        key=f"release:{release.pk}:{verb}",
    )


def _log(*, node: Node, refusal: WitnessRefusal, **_: Any) -> None:
    """Tell administrators, the site's admins and the auditors of its studies; once a day of each kind of refusal."""
    studies = [row.study for row in Enrolment.objects.filter(site=node.site_id).select_related("study")]
    auditors = [person for study in studies for person in holders(Role.AUDITOR, study)]
    admins = User.objects.filter(is_platform_admin=True, is_active=True)
    notify(
        people=[*admins, *auditors, *holders(Role.ADMIN, node.site)],
        kind="log",
        subject=gettext_noop("The node {node} of {site} refused to cosign the log ({code})."),
        facts={"node": node.name, "site": node.site.name, "code": refusal.code},
        link=reverse("web:witnesses"),
        key=f"log:{refusal.code}:{refusal.at:%Y-%m-%d}",
    )


def _newcomer(*, enrolment: Enrolment, old: str, **_: Any) -> None:
    """Tell the people of a site that takes part from now on of what was submitted before; also who accepted for it."""
    if old in TAKING_PART or enrolment.state not in TAKING_PART:
        return
    versions = versions_for_site(enrolment.site_id).filter(script__study=enrolment.study_id)
    newest = {version.script_id: version for version in versions.order_by("number")}
    for version in newest.values():
        _tell_of_version(version, enrolment, _people_of(enrolment.site))


def _version(*, version: ScriptVersion, by: Any, **_: Any) -> None:
    """Tell the sites that take part; those that approved what is replaced hear that it is an amendment."""
    for enrolment in Enrolment.objects.filter(study=version.script.study_id, state__in=TAKING_PART).select_related(
        "site"
    ):
        _tell_of_version(version, enrolment, _others(_people_of(enrolment.site), by))


WAITS = gettext_noop("{version} of “{study}” waits for a review at {site}.")
AMENDS = gettext_noop("{version} of “{study}” replaces version {number} at {site}.")


def _tell_of_version(version: ScriptVersion, enrolment: Enrolment, people: list[User]) -> None:
    replaced = version.replaces
    amends = replaced is not None and replaced.approvals.filter(site=enrolment.site, state="valid").exists()
    facts = {"version": str(version), "study": version.script.study.title, "site": enrolment.site.name}
    notify(
        people=people,
        kind="amendment" if amends else "version",
        subject=AMENDS if amends else WAITS,
        facts={**facts, "number": str(replaced.number)} if replaced and amends else facts,
        link=_page(version.pk),
        key=f"version:{version.pk}",
    )


def _comment(*, comment: ReviewComment, opens: bool, by: User, **_: Any) -> None:
    """A site's words are told to the investigators, theirs to the people of the site that asked; all else to both."""
    thread = comment.thread
    version = thread.version
    took_part = User.objects.filter(is_active=True, pk__in=thread.comments.values("author"))
    people = list(took_part) + _investigators(version.script.study)
    if thread.site is not None:
        people += _people_of(thread.site)
    asks = gettext_noop("{who} asks something about {version}.")
    notify(
        people=_others(people, by),
        kind="question" if opens else "answer",
        subject=asks if opens and thread.kind == "question" else gettext_noop("{who} wrote about {version}."),
        facts={"who": by.name, "version": str(version)},
        link=f"{reverse('web:version-review', args=[version.pk])}#thread-{thread.pk}",
        key=f"comment:{comment.pk}",
    )


def _expiring(*, approval: Approval, **_: Any) -> None:
    notify(
        people=_people_of(approval.site),
        kind="expiring",
        subject=gettext_noop("The approval of {version} by {site} ends on {day}."),
        facts={**_about(approval), "day": f"{approval.not_after:%Y-%m-%d}"},
        link=_page(approval.version_id),
        key=f"expiring:{approval.pk}",
    )


def _decision(*, approval: Approval, by: Any, **_: Any) -> None:
    notify(
        people=_others(holders(Role.PI, approval.version.script.study), by),
        kind=approval.decision,
        subject=SIGNED[approval.decision],
        facts=_signed(approval),
        link=_page(approval.version_id),
        key=f"decision:{approval.pk}",
    )


SIGNED = {
    "approved": gettext_noop("{who} approved {version} for {site} on {day} at {time} UTC."),
    "rejected": gettext_noop("{who} rejected {version} for {site} on {day} at {time} UTC."),
}


def _signed(approval: Approval) -> dict[str, str]:
    """Who signed what for whom, and when."""
    at = approval.signed_at.astimezone(UTC)
    return {**_about(approval), "who": approval.approver_name, "day": f"{at:%Y-%m-%d}", "time": f"{at:%H:%M}"}


def _about(approval: Approval) -> dict[str, str]:
    return {"version": str(approval.version), "site": approval.site.name}


def _revoked(*, approval: Approval, by: Any, **_: Any) -> None:
    """An approval that a newer statement takes the place of is no news: that statement is."""
    if approval.decision == "approved" and not approval.revoked_reason.startswith("replaced by"):
        notify(
            people=_others(holders(Role.PI, approval.version.script.study), by),
            kind="revoked",
            subject=gettext_noop("The approval of {version} by {site} was revoked."),
            facts=_about(approval),
            link=_page(approval.version_id),
            key=f"revoked:{approval.pk}",
        )


CONSENTS = {
    "given": ("approved", gettext_noop("{site} consented to pool rows in “{study}”.")),
    "expired": ("revoked", gettext_noop("{site} pools its rows no more in “{study}”: its consent expired.")),
    "revoked": ("revoked", gettext_noop("{site} took its pooled rows back in “{study}”.")),
    "deleted": (
        "revoked",
        gettext_noop("{site} had its pooled rows deleted in “{study}”, and the pool node signed that they are."),
    ),
}


def _consent(*, consent: PoolConsent, verb: str, by: Any, **_: Any) -> None:
    """The investigators hear what a site pools; its own people what somebody else decided, and that all is gone."""
    if verb not in CONSENTS:
        return
    kind, words = CONSENTS[verb]
    notify(
        people=_others([*holders(Role.PI, consent.study), *_people_of(consent.site)], by),
        kind=kind,
        subject=words,
        facts={"site": consent.site.name, "study": consent.study.title},
        link=reverse("web:pool-consent", args=[consent.pk]),
        key=f"consent:{consent.pk}:{verb}",
    )


def _page(version_id: UUID) -> str:
    return reverse("web:version", args=[version_id])


def _people_of(site: Site) -> list[User]:
    return [*holders(Role.ADMIN, site), *holders(Role.STEWARD, site)]


def _investigators(study: Study) -> list[User]:
    return [*holders(Role.PI, study), *holders(Role.CO_INVESTIGATOR, study)]


def _others(people: QuerySet[User] | list[User], by: Any) -> list[User]:
    """Everybody but who did it."""
    return [person for person in people if person.pk != getattr(by, "pk", None)]
