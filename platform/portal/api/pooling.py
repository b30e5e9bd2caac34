"""A study's pooled rows, for people: its pool node, and what the sites consented to."""

from uuid import UUID

from rest_framework import serializers
from rest_framework.response import Response

from accounts.permissions import Permission, can, check
from federation.runs.pooled import runs_with
from fedstudy_core.errors import NotFound
from portal.api.base import Input, Output, PersonRequest, Resource, describe, find
from portal.api.names import NameOut, StudyName
from portal.api.sites import Explanation
from portal.pools import nodes_to_name
from studies.lifecycle import selectors as lifecycle
from studies.lifecycle.models import Study
from studies.pooling import selectors, states
from studies.pooling.consents import revoke_consent
from studies.pooling.services import end_pool_node, name_pool_node


class PoolNodeOut(Output):
    """The node that holds a study's pooled rows."""

    node = serializers.UUIDField(source="node_id")
    name = serializers.CharField(source="node_name")
    site = NameOut()
    named_at = serializers.DateTimeField()


class SitePoolOut(Output):
    """How far a site pools."""

    site = NameOut()
    level = serializers.CharField()
    state = serializers.ChoiceField(choices=states.CONSENT.states, source="standing")
    not_after = serializers.DateTimeField()
    awaits_proof = serializers.BooleanField(help_text="The pool node has not confirmed yet that its rows are gone")


class PoolOut(Output):
    """A study's pooled rows. `pool_node` is null where no node is named."""

    pool_node = PoolNodeOut(allow_null=True)
    rows = serializers.IntegerField(help_text="That the pool holds and may use")
    sites = SitePoolOut(many=True)
    candidates = NameOut(many=True, help_text="Nodes that could be named, for who may name one")


class NewPoolNode(Input):
    """The node to name."""

    node = serializers.UUIDField()


class ConsentOut(Output):
    """What a site consented to, as it was signed (`statement`), and what became of it."""

    id = serializers.UUIDField()
    study = StudyName()
    site = NameOut()
    level = serializers.CharField()
    state = serializers.ChoiceField(choices=states.CONSENT.states, source="standing")
    sha256 = serializers.CharField(help_text="Of what was signed")
    statement = serializers.DictField()
    signed_at = serializers.DateTimeField()
    not_after = serializers.DateTimeField()
    retention_until = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField()
    delete_asked_at = serializers.DateTimeField(allow_null=True)
    deleted_at = serializers.DateTimeField(allow_null=True)
    awaits_proof = serializers.BooleanField(
        help_text="Its rows are to be gone, and the pool node has not proved yet that they are"
    )


class RunWithOut(Output):
    """A run whose models have seen a site's pooled rows, or that goes on from such a model."""

    run = serializers.UUIDField(source="pk")
    label = serializers.CharField()  # type: ignore[assignment]
    state = serializers.CharField()
    models = serializers.IntegerField(source="made", help_text="How many it made")
    latest_model = serializers.CharField(allow_null=True, help_text="SHA-256 of the newest")


class StudyPool(Resource):
    """The pooled rows of one study."""

    selector = staticmethod(lifecycle.visible_to)
    output = PoolOut

    @describe("Show a study's pooled rows", output=PoolOut)
    def retrieve(self, request: PersonRequest, id: UUID) -> Response:
        return self._shown(request, self.row(id))

    @describe("Name the node that holds a study's pooled rows", input=NewPoolNode, output=PoolOut)
    def choose(self, request: PersonRequest, id: UUID) -> Response:
        study, given = self.row(id), self.read(NewPoolNode)
        check(request.user, Permission.STUDY_INVITE, study)
        node = find(nodes_to_name(study), given["node"])
        name_pool_node(study=study, site=node.site, node=node, node_name=node.name, by=request.user)
        return self._shown(request, study)

    @describe("Name no pool node any more; this revokes every consent to pool rows at it")
    def end(self, request: PersonRequest, id: UUID) -> Response:
        study = self.row(id)
        check(request.user, Permission.STUDY_INVITE, study)
        pool = selectors.pool_node_of(study)
        if pool is None:
            raise NotFound("E_NO_POOL")
        end_pool_node(pool=pool, reason="", by=request.user)
        return self.done()

    def _shown(self, request: PersonRequest, study: Study) -> Response:
        may_name = can(request.user, Permission.STUDY_INVITE, study)
        facts = {
            "pool_node": selectors.pool_node_of(study),
            "rows": sum(selectors.pooled_rows(study).values()),
            "sites": selectors.standing_consents(study),
            "candidates": nodes_to_name(study) if may_name else (),
        }
        return self.answer(facts)


class StudyConsents(Resource):
    """What the sites of one study consented to, as far as one may read it."""

    selector = staticmethod(lifecycle.visible_to)
    output = ConsentOut
    ordering = ("-recorded_at", "id")

    @describe("List the consents to pool rows in a study", output=ConsentOut, many=True)
    def list(self, request: PersonRequest, id: UUID) -> Response:
        return self.page(selectors.consents_visible_to(request.user).filter(study=self.row(id)))


class Consents(Resource):
    """Consents to pool rows."""

    selector = staticmethod(selectors.consents_visible_to)
    output = ConsentOut

    @describe("Show a consent to pool rows", output=ConsentOut)
    def retrieve(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(self.row(id))

    @describe("Revoke a consent, for its site", input=Explanation, output=ConsentOut)
    def revoke(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(revoke_consent(consent=self.row(id), **self.read(Explanation), by=request.user))

    @describe("Revoke a consent, for its site, and have its rows deleted", input=Explanation, output=ConsentOut)
    def delete_rows(self, request: PersonRequest, id: UUID) -> Response:
        given = self.read(Explanation)
        return self.answer(revoke_consent(consent=self.row(id), **given, delete=True, by=request.user))

    @describe("List the runs whose models have seen the rows", output=RunWithOut, many=True)
    def runs(self, request: PersonRequest, id: UUID) -> Response:
        rows = runs_with(self.row(id)).filter(study__in=lifecycle.studies_with(request.user, Permission.RESULTS_VIEW))
        return self.page(rows, RunWithOut, ordering=("-created_at", "id"))
