"""Made reports: one of labels with pictures, one of numbers with texts, one of tags that is measured out of fold."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from PIL import Image

from tailorbird.paper.page import html
from tailorbird.paper.stored import read_report
from tailorbird.types import JSON, Report

HERE = Path(__file__).parent
NAMES = ("labels", "numbers", "tags")


@pytest.fixture(params=NAMES)
def report(request: pytest.FixtureRequest) -> Report:
    """Each of the made reports."""
    return read_report(HERE / "reports" / f"{request.param}.json")


@pytest.fixture
def labels() -> Report:
    """The report of a classifier of ten labels."""
    return read_report(HERE / "reports" / "labels.json")


@pytest.fixture
def numbers() -> Report:
    """The report of a model that answers numbers."""
    return read_report(HERE / "reports" / "numbers.json")


@pytest.fixture
def render() -> Callable[..., str]:
    """`render(report)` gives the page; call, card, environment and thumbs may be given too."""

    def page(report: Report, **given: Mapping[str, JSON]) -> str:
        parts = {"call": {"data": "rows.csv", "out": "model", "seed": 0}, "card": {}, "environment": {}, "thumbs": {}}
        return html(report, **{**parts, **given})

    return page


@pytest.fixture
def jpeg() -> bytes:
    """A small picture."""
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(buffer, "JPEG")
    return buffer.getvalue()
