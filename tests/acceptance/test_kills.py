"""Fits that are killed at any moment leave nothing half-written, and go on to the same bits."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("kills")]

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"
KILLS = 10


def test_ten_killed_fits_go_on_to_the_same_bits() -> None:
    command = [sys.executable, BENCHMARKS / "kills.py", "--kills", str(KILLS), "--workers", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert told["fits"] == told["same_bits"] == KILLS
    assert told["absent_or_whole"] == told["kills"] > KILLS
    assert told["went_on_from_a_checkpoint"] >= 1, "else nothing was resumed"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_answered_with_a_checkpoint_within_five_seconds(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: Any
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import kills

    kills.write_sentences(tmp_path / "rows.csv")
    kills.write_bert(tmp_path / "bert")
    options = ["rows.csv", "--target", "label", "--model", "folder:bert", "--method", "finetune:epochs=100"]
    command = [sys.executable, "-m", "tailorbird", "fit", *options, "--threads", "1", "--out", "model"]
    process = subprocess.Popen(
        [*command, "--checkpoint-every", "1.5s"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    _until(lambda: any((tmp_path / "model.part").glob("laps/*/step-*/manifest.json")))
    before = _newest(tmp_path)
    time.sleep(0.5)  # of many steps, and the next checkpoint is not due yet
    began = time.time()
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130 and "the same command with --resume goes on" in told, told
    assert _newest(tmp_path) > before and not (tmp_path / "model").exists()
    kept = next((tmp_path / "model.part").glob(f"laps/*/step-{_newest(tmp_path):09}/manifest.json"))
    assert kept.stat().st_mtime - began < 5, "the process itself may take longer to end on a busy machine"
    done = run_cli(
        "fit", *options[:-1], "finetune:epochs=99", "--threads", "1", "--out", "model", "--resume", check=False
    )
    assert done.returncode == 2 and "method was 'finetune:epochs=100' and is 'finetune:epochs=99'" in done.stderr


def test_other_rows_are_refused_and_what_differs_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: Any
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import kills

    rows = tmp_path / "rows.csv"
    kills.write_sentences(rows)
    kills.write_bert(tmp_path / "bert")
    options = ["rows.csv", "--target", "label", "--model", "folder:bert", "--method", "finetune:epochs=100"]
    options += ["--threads", "1", "--out", "model", "--checkpoint-every", "0.5s"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tailorbird", "fit", *options],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    _until(lambda: any((tmp_path / "model.part").glob("laps/*/step-*/manifest.json")))
    process.kill()
    process.communicate()
    content = rows.read_text()
    rows.write_text(content.replace(" 7,odd", " 7,even"))
    done = run_cli("fit", *options, "--resume", check=False)
    assert done.returncode == 2 and "target was" in done.stderr and "--force" in done.stderr
    assert _newest(tmp_path) > 0, "what was learned is still there"
    rows.write_text(content.replace(" 7,odd", " seven,odd"))
    done = run_cli("fit", *options, "--resume", check=False)
    assert done.returncode == 2 and "input was" in done.stderr


def _newest(folder: Path) -> int:
    return max(int(path.name.removeprefix("step-")) for path in folder.glob("model.part/laps/*/step-*"))


def _until(is_so: Any, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)
