"""A report comes back from report.json as it was, of this format and of those before."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tailorbird.errors import BadArtifact
from tailorbird.paper.stored import read_report, report_from
from tailorbird.types import Report

GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("*/report.json"))


def test_a_report_comes_back_as_it_was(report: Report) -> None:
    assert report_from(json.loads(json.dumps(asdict(report)))) == report
    assert report_from(json.loads(json.dumps(asdict(replace(report, story=None))))) == replace(report, story=None)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.parent.name)
def test_reports_of_every_format_can_be_read(path: Path) -> None:
    told = read_report(path)
    figure = told.test[told.verdict.metric]
    assert figure.low <= figure.value <= figure.high
    assert told.labels == ("neg", "pos") and len(told.confusion) == 2


def test_what_a_later_version_may_add_is_passed_over(report: Report) -> None:
    assert report_from({**asdict(report), "weather": "fine"}) == report


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"model": 3}', b"\xff"])
def test_what_is_no_report_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(content)
    with pytest.raises(BadArtifact, match=r"report\.json"):
        read_report(path)
