"""Routes of the API under /api/v1/. A method that is not named here is refused (405)."""

from django.urls import path, re_path

from portal.api import (
    access,
    account,
    audit,
    comparison,
    degree,
    degrees,
    dictionaries,
    enrolments,
    health,
    invitations,
    node,
    node_pool,
    notifications,
    people,
    pooling,
    problems,
    releases,
    reviews,
    roles,
    runs,
    schedules,
    scripts,
    searches,
    sites,
    strategies,
    studies,
    transparency,
    uses,
    webhooks,
)
from portal.api.document import Document
from portal.api.node_events import NodeEvents
from portal.api.witnesses import WitnessedLog, Witnesses

app_name = "api"

PEOPLE = [
    path("setup", people.SetUpView.as_view(), name="setup"),
    path("invitations/take-up", invitations.TakeUpView.as_view(), name="take-up"),
    path("auth/token", people.TokenView.as_view(), name="token"),
    path("search", searches.Search.as_view({"get": "list"}), name="search"),
    path("me", account.MeView.as_view(), name="me"),
    path("me/password", account.OwnPassword.as_view(), name="own-password"),
    path("me/tokens", account.OwnTokens.as_view({"get": "list", "post": "create"}), name="own-tokens"),
    path("me/tokens/<uuid:id>", account.OwnTokens.as_view({"delete": "remove"}), name="own-token"),
    path("me/factors", account.OwnFactors.as_view({"get": "list"}), name="own-factors"),
    path("me/factors/<slug:id>", account.OwnFactors.as_view({"delete": "remove"}), name="own-factor"),
    path("me/identities", account.OwnIdentities.as_view({"get": "list"}), name="own-identities"),
    path("me/identities/<uuid:id>", account.OwnIdentities.as_view({"delete": "remove"}), name="own-identity"),
    path("me/sessions", account.OwnSessions.as_view({"get": "list"}), name="own-sessions"),
    path("me/sessions/end-others", account.OwnSessions.as_view({"post": "end_others"}), name="own-sessions-end"),
    path("me/sessions/<uuid:id>", account.OwnSessions.as_view({"delete": "remove"}), name="own-session"),
    path("users", people.Accounts.as_view({"get": "list", "post": "create"}), name="users"),
    path("users/<uuid:id>", people.Accounts.as_view({"get": "retrieve", "patch": "change"}), name="user"),
    path("users/<uuid:id>/waiting", people.Accounts.as_view({"get": "waiting"}), name="user-waiting"),
    path("users/<uuid:id>/move", people.Accounts.as_view({"post": "move"}), name="user-move"),
    path("users/<uuid:id>/factors", people.Accounts.as_view({"delete": "reset"}), name="user-factors"),
]

ACCESS = [
    path("access-requests", access.AccessRequests.as_view({"get": "list", "post": "create"}), name="access-requests"),
    path("access-requests/<uuid:id>", access.AccessRequests.as_view({"get": "retrieve"}), name="access-request"),
    path("access-requests/<uuid:id>/accept", access.AccessRequests.as_view({"post": "accept"}), name="access-accept"),
    path("access-requests/<uuid:id>/refuse", access.AccessRequests.as_view({"post": "refuse"}), name="access-refuse"),
    path(
        "access-requests/<uuid:id>/withdraw",
        access.AccessRequests.as_view({"post": "withdraw"}),
        name="access-withdraw",
    ),
    path(
        "studies/<uuid:id>/join-code",
        access.StudyJoinCodes.as_view({"get": "retrieve", "post": "create", "delete": "remove"}),
        name="study-join-code",
    ),
    path(
        "sites/<uuid:id>/join-code",
        access.SiteJoinCodes.as_view({"get": "retrieve", "post": "create", "delete": "remove"}),
        name="site-join-code",
    ),
]

PLATFORM = [
    path("platform/health", health.Platform.as_view({"get": "health"}), name="platform-health"),
    path("platform/queue", health.Platform.as_view({"get": "queue"}), name="platform-queue"),
]

NOTIFICATIONS = [
    path("notifications", notifications.Notifications.as_view({"get": "list"}), name="notifications"),
    path("notifications/read", notifications.Notifications.as_view({"post": "read_all"}), name="notifications-read"),
    path("notifications/<uuid:id>/read", notifications.Notifications.as_view({"post": "mark"}), name="notification"),
    path(
        "notifications/preference",
        notifications.PreferenceView.as_view({"get": "retrieve", "put": "choose"}),
        name="preference",
    ),
]

