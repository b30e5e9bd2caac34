"""Model cards, and requests that a model may leave the platform."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.response import Response

from accounts.models import Site
from accounts.permissions import Permission, check
from federation.releases import selectors, services, states
from federation.releases.card import card_of
from federation.releases.markdown import as_markdown
from federation.releases.models import Release
from federation.runs import results
from federation.runs import selectors as run_selectors
from fedstudy_core.errors import NotFound
from portal.api.base import Input, Output, PersonRequest, Resource, describe
from portal.api.enrolments import Nothing
from portal.api.evaluation import EstimateOut, SubgroupOut
from portal.api.names import NameOut
from portal.downloads import file_response
from studies.scripts.states import DECISIONS


class PrintedSignatureOut(Output):
    """Who signed, when, and what that means."""

    name = serializers.CharField()
    role = serializers.CharField()
    meaning = serializers.ChoiceField(choices=DECISIONS)
    signed_at = serializers.CharField(help_text="ISO 8601, UTC")


class SitePartOut(Output):
    site = serializers.CharField()
    level = serializers.CharField()
    rounds = serializers.IntegerField(help_text="Committed rounds in which it answered")
    rows_band = serializers.CharField()
    min_sites = serializers.IntegerField(allow_null=True, help_text="Asked for by its approval, as what follows")
    min_rows = serializers.IntegerField(allow_null=True)
    max_norm = serializers.IntegerField(allow_null=True)
    sandbox_min = serializers.CharField(allow_null=True)
    signatures = PrintedSignatureOut(many=True, help_text="Under its approval")


class CardResultOut(Output):
    site = serializers.CharField(help_text="Empty for all sites together")
    rows = serializers.IntegerField(help_text="Rows tested")
    auc = EstimateOut()
    sensitivity = EstimateOut(allow_null=True, help_text="At a threshold of 1/2")
    specificity = EstimateOut(allow_null=True, help_text="At a threshold of 1/2")
    brier = serializers.FloatField()


class CardOut(Output):
    """What is known of a run's model."""

    run = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    study = serializers.CharField()
    question = serializers.CharField()
    aims = serializers.CharField()
    intended_use = serializers.CharField(help_text="In the investigator's words")
    caveats = serializers.CharField(help_text="In the investigator's words")
    model_sha256 = serializers.CharField()
    model_size = serializers.IntegerField(help_text="Bytes")
    model_round = serializers.IntegerField()
    model_parameters = serializers.IntegerField()
    script = serializers.CharField()
    script_version = serializers.IntegerField()
    script_sha256 = serializers.CharField()
    strategy = serializers.CharField()
    configuration = serializers.DictField()
    transport = serializers.CharField()
    rounds_committed = serializers.IntegerField()
    rounds_planned = serializers.IntegerField()
    started_at = serializers.CharField(allow_null=True)
    ended_at = serializers.CharField(allow_null=True)
    dictionary_version = serializers.IntegerField(allow_null=True)
    dictionary_sha256 = serializers.CharField(allow_null=True)
    sites = SitePartOut(many=True)
    tested_round = serializers.IntegerField(allow_null=True)
    results = CardResultOut(many=True)
    subgroups = SubgroupOut(many=True)
    metrics = serializers.DictField(child=serializers.FloatField())
    limits = serializers.ListField(child=serializers.CharField())


class CardWords(Input):
    """What the card says beside what the portal knows; the rest stays."""

    intended_use = serializers.CharField(max_length=5_000, allow_blank=True, required=False)
    caveats = serializers.CharField(max_length=5_000, allow_blank=True, required=False)


class SignatureOut(Output):
    """Who consented, when, and what that means."""

    site = NameOut()
    signed_by = NameOut()
    signed_at = serializers.DateTimeField()
    meaning = serializers.CharField(default="consented")


class ReleaseOut(Output):
    """A request that a model may leave the platform. `card` is the model card that it was asked with."""

    id = serializers.UUIDField()
    run = serializers.UUIDField(source="run_id")
    model_sha256 = serializers.CharField(source="model.sha256")
    model_round = serializers.IntegerField(source="model.round_number")
    state = serializers.ChoiceField(choices=states.RELEASE.states)
    recipient = serializers.CharField()
    purpose = serializers.CharField()
    card = serializers.DictField()
    card_sha256 = serializers.CharField()
    signatures_needed = serializers.IntegerField()
    signatures = SignatureOut(many=True)
    requested_by = NameOut()
    requested_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)
    refused_by = NameOut(allow_null=True)
    refusing_site = NameOut(allow_null=True)
    reason = serializers.CharField()


