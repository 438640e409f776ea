"""How else a picture might have been taken, and what must not change with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from tailorbird.errors import BadItem
from tailorbird.kinds import Modality, Reader, Source
from tailorbird.modalities._vary import another_box
from tailorbird.plug import parse


def reader(spelling: str = "image:size=32") -> Reader:
    kind = spelling.partition(":")[0]
    return parse("modality", spelling, Modality).reader(parse("source", f"toy:{kind}", Source).open())


def views(
    value: object, n: int = 20, *, flip: bool = False, spelling: str = "image:size=32"
) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    return [one for _ in range(n) for one in reader(spelling).vary([value], rng, flip=flip)]  # type: ignore[list-item]


def ramp(width: int = 100, height: int = 80) -> NDArray[np.uint8]:
    """From dark on the left to light on the right, in colours."""
    across = np.broadcast_to(np.linspace(60, 180, width), (height, width))
    return np.stack([across, across * 0.8, across * 0.5], -1).astype(np.uint8)


def test_each_view_is_another_one_of_the_same_form() -> None:
    seen = views(ramp())
    assert {(view.shape, view.dtype.name) for view in seen} == {((32, 32, 3), "uint8")}
    assert len({view.tobytes() for view in seen}) == 20


def test_the_same_generator_gives_the_same_view() -> None:
    assert np.array_equal(views(ramp()), views(ramp()))


def test_a_picture_is_mirrored_only_where_that_is_allowed() -> None:
    rising = [view[:, -1].mean() > view[:, 0].mean() for view in views(ramp(), 40)]
    mirrored = [view[:, -1].mean() > view[:, 0].mean() for view in views(ramp(), 40, flip=True)]
    assert all(rising) and 10 < sum(mirrored) < 30


def test_what_is_grey_stays_grey() -> None:
    grey = ramp()[..., 0]
    for value in (grey, np.repeat(grey[..., None], 3, -1)):
        assert all(np.ptp(view.astype(int), axis=-1).max() == 0 for view in views(value))


def test_light_changes_by_a_fifth_and_not_by_more() -> None:
    flat = np.full((64, 64, 3), 100, np.uint8)
    levels = [view.mean() for view in views(flat, 60)]
    assert 79 <= min(levels) < 90 and 110 < max(levels) <= 121


def test_all_of_a_picture_is_seen_in_time_and_never_little_of_it() -> None:
    rng = np.random.default_rng(0)
    boxes = np.array([another_box(300, 200, rng) for _ in range(500)])
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert boxes.min() >= 0 and boxes[:, 2].max() <= 300 and boxes[:, 3].max() <= 200
    assert boxes[:, 0].min() < 5 and boxes[:, 2].max() > 295
    assert (width * height).min() > 0.6 * 200**2 and (width * height).max() <= 200**2 * 1.01
    assert 0.74 < (width / height).min() < 0.8 and 1.25 < (width / height).max() < 1.34


def test_of_a_small_picture_less_is_cut_away() -> None:
    rng = np.random.default_rng(0)
    boxes = np.array([another_box(28, 28, rng) for _ in range(500)])
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    assert areas.min() > 0.8 * 28**2


def test_a_photo_that_lies_on_its_side_is_turned_before_it_is_mirrored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter: left becomes above
    Image.fromarray(ramp(400, 300)).save(tmp_path / "side.jpg", exif=exif)
    for view in views(tmp_path / "side.jpg", flip=True):
        assert view[-1].mean() > view[0].mean() + 20
        assert abs(view[:, 0].mean() - view[:, -1].mean()) < 5


def test_a_large_jpeg_is_not_decoded_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(ramp(1600, 1200)).save(tmp_path / "large.jpg")
    asked: list[tuple[int, int]] = []
    plain = JpegImageFile.draft
    monkeypatch.setattr(JpegImageFile, "draft", lambda self, mode, size: asked.append(size) or plain(self, mode, size))
    (view,) = views(tmp_path / "large.jpg", 1)
    assert asked and asked[0][0] < 400
    assert view[:, -1].mean() > view[:, 0].mean() + 40


def test_a_value_that_cannot_be_read_is_an_error_beside_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    broken, good = reader().vary([tmp_path / "broken.png", ramp()], np.random.default_rng(0), flip=False)
    assert isinstance(broken, BadItem) and isinstance(good, np.ndarray)


def test_texts_are_read_as_they_are() -> None:
    given = reader("text:max_tokens=16")
    seen = given.vary(["a warm film", "dull"], np.random.default_rng(0), flip=True)
    assert not given.varies and reader().varies
    assert [one.tolist() for one in seen] == [one.tolist() for one in given.load(["a warm film", "dull"])]