SITES = [
    path("sites", sites.Sites.as_view({"get": "list", "post": "create"}), name="sites"),
    path("sites/<uuid:id>", sites.Sites.as_view({"get": "retrieve"}), name="site"),
    path("sites/<uuid:id>/uses", uses.SiteUses.as_view({"get": "list"}), name="site-uses"),
    path("sites/<uuid:id>/people", roles.SitePeople.as_view({"get": "list", "post": "create"}), name="site-people"),
    path(
        "sites/<uuid:id>/people/<uuid:user>/<slug:role>",
        roles.SitePeople.as_view({"delete": "remove"}),
        name="site-person",
    ),
    path(
        "sites/<uuid:id>/invitations",
        invitations.SiteInvitations.as_view({"get": "list", "post": "create"}),
        name="site-invitations",
    ),
    path(
        "sites/<uuid:id>/invitations/<uuid:invitation>",
        invitations.SiteInvitations.as_view({"delete": "remove"}),
        name="site-invitation",
    ),
    path("sites/<uuid:id>/nodes", sites.SiteNodes.as_view({"get": "list", "post": "create"}), name="site-nodes"),
    path("nodes", sites.Nodes.as_view({"get": "list"}), name="nodes"),
    path("nodes/<uuid:id>", sites.Nodes.as_view({"get": "retrieve"}), name="node"),
    path("nodes/<uuid:id>/token", sites.Nodes.as_view({"post": "renew"}), name="node-token"),
    path("nodes/<uuid:id>/confirm", sites.Nodes.as_view({"post": "confirm"}), name="node-confirm"),
    path("nodes/<uuid:id>/revoke", sites.Nodes.as_view({"post": "revoke"}), name="node-revoke"),
]

STUDIES = [
    path("studies", studies.Studies.as_view({"get": "list", "post": "create"}), name="studies"),
    path(
        "studies/without-investigator",
        studies.StudiesWithoutInvestigator.as_view({"get": "list"}),
        name="studies-without-investigator",
    ),
    path("studies/<uuid:id>", studies.Studies.as_view({"get": "retrieve", "patch": "change"}), name="study"),
    path("studies/<uuid:id>/set-up", studies.SetUps.as_view({"get": "retrieve", "post": "open"}), name="set-up"),
    path("studies/<uuid:id>/transition", studies.Studies.as_view({"post": "transition"}), name="study-transition"),
    path("studies/<uuid:id>/people", roles.StudyPeople.as_view({"get": "list", "post": "create"}), name="study-people"),
    path(
        "studies/<uuid:id>/people/<uuid:user>/<slug:role>",
        roles.StudyPeople.as_view({"delete": "remove"}),
        name="study-person",
    ),
    path(
        "studies/<uuid:id>/invitations",
        invitations.StudyInvitations.as_view({"get": "list", "post": "create"}),
        name="study-invitations",
    ),
    path(
        "studies/<uuid:id>/invitations/<uuid:invitation>",
        invitations.StudyInvitations.as_view({"delete": "remove"}),
        name="study-invitation",
    ),
    path(
        "studies/<uuid:id>/protocol", studies.Protocols.as_view({"get": "retrieve", "post": "create"}), name="protocol"
    ),
    path("studies/<uuid:id>/protocol/file", studies.Protocols.as_view({"get": "file"}), name="protocol-file"),
    path(
        "studies/<uuid:id>/dictionary",
        studies.Dictionaries.as_view({"get": "retrieve", "post": "create"}),
        name="dictionary",
    ),
    path(
        "studies/<uuid:id>/dictionary/draft",
        dictionaries.DictionaryDrafts.as_view({"get": "retrieve", "put": "save", "delete": "remove"}),
        name="dictionary-draft",
    ),
    path(
        "studies/<uuid:id>/dictionary/draft/publish",
        dictionaries.DictionaryDrafts.as_view({"post": "publish"}),
        name="dictionary-draft-publish",
    ),
    path(
        "studies/<uuid:id>/dictionary/file",
        dictionaries.DictionaryFiles.as_view({"get": "table"}),
        name="dictionary-file",
    ),
    path("dictionaries/read", dictionaries.DictionaryReader.as_view({"post": "read_file"}), name="dictionary-read"),
    path(
        "studies/<uuid:id>/enrolments",
        enrolments.StudyEnrolments.as_view({"get": "list", "post": "create"}),
        name="study-enrolments",
    ),
    path(
        "studies/<uuid:id>/invitable-sites",
        enrolments.InvitableSites.as_view({"get": "list"}),
        name="invitable-sites",
    ),
    path("studies/<uuid:id>/datasets", enrolments.StudyDatasets.as_view({"get": "list"}), name="study-datasets"),
    path("studies/<uuid:id>/degree", degree.StudyDegree.as_view({"get": "retrieve"}), name="study-degree"),
    path("enrolments", enrolments.Enrolments.as_view({"get": "list"}), name="enrolments"),
    path("enrolments/<uuid:id>", enrolments.Enrolments.as_view({"get": "retrieve"}), name="enrolment"),
    path("enrolments/<uuid:id>/accept", enrolments.Enrolments.as_view({"post": "accept"}), name="accept"),
    path("enrolments/<uuid:id>/level", enrolments.Enrolments.as_view({"post": "level"}), name="enrolment-level"),
    path("enrolments/<uuid:id>/decline", enrolments.Enrolments.as_view({"post": "decline"}), name="decline"),
    path("enrolments/<uuid:id>/withdraw", enrolments.Enrolments.as_view({"post": "withdraw"}), name="withdraw"),
]

