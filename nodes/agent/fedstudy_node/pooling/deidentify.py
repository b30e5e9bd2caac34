"""From a hospital's file to the rows that may leave: training rows, chosen, made less telling, counted in groups.

Nothing leaves that the terms do not name, and nothing whose harmlessness cannot be seen: free text, dates as they are,
numbers without a range, codes that the dictionary does not list, columns that are a key to the rows.
"""

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow
import pyarrow.compute as pc

from fedstudy_core.dictionary import DataDictionary
from fedstudy_core.errors import Refusal
from fedstudy_core.pooling.profile import Anonymity, Drop
from fedstudy_node.pooling.actions import Shifting, act, in_words
from fedstudy_node.pooling.rows import chosen_rows, column, training_rows
from fedstudy_node.pooling.terms import Terms

NamedTypes = list[list[str]]


@dataclass(frozen=True)
class Leaving:
    """One column that would leave: what becomes of it, and how many values it then has."""

    name: str
    type: str
    how: str
    values: int


@dataclass(frozen=True)
class Report:
    """What would leave, in counts.

    Attributes:
        at_home, training, chosen: rows of the file, of those for training, of those that fit the conditions.
        suppressed: rows left out because their group is too small.
        rows: that leave.
        k: rows of the smallest group over the quasi-identifiers; 0 without rows.
        groups: how many groups there are.
        too_small: rows in groups below what the terms ask for, before any were left out.
        stays: columns of the file that stay.
    """

    at_home: int
    training: int
    chosen: int
    suppressed: int
    rows: int
    k: int
    groups: int
    too_small: int
    columns: Sequence[Leaving]
    stays: Sequence[str]

    @property
    def idle(self) -> int:
        """Rows for training that stay: no model is trained on them while the others are pooled."""
        return self.training - self.rows


@dataclass(frozen=True)
class Deidentified:
    """The rows as they may leave, in an order that tells nothing of the file's."""

    table: pyarrow.Table
    report: Report


def deidentify(table: pyarrow.Table, terms: Terms, dictionary: DataDictionary, shifting: Shifting) -> Deidentified:
    """Make the rows that may leave.

    Raises:
        Refusal: E_POOL_COLUMNS, E_PROFILE. Too small groups are for `check_groups`: a preview shows them.
    """
    table = _without_nan(table)
    training = training_rows(table, terms.holdout)
    chosen = chosen_rows(training, list(terms.filter))
    made = _acted(chosen, terms, dictionary, shifting)
    sizes = group_sizes(made, terms.k.columns)
    small = {group for group, size in sizes.items() if size < terms.k.least}
    left = _without(made, terms.k.columns, small) if terms.k.suppress else made
    left = left.sort_by([(name, "ascending") for name in terms.columns]).combine_chunks()
    groups = group_sizes(left, terms.k.columns)
    report = Report(
        at_home=len(table),
        training=len(training),
        chosen=len(chosen),
        suppressed=len(made) - len(left),
        rows=len(left),
        k=min(groups.values(), default=0),
        groups=len(groups),
        too_small=sum(sizes[group] for group in small),
        columns=[
            Leaving(name, str(left.schema.field(name).type), in_words(terms.profile[name]), _distinct(left, name))
            for name in terms.columns
        ],
        stays=[name for name in table.column_names if name not in terms.columns],
    )
    return Deidentified(left, report)


def check_groups(report: Report, k: Anonymity) -> None:
    """Raises Refusal (E_POOL_K) where a group is smaller than the terms ask for, or nothing is left."""
    if not report.rows:
        raise Refusal("E_POOL_K", "No row is left that could leave.")
    if report.k < k.least:
        raise Refusal(
            "E_POOL_K",
            f"The smallest group over {', '.join(k.columns)} has {report.k} rows, and {report.too_small} rows are in"
            f" groups of fewer than {k.least}: use wider bands, drop a column, or leave those rows out (suppress).",
        )


def group_sizes(table: pyarrow.Table, columns: Sequence[str]) -> Counter[tuple[object, ...]]:
    """Count the rows that share their values in these columns; no value is a value."""
    return Counter(zip(*(column(table, name).to_pylist() for name in columns), strict=True))


def named_types(table: pyarrow.Table) -> NamedTypes:
    """Return the names and Arrow types of a table's columns, as a manifest writes them."""
    return [[field.name, str(field.type)] for field in table.schema]


def written_table(table: pyarrow.Table) -> bytes:
    """Return a table as an Arrow IPC stream, with nothing beside its columns."""
    sink = io.BytesIO()
    bare = table.replace_schema_metadata(None)
    with pyarrow.ipc.new_stream(sink, bare.schema) as stream:
        stream.write_table(bare)
    return sink.getvalue()


def read_table(data: bytes) -> pyarrow.Table:
    """Return the table of an Arrow IPC stream that another node made. Raises Refusal (E_SEALED)."""
    try:
        with pyarrow.ipc.open_stream(data) as stream:
            table = stream.read_all()
        table.validate(full=True)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise Refusal("E_SEALED", "The pooled object holds no table.") from error
    return table


def _acted(table: pyarrow.Table, terms: Terms, dictionary: DataDictionary, shifting: Shifting) -> pyarrow.Table:
    """Return the columns that leave, each as its action makes it."""
    variables = {variable.name: variable for variable in dictionary.variables}
    strangers = sorted(name for name in terms.columns if name not in variables)
    if strangers:
        raise Refusal("E_POOL_COLUMNS", f"The study's data dictionary has no variable “{strangers[0]}”.")
    wanted = {name: terms.profile.get(name, Drop(action="drop")) for name in terms.columns}
    dropped = sorted(name for name, action in wanted.items() if isinstance(action, Drop))
    if dropped:
        raise Refusal("E_POOL_COLUMNS", f"“{dropped[0]}” is dropped and cannot leave.")
    return pyarrow.table({name: act(table, variables[name], action, shifting) for name, action in wanted.items()})


def _without(table: pyarrow.Table, columns: Sequence[str], groups: set[tuple[object, ...]]) -> pyarrow.Table:
    rows = zip(*(column(table, name).to_pylist() for name in columns), strict=True)
    return table.filter(pyarrow.array([row not in groups for row in rows], pyarrow.bool_()))


def _without_nan(table: pyarrow.Table) -> pyarrow.Table:
    """Return the table with missing numbers as nulls, however the file has them."""
    for position, field in enumerate(table.schema):
        if pyarrow.types.is_floating(field.type):
            values = table.column(position)
            gone = pc.is_null(values, nan_is_null=True)
            bare = pc.if_else(gone, pyarrow.scalar(None, field.type), values)
            table = table.set_column(position, field.name, bare)
    return table


def _distinct(table: pyarrow.Table, name: str) -> int:
    return int(pc.count_distinct(column(table, name)).as_py())
