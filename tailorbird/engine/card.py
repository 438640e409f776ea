"""The card of a model: what it is, what it was measured to do, and what it should not be used for. Markdown."""

from __future__ import annotations

from collections.abc import Mapping

from tailorbird.types import BodyFolder, Figure, Metrics, Report

_TITLES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "log_loss": "log-loss",
    "ece": "calibration error",
}


def card(report: Report, body: BodyFolder) -> str:
    """The text of card.md."""
    rows = report.rows
    measured = "pooled out-of-fold" if report.notes["out_of_fold"] else "test rows that it never saw"
    parts = [
        "# A model made by Tailorbird",
        report.verdict.sentence,
        f"- **task** {report.task}, {len(report.labels)} labels: {_some(report.labels)}",
        f"- **body** `{report.body}`, {_licence(body)}\n- **method** `{report.method}` on `{report.modality}`",
        f"- **rows** {rows['train']:,} to learn from, {rows['validation']:,} to choose on, {rows['test']:,} tested on",
        f"## Figures\n\nMeasured on {measured}; in brackets the 95 % interval.",
        _figures(report.test, report.baselines),
        "## Data\n\n" + (_findings(report) or "Nothing was left out."),
        "## The body\n\n" + _body_facts(body.card),
    ]
    return "\n\n".join(parts) + "\n"


def show_figure(figure: Figure) -> str:
    """A figure with its interval: "0.795 (0.777 to 0.812)"."""
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def metric_title(name: str) -> str:
    """A metric's name in words."""
    return _TITLES.get(name, name)


def _figures(test: Metrics, baselines: Mapping[str, Metrics]) -> str:
    columns = {"this model": test, **baselines}
    head = "| | " + " | ".join(columns) + " |\n|---|" + "---|" * len(columns)
    lines = [
        f"| {metric_title(name)} | " + " | ".join(show_figure(metrics[name]) for metrics in columns.values()) + " |"
        for name in test
    ]
    return "\n".join([head, *lines])


def _some(labels: tuple[str, ...]) -> str:
    shown = ", ".join(f"`{label}`" for label in labels[:20])
    return shown if len(labels) <= 20 else f"{shown} and {len(labels) - 20} more"


def _licence(body: BodyFolder) -> str:
    return f"licence {body.card.get('licence', 'not stated')}"


def _findings(report: Report) -> str:
    return "\n".join(f"- {finding.kind}: {finding.rows:,} rows, {finding.action}" for finding in report.findings)


def _body_facts(facts: Mapping[str, object]) -> str:
    return "\n".join(f"- **{name.replace('_', ' ')}** {value}" for name, value in sorted(facts.items())) or "No card."