SCRIPTS = [
    path("library", scripts.Library.as_view({"get": "list"}), name="library"),
    path(
        "studies/<uuid:id>/scripts",
        scripts.StudyScripts.as_view({"get": "list", "post": "create"}),
        name="study-scripts",
    ),
    path(
        "scripts/<uuid:id>/versions",
        scripts.ScriptVersions.as_view({"get": "list", "post": "create"}),
        name="script-versions",
    ),
    path("script-versions/<uuid:id>", scripts.Versions.as_view({"get": "retrieve"}), name="version"),
    path("script-versions/<uuid:id>/withdraw", scripts.Versions.as_view({"post": "withdraw"}), name="version-withdraw"),
    path("script-versions/<uuid:id>/files", scripts.Versions.as_view({"get": "file"}), name="version-file"),
    path("script-versions/<uuid:id>/bundle", scripts.Versions.as_view({"get": "fab"}), name="version-bundle"),
    path("script-versions/<uuid:id>/approvals", scripts.Versions.as_view({"get": "approvals"}), name="approvals"),
    path("script-versions/<uuid:id>/changes", reviews.VersionReviews.as_view({"get": "changes"}), name="changes"),
    path(
        "script-versions/<uuid:id>/threads",
        reviews.VersionReviews.as_view({"get": "list", "post": "create"}),
        name="threads",
    ),
    path(
        "script-versions/<uuid:id>/checklist",
        reviews.VersionReviews.as_view({"get": "checklist", "put": "tick"}),
        name="checklist",
    ),
    path("review-threads/<uuid:id>", reviews.Threads.as_view({"get": "retrieve"}), name="thread"),
    path("review-threads/<uuid:id>/comments", reviews.Threads.as_view({"post": "comment"}), name="thread-comments"),
    path("review-threads/<uuid:id>/resolve", reviews.Threads.as_view({"post": "resolve"}), name="thread-resolve"),
    path("review-threads/<uuid:id>/reopen", reviews.Threads.as_view({"post": "reopen"}), name="thread-reopen"),
]

