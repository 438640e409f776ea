from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from tailorbird.data import samples
from tailorbird.data.read import join, read, read_like
from tailorbird.data.tables import write_table
from tailorbird.errors import BadData
from tailorbird.types import Dataset

LONG = [f"a rather long sentence about film number {i}" for i in range(20)]
LABELS = ["pos", "neg"] * 10


def tabled(path: Path, **columns: object) -> Path:
    write_table(path, columns)  # type: ignore[arg-type]
    return path


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    return tabled(
        tmp_path / "reviews.csv", text=LONG, stars=["1", "5"] * 10, mood=LABELS, id=[f"n-{i}" for i in range(20)]
    )


def pictures(folder: Path, *names: str) -> None:
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4), i, np.uint8)).save(folder / name)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_kind_of_table_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    found = read(tabled(tmp_path / f"a{suffix}", text=LONG, label=LABELS))
    assert found.rows.inputs == {"text": tuple(LONG)}
    assert found.rows.targets == tuple(LABELS)
    assert (found.modality, found.input, found.target) == ("text", "text", "label")
    assert any("'label' is the target" in line for line in found.told)


def test_several_possible_targets_are_listed(reviews: Path) -> None:
    with pytest.raises(BadData, match="2 columns that could be the target: stars, mood") as caught:
        read(reviews)
    assert caught.value.hint == "name one: --target mood"
    assert read(reviews, target="stars").input == "text"


@pytest.mark.parametrize(
    ("option", "name", "near"), [("target", "moood", "mood"), ("input", "txt", "text"), ("group", "idd", "id")]
)
def test_an_unknown_column_names_the_nearest_and_lists_all(reviews: Path, option: str, name: str, near: str) -> None:
    with pytest.raises(BadData) as caught:
        read(reviews, **{"target": "mood", option: name})
    assert caught.value.problem == f"'{reviews}' has no column '{name}'"
    assert caught.value.hint == f"did you mean --{option} {near}? columns: text, stars, mood, id"


def test_no_possible_target_is_refused(tmp_path: Path) -> None:
    path = tabled(tmp_path / "a.csv", text=LONG, id=[f"i{i}" for i in range(20)], key=[f"k{i}" for i in range(20)])
    with pytest.raises(BadData, match="no column that could be the target: no values repeat in id, key") as caught:
        read(path)
    assert caught.value.hint == "name one: --target NAME; columns: text, id, key"


def test_two_columns_of_texts_are_listed(tmp_path: Path) -> None:
    path = tabled(tmp_path / "a.csv", title=LONG, body=LONG, label=LABELS)
    with pytest.raises(BadData, match="2 columns that could be read: title, body") as caught:
        read(path)
    assert caught.value.hint == "name one: --input title"
    assert read(path, input="body").input == "body"
    clear = tabled(tmp_path / "b.csv", title=LONG, body=[text * 3 for text in LONG], label=LABELS)
    found = read(clear)
    assert found.input == "body"
    assert "'body' is read as text" in found.told


def test_ids_are_no_texts_however_long(tmp_path: Path) -> None:
    path = tabled(tmp_path / "a.csv", id=["x" * 200 + str(i) for i in range(20)], text=LONG, label=LABELS)
    assert read(path).input == "text"


def test_a_table_of_labels_alone_has_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="no column left to read"):
        read(tabled(tmp_path / "a.csv", label=LABELS), target="label")


@pytest.mark.parametrize("cells", [[""] * 20, [" ", ""] * 10])
def test_a_target_without_values_is_refused(tmp_path: Path, cells: list[str]) -> None:
    path = tabled(tmp_path / "a.csv", text=LONG, label=cells)
    with pytest.raises(BadData, match=r"column 'label' of .* is empty in all 20 rows") as caught:
        read(path, target="label")
    assert str(path) in caught.value.problem
    assert caught.value.hint


@pytest.mark.parametrize("cells", [["pos"] * 20, [str(i * 1.5) for i in range(20)], [f"n{i}" for i in range(20)]])
def test_what_can_be_learned_is_for_the_task_to_say(tmp_path: Path, cells: list[str]) -> None:
    assert read(tabled(tmp_path / "a.csv", text=LONG, label=cells), target="label").rows.targets == tuple(cells)


def test_a_target_that_is_also_the_input_is_refused_before_anything_is_opened() -> None:
    with pytest.raises(BadData, match="'text' is named as the target and as the input") as caught:
        read("no-such.csv", target="text", input="text")
    assert caught.value.hint == "name another column: --input NAME, or --target NAME"
    with pytest.raises(BadData, match="'text' is named as the target and as the input"):
        read("no-such.csv", target="text", expected=("text", "mood"))


def test_a_target_that_is_also_the_group_is_refused_before_anything_is_opened() -> None:
    with pytest.raises(BadData, match="'mood' is the target and the group") as caught:
        read("no-such.csv", target="mood", group="mood")
    assert caught.value.hint == "name another column: --group NAME, or leave it out"
    with pytest.raises(BadData, match="'mood' is the target and the group"):
        read("no-such.csv", group="mood", expected=("text", "mood"))


def test_a_missing_target_is_nothing_and_not_a_label(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"text": LONG, "label": pa.array([1.0, 2.0, float("nan"), None] * 5)}), path)
    assert set(read(path, target="label").rows.targets or ()) == {"1.0", "2.0", None}


def test_json_values_become_labels_as_json_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"text": text, "label": i % 2 == 0}) + "\n" for i, text in enumerate(LONG)))
    assert set(read(path).rows.targets or ()) == {"true", "false"}


