"""What every modality in modalities/ keeps to."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest
from pydantic import ValidationError

from tailorbird.errors import BadBody, BadItem
from tailorbird.kinds import Modality, Source
from tailorbird.plug import load, names, parse
from tailorbird.types import Facts

every_modality = pytest.mark.parametrize("name", names("modality"))


def made(name: str) -> Modality:
    return parse("modality", name, Modality)


@every_modality
def test_the_full_spelling_gives_the_same_plug_in_again(name: str) -> None:
    assert parse("modality", made(name).spelling(full=True), Modality) == made(name)
    assert made(name).spelling() == name


@every_modality
def test_fields_cannot_be_changed_or_invented(name: str) -> None:
    plug = made(name)
    with pytest.raises(ValidationError):
        setattr(plug, next(iter(type(plug).model_fields)), 1)
    with pytest.raises(ValidationError):
        load("modality", name)(invented=1)


@every_modality
def test_suffixes_are_lower_case_and_of_one_modality_only(name: str) -> None:
    others = [suffix for other in names("modality") if other != name for suffix in made(other).suffixes]
    assert made(name).suffixes
    for suffix in made(name).suffixes:
        assert suffix.startswith(".") and suffix == suffix.lower() and suffix not in others


@every_modality
def test_a_value_that_was_saved_and_opened_is_the_same(name: str, tmp_path: Path) -> None:
    plug = made(name)
    content, suffix = plug.save(plug.example(), 1_000_000)
    (tmp_path / f"one{suffix}").write_bytes(content)
    again = plug.open(tmp_path / f"one{suffix}")
    assert suffix in plug.suffixes
    assert plug.facts(again).twin == plug.facts(plug.example()).twin


@every_modality
def test_digests_and_twins_have_32_bytes_and_do_not_change(name: str) -> None:
    plug = made(name)
    facts = plug.facts(plug.example())
    assert isinstance(facts, Facts)
    assert len(plug.digest(plug.example())) == len(facts.twin) == 32
    assert plug.digest(plug.example()) == plug.digest(plug.example())
    assert plug.facts(plug.example()).twin == facts.twin


@every_modality
def test_an_empty_file_is_a_bad_item_with_a_reason(name: str, tmp_path: Path) -> None:
    plug = made(name)
    path = tmp_path / f"empty{min(plug.suffixes)}"
    path.write_bytes(b"")
    with pytest.raises(BadItem, match=r"\w"):
        plug.facts(plug.open(path))
    with pytest.raises(BadItem, match=r"\w"):
        plug.open(tmp_path / f"missing{min(plug.suffixes)}")


@every_modality
def test_a_reader_makes_batches_and_keeps_bad_items_apart(name: str, tmp_path: Path) -> None:
    body = parse("source", f"toy:{name}", Source).open()
    plug = parse("modality", body.modality, Modality)
    reader = plug.reader(body)
    good, bad = plug.example(), tmp_path / f"missing{min(plug.suffixes)}"
    first, second, third = reader.load([good, bad, good])
    assert isinstance(second, BadItem)
    assert not isinstance(first, BadItem) and not isinstance(third, BadItem)
    assert 0 < reader.cost(first) <= reader.budget
    arrays = reader.stack([first, third])
    assert {len(array) for array in arrays.values()} == {2}


@every_modality
def test_a_body_that_reads_something_else_is_refused(name: str) -> None:
    for other in names("modality"):
        if other != name:
            with pytest.raises(BadBody) as caught:
                made(name).reader(parse("source", f"toy:{other}", Source).open())
            assert "--model" in caught.value.hint


@every_modality
def test_a_modality_says_which_version_of_its_library_reads(name: str) -> None:
    library, reading = {"image": ("pillow", 2), "text": ("tokenizers", 1)}[name]
    assert made(name).version() == f"{version(library)}, reading {reading}"
