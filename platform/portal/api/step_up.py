"""Acts of the API that want somebody who signed in lately (`portal.step_up`)."""

from typing import Any, cast

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.models import ApiToken, User
from fedstudy_core.errors import Forbidden
from portal.step_up import is_act, is_fresh, is_fresh_in


class SignedInLately(BasePermission):
    """Refuses such acts with E_STEP_UP after ten minutes, and to tokens at any time (E_SCOPE)."""

    def has_permission(self, request: Request, view: Any) -> bool:
        match = request.resolver_match
        person = cast(User, request.user)  # IsAuthenticated goes before
        if match is None or not is_act(request.method, match.view_name, person, lambda: _sent(request)):
            return True
        if not isinstance(request.auth, ApiToken):
            fresh = is_fresh_in(request.session)
        elif request.auth.is_session:
            fresh = is_fresh(request.auth.created)
        else:
            raise Forbidden("E_SCOPE")
        if not fresh:
            raise Forbidden("E_STEP_UP")
        return True


def _sent(request: Request) -> dict[str, Any]:
    return request.data if isinstance(request.data, dict) else {}