def test_groups_are_read(reviews: Path) -> None:
    found = read(reviews, target="mood", group="stars")
    assert found.rows.groups == ("1", "5") * 10
    assert found.input == "text"


def test_a_column_of_pictures_is_read_relative_to_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(tmp_path, "in/a.png", "b.JPG")
    (tmp_path / "elsewhere").mkdir()
    outside = tmp_path.parent / "outside.png"
    files = ["in/a.png", "b.JPG", "in\\a.png", str(tmp_path / "b.JPG"), "none.png", "../outside.png", str(outside), ""]
    path = tabled(tmp_path / "a.csv", file=files, note=LONG[:8], label=LABELS[:8])
    monkeypatch.chdir(tmp_path / "elsewhere")
    for place in (path, Path("../a.csv")):
        found = read(place)
        assert (found.modality, found.input) == ("image", "file")
        values = found.rows.inputs["file"]
        good = [value for value in values if isinstance(value, Path)]
        assert [value.relative_to(tmp_path).as_posix() for value in good] == [
            "in/a.png",
            "b.JPG",
            "in/a.png",
            "b.JPG",
            "none.png",
        ]
        assert values[5:] == ("../outside.png", str(outside), ""), "what leads out stays the text that it was"


def test_a_table_that_lost_its_pictures_says_so(tmp_path: Path) -> None:
    path = tabled(tmp_path / "a.csv", file=["a.png", "b.png"] * 2, label=LABELS[:4])
    with pytest.raises(
        BadData, match=r"column 'file' .* names files, and none is there; the first: 'a\.png'"
    ) as caught:
        read(path, target="label")
    assert caught.value.hint.endswith(f"ls {tmp_path}")


def test_values_that_are_no_texts_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"image": [b"png"] * 4, "label": LABELS[:4]}), path)
    with pytest.raises(BadData, match=r"column 'image' .* holds bytes values"):
        read(path, target="label")


def test_rows_to_answer_need_no_target(tmp_path: Path) -> None:
    found = read(tabled(tmp_path / "a.csv", text=LONG), needs_target=False)
    assert (found.target, found.rows.targets, len(found.rows)) == (None, None, 20)
    more = tabled(tmp_path / "b.csv", text=["hi there", ""], note=["x", "y"])
    found = read(more, input="text", target="label", needs_target=False)
    assert found.rows.inputs["text"] == ("hi there", ""), "a bad row stays a row, to be answered with its error"


def test_rows_to_measure_take_the_columns_of_the_model(reviews: Path, tmp_path: Path) -> None:
    found = read(reviews, expected=("text", "mood"))
    assert (found.input, found.target) == ("text", "mood")
    assert read(reviews, target="stars", expected=("text", "mood")).target == "stars"
    one = tabled(tmp_path / "one.csv", text=LONG, mood=["pos"] * 20)
    assert set(read(one, expected=("text", "mood")).rows.targets or ()) == {"pos"}
    with pytest.raises(BadData, match="is empty in all 20 rows"):
        read(tabled(tmp_path / "none.csv", text=LONG, mood=[""] * 20), expected=("text", "mood"))


def test_sample_data_stand_where_a_path_can(reviews: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(samples, "open", lambda name: asked.append(name) or reviews)
    found = read("data:film-reviews", target="mood")
    assert asked == ["film-reviews"]
    assert (found.origin, found.rows.ids[0]) == ("data:film-reviews", "reviews.csv:2")


def test_sample_data_that_are_not_pulled_name_the_command() -> None:
    with pytest.raises(BadData) as caught:
        read("data:film-reviews")
    assert caught.value.hint == "tailorbird pull data:film-reviews"


def test_a_test_set_is_joined_with_its_part(reviews: Path, tmp_path: Path) -> None:
    first = read(reviews, target="mood", group="id")
    second = read_like(first, tabled(tmp_path / "b.csv", mood=["pos"], text=["new words"], stars=["1"]), "id")
    third = read_like(first, tabled(tmp_path / "c.csv", text=["others"], mood=["neg"], id=["n-1"]), "id")
    joined = join(first, second, third)
    assert joined.rows.parts == (None,) * 20 + ("test", "validation")
    assert joined.rows.targets[-2:] == ("pos", "neg")
    assert joined.rows.inputs["text"][-2:] == ("new words", "others")
    assert joined.rows.groups[-2:] == (None, "n-1")
    assert joined.rows.ids[-2:] == ("b.csv:2", "c.csv:2")
    assert join(first) is first


def test_a_test_set_of_another_kind_is_refused(reviews: Path, tmp_path: Path) -> None:
    pictures(tmp_path / "pets", "cat/1.png", "dog/1.png")
    with pytest.raises(BadData, match=r"holds images, and .* holds texts") as caught:
        read_like(read(reviews, target="mood"), tmp_path / "pets")
    assert caught.value.hint == "name a path with texts"


def folder_with(tmp_path: Path, *parts: str) -> Dataset:
    pictures(tmp_path, *(f"{part}/{label}/1.png" for part in parts for label in ("a", "b")))
    return read(tmp_path)


def test_a_second_test_set_is_refused(tmp_path: Path) -> None:
    first = folder_with(tmp_path, "train", "test")
    with pytest.raises(BadData, match=r"has a test part, and --test .* is a second") as caught:
        join(first, test=first)
    assert caught.value.hint == "leave out --test"
    assert "validation" in (join(first, validation=first).rows.parts or ())
