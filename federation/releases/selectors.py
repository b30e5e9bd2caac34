"""Read access to releases, restricted to what a person may see."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Q, QuerySet

from accounts.models import Site, User
from accounts.permissions import Permission
from accounts.selectors import sites_with
from federation.releases.models import CardWords, CoSignature, Release
from federation.runs.models import Model, Participant, Participation, Run
from federation.runs.phases import INITIAL, OWN_SERVER, SUMS, TRAIN
from fedstudy_core.errors import NotFound
from studies.lifecycle import selectors as studies
from studies.lifecycle.models import Study


def releases_for(user: User) -> QuerySet[Release]:
    """The releases of the studies whose results the person sees."""
    visible = studies.studies_with(user, Permission.RESULTS_VIEW)
    found = Release.objects.filter(run__study__in=visible)
    found = found.select_related("run__study", "model", "requested_by", "refused_by", "refusing_site")
    return found.prefetch_related("signatures__site", "signatures__signed_by")


def release_for(user: User, release_id: UUID) -> Release:
    """Raises NotFound when there is no such release for this user."""
    release = releases_for(user).filter(pk=release_id).first()
    if release is None:
        raise NotFound("E_NOT_FOUND", "There is no such release, or it is not yours to see.")
    return release


def words_of(run: Run) -> CardWords:
    """What people added to the run's model card; nothing where nobody did."""
    return CardWords.objects.filter(run=run).first() or CardWords(run=run)


def sites_in(model: Model) -> QuerySet[Site]:
    """The sites whose rows made a model: they trained or prepared it, in its run or in one that this goes on from.

    Who only tested it is not in it. What a script's own ServerApp makes of an answer is not known: there each counts.
    """
    made_it = _made(model.run, model.round_number)
    answers = Participation.objects.filter(made_it, round__state="committed", state="done")
    return Site.objects.filter(pk__in=answers.values("participant__enrolment__site")).order_by("name")


def _made(run: Run, last: int) -> Q:
    """What sites did for the model of a run's round, with what was done for the model that the run began with."""
    done = Q(round__run=run, round__number__lte=last)
    if run.strategy != OWN_SERVER:
        done &= Q(phase__in=(SUMS, INITIAL, TRAIN))
    return done if run.parent is None else done | _made(run.parent, run.parent_round or 0)


def undecided_in(studies: Iterable[Study], reader: User) -> QuerySet[Release]:
    """The releases of these studies that wait for data stewards: first those that may wait for the reader, by age."""
    found = Release.objects.filter(run__study__in=studies, state="requested").annotate(may_wait=_may_wait_for(reader))
    return found.select_related("run__study", "model").order_by("-may_wait", "requested_at")


def _may_wait_for(reader: User) -> ExpressionWrapper:
    """Whether `sites_to_sign_for` may name a site: of a run that goes on from another, sites of that one count too."""
    signatures = CoSignature.objects.filter(release=OuterRef("pk"))
    own = Participant.objects.filter(
        run=OuterRef("run"), enrolment__site__in=sites_with(reader, Permission.RELEASE_COSIGN).values("pk")
    ).exclude(enrolment__site__in=CoSignature.objects.filter(release=OuterRef(OuterRef("pk"))).values("site"))
    is_of_own = Exists(own) | Q(run__parent__isnull=False)
    has_no_word = Q(requested_by=reader) | Exists(signatures.filter(signed_by=reader))
    return ExpressionWrapper(is_of_own & ~has_no_word, output_field=BooleanField())


def sites_to_sign_for(release: Release, user: User) -> list[Site]:
    """The sites for which the person may still co-sign, or refuse; none once it is decided, or for who asked for it."""
    if release.state != "requested" or release.requested_by_id == user.pk:
        return []
    if release.signatures.filter(signed_by=user).exists():
        return []
    own = sites_with(user, Permission.RELEASE_COSIGN)
    signed = release.signatures.values("site")
    return list(sites_in(release.model).filter(pk__in=own.values("pk")).exclude(pk__in=signed))
