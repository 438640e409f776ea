"""Measuring a model on a machine that has less than the one that made it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tailorbird as tb
from tailorbird.engine import choose
from tailorbird.errors import MissingExtra
from tailorbird.kinds import Source
from tailorbird.plug import load, parse
from tailorbird.store import graphs


def test_a_tuned_model_is_measured_where_nothing_can_run_the_body_that_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [f"a {('good', 'bad')[i % 2]} film number {i},{('pos', 'neg')[i % 2]}\n" for i in range(40)]
    (tmp_path / "rows.csv").write_text("".join(["text,label\n", *words]))
    named = {"target": "label", "model": "toy:text", "method": "finetune:epochs=1", "runtime": "onnx"}
    tb.fit(tmp_path / "rows.csv", out=tmp_path / "model", **named)
    p = tb.load(tmp_path / "model")
    graphs.drop(parse("source", "toy:text", Source).open(), p.modality)

    def installed(kind: str, name: str) -> Any:
        if (kind, name) == ("runtime", "torch"):
            raise MissingExtra("runtime 'torch' needs the package 'torch'", "pip install 'tailorbird[train]'")
        return load(kind, name)

    monkeypatch.setattr(choose, "load", installed)
    measured = tb.evaluate(p, tmp_path / "rows.csv")
    assert measured.rows == 40 and set(measured.baselines) == {"majority", "tfidf"}
