"""What left this site, and the node's own journal."""

from starlette.responses import Response

from fedstudy_node.errors import NodeError
from fedstudy_node.page.visits import Visit

A_PAGE = 50


def left(visit: Visit) -> Response:
    """List everything that left, newest first: to which run and round, how large, its hash."""
    number = visit.page_number()
    with visit.front.ledger() as ledger:
        rows = ledger.departures(A_PAGE + 1, skip=(number - 1) * A_PAGE)
        total = ledger.departed()
    return visit.render("left.html", rows=rows[:A_PAGE], number=number, more=len(rows) > A_PAGE, total=total)


def journal(visit: Visit) -> Response:
    """List the journal, newest first, and say whether its chain holds: it is computed anew each time."""
    number = visit.page_number()
    with visit.front.ledger() as ledger:
        problem = ""
        try:
            head = ledger.journal.verify()
        except NodeError as error:
            head, problem = ledger.journal.head(), error.detail
        rows = ledger.journal.entries(A_PAGE + 1, skip=(number - 1) * A_PAGE)
    return visit.render(
        "journal.html", rows=rows[:A_PAGE], number=number, more=len(rows) > A_PAGE, head=head, problem=problem
    )
