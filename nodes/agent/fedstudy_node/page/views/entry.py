"""Coming in: registering a passkey with a one-time code, signing in with it, signing out."""

from starlette.responses import JSONResponse, Response

from fedstudy_core.approvers import Role
from fedstudy_core.errors import Forbidden, Refusal
from fedstudy_core.passkeys import challenge_of
from fedstudy_node.page import ceremonies
from fedstudy_node.page.ceremonies import SIGN_IN
from fedstudy_node.page.visits import Visit, local_path
from fedstudy_node.trust import CODE_LIFE, CODE_TRIES


def sign_in_page(visit: Visit) -> Response:
    """Ask for a passkey; where nobody has one yet, say how to get one."""
    following = local_path(visit.query("next"))
    if visit.person is not None:
        return visit.go(following)
    return visit.render("sign_in.html", following=following, anybody=bool(visit.front.passkeys()))


def sign_in_options(visit: Visit) -> Response:
    """Give the browser a challenge."""
    challenge = challenge_of(SIGN_IN + visit.session.challenge("sign-in"))
    return JSONResponse(ceremonies.request_options(visit.front.address, challenge, visit.front.passkeys()))


def sign_in(visit: Visit) -> Response:
    """Let a person in who holds a passkey of this node.

    Raises:
        Forbidden: E_AUTHENTICATION for another passkey, or a challenge that was used or is too old.
        Refusal: E_WA_*, E_SIG.
    """
    challenge = visit.session.take_challenge("sign-in")
    entry = next((item for item in visit.front.passkeys() if item.credential == visit.text("id")), None)
    if challenge is None or entry is None:
        raise Forbidden("E_AUTHENTICATION", "This passkey is not known here, or it took too long: try again.")
    with visit.front.ledger() as ledger:
        ceremonies.verify(ledger, entry, ceremonies.read_assertion(visit.form), SIGN_IN + challenge)
        ledger.journal.append("signed_in", entry.name, {"role": entry.role, "key": entry.id})
    return _welcome(visit, entry.id, local_path(visit.text("next")))


def _welcome(visit: Visit, approver: str, following: str) -> Response:
    """Begin a session of this person; the one before is void."""
    visit.front.sessions.end(visit.session)
    session = visit.front.sessions.begin(approver)
    return visit.keep(session, JSONResponse({"go": following}))


def sign_out(visit: Visit) -> Response:
    """End the session."""
    visit.front.sessions.end(visit.session)
    return visit.go("/sign-in")


def register_page(visit: Visit) -> Response:
    """Ask for the one-time code."""
    minutes = int(CODE_LIFE.total_seconds() // 60)
    return visit.render("register.html", minutes=minutes, tries=CODE_TRIES)


def register_options(visit: Visit) -> Response:
    """Check the code and tell the browser what to make. Raises Refusal (E_TOKEN)."""
    code = visit.text("code")
    name, _ = _invited(visit, code)
    visit.session.code = code
    options = ceremonies.creation_options(
        visit.front.address,
        name=name,
        site=visit.front.home.settings().site_name or visit.front.home.settings().name,
        challenge=visit.session.challenge("register"),
        known=visit.front.passkeys(),
    )
    return JSONResponse({"name": name, "options": options})


def register(visit: Visit) -> Response:
    """Pin the passkey that the browser made, use the code up, and let its owner in.

    Raises:
        Forbidden: E_AUTHENTICATION when the challenge was used or is too old.
        Refusal: E_TOKEN when the code was used or is too old.
        Invalid: E_INVALID, E_KEY. NodeError: E_EXISTS when this person has a passkey here.
    """
    front = visit.front
    challenge = visit.session.take_challenge("register")
    if challenge is None:
        raise Forbidden("E_AUTHENTICATION", "It took too long: try again.")
    name, role = _invited(visit, visit.session.code)
    found = ceremonies.read_registration(visit.form, challenge=challenge, address=front.address, name=name, role=role)
    front.trust.add(found.entry)
    front.trust.end_invitation()
    with front.ledger() as ledger:
        ledger.count_up(ceremonies.counter_name(found.entry), found.sign_count)
        facts = {"role": role, "key": found.entry.id, "synced": "yes" if found.entry.synced else "no"}
        ledger.journal.append("passkey_registered", name, facts)
    front.hurry()
    return _welcome(visit, found.entry.id, "/people")


def _invited(visit: Visit, code: str) -> tuple[str, Role]:
    """Return whom a code invites; a wrong one goes into the journal. Raises Refusal (E_TOKEN)."""
    try:
        return visit.front.trust.invitation(code)
    except Refusal:
        visit.front.note("code_refused", visit.front.home.settings().name)
        raise
