"""What every method keeps."""

import json

import numpy as np
import pytest

from tailorbird.kinds import Lesson, Method
from tailorbird.plug import names, parse


def lesson(n_validation: int) -> Lesson:
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    features = {
        name: (rng.standard_normal((90, 8)) + np.eye(3, 8)[y]).astype(np.float32) for name in ("layer1", "last")
    }
    return Lesson(features, y, 4, np.ones(90, np.float32), np.arange(n_validation, 90), np.arange(n_validation), seed=0)


@pytest.mark.parametrize("n_validation", [0, 30])
@pytest.mark.parametrize("name", names("method"))
def test_a_head_fits_its_depths_and_its_notes_are_json(name: str, n_validation: int) -> None:
    given = lesson(n_validation)
    before = {depth: x.copy() for depth, x in given.features.items()}
    head = parse("method", name, Method).tailor(given)
    x = np.concatenate([given.features[depth] for depth in head.depths], axis=1)
    scores = head.scores(x)
    assert head.weight.dtype == head.bias.dtype == np.float32 and head.temperature > 0
    assert scores.shape == (90, 4) and np.allclose(scores.sum(1), 1)
    assert (scores.argmax(1) == given.y).mean() > 0.5
    assert json.loads(json.dumps(dict(head.notes))) == head.notes
    assert all((given.features[depth] == x).all() for depth, x in before.items())  # the lesson stays as it was
