"""The folder of a fit that is not finished: whose it is, and what must stay the same."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tailorbird.engine import environment
from tailorbird.engine import journal as module
from tailorbird.engine.journal import Journal, journal, part_of
from tailorbird.errors import BadOutput
from tailorbird.progress import listening
from tailorbird.store.artifact import is_artifact, seal
from tailorbird.store.checkpoints import Checkpoint, newest, write_checkpoint
from tailorbird.store.files import write
from tailorbird.types import JSON

CALL: dict[str, JSON] = {"method": "finetune", "budget": None, "seed": 0}


def opened(out: Path, call: dict[str, JSON] = CALL, *, resume: bool = False, force: bool = False, threads: int = 2):  # type: ignore[no-untyped-def]
    return journal(out, call, resume=resume, force=force, every_s=60, threads=threads)


def left(out: Path, call: dict[str, JSON] = CALL, *, learned: bool = True) -> None:
    """A fit that was killed."""
    with opened(out, call) as notes:
        if learned:
            notes.lap("whole").keep(Checkpoint(3, {"loss": 1.0}, {"weights": {"w": np.ones(3)}}))
        (out.parent / "kept").mkdir()
        for path in part_of(out).iterdir():
            path.rename(out.parent / "kept" / path.name)
        part_of(out).rmdir()
    (out.parent / "kept").rename(part_of(out))


def model(out: Path) -> None:
    write(out / "report.json", b"{}")
    seal(out, {})


def test_what_a_killed_fit_learned_is_found_again(tmp_path: Path) -> None:
    out = tmp_path / "m"
    left(out)
    with opened(out, resume=True) as notes:
        found = notes.lap("whole").recall()
        assert found is not None and found.step == 3 and found.parts["weights"]["w"].tolist() == [1, 1, 1]
        assert notes.lap("trial").recall() is None, "another learning is another lap"
    assert not part_of(out).exists()


def test_it_is_not_thrown_away_by_chance(tmp_path: Path) -> None:
    out = tmp_path / "m"
    left(out)
    with pytest.raises(BadOutput, match="has what an interrupted fit has learned"), opened(out):
        pass
    with opened(out, resume=True) as notes:
        assert notes.lap("whole").recall() is not None
    left(out)
    with opened(out, force=True) as notes:
        assert notes.lap("whole").recall() is None


def test_a_fit_that_had_learned_nothing_is_begun_anew(tmp_path: Path) -> None:
    out = tmp_path / "m"
    left(out, learned=False)
    with opened(out):
        pass
    part_of(out).mkdir()  # killed before its first word was written
    (part_of(out) / "lock").touch()
    with opened(out, resume=True) as notes:
        assert notes.lap("whole").recall() is None


def test_an_error_leaves_nothing_but_what_was_learned(tmp_path: Path) -> None:
    out = tmp_path / "m"
    with pytest.raises(ZeroDivisionError), opened(out):
        raise ZeroDivisionError
    assert not part_of(out).exists()
    with pytest.raises(KeyboardInterrupt), opened(out) as notes:
        (notes.work / "body").mkdir()
        notes.lap("whole").keep(Checkpoint(3, {}, {}))
        raise KeyboardInterrupt
    assert newest(part_of(out) / "laps" / "whole") is not None and not notes.work.exists()


@pytest.mark.parametrize(
    ("made", "resume", "problem"),
    [
        (lambda out: None, True, "there is nothing to resume"),
        (lambda out: model(out), True, "is finished"),
        (lambda out: (left(out), model(out)), True, "is finished"),
        (lambda out: write(part_of(out) / "notes.txt", b"mine"), True, "is no unfinished fit"),
        (lambda out: write(part_of(out) / "notes.txt", b"mine"), False, "is no unfinished fit"),
        (lambda out: write(part_of(out), b"mine"), False, "is no unfinished fit"),
        (lambda out: write(part_of(out) / "notes" / "mine.txt", b"mine"), False, "is no unfinished fit"),
    ],
)
def test_other_folders_are_left_alone(
    made: Callable[[Path], object], resume: bool, problem: str, tmp_path: Path
) -> None:
    out = tmp_path / "m"
    made(out)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(BadOutput, match=problem), opened(out, resume=resume):
        pass
    assert problem == "is finished" or sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_model_that_was_to_be_replaced_is_no_finished_fit(tmp_path: Path) -> None:
    out = tmp_path / "m"
    model(out)
    left(out)
    with opened(out, resume=True) as notes:
        assert notes.replaces and notes.lap("whole").recall() is not None


def test_another_call_is_refused_and_named(tmp_path: Path) -> None:
    out = tmp_path / "m"
    left(out)
    other = CALL | {"method": "lora", "budget": "5m"}
    with pytest.raises(BadOutput, match="method was 'finetune' and is 'lora'"), opened(out, other, resume=True):
        pass
    with opened(out, CALL | {"budget": "20m"}, resume=True):
        pass


def test_another_machine_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, told = tmp_path / "m", []

    class Listener:
        def tell(self, message: str) -> None:
            told.append(message)

    left(out)
    monkeypatch.setattr(environment, "processor", lambda: "another processor")
    with listening(Listener()), opened(out, resume=True, threads=1):  # type: ignore[arg-type]
        pass
    assert "processor was" in told[0] and "threads was 2 and is 1" in told[0]


def test_what_was_learned_is_not_thrown_away_where_the_call_is_damaged(tmp_path: Path) -> None:
    out = tmp_path / "m"
    left(out)
    (part_of(out) / "run.json").write_text("{")
    with pytest.raises(BadOutput, match=r"run\.json' is damaged"), opened(out, resume=True):
        pass
    assert newest(part_of(out) / "laps" / "whole") is not None
    with opened(out, force=True):
        pass


def test_what_a_kill_left_while_the_model_was_sealed_goes(tmp_path: Path) -> None:
    out = tmp_path / "m"
    for name in (".m.0123abcd.part", ".m.v2.0123abcd.part", ".m.part"):
        write(tmp_path / name / "head.safetensors", b"half")
    with opened(out):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [".m.part", ".m.v2.0123abcd.part"]


def test_the_model_that_was_to_be_replaced_is_put_back(tmp_path: Path) -> None:
    """Where folders cannot be exchanged in one step, a kill may come when the old one lies beside."""
    out = tmp_path / "m"
    model(out)
    left(out)
    out.rename(tmp_path / ".m.0123abcd.part")
    write(tmp_path / ".m.4567abcd.part" / "head.safetensors", b"half")
    with opened(out, resume=True):
        assert is_artifact(out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m"]


def test_whether_something_was_learned_is_known_when_it_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "m"
    with opened(out) as notes:
        assert not notes.has_learned
    left(out)
    with opened(out, resume=True) as notes:
        assert notes.has_learned


def test_a_newer_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "m"
    monkeypatch.setattr(module, "FORMAT", 9)
    left(out)
    monkeypatch.undo()
    with pytest.raises(BadOutput, match="has format 9, and this version writes 1"), opened(out, resume=True):
        pass


def test_what_is_noted_is_compared_the_next_time(tmp_path: Path) -> None:
    notes = Journal(tmp_path, 60)
    assert notes.differences("data", {"rows": 3, "input": "a" * 64}) == []
    again = Journal(tmp_path, 60)
    assert again.differences("data", {"rows": 4, "input": "a" * 64}) == ["rows was 3 and is 4"]
    first = notes.array("features", np.arange(3))
    assert again.array("features", np.arange(9)).tolist() == first.tolist() == [0, 1, 2]


def test_time_is_counted_over_all_sittings(tmp_path: Path) -> None:
    notes = Journal(tmp_path, 60)
    notes.note("spent", {"seconds": 100.0})
    assert 100 <= Journal(tmp_path, 60).spent_s < 110


WAIT = """
import sys, pathlib
from tailorbird.engine.journal import journal
with journal(pathlib.Path(sys.argv[1]), {}, resume=False, force=False, every_s=60, threads=1):
    print("mine", flush=True)
    sys.stdin.read()
