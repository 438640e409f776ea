from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tailorbird.data.folders import suffixes
from tailorbird.data.read import read
from tailorbird.errors import BadData
from tailorbird.store.artifact import seal


def put(root: Path, *names: str) -> Path:
    """Files of these names; pictures are pictures, and texts say their name."""
    for i, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in (".png", ".jpg"):
            Image.fromarray(np.full((4, 4), i, np.uint8)).save(path)
        else:
            path.write_text(f"the text of {name}")
    return root


def test_class_folders_are_rows_with_labels(tmp_path: Path) -> None:
    found = read(put(tmp_path, "cats/2.png", "cats/1.JPG", "cats/more/3.png", "dogs/1.png"))
    assert found.rows.ids == ("cats/1.JPG", "cats/2.png", "cats/more/3.png", "dogs/1.png")
    assert found.rows.targets == ("cats", "cats", "cats", "dogs")
    assert found.rows.inputs["image"][0] == tmp_path / "cats/1.JPG"
    assert (found.modality, found.input, found.target, found.rows.parts) == ("image", "image", "label", None)
    assert found.origin == str(tmp_path)


def test_class_folders_of_texts_are_read(tmp_path: Path) -> None:
    put(tmp_path, "pos/a.txt", "neg/b.txt")
    (tmp_path / "neg/c.txt").write_bytes("schön".encode("utf-16"))
    found = read(tmp_path)
    assert found.modality == "text"
    assert found.rows.inputs["text"] == ("the text of neg/b.txt", "schön", "the text of pos/a.txt")


def test_a_text_that_cannot_be_opened_stays_a_row_to_be_counted(tmp_path: Path) -> None:
    put(tmp_path, "pos/a.txt", "neg/b.txt")
    (tmp_path / "neg/c.txt").write_bytes(bytes(range(200)))
    assert read(tmp_path).rows.inputs["text"][1] == tmp_path / "neg/c.txt"


@pytest.mark.parametrize("validation", ["validation", "val", "Val"])
def test_parts_above_the_class_folders_are_kept(tmp_path: Path, validation: str) -> None:
    put(tmp_path, "train/a/1.png", "train/b/1.png", f"{validation}/a/1.png", "test/b/1.png")
    rows = read(tmp_path).rows
    assert dict(zip(rows.ids, rows.parts or (), strict=True)) == {
        "train/a/1.png": "train",
        "train/b/1.png": "train",
        f"{validation}/a/1.png": "validation",
        "test/b/1.png": "test",
    }
    assert set(rows.targets or ()) == {"a", "b"}


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    rows = read(put(tmp_path, "train/1.png", "test/1.png", "plane/1.png")).rows
    assert rows.targets == ("plane", "test", "train")
    assert rows.parts is None


def test_a_stray_folder_beside_the_parts_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/1.png", "extra/a/1.png")
    with pytest.raises(BadData, match="beside it 'extra'") as caught:
        read(tmp_path)
    assert caught.value.hint.startswith(f"move it away: mv {tmp_path / 'extra'}")


def test_hidden_files_are_passed_over_and_others_are_counted(tmp_path: Path) -> None:
    put(
        tmp_path,
        "a/1.png",
        "b/1.png",
        "a/Thumbs.db",
        "a/.DS_Store",
        ".git/x/1.png",
        "b/.hidden/2.png",
        "__MACOSX/a/1.png",
    )
    assert read(tmp_path).findings == ()
    put(tmp_path, "a/film.mov", "b/notes.md", "README.md")
    found = read(tmp_path)
    (finding,) = found.findings
    assert (finding.kind, finding.rows) == ("other_file", 3)
    assert finding.examples == ("README.md", "a/film.mov", "b/notes.md")
    assert len(found.rows) == 2


def beside(root: Path) -> Path:
    """A model, and what a fit has written that is not over, as --out inside of the data leaves them."""
    put(root, "model/golden/00.png", "model/thumbs/00.jpg", "model/report.html", "model/notes of mine.txt")
    seal(root / "model", {"tailorbird": "0.1.0"})
    put(root, "model.part/run.json", "model.part/lock", "model.part/work/body-1/vocab.txt")
    return root


def test_models_are_no_labels_wherever_they_lie(tmp_path: Path) -> None:
    beside(put(tmp_path, "cats/1.png", "dogs/1.png"))
    beside(tmp_path / "cats")
    found = read(tmp_path)
    assert found.rows.ids == read(tmp_path, needs_target=False).rows.ids == ("cats/1.png", "dogs/1.png")
    assert found.findings == ()
    assert found.told[1:] == ("'model' is passed over: it is a model",)


