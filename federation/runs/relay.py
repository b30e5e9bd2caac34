"""What goes to the sites and comes back when a script's own ServerApp leads: relayed, checked and kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flwr.app import ArrayRecord, MetricRecord, RecordDict

from federation.runs.aggregation import Aggregator
from federation.runs.messages import Answer
from federation.runs.models import Participant, Participation, Round, Run
from federation.runs.phases import TRAIN, Phase
from federation.serverapps.process import Asked
from fedstudy_core import canonical
from fedstudy_core import flower as records
from fedstudy_core.errors import Refusal
from fedstudy_core.freight import Freight
from fedstudy_core.metrics import MAX_EXAMPLES, WEIGHT, Metric, combine
from fedstudy_core.outputs import check_layout
from fedstudy_core.updates import check_metrics, check_update, check_weight, schema_of

FIRST_NODE = 1_001  # the ServerApp knows the run's first site by this number, the second by the next


def node_number(participant: Participant) -> int:
    """How a ServerApp knows a site: always the same, whatever key its node has now."""
    return FIRST_NODE + participant.position


@dataclass(frozen=True)
class Batch:
    """Messages of one type that go out together, at most one to a site: what becomes a round.

    Attributes:
        messages: by the position of the site in the run.
        timeout_s: how long the app would wait; None for as long as the run says.
    """

    message_type: str
    messages: Mapping[int, Asked]
    timeout_s: float | None

    @property
    def sha256(self) -> str:
        """What is asked of whom."""
        asked = [[position, canonical.digest(item.content)] for position, item in sorted(self.messages.items())]
        return canonical.digest(canonical.dumps({"type": self.message_type, "asked": asked}))


def batches(messages: Sequence[Asked], timeout_s: float | None, sites: int) -> list[Batch]:
    """The batches of what an app sends at once, in its order: another type, or a second message to a site, is another.

    Raises:
        Refusal: E_SERVER_APP_LIMIT for a message to a node that the run does not have.
    """
    grouped: dict[tuple[str, int], dict[int, Asked]] = {}
    seen: Counter[tuple[str, int]] = Counter()
    for message in messages:
        position = message.node - FIRST_NODE
        if not 0 <= position < sites:
            raise Refusal("E_SERVER_APP_LIMIT", f"It writes to node {message.node}, which this run does not have.")
        which = (message.message_type, seen[message.message_type, position])
        seen[message.message_type, position] += 1
        grouped.setdefault(which, {})[position] = message
    return [Batch(message_type, asked, timeout_s) for (message_type, _), asked in grouped.items()]


class Relay(Aggregator):
    """The engine's part between a ServerApp and the sites; the answers stay until the run is over, to be read again."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._batch = Batch("", {}, None)

    def begin(self, batch: Batch) -> None:
        """Relay these messages from now on."""
        self._batch = batch

    def sites_mixed(self, participant: Participant) -> int:
        """What an app sends may stem from its last exchange: no more sites stand behind it than were asked."""
        return min(self._run.quorum, len(self._batch.messages))

    def model_sha256(self, round_: Round, phase: Phase) -> str:
        """An app's messages name no model."""
        return ""

    def contents(self, round_: Round, phase: Phase, asked: Sequence[Participant]) -> list[RecordDict]:
        return [records.unpack(self._batch.messages[participant.position].content) for participant in asked]

    def read(self, round_: Round, phase: Phase, content: RecordDict, freight: Freight | None = None) -> Answer:
        """A site's answer: arrays and metrics in records of any name, all finite. Raises Refusal."""
        receipt, inner, packed = records.unwrap_reply(content, freight)
        metrics: dict[str, Metric] = {}
        for name, record in inner.items():
            if isinstance(record, ArrayRecord):
                self._check_arrays(phase, record)
            elif isinstance(record, MetricRecord):
                check_metrics(dict(record))
                metrics = {**record, **metrics}
            else:
                raise Refusal("E_REPLY", f"The answer's record “{name}” is neither of arrays nor of metrics.")
        examples = check_weight(metrics[WEIGHT], MAX_EXAMPLES) if WEIGHT in metrics else None
        return Answer(packed, receipt, {}, metrics, examples)

    def _check_arrays(self, phase: Phase, record: ArrayRecord) -> None:
        arrays = records.arrays_of(record)
        declared = self._run.version.declaration.get("outputs", {}).get("arrays")
        if phase.wire_name == TRAIN and declared:
            check_layout(arrays, declared)
        check_update(arrays, schema_of(arrays), examples=1, max_examples=1)

    def keep(self, item: Participation, answer: Answer, freight: Freight | None) -> None:
        self._stored(answer.packed, freight)

    def kept(self, item: Participation) -> bytes:
        """A site's answer as it was kept. Raises Refusal (E_ARTIFACT_MISSING, E_ARTIFACT)."""
        return self._updates.get(item.content_sha256)

    def summary(self, done: Sequence[Participation]) -> dict[str, Metric]:
        """The sites' metrics in one, for people who watch the run; the app makes of the answers what it likes."""
        return combine([item.metrics for item in done], self._kinds)
