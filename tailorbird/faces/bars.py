"""Progress on a terminal: a bar with the time left for every stage that lasts over two seconds. All on stderr."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

PATIENCE_S = 2.0


# Set when the process was asked to end. The exception that says so may be lost in a library's bare `except:`, as
# happens while large ones are imported, so every stage looks here again.
asked_to_stop = threading.Event()


def _heed() -> None:
    if asked_to_stop.is_set():
        raise KeyboardInterrupt


class Bars:
    """A progress listener for people. Where stderr is no terminal it shows no bars, and tells its lines plainly."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stages: list[_Stage] = []

    def start(self, name: str, total: int) -> Callable[[int], None]:
        """A stage begins; its bar appears once it has lasted a while. Raises KeyboardInterrupt if that was asked."""
        _heed()
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
    """A stage and the bar that appears when it lasts, even if it never says how far it is."""

    def __init__(self, console: Console, name: str, total: int) -> None:
        self._console, self._name, self._total = console, name, total
        self._done, self._closed = 0, False
        self._bar: Progress | None = None
        self._lock = threading.Lock()  # the timer may fire while the stage advances or ends
        self._timer = threading.Timer(PATIENCE_S, self._show)
        self._timer.daemon = True
        if console.is_terminal:
            self._timer.start()

    def advance(self, n: int) -> None:
        _heed()
        with self._lock:
            self._done += n
            if self._bar is not None:
                self._bar.update(self._bar.task_ids[0], completed=self._done)

    def close(self) -> None:
        self._timer.cancel()
        with self._lock:
            self._closed = True
            if self._bar is not None:
                self._bar.stop()

    def _show(self) -> None:
        with self._lock:
            if not self._closed:
                self._bar = _bar(self._console)
                self._bar.add_task(self._name, total=self._total, completed=self._done)
                self._bar.start()


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(), console=console, transient=True,
    )  # fmt: skip
