"""Learning fold by fold: what the head of each fold sees."""

import numpy as np

from tailorbird.data.split import Split
from tailorbird.engine.learn import learn_and_try
from tailorbird.kinds import Evidence, Head, Lesson
from tailorbird.methods.probe import Probe


class Watched(Probe):
    def tailor(self, lesson: Lesson) -> Head:
        self.__dict__.setdefault("lessons", []).append(lesson)
        head = super().tailor(lesson)
        self.__dict__.setdefault("heads", []).append(head)
        return head


def test_the_head_of_each_fold_and_the_kept_one_leave_out_whole_clusters() -> None:
    rng, nothing = np.random.default_rng(0), np.zeros(0, np.int64)
    clusters = np.arange(120) // 4
    y, folds = clusters % 2, clusters % 5
    x = (rng.standard_normal((120, 6)) + y[:, None]).astype(np.float32)
    lesson = Lesson({"last": x}, y, 2, np.ones(120, np.float32), np.arange(120), nothing, seed=0, clusters=clusters)
    method = Watched(strengths=3)
    split = Split(lesson.train, nothing, nothing, folds, clusters)
    _, trial = learn_and_try(method, {}, lesson, Evidence([""] * 120, None, x), split)
    assert [head.notes["held_out"] for head in method.__dict__["heads"]] == ["cluster folds"] * 6
    for seen in method.__dict__["lessons"]:
        assert seen.clusters is not None and len(seen.clusters) == 120
    assert sorted(trial.rows) == list(range(120)) and trial.scores.shape == (120, 2)
