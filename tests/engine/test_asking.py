from __future__ import annotations

import pytest

from tailorbird.engine.asking import task_of
from tailorbird.errors import BadSpelling
from tailorbird.progress import listening
from tailorbird.types import Dataset, Rows


class Ear:
    def __init__(self) -> None:
        self.told: list[str] = []

    def start(self, name: str, total: int):
        return lambda n: None

    def stop(self) -> None:
        pass

    def tell(self, message: str) -> None:
        self.told.append(message)


def dataset(targets: list[str | None]) -> Dataset:
    ids = tuple(map(str, range(len(targets))))
    return Dataset(Rows(ids, {"text": ids}, tuple(targets)), "text", "text", "goal", "a.csv")


@pytest.mark.parametrize(
    ("targets", "name"),
    [
        (["cat", "dog"] * 20, "classify"),
        (["1", "2", "3"] * 20, "classify"),
        ([f"{i * 0.37:.2f}" for i in range(60)], "regress"),
        (["red|blue", "blue", "red"] * 20, "multilabel"),
        ([None, "cat", "dog"] * 20, "classify"),
    ],
)
def test_the_task_that_suits_the_targets_is_taken_and_told(targets: list[str | None], name: str) -> None:
    ear = Ear()
    with listening(ear):
        assert task_of(None, dataset(targets)).name == name
    (line,) = ear.told
    assert "'goal'" in line and name in line and "--task" in line


def test_a_task_that_is_named_is_taken_without_a_word() -> None:
    ear = Ear()
    with listening(ear):
        assert task_of("classify", dataset(["1.5", "2.5"])).name == "classify"
    assert ear.told == []
    with pytest.raises(BadSpelling):
        task_of("clasify", dataset(["1"]))
