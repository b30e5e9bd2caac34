"""What is measured: the workloads by the names that `--only` takes.

| name | what | sites |
|---|---|---|
| `w1` | the heart disease study: a logistic regression, trained and evaluated | 4 |
| `w2:MB` | a model of so many megabytes of float32, to which each site adds a number | 4 |
| `w2:MB:float16` | the same, its arrays narrowed to 16 bits for the way; to the other systems it is `w2:MB` | 4 |
| `w3:SITES` | the same with 14 numbers, at so many sites | as named |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from federation.library.catalogue import ready_script
from fedstudy_core.transport import AS_IS, HALF, Transport

ADDING = Path(__file__).parent / "adding"
STANDARD = ("w1", "w2:10", "w2:100", "w2:500", "w3:4", "w3:16", "w3:32")
FLOAT_BYTES, LARGE_BYTES = 4, 1_000_000
W1_NUMBERS, W3_NUMBERS = 14, 14
W2_ARRAYS = 10


@dataclass(frozen=True)
class Workload:
    """One thing to measure.

    Attributes:
        source: the Flower app's folder.
        config: the run configuration beside the app's defaults.
        numbers: 32-bit numbers in the model.
        transport: how FedStudy's run carries arrays.
    """

    name: str
    sites: int
    rounds: int
    source: Path
    config: Mapping[str, int]
    numbers: int
    transport: Transport = AS_IS

    @property
    def model_bytes(self) -> int:
        """What one copy of the model measures."""
        return self.numbers * FLOAT_BYTES

    def against_model(self, told: Mapping[str, Any]) -> dict[str, float]:
        """A system's figures in terms of a large model: its copies in the central side's memory, its trips over links.

        One trip is the model once each way for every site and round; there is nothing to say of a tiny model.
        """
        if self.model_bytes < LARGE_BYTES or "failed" in told:
            return {}
        megabytes, moved = self.model_bytes / 1e6, told["wan_mb_per_round"]
        copies = {"server_models": round(told["peak_mb"]["server"] / megabytes, 2)}
        return copies if moved is None else copies | {"wan_share": round(moved / (2 * self.sites * megabytes), 3)}


def workload(name: str, *, rounds: int = 50) -> Workload:
    """The workload of that name; `rounds` is for `w1`. Raises ValueError for a name that is none."""
    base, colon, way = name.partition(f":{HALF}")
    kind, _, size = base.partition(":")
    if colon and (way or kind != "w2"):
        raise ValueError(f"{name!r} is no workload; only w2:MB has the form w2:MB:{HALF}")
    transport: Transport = HALF if colon else AS_IS
    if kind == "w1" and not size:
        return Workload(name, 4, rounds, ready_script("heart_disease").source, {}, W1_NUMBERS)
    if kind == "w2" and size.isdecimal() and int(size):
        numbers = int(size) * 1_000_000 // FLOAT_BYTES
        return Workload(name, 4, 5, ADDING, {"numbers": numbers, "arrays": W2_ARRAYS}, numbers, transport)
    if kind == "w3" and size.isdecimal() and int(size) > 1:
        return Workload(name, int(size), 20, ADDING, {"numbers": W3_NUMBERS}, W3_NUMBERS)
    raise ValueError(f"{name!r} is no workload; there are w1, w2:MB, w2:MB:float16 and w3:SITES")
