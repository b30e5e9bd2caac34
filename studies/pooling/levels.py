"""What choosing a level at which rows are pooled asks of pooled rows (`studies.enrolment.pooling`)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

from fedstudy_core.errors import Refusal
from studies.enrolment.models import Enrolment
from studies.lifecycle.models import Study
from studies.pooling.models import PooledTable
from studies.pooling.selectors import has_consent, pooled_rows


class PooledRows:
    """Answers for the sites' consents and for what they pooled."""

    def check_consent(self, enrolment: Enrolment, level: str) -> None:
        """Raises Refusal E_NO_CONSENT for a level for which the site has no consent in force."""
        if not has_consent(enrolment.study_id, enrolment.site_id, level):
            raise Refusal("E_NO_CONSENT", f"{enrolment.site.name} has no consent in force to pool rows at {level}.")

    def rows_pooled(self, study: Study) -> Mapping[UUID, int]:
        """The rows that lie at the pool node and may be used, by enrolment."""
        rows = pooled_rows(study)
        sites = Enrolment.objects.filter(study=study, site__in=rows).values_list("pk", "site_id") if rows else ()
        return {pk: rows[site] for pk, site in sites}

    def tables(self, study: Study) -> Collection[UUID]:
        """The datasets that are made of pooled rows: no site's own."""
        return set(PooledTable.objects.filter(pool_node__study=study).values_list("pk", flat=True))
