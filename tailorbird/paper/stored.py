"""A report as it was sealed: report.json back as the value that it was."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from tailorbird.errors import BadArtifact
from tailorbird.types import JSON, Report


def read_report(path: Path) -> Report:
    """The report in a file report.json. Raises BadArtifact."""
    try:
        return report_from(json.loads(path.read_bytes()))
    except (OSError, ValueError) as error:
        problem = f"{str(path)!r} is no report: {str(error).splitlines()[0]}"
        raise BadArtifact(problem, "make the model again with tailorbird fit") from error


def report_from(told: JSON) -> Report:
    """The report that was written as this JSON; what older formats lack is empty. Raises ValueError."""
    return _adapter().validate_python(told)


@cache
def _adapter() -> TypeAdapter[Report]:
    return TypeAdapter(Report)