class NewRelease(Input):
    """Who gets the model, and what for; `round` is the newest without it."""

    recipient = serializers.CharField(max_length=200)
    purpose = serializers.CharField(max_length=5_000)
    round = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False)


class ForSite(Input):
    """The site that one speaks for."""

    site = serializers.UUIDField()


class Refusal(Input):
    """The site that one speaks for, and why not."""

    site = serializers.UUIDField()
    reason = serializers.CharField(max_length=300)


class Cards(Resource):
    """Model cards of runs."""

    selector = staticmethod(run_selectors.runs_for)
    output = CardOut

    def row(self, id: UUID) -> Any:
        """The run, if the person may see its results."""
        run = super().row(id)
        check(self.request.user, Permission.RESULTS_VIEW, run.study)
        return run

    @describe("Show the model card of a run", output=CardOut)
    def retrieve(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(card_of(self.row(id)).as_json())

    @describe("Change the words of a model card", input=CardWords, output=CardOut)
    def change(self, request: PersonRequest, id: UUID) -> Response:
        run = self.row(id)
        services.save_card(run=run, **self.read(CardWords), by=request.user)
        return self.answer(card_of(run).as_json())

    @describe("Fetch the model card as Markdown", output=bytes, media_type="text/markdown")
    def text(self, request: PersonRequest, id: UUID) -> HttpResponse:
        run = self.row(id)
        content = as_markdown(card_of(run).as_json())
        results.note_export(run=run, file="model-card.md", by=request.user)
        return file_response("model-card.md", content, "text/markdown; charset=utf-8")


class RunReleases(Resource):
    """The releases of one run."""

    selector = staticmethod(run_selectors.runs_for)
    output = ReleaseOut
    ordering = ("-requested_at", "id")

    @describe("List the releases of a run", output=ReleaseOut, many=True)
    def list(self, request: PersonRequest, id: UUID) -> Response:
        rows = selectors.releases_for(request.user).filter(run=self.row(id))
        return self.page(rows)

    @describe("Ask that a run's model may leave the platform", input=NewRelease, output=ReleaseOut, status=201)
    def create(self, request: PersonRequest, id: UUID) -> Response:
        run, given = self.row(id), self.read(NewRelease)
        number = given.pop("round", None)
        made = services.request_release(run=run, **given, round_number=number, by=request.user)
        return self.answer(made, status=201)


class Releases(Resource):
    """Releases that the user may see."""

    selector = staticmethod(selectors.releases_for)
    output = ReleaseOut

    @describe("Show a release", output=ReleaseOut)
    def retrieve(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(self.row(id))

    @describe("Consent to a release, for a site", input=ForSite, output=ReleaseOut)
    def cosign(self, request: PersonRequest, id: UUID) -> Response:
        release = self.row(id)
        site = self._site(release, self.read(ForSite)["site"])
        return self.answer(services.cosign_release(release=release, site=site, by=request.user))

    @describe("Refuse a release, for a site", input=Refusal, output=ReleaseOut)
    def refuse(self, request: PersonRequest, id: UUID) -> Response:
        release, given = self.row(id), self.read(Refusal)
        site = self._site(release, given["site"])
        done = services.refuse_release(release=release, site=site, reason=given["reason"], by=request.user)
        return self.answer(done)

    @describe("Take a request for release back", input=Nothing, output=ReleaseOut)
    def withdraw(self, request: PersonRequest, id: UUID) -> Response:
        self.read(Nothing)
        return self.answer(services.withdraw_release(release=self.row(id), by=request.user))

    @describe("Fetch the released model (safetensors)", output=bytes)
    def model(self, request: PersonRequest, id: UUID) -> HttpResponse:
        model, content = services.take_model(release=self.row(id), by=request.user)
        return file_response(f"{model.sha256[:12]}.safetensors", content)

    @staticmethod
    def _site(release: Release, id: UUID) -> Site:
        """A site whose answers are in the model; others are not told apart from none."""
        site = selectors.sites_in(release.model).filter(pk=id).first()
        if site is None:
            raise NotFound("E_NOT_FOUND", "No site of this id is in the model.")
        return site