def test_models_may_lie_beside_the_parts(tmp_path: Path) -> None:
    beside(put(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/1.png"))
    assert read(tmp_path).rows.parts == ("test", "train", "train")


def test_a_manifest_or_a_part_of_the_users_own_hides_no_folder(tmp_path: Path) -> None:
    put(tmp_path, "cats/1.png", "dogs.part/1.png", "manifests/1.png", "listed/1.png")
    (tmp_path / "listed/manifest.json").write_text('{"files": {}, "name": "mine"}')
    (tmp_path / "manifests/manifest.json").write_text("[]")
    assert read(tmp_path).rows.targets == ("cats", "dogs.part", "listed", "manifests")


def test_an_empty_class_folder_is_told(tmp_path: Path) -> None:
    put(tmp_path, "a/1.png", "b/1.png", "c/notes.md")
    assert "'c' is passed over: it holds no items" in read(tmp_path).told


def test_pictures_and_texts_do_not_mix(tmp_path: Path) -> None:
    put(tmp_path, "a/1.png", "a/2.png", "b/1.txt")
    with pytest.raises(BadData, match="mixes kinds of files: 2 of image and 1 of text") as caught:
        read(tmp_path)
    assert str(tmp_path / "b/1.txt") in caught.value.hint


def test_a_folder_with_one_class_is_read_for_the_task_to_judge(tmp_path: Path) -> None:
    put(tmp_path, "cat/1.png", "cat/2.png")
    assert read(tmp_path).rows.targets == ("cat", "cat")
    assert len(read(tmp_path, expected=("image", "label")).rows) == 2, "one label is enough to measure on"


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="is an empty folder") as caught:
        read(tmp_path)
    assert "FOLDER/LABEL" in caught.value.hint


def test_a_folder_of_nothing_known_says_what_is_known(tmp_path: Path) -> None:
    put(tmp_path, "a/1.mov", "b/1.mov")
    with pytest.raises(BadData, match="holds no pictures and no texts, but such as 'a'") as caught:
        read(tmp_path)
    assert ".jpg" in caught.value.hint


def test_a_folder_with_a_table_names_the_table(tmp_path: Path) -> None:
    put(tmp_path, "reviews.csv")
    with pytest.raises(BadData) as caught:
        read(tmp_path)
    assert caught.value.hint == f"name the table itself: {tmp_path / 'reviews.csv'}"


def test_items_without_a_class_folder_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "a/1.png", "b/1.png", "3.png")
    with pytest.raises(BadData, match=r"1 files in no class folder; the first: '3\.png'") as caught:
        read(tmp_path)
    assert caught.value.hint.endswith("/LABEL/3.png")


def test_to_answer_any_folder_or_file_will_do(tmp_path: Path) -> None:
    put(tmp_path, "1.png", "deep/er/2.png", "deep/x.mov")
    found = read(tmp_path, needs_target=False)
    assert found.rows.ids == ("1.png", "deep/er/2.png")
    assert (found.rows.targets, found.target) == (None, None)
    assert found.findings[0].rows == 1
    one = read(tmp_path / "1.png", needs_target=False)
    assert (one.rows.ids, one.modality) == ((str(tmp_path / "1.png"),), "image")
    text = put(tmp_path, "a.txt") / "a.txt"
    assert read(text, needs_target=False).rows.inputs["text"] == ("the text of a.txt",)


def test_a_single_file_has_no_labels_to_learn_from(tmp_path: Path) -> None:
    path = put(tmp_path, "1.png") / "1.png"
    with pytest.raises(BadData, match="is no table and no folder, so it has no labels") as caught:
        read(path)
    assert "class folders" in caught.value.hint
    with pytest.raises(BadData, match=r"of no known kind: its suffix is '\.mov'"):
        read(put(tmp_path, "a.mov") / "a.mov", needs_target=False)


def test_a_missing_path_names_what_is_near(tmp_path: Path) -> None:
    put(tmp_path, "reviews.csv")
    with pytest.raises(BadData, match=r"there is no file or folder '.*reviws\.csv'") as caught:
        read(tmp_path / "reviws.csv")
    assert caught.value.hint == f"did you mean {tmp_path / 'reviews.csv'}?"
    with pytest.raises(BadData) as caught:
        read(tmp_path / "none" / "x")
    assert caught.value.hint == f"look there: ls {tmp_path / 'none'}"


@pytest.mark.parametrize("option", ["target", "input", "group"])
def test_class_folders_have_no_columns(tmp_path: Path, option: str) -> None:
    put(tmp_path, "a/1.png", "b/1.png")
    with pytest.raises(BadData, match=f"--{option} 'breed' names no column") as caught:
        read(tmp_path, **{option: "breed"})
    assert caught.value.hint == f"leave out --{option}"
    assert read(tmp_path, target="label", input="image")


def test_each_modality_says_which_files_it_reads() -> None:
    assert suffixes()[".txt"] == "text"
    assert suffixes()[".jpeg"] == "image"
