"""Addresses of the pages."""

from django.urls import path
from django.views.generic import RedirectView

from portal.web.views import (
    account,
    enrolments,
    events,
    people,
    protocols,
    reviews,
    runs,
    scripts,
    sites,
    studies,
    styleguide,
)

app_name = "web"

urlpatterns = [
    path("", studies.studies, name="studies"),
    path("sign-in", account.SignIn.as_view(), name="sign-in"),
    path("sign-out", account.SignOut.as_view(), name="sign-out"),
    path("studies", RedirectView.as_view(pattern_name="web:studies")),
    path("studies/new", studies.new, name="study-new"),
    path("studies/<uuid:study_id>", studies.study, name="study"),
    path("studies/<uuid:study_id>/transition", studies.transition, name="study-transition"),
    path("studies/<uuid:study_id>/dictionary", studies.dictionary, name="study-dictionary"),
    path("studies/<uuid:study_id>/dictionary/new", studies.dictionary_new, name="dictionary-new"),
    path("studies/<uuid:study_id>/protocol", protocols.protocol, name="study-protocol"),
    path("studies/<uuid:study_id>/protocol/new", protocols.new, name="protocol-new"),
    path("studies/<uuid:study_id>/protocol/<int:number>", protocols.file, name="protocol-file"),
    path("studies/<uuid:study_id>/people", people.study_people, name="study-people"),
    path(
        "studies/<uuid:study_id>/people/<uuid:user_id>/<slug:role>/revoke",
        people.study_role_revoke,
        name="study-role-revoke",
    ),
    path("studies/<uuid:study_id>/events", events.study_events, name="study-events"),
    path("studies/<uuid:study_id>/enrolments/new", enrolments.new, name="enrolment-new"),
    path("studies/<uuid:study_id>/scripts/new", scripts.new, name="script-new"),
    path("studies/<uuid:study_id>/runs/new", runs.new, name="run-new"),
    path("enrolments/<uuid:enrolment_id>", enrolments.enrolment, name="enrolment"),
    path("enrolments/<uuid:enrolment_id>/<slug:verb>", enrolments.answer, name="enrolment-answer"),
    path("scripts/<uuid:version_id>", scripts.version, name="version"),
    path("scripts/<uuid:version_id>/source", reviews.source, name="version-source"),
    path("scripts/<uuid:version_id>/changes", reviews.changes, name="version-changes"),
    path("scripts/<uuid:version_id>/review", reviews.review, name="version-review"),
    path("scripts/<uuid:version_id>/threads", reviews.open_, name="thread-new"),
    path("scripts/<uuid:version_id>/checklist", reviews.checklist, name="checklist"),
    path("threads/<uuid:thread_id>/<slug:verb>", reviews.thread, name="thread"),
    path("scripts/<uuid:version_id>/withdraw", scripts.withdraw, name="version-withdraw"),
    path("runs/<uuid:run_id>", runs.run, name="run"),
    path("runs/<uuid:run_id>/start", runs.start, name="run-start"),
    path("runs/<uuid:run_id>/stop", runs.stop, name="run-stop"),
    path("sites", sites.sites, name="sites"),
    path("sites/new", sites.new, name="site-new"),
    path("sites/<uuid:site_id>", sites.site, name="site"),
    path("sites/<uuid:site_id>/people", people.site_people, name="site-people"),
    path(
        "sites/<uuid:site_id>/people/<uuid:user_id>/<slug:role>/revoke",
        people.site_role_revoke,
        name="site-role-revoke",
    ),
    path("sites/<uuid:site_id>/nodes/new", sites.node_new, name="node-new"),
    path("nodes/<uuid:node_id>/token", sites.node_token, name="node-token"),
    path("nodes/<uuid:node_id>/confirm", sites.node_confirm, name="node-confirm"),
    path("nodes/<uuid:node_id>/revoke", sites.node_revoke, name="node-revoke"),
    path("events", events.events, name="events"),
    path("styleguide", styleguide.styleguide, name="styleguide"),
]
