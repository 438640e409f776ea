"""Which task a data set asks for: the one that the user names, or the one that its targets look like."""

from __future__ import annotations

from tailorbird.kinds import Task
from tailorbird.plug import load, names, parse
from tailorbird.progress import tell
from tailorbird.types import Dataset

_USUAL = "classify"  # of tasks that suit alike


def task_of(spelling: str | None, dataset: Dataset) -> Task:
    """The task that is spelled, or the one that suits the targets best, which is then told."""
    if spelling is not None:
        return parse("task", spelling, Task)
    targets = [target for target in dataset.rows.targets or () if target is not None]
    suits = {name: _plug(name).suits(targets) for name in names("task")}
    best = max(suits, key=lambda name: (suits[name], name == _USUAL))
    others = ", ".join(name for name in suits if name != best)
    tell(f"{dataset.target!r} looks like a target to {best}" + (f"; --task says otherwise: {others}" if others else ""))
    return _plug(best)()


def _plug(name: str) -> type[Task]:
    plug = load("task", name)
    assert issubclass(plug, Task), f"tasks/{name}.py holds no Task"
    return plug
