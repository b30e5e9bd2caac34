"""Pooled rows of studies: the pool node, and what sites consented to. Sites consent at their own nodes."""

from __future__ import annotations

import builtins
from typing import Any

from fedstudy_client.records_pool import PoolConsent, StudyPool
from fedstudy_client.resources.base import Ref, Resource, id_of


class Pooling(Resource):
    """Pooled rows."""

    def get(self, study: Ref) -> StudyPool:
        """The study's pool node, and how far each site pools."""
        return StudyPool.read(self._http.get(f"studies/{id_of(study)}/pool"))

    def name_node(self, study: Ref, node: Ref) -> StudyPool:
        """Name the node that holds the study's pooled rows: one of a site that takes part."""
        return StudyPool.read(self._http.put(f"studies/{id_of(study)}/pool", {"node": id_of(node)}))

    def end_node(self, study: Ref) -> None:
        """Name no pool node any more; every consent to pool rows at it is revoked by this."""
        self._http.delete(f"studies/{id_of(study)}/pool")

    def consents(self, study: Ref) -> builtins.list[PoolConsent]:
        """What the sites consented to, as far as one may read it, newest first."""
        return [PoolConsent.read(row) for row in self._http.each(f"studies/{id_of(study)}/pool-consents")]

    def consent(self, consent: Ref) -> PoolConsent:
        """One consent."""
        return PoolConsent.read(self._http.get(f"pool-consents/{id_of(consent)}"))

    def revoke(self, consent: Ref, *, reason: str = "") -> PoolConsent:
        """Revoke a consent for its site: nothing uses its rows any more."""
        return PoolConsent.read(self._http.post(f"pool-consents/{id_of(consent)}/revoke", {"reason": reason}))

    def delete_rows(self, consent: Ref, *, reason: str = "") -> PoolConsent:
        """Revoke a consent and have its rows deleted; right after `login`."""
        return PoolConsent.read(self._http.post(f"pool-consents/{id_of(consent)}/delete-rows", {"reason": reason}))

    def runs(self, consent: Ref) -> builtins.list[dict[str, Any]]:
        """The runs whose models have seen the rows: [{run, label, state, models, latest_model}]."""
        return list(self._http.each(f"pool-consents/{id_of(consent)}/runs"))
