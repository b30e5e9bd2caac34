"""The pooled table of a study: rows of several sites as one dataset of the pool node, like any other but in memory.

Each row has a column `site`, so that scripts can tell the sites apart. `pooled = true` in the dataset's configuration
tells them that all of its rows are for training: the rows to test on are at the sites.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow
from pyarrow import parquet

from fedstudy_core.dictionary import DataDictionary
from fedstudy_core.errors import Refusal
from fedstudy_core.times import parse_time
from fedstudy_node.datasets import Dataset, Datasets
from fedstudy_node.home import Home
from fedstudy_node.ledger import Ledger
from fedstudy_node.pooling.memory import Memory
from fedstudy_node.pooling.opening import SITE, Listed
from fedstudy_node.portal import Portal
from fedstudy_node.registering import examine, register
from fedstudy_node.studies import dictionary_of

POOLED = "pooled"
NAME = "pooled rows"
_SHORT = 8


@dataclass(frozen=True)
class Pooled:
    """The rows of one consent, open in memory."""

    consent_id: str
    study: str
    site: str
    ends: datetime
    table: pyarrow.Table

    @classmethod
    def of(cls, item: Listed, table: pyarrow.Table) -> "Pooled":
        """The rows of an object that was opened."""
        consent = item.consent
        return cls(item.consent_id, consent.study, consent.site, parse_time(consent.not_after), table)

    def is_over(self, now: datetime) -> bool:
        """Whether its consent has ended."""
        return now >= self.ends


class PooledTables:
    """The pooled tables of a node, as files in memory, and their bindings."""

    def __init__(self, home: Home, memory: Memory) -> None:
        self._home = home
        self._memory = memory
        self._datasets = Datasets(home)
        self._made: dict[str, list[str]] = {}  # the consents behind a study's table
        self.unfinished = False

    def bound(self) -> list[Dataset]:
        """Return the bindings of pooled tables."""
        return [dataset for dataset in self._datasets.all() if dataset.config.get(POOLED) is True]

    def withdraw(self, study: str) -> None:
        """Offer the study's pooled table no more, and remove it from memory."""
        for dataset in self.bound():
            if dataset.study == study:
                self._datasets.remove(dataset)
        with suppress(FileNotFoundError):
            self._memory.table_path(study).unlink()
        self._made.pop(study, None)
        self.unfinished = True

    def withdraw_all(self) -> None:
        """Offer no pooled table any more."""
        for dataset in self.bound():
            self._datasets.remove(dataset)
        self._memory.clear()
        self._made.clear()
        self.unfinished = False

    def offer(self, held: Sequence[Pooled], ledger: Ledger, portal: Portal) -> None:
        """Have one table for each study of which rows are held, and tell the portal of those that are new.

        The same rows make the same file, so a table that is back after a restart is the one that scripts were approved
        for. Raises FedStudyError.
        """
        self.unfinished = True
        studies = sorted({pooled.study for pooled in held})
        for dataset in self.bound():
            if dataset.study not in studies:
                self._datasets.remove(dataset)
        for study in studies:
            self._offer(study, [pooled for pooled in held if pooled.study == study], ledger, portal)
        self.unfinished = False

    def _offer(self, study: str, held: Sequence[Pooled], ledger: Ledger, portal: Portal) -> None:
        consents = sorted(pooled.consent_id for pooled in held)
        if self._made.get(study) == consents:
            return
        path = self._write(study, held)
        variables = _variables(portal, study)
        found = examine(path, name=NAME, study=study, dictionary=variables, besides=(SITE,), config={POOLED: True})
        mine = [dataset for dataset in self.bound() if dataset.study == study]
        if not any(dataset.fingerprint == found.dataset.fingerprint for dataset in mine):
            for dataset in mine:
                self._datasets.remove(dataset)
            register(found, self._datasets, portal, ledger, pooled=consents)
        self._made[study] = consents

    def _write(self, study: str, held: Sequence[Pooled]) -> Path:
        """Write the table, sites in order. Raises Refusal (E_DATASET_INVALID) where they do not fit together."""
        names = pseudonyms([pooled.site for pooled in held])
        parts = [
            pooled.table.append_column(SITE, pyarrow.array([names[pooled.site]] * len(pooled.table), pyarrow.string()))
            for pooled in sorted(held, key=lambda pooled: pooled.site)
        ]
        try:
            whole = pyarrow.concat_tables(parts, promote_options="permissive").combine_chunks()
        except pyarrow.ArrowException as error:
            raise Refusal("E_DATASET_INVALID", "The sites' pooled rows have columns of different types.") from error
        self._memory.prepare()
        path = self._memory.table_path(study)
        unfinished = path.with_suffix(".new")
        parquet.write_table(whole, unfinished)
        unfinished.chmod(0o600)
        unfinished.replace(path)
        return path


def pseudonyms(sites: Sequence[str]) -> dict[str, str]:
    """Return what the column `site` says for each site: the beginning of its id, or all of it where two begin alike."""
    short = {site: site[:_SHORT] for site in sites}
    return short if len(set(short.values())) == len(short) else {site: site for site in sites}


def _variables(portal: Portal, study: str) -> DataDictionary:
    """Return a study's dictionary for rows that were made less telling: columns may be gone, and edges of bands lie
    outside of ranges. The sites checked the values themselves.

    Raises Refusal (E_NO_POOL).
    """
    for row in portal.studies():
        if row["id"] == study and row.get("dictionary"):
            loose = {"required": False, "min": None, "max": None}
            known = dictionary_of(row).variables
            return DataDictionary(variables=tuple(variable.model_copy(update=loose) for variable in known))
    raise Refusal("E_NO_POOL", "The study of the pooled rows is none of this site's, or has no dictionary.")
