"""What a user can put right: one problem with the value received, one hint that can be typed."""

from __future__ import annotations

from typing import ClassVar


class TailorbirdError(Exception):
    """A mistake that the user can put right. The command line ends with exit code 2 and shows both lines."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.problem}\nhint: {self.hint}"

    def __reduce__(self) -> tuple[type[TailorbirdError], tuple[str, str]]:
        return type(self), (self.problem, self.hint)


class BadSpelling(TailorbirdError):
    """A plug-in, one of its fields or an option that does not exist or cannot take the value."""


def check_seed(seed: int) -> None:
    """Raise BadSpelling for a seed that no generator takes."""
    if seed < 0:
        raise BadSpelling(f"--seed is {seed}, and must be 0 or more", "--seed 0")


class BadData(TailorbirdError):
    """Data that cannot be read or cannot be learned from."""


class BadBody(TailorbirdError):
    """A pretrained body that is missing, damaged or does not fit."""


class BadArtifact(TailorbirdError):
    """A model folder that is damaged, too new, or no model folder at all."""


class BadOutput(TailorbirdError):
    """A place that cannot be written to, or no longer."""


class FetchFailed(TailorbirdError):
    """A package that could not be found, fetched or trusted."""


class MissingExtra(TailorbirdError):
    """An optional dependency that is not installed."""


class BadItem(Exception):
    """One item that cannot be read. The rows around it go on; the message says why in a few words."""

    kind: ClassVar[str] = "unreadable"  # the kind of the finding that counts it


class EmptyItem(BadItem):
    """One item with nothing in it."""

    kind = "empty"


class TooLargeItem(BadItem):
    """One item beyond a limit, refused before it was decoded."""

    kind = "too_large"