RUNS = [
    path("strategies", strategies.Strategies.as_view({"get": "list"}), name="strategies"),
    path("studies/<uuid:id>/runs", runs.StudyRuns.as_view({"get": "list", "post": "create"}), name="study-runs"),
    path(
        "studies/<uuid:id>/comparison", comparison.StudyComparison.as_view({"get": "retrieve"}), name="study-comparison"
    ),
    path("runs/<uuid:id>", runs.Runs.as_view({"get": "retrieve"}), name="run"),
    path("runs/<uuid:id>/start", runs.Runs.as_view({"post": "start"}), name="run-start"),
    path("runs/<uuid:id>/pause", runs.Runs.as_view({"post": "pause"}), name="run-pause"),
    path("runs/<uuid:id>/resume", runs.Runs.as_view({"post": "resume"}), name="run-resume"),
    path("runs/<uuid:id>/fork", runs.Runs.as_view({"post": "fork"}), name="run-fork"),
    path("runs/<uuid:id>/priority", runs.Runs.as_view({"post": "prioritise"}), name="run-priority"),
    path("runs/<uuid:id>/stop", runs.Runs.as_view({"post": "stop"}), name="run-stop"),
    path("runs/<uuid:id>/rounds", runs.Runs.as_view({"get": "rounds"}), name="run-rounds"),
    path("runs/<uuid:id>/results", runs.Runs.as_view({"get": "results"}), name="run-results"),
    path("runs/<uuid:id>/events", runs.Runs.as_view({"get": "events"}), name="run-events"),
    path("runs/<uuid:id>/files", runs.Runs.as_view({"get": "files"}), name="run-files"),
    path("runs/<uuid:id>/files/<str:sha256>", runs.Runs.as_view({"get": "file"}), name="run-file"),
    path("runs/<uuid:id>/model", runs.Runs.as_view({"get": "model"}), name="run-model"),
    path("runs/<uuid:id>/dossier", runs.Runs.as_view({"get": "dossier"}), name="run-dossier"),
    path("runs/<uuid:id>/card", releases.Cards.as_view({"get": "retrieve", "put": "change"}), name="run-card"),
    path("runs/<uuid:id>/card/text", releases.Cards.as_view({"get": "text"}), name="run-card-text"),
    path(
        "runs/<uuid:id>/releases", releases.RunReleases.as_view({"get": "list", "post": "create"}), name="run-releases"
    ),
    path("releases/<uuid:id>", releases.Releases.as_view({"get": "retrieve"}), name="release"),
    path("releases/<uuid:id>/cosign", releases.Releases.as_view({"post": "cosign"}), name="release-cosign"),
    path("releases/<uuid:id>/refuse", releases.Releases.as_view({"post": "refuse"}), name="release-refuse"),
    path("releases/<uuid:id>/withdraw", releases.Releases.as_view({"post": "withdraw"}), name="release-withdraw"),
    path("releases/<uuid:id>/model", releases.Releases.as_view({"get": "model"}), name="release-model"),
    path("runs/<uuid:id>/schedules", schedules.RunSchedules.as_view({"post": "create"}), name="run-schedules"),
    path("studies/<uuid:id>/schedules", schedules.StudySchedules.as_view({"get": "list"}), name="study-schedules"),
    path("schedules/<uuid:id>", schedules.Schedules.as_view({"get": "retrieve"}), name="schedule"),
    path("schedules/<uuid:id>/suspend", schedules.Schedules.as_view({"post": "suspend"}), name="schedule-suspend"),
    path("schedules/<uuid:id>/resume", schedules.Schedules.as_view({"post": "resume"}), name="schedule-resume"),
    path("schedules/<uuid:id>/end", schedules.Schedules.as_view({"post": "end"}), name="schedule-end"),
    path(
        "studies/<uuid:id>/degree-comparisons",
        degrees.StudyDegreeComparisons.as_view({"get": "list", "post": "create"}),
        name="study-degree-comparisons",
    ),
    path(
        "runs/<uuid:id>/degree-comparisons",
        degrees.RunDegreeComparisons.as_view({"post": "create"}),
        name="run-degree-comparisons",
    ),
    path(
        "degree-comparisons/<uuid:id>",
        degrees.DegreeComparisons.as_view({"get": "retrieve"}),
        name="degree-comparison",
    ),
    path(
        "degree-comparisons/<uuid:id>/start",
        degrees.DegreeComparisons.as_view({"post": "start"}),
        name="degree-comparison-start",
    ),
    path("audit/events", audit.Events.as_view({"get": "list"}), name="events"),
    path("audit/events/<uuid:id>/proof", transparency.EventProofs.as_view({"get": "retrieve"}), name="event-proof"),
    path("audit/log", transparency.Log.as_view({"get": "retrieve"}), name="log"),
    path("audit/witnesses", Witnesses.as_view({"get": "retrieve"}), name="witnesses"),
    path("audit/log/consistency", transparency.Log.as_view({"get": "consistency"}), name="log-consistency"),
]

POOLING = [
    path(
        "studies/<uuid:id>/pool",
        pooling.StudyPool.as_view({"get": "retrieve", "put": "choose", "delete": "end"}),
        name="study-pool",
    ),
    path("studies/<uuid:id>/pool-consents", pooling.StudyConsents.as_view({"get": "list"}), name="study-pool-consents"),
    path("pool-consents/<uuid:id>", pooling.Consents.as_view({"get": "retrieve"}), name="pool-consent"),
    path("pool-consents/<uuid:id>/revoke", pooling.Consents.as_view({"post": "revoke"}), name="pool-consent-revoke"),
    path(
        "pool-consents/<uuid:id>/delete-rows",
        pooling.Consents.as_view({"post": "delete_rows"}),
        name="pool-consent-delete",
    ),
    path("pool-consents/<uuid:id>/runs", pooling.Consents.as_view({"get": "runs"}), name="pool-consent-runs"),
]

