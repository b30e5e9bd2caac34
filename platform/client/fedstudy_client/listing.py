"""Lists of records that notebooks show as a table."""

from __future__ import annotations

from typing import Any, TypeVar

from fedstudy_client.extras import with_extra
from fedstudy_client.records import Record
from fedstudy_client.results import even
from fedstudy_client.showing import table

R = TypeVar("R", bound=Record)
WIDEST = 80


class Records(list[R]):
    """Records as the portal gave them."""

    def to_rows(self) -> list[dict[str, Any]]:
        """One row a record, with what `shown` gives; its id at the end."""
        return even([dict(sorted(item.shown().items(), key=lambda pair: pair[0] == "id")) for item in self])

    def to_pandas(self) -> Any:
        """`to_rows` as a pandas DataFrame. Raises FedStudyProblem (E_EXTRA) where pandas is not installed."""
        return with_extra("pandas", "notebook").DataFrame(self.to_rows())

    def _repr_html_(self) -> str:
        rows = self.to_rows()
        names = [name for name in (rows[0] if rows else ()) if any(row[name] not in (None, "", []) for row in rows)]
        shown = [[_short(row[name]) for name in names] for row in rows]
        return table([name.replace("_", " ") for name in names], shown, caption=f"{len(rows)} in all")


def _short(value: Any) -> Any:
    text = str(value)
    return f"{text[: WIDEST - 1]}…" if isinstance(value, list | str) and len(text) > WIDEST else value
