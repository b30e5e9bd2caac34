"""The portal as one object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

from fedstudy_client.comparing import Comparison, compare
from fedstudy_client.records import Person, Record, Run
from fedstudy_client.resources.access import Access, Invitations
from fedstudy_client.resources.audit import Audit
from fedstudy_client.resources.degrees import Degrees
from fedstudy_client.resources.own import Account, Notifications
from fedstudy_client.resources.people import Tokens, Users
from fedstudy_client.resources.platform import Platform
from fedstudy_client.resources.pooling import Pooling
from fedstudy_client.resources.releases import Releases
from fedstudy_client.resources.reviews import Reviews
from fedstudy_client.resources.runs import Runs
from fedstudy_client.resources.scripts import Approvals, Scripts, Versions
from fedstudy_client.resources.sites import Nodes, Sites
from fedstudy_client.resources.studies import Datasets, Dictionaries, Enrolments, Studies
from fedstudy_client.resources.webhooks import Webhooks
from fedstudy_client.transport import PAUSES, Transport, below_api


class FedStudy:
    """A FedStudy portal, as one person.

    Every method raises `FedStudyProblem` when the portal refuses, or does not answer.

    Args:
        url: the portal's address, such as "https://fedstudy.example.org".
        token: one of yours, or of an earlier `login`; without one, call `login` first.
        timeout: seconds for one request.
        verify: False, or the path of a CA file, where the portal's certificate is not of a public authority.
        pauses: seconds before each repetition of a request that was cut off; nothing is done twice by it.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        timeout: float = 60.0,
        verify: bool | str = True,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._http = Transport(url, token, timeout=timeout, verify=verify, pauses=pauses)
        self.tokens = Tokens(self._http)
        self.users = Users(self._http)
        self.access = Access(self._http)
        self.invitations = Invitations(self._http)
        self.platform = Platform(self._http)
        self.sites = Sites(self._http)
        self.nodes = Nodes(self._http)
        self.studies = Studies(self._http)
        self.dictionary = Dictionaries(self._http)
        self.enrolments = Enrolments(self._http)
        self.datasets = Datasets(self._http)
        self.pooling = Pooling(self._http)
        self.scripts = Scripts(self._http)
        self.versions = Versions(self._http)
        self.approvals = Approvals(self._http)
        self.runs = Runs(self._http)
        self.degrees = Degrees(self._http)
        self.releases = Releases(self._http)
        self.audit = Audit(self._http)
        self.webhooks = Webhooks(self._http)
        self.reviews = Reviews(self._http)
        self.notifications = Notifications(self._http)
        self.account = Account(self._http)

    @property
    def token(self) -> str:
        """The token in use; empty before `login`."""
        return self._http.token

    def set_up(self, *, setup_token: str, email: str, name: str, password: str) -> Person:
        """Make the first administrator of a new portal (the token is of `manage.py create_setup_token`)."""
        body = {"token": setup_token, "email": email, "name": name, "password": password}
        return Person.read(self._http.post("setup", body))

    def login(self, email: str, password: str, code: str = "") -> Self:
        """Sign in for 12 hours; from here on every request is made as this person.

        Args:
            code: of the second factor's app, or a recovery code; without one the portal may ask for it (`E_FACTOR`).
        """
        body = {"email": email, "password": password, **({"code": code} if code else {})}
        self._http.token = str(self._http.post("auth/token", body)["token"])
        return self

    def logout(self) -> None:
        """Give the token back."""
        self._http.delete("auth/token")
        self._http.token = ""

    def search(self, words: str, kind: str = "") -> list[dict[str, Any]]:
        """What words (their beginnings), or an id, find among what one may see.

        Args:
            kind: "study", "site", "script", "run" or "person"; all of them when empty.
        """
        return list(self._http.get("search", q=words, kind=kind or None)["results"])

    def me(self) -> Person:
        """Who one is, with one's roles."""
        return Person.read(self._http.get("me"))

    def request(
        self, method: str, path: str, *, body: Mapping[str, Any] | None = None, query: Mapping[str, Any] | None = None
    ) -> bytes:
        """Any request of the API, for what has no method here; the content of the answer, as it came.

        Args:
            path: below /api/v1/, such as "studies".
            body: what is sent as JSON.
        """
        return self._http.call(method, path, body=body, query=query)

    def each(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Every object of a list of the API, page by page; `path` as for `request`."""
        return self._http.each(below_api(path), **query)

    def if_unchanged(self, record: Record) -> AbstractContextManager[None]:
        """Inside of this, the first write is done only if nobody has changed what `record` shows.

        with portal.if_unchanged(study):
            portal.studies.update(study, title="Hearts and lungs")

        Otherwise it raises FedStudyProblem (E_PRECONDITION), and nothing is done.

        Args:
            record: what a `get` fetched: the object itself, or for `dictionary.set` the dictionary.
        """
        if not record.etag:
            raise ValueError("only what `get` fetched has a version")
        return self._http.only_over(record.etag)

    def compare(self, *runs: Run) -> Comparison:
        """What tells runs apart: the settings in which they differ, and their metrics with the best marked."""
        return compare(self, runs)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
