"""What a script replied: checked before it leaves, and put into words where nothing may leave."""

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from safetensors import SafetensorError

from fedstudy_core import artifacts, flower, updates
from fedstudy_core.errors import Refusal
from fedstudy_node.flower import ArrayRecord, MetricRecord, RecordDict

EXAMPLES = "num-examples"
ARRAYS = "arrays"


@dataclass(frozen=True)
class Reply:
    """A checked reply. `packed` is its content in the exact bytes that its receipt names by `update_sha256`."""

    content: RecordDict
    packed: bytes
    examples: int | None

    @property
    def update_sha256(self) -> str:
        """The digest of the packed content."""
        return sha256(self.packed).hexdigest()


def read_reply(packed: bytes, *, max_bytes: int) -> Reply:
    """Check what came from the script's process. Raises Refusal.

    Only arrays and metrics may leave (a configuration record could carry any text: E_OUTPUT_SCHEMA), up to the approved
    size (E_OUTPUT_SIZE), and every number is finite (E_UPDATE_NOT_FINITE, E_METRICS_*).
    """
    if len(packed) > max_bytes:
        raise Refusal("E_OUTPUT_SIZE", f"The reply has {len(packed)} bytes; {max_bytes} are approved.")
    content = flower.unpack(packed)
    examples: int | None = None
    for name, record in content.items():
        if isinstance(record, ArrayRecord):
            _check_arrays(record)
        elif isinstance(record, MetricRecord):
            metrics = dict(record)
            updates.check_metrics(metrics)
            count = metrics.get(EXAMPLES)
            examples = int(count) if isinstance(count, int | float) else examples
        else:
            raise Refusal("E_OUTPUT_SCHEMA", f"The reply's record {name!r} is neither arrays nor metrics.")
    return Reply(content, flower.pack(content), examples)


def _check_arrays(record: ArrayRecord) -> None:
    for name, values in flower.arrays_of(record).items():
        if values.dtype.kind in "fc":
            if not np.isfinite(values).all():
                raise Refusal("E_UPDATE_NOT_FINITE", f"The array {name!r} has values that are not finite.")
        elif values.dtype.kind not in "biu":
            raise Refusal("E_UPDATE_DTYPE", f"The array {name!r} holds something other than numbers.")


def model_sha256(content: RecordDict) -> str | None:
    """Return the content address of the model that a message carries, computed here. Raises Refusal (E_ORDER)."""
    record = content.get(ARRAYS)
    if not isinstance(record, ArrayRecord) or not record:
        return None
    try:
        return sha256(artifacts.encode_arrays(flower.arrays_of(record))).hexdigest()
    except (Refusal, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise Refusal("E_ORDER", "The model that came cannot be read.") from error
