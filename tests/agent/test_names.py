"""Names in a reply leave only when the approved script's own text has them."""

import numpy as np
import pytest
from flwr.app import ArrayRecord, MetricRecord, RecordDict

from fedstudy_core import flower
from fedstudy_core.errors import FedStudyError
from fedstudy_node.names import check_names, words_of
from tests.factories.agent import script

WORDS = words_of(script())


def reply(array: str = "weights", metric: str = "mean", record: str = "metrics") -> RecordDict:
    arrays = ArrayRecord({array: flower.array(np.zeros(2, dtype=np.float32))})
    return RecordDict({"arrays": arrays, record: MetricRecord({metric: 1.0})})


@pytest.mark.parametrize("name", ["0", "calls", "num-examples", "initial_model.0.weight", "numbers.12.running_mean"])
def test_names_of_the_script_and_of_layers_pass(name: str) -> None:
    check_names(reply(name, name), WORDS)


@pytest.mark.parametrize(
    "name",
    ["Quillfeather", "calls.Quillfeather", "mean Quillfeather", "1234567", "0.1.2.3.4.5.6", "", "m\u00e9an", "mean\n"],
)
def test_other_names_are_refused_wherever_they_stand_and_not_repeated(name: str) -> None:
    for content in (reply(array=name), reply(metric=name), reply(record=name)):
        with pytest.raises(FedStudyError, match="E_OUTPUT_SCHEMA") as refused:
            check_names(content, WORDS)
        assert not name or name not in refused.value.detail