"""


def test_of_two_processes_one_wins_and_a_dead_ones_place_is_taken(tmp_path: Path) -> None:
    out = tmp_path / "m"
    other = subprocess.Popen([sys.executable, "-c", WAIT, out], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout is not None and other.stdout.readline() == b"mine\n"
    for resume in (False, True):
        with pytest.raises(BadOutput, match="another process is making"), opened(out, resume=resume):
            pass
    assert part_of(out).is_dir(), "what the other one works in is left alone"
    other.kill()
    other.communicate()
    with opened(out):
        pass
    assert not part_of(out).exists()


def test_an_early_model_outlives_an_interruption_and_no_more(tmp_path: Path, told: list[str]) -> None:
    out = tmp_path / "m"
    with pytest.raises(KeyboardInterrupt), opened(out) as notes:
        model(notes.early)
        write(notes.early / "answers.csv", b"a user's own")
        (notes.folder / ".early.0123abcd.part").mkdir()  # killed while it was replaced
        raise KeyboardInterrupt
    early = part_of(out) / "early"
    assert (early / "answers.csv").is_file() and any(str(early) in line for line in told)
    assert (part_of(out) / "notes" / "spent.json").is_file()
    with opened(out, resume=True) as notes:
        assert notes.has_early and not notes.has_learned and notes.spent_s > 0
        assert not list(notes.folder.glob(".early.*"))
    assert not part_of(out).exists()


def test_a_new_fit_takes_no_early_model_of_another(tmp_path: Path) -> None:
    out = tmp_path / "m"
    with pytest.raises(KeyboardInterrupt), opened(out) as notes:
        model(notes.early)
        raise KeyboardInterrupt
    with opened(out) as notes:
        assert not notes.has_early


def test_the_last_two_checkpoints_stay(tmp_path: Path) -> None:
    for step in range(5):
        write_checkpoint(tmp_path, Checkpoint(step, {}, {"w": {"x": np.full(2, step)}}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000000003", "step-000000004"]
    (tmp_path / "step-000000004" / "manifest.json").write_text("{")
    found = newest(tmp_path)
    assert found is not None and found.step == 3
