"""Progress on a terminal: a bar with the time left for every stage that lasts over two seconds. All on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

PATIENCE_S = 2.0


class Bars:
    """A progress listener for people. Where stderr is no terminal it shows no bars, and tells its lines plainly."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stages: list[_Stage] = []

    def start(self, name: str, total: int) -> Callable[[int], None]:
        """A stage begins; its bar appears once it has lasted a while."""
        one = _Stage(self._console, name, total)
        self._stages.append(one)
        return one.advance

    def stop(self) -> None:
        """The last stage has ended; its bar goes."""
        self._stages.pop().close()

    def tell(self, message: str) -> None:
        """One line above the bars."""
        self._console.print(f"· {message}", style="dim", markup=False, highlight=False, soft_wrap=True)


class _Stage:
    def __init__(self, console: Console, name: str, total: int) -> None:
        self._console, self._name, self._total = console, name, total
        self._done, self._start = 0, time.monotonic()
        self._bar: Progress | None = None

    def advance(self, n: int) -> None:
        self._done += n
        if self._bar is None and self._console.is_terminal and time.monotonic() - self._start > PATIENCE_S:
            self._bar = _bar(self._console)
            self._bar.add_task(self._name, total=self._total)
            self._bar.start()
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._done)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"),
        TimeRemainingColumn(), console=console, transient=True,
    )  # fmt: skip