WEBHOOKS = [
    path(
        "studies/<uuid:id>/webhooks",
        webhooks.StudyWebhooks.as_view({"get": "list", "post": "create"}),
        name="study-webhooks",
    ),
    path(
        "webhooks/<uuid:id>",
        webhooks.Webhooks.as_view({"get": "retrieve", "patch": "change", "delete": "remove"}),
        name="webhook",
    ),
    path("webhooks/<uuid:id>/enable", webhooks.Webhooks.as_view({"post": "enable"}), name="webhook-enable"),
    path("webhooks/<uuid:id>/disable", webhooks.Webhooks.as_view({"post": "disable"}), name="webhook-disable"),
    path("webhooks/<uuid:id>/rotate", webhooks.Webhooks.as_view({"post": "rotate"}), name="webhook-rotate"),
    path("webhooks/<uuid:id>/test", webhooks.Webhooks.as_view({"post": "test"}), name="webhook-test"),
    path("webhooks/<uuid:id>/deliveries", webhooks.Webhooks.as_view({"get": "deliveries"}), name="webhook-deliveries"),
    path(
        "webhook-deliveries/<uuid:id>/repeat", webhooks.Deliveries.as_view({"post": "repeat"}), name="delivery-repeat"
    ),
]

NODE = [
    path("node/enrol", node.Introduction.as_view({"post": "enrol"}), name="node-enrol"),
    path("node/heartbeat", node.Agent.as_view({"post": "heartbeat"}), name="node-heartbeat"),
    path("node/events", NodeEvents.as_view(), name="node-events"),
    path("node/log", WitnessedLog.as_view({"get": "retrieve"}), name="node-log"),
    path("node/log/cosignatures", WitnessedLog.as_view({"post": "cosign"}), name="node-cosignatures"),
    path("node/log/refusals", WitnessedLog.as_view({"post": "refuse"}), name="node-log-refusals"),
    path("node/self", node.Agent.as_view({"get": "itself"}), name="node-self"),
    path("node/rotate", node.Agent.as_view({"post": "rotate"}), name="node-rotate"),
    path("node/studies", node.Agent.as_view({"get": "studies"}), name="node-studies"),
    path("node/datasets", node.Agent.as_view({"post": "add_dataset"}), name="node-datasets"),
    path("node/scripts", node.Agent.as_view({"get": "scripts"}), name="node-scripts"),
    path("node/scripts/<uuid:id>/bundle", node.Agent.as_view({"get": "bundle"}), name="node-bundle"),
    path("node/approvers", node.Agent.as_view({"put": "approvers"}), name="node-approvers"),
    path("node/approvals", node.Agent.as_view({"post": "add_approval"}), name="node-approvals"),
    path("node/pool/keys", node_pool.Pool.as_view({"get": "keys_wanted", "post": "add_key"}), name="node-pool-keys"),
    path("node/pool/offer/<uuid:id>", node_pool.Pool.as_view({"get": "offer"}), name="node-pool-offer"),
    path("node/pool/consents", node_pool.Pool.as_view({"post": "add_consent"}), name="node-pool-consents"),
    path("node/pool/objects", node_pool.Pool.as_view({"get": "list", "post": "announce"}), name="node-pool-objects"),
    path("node/pool/revocations", node_pool.Pool.as_view({"post": "revoke"}), name="node-pool-revocations"),
    path("node/pool/deletions", node_pool.Pool.as_view({"post": "deleted"}), name="node-pool-deletions"),
    path("node/approvals/<uuid:id>/revoke", node.Agent.as_view({"post": "revoke_approval"}), name="node-revocation"),
]

urlpatterns = [
    *PEOPLE,
    *PLATFORM,
    *ACCESS,
    *NOTIFICATIONS,
    *SITES,
    *STUDIES,
    *SCRIPTS,
    *RUNS,
    *POOLING,
    *WEBHOOKS,
    *NODE,
    path("openapi.json", Document.as_view(), name="openapi"),
    re_path(r"^(?P<path>.*)$", problems.unknown_address, name="unknown"),
]
