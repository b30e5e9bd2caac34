"""Which operations a token opens, by its scopes. What is not named here no token reaches.

Signing and answering for a site, people and their roles, nodes' keys, accounts and everything of one's own account are
for people who are signed in, and stand in no scope. Within an operation the token's owner may what their roles allow.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from django.http import HttpRequest
from rest_framework.request import Request

from accounts.models import ApiToken
from accounts.scopes import TokenScope
from fedstudy_core.errors import Forbidden

Operation = tuple[str, str]


def _operations(method: str, names: Iterable[str]) -> Iterable[Operation]:
    return ((method, f"api:{name}") for name in names)


READ = """
    search notifications preference sites site site-people site-nodes site-uses nodes node studies
    studies-without-investigator study study-comparison
    set-up study-people protocol protocol-file dictionary dictionary-draft dictionary-file study-enrolments
    invitable-sites study-datasets study-degree enrolments enrolment
    library study-scripts script-versions version version-file version-bundle approvals changes threads checklist thread
    strategies study-runs run run-rounds run-results run-events run-files run-card run-card-text run-releases release
    run-dossier study-schedules schedule events platform-health platform-queue event-proof log log-consistency witnesses
    study-webhooks webhook webhook-deliveries
    study-pool study-pool-consents pool-consent pool-consent-runs study-degree-comparisons degree-comparison
"""
DESIGN = """
    studies study-transition set-up protocol dictionary dictionary-draft-publish dictionary-read study-enrolments
    study-scripts script-versions version-withdraw threads thread-comments thread-resolve thread-reopen
"""
DRAFT = (
    ("PUT", "api:dictionary-draft"),
    ("DELETE", "api:dictionary-draft"),
    ("PUT", "api:run-card"),
    ("PUT", "api:study-pool"),
)
MODELS = ("run-model", "run-file", "release-model")
RUN = """
    study-runs run-start run-pause run-resume run-fork run-priority run-stop run-schedules schedule-suspend
    schedule-resume schedule-end study-degree-comparisons run-degree-comparisons degree-comparison-start
"""
OPENED: Mapping[TokenScope, frozenset[Operation]] = MappingProxyType(
    {
        TokenScope.READ: frozenset(_operations("GET", READ.split())),
        TokenScope.DESIGN: frozenset({*_operations("POST", DESIGN.split()), ("PATCH", "api:study"), *DRAFT}),
        TokenScope.RUN: frozenset({*_operations("POST", RUN.split()), *_operations("GET", MODELS)}),
    }
)
# Whatever it is for, a token says whose it is, and can be given back.
BY_ANY = frozenset({("GET", "api:me"), ("DELETE", "api:token")})


def check_scope(token: ApiToken, request: Request | HttpRequest) -> None:
    """Refuse an operation that the token is not for; sessions of programs are not held to scopes.

    Raises:
        Forbidden: E_SCOPE.
    """
    if token.is_session:
        return
    match = request.resolver_match
    operation = ("GET" if request.method == "HEAD" else str(request.method), match.view_name if match else "")
    if operation not in BY_ANY and not any(operation in OPENED[TokenScope(scope)] for scope in token.scopes):
        raise Forbidden("E_SCOPE")
