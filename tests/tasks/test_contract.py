"""What every task keeps."""

import numpy as np
import pytest

from tailorbird.kinds import Task
from tailorbird.plug import names, parse

TARGETS = ["1", "2", "2", "3", "1"]


@pytest.mark.parametrize("name", names("task"))
def test_targets_come_back_from_answers(name: str) -> None:
    task = parse("task", name, Task)
    labels = task.labels(TARGETS)
    y = task.encode(TARGETS, labels)
    scores = np.eye(len(labels))[y]
    answers = [task.answer(str(i), row, labels) for i, row in enumerate(scores)]
    assert [answer.label for answer in answers] == TARGETS
    assert task.metric in task.measure(y, scores, None, seed=0)
    assert task.offers
