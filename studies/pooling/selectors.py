"""Read access to what belongs to pooled rows: for people as far as they may see, for nodes what concerns them."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet, Sum
from django.utils import timezone

from accounts.models import User
from accounts.permissions import Permission
from accounts.selectors import sites_with
from studies.enrolment.models import Enrolment
from studies.enrolment.states import TAKING_PART
from studies.lifecycle.models import Study
from studies.lifecycle.selectors import studies_with
from studies.lifecycle.states import EDITABLE
from studies.pooling.models import PoolConsent, PooledObject, PoolKey, PoolNode

_ROWS_CAME = Exists(PooledObject.objects.filter(consent=OuterRef("pk"), completed_at__isnull=False))


def pool_node_of(study: Study | UUID) -> PoolNode | None:
    """The study's pool node at present."""
    return PoolNode.objects.filter(study=study, state="named").select_related("site", "named_by").first()


def pools_of_node(node_id: UUID | str) -> QuerySet[PoolNode]:
    """The studies for which the node holds pooled rows, or held them and may still have some to delete."""
    return PoolNode.objects.filter(node_id=str(node_id))


def news_for(node_id: UUID | str) -> int | None:
    """A number that rises whenever a pool node has something to look at; None for other nodes."""
    told: int | None = pools_of_node(node_id).aggregate(news=Sum("news"))["news"]
    return told


def active_key(pool: PoolNode, site_id: UUID) -> PoolKey | None:
    """The pool node's key for a site."""
    return pool.keys.filter(site=site_id, state="active").first()


def keys_wanted(node_id: UUID | str) -> QuerySet[Enrolment]:
    """The sites that take part in the studies of a pool node for which it has no key."""
    pools = PoolNode.objects.filter(node_id=str(node_id), state="named", study=OuterRef("study"))
    keys = PoolKey.objects.filter(state="active", site=OuterRef("site"), pool_node__state="named")
    having = keys.filter(pool_node__node_id=str(node_id), pool_node__study=OuterRef("study"))
    rows = Enrolment.objects.filter(
        Exists(pools.exclude(site=OuterRef("site"))),
        ~Exists(having),
        state__in=TAKING_PART,
        study__state__in=EDITABLE,
    )
    return rows.select_related("site").order_by("study_id", "site_id")


def consents_visible_to(user: User) -> QuerySet[PoolConsent]:
    """The consents of the person's own sites, and those in the studies whose datasets they see."""
    studies = studies_with(user, Permission.DATASETS_VIEW)
    sites = sites_with(user, Permission.SITE_DATASETS_VIEW)
    rows = PoolConsent.objects.filter(Q(study__in=studies) | Q(site__in=sites))
    rows = rows.annotate(rows_came=_ROWS_CAME)
    return rows.select_related("study", "site", "key__pool_node__site", "dataset").defer("envelope")


def standing_consents(study: Study) -> QuerySet[PoolConsent]:
    """The newest consent of each site in a study; in one query."""
    rows = PoolConsent.objects.filter(study=study).order_by("site__name", "site_id", "-recorded_at")
    rows = rows.annotate(rows_came=_ROWS_CAME)
    return rows.distinct("site__name", "site_id").select_related("site").defer("envelope", "revocation", "deletion")


def valid_consents(study: Study | UUID) -> QuerySet[PoolConsent]:
    """The consents in force in a study."""
    return PoolConsent.objects.filter(study=study, state="valid", not_after__gt=timezone.now())


def has_consent(study_id: UUID, site_id: UUID, level: str) -> bool:
    """Whether a site consented to pool rows of a study at this level, in force now."""
    return valid_consents(study_id).filter(site=site_id, level=level).exists()


def pooled_rows(study: Study) -> dict[UUID, int]:
    """How many rows of each site the pool holds and may use, by the site's id."""
    rows = PooledObject.objects.filter(
        consent__study=study, state="complete", consent__state="valid", consent__not_after__gt=timezone.now()
    )
    return dict(rows.values_list("consent__site").annotate(told=Sum("rows")))


def objects_for_pool(node_id: UUID | str) -> QuerySet[PooledObject]:
    """What a pool node is to open, to drop or to delete."""
    rows = PooledObject.objects.filter(consent__key__pool_node__node_id=str(node_id))
    return rows.filter(state__in=("complete", "revoked")).select_related("consent__site")


def keys_with_rows_to_come(node_id: UUID | str) -> set[UUID]:
    """The keys of a pool node for which a consent is in force under which no rows have come yet."""
    rows = PoolConsent.objects.filter(key__pool_node__node_id=str(node_id), state="valid").exclude(_ROWS_CAME)
    return set(rows.values_list("key", flat=True))


def objects_of_site(node_id: UUID | str) -> QuerySet[PooledObject]:
    """What a site's node hands in, or handed in."""
    return PooledObject.objects.filter(consent__node_id=str(node_id)).select_related("consent__site", "consent__key")
