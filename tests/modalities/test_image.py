from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tailorbird.errors import BadBody, BadItem, EmptyItem, TooLargeItem
from tailorbird.modalities import image as module
from tailorbird.modalities.image import Picture
from tailorbird.types import BodyFolder

RED, WHITE = (255, 0, 0), (255, 255, 255)


def colours(height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """Smooth, so that lossy formats keep it, and different in each corner."""
    down, across = np.mgrid[0:height, 0:width]
    parts = (across * 255 // width, down * 255 // height, (across + down) * 255 // (width + height))
    return np.stack(parts, -1).astype(np.uint8)


def saved(path: Path, picture: Image.Image | NDArray[np.uint8], **settings: object) -> Path:
    (Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture).save(path, **settings)
    return path


def close(one: NDArray[np.uint8], other: NDArray[np.uint8], most: float) -> bool:
    return float(np.abs(one.astype(int) - other.astype(int)).mean()) <= most


@pytest.mark.parametrize("suffix", sorted(Picture.suffixes))
def test_every_format_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(colours()).save(path, format="JPEG" if suffix == ".jfif" else None)
    square = Picture(size=32).square(path)
    assert square.shape == (32, 32, 3)
    assert square.dtype == np.uint8
    assert close(square, Picture(size=32).square(colours()), 6 if suffix == ".gif" else 3)
    assert Picture().facts(path).sketch is not None


@pytest.mark.parametrize("suffix", [".ppm", ".ico", ".tga"])
def test_formats_that_are_not_named_stay_closed(tmp_path: Path, suffix: str) -> None:
    hidden = saved(tmp_path / f"a{suffix}", colours()).rename(tmp_path / "a.png")
    with pytest.raises(BadItem, match="none of JPEG, PNG"):
        Picture().square(hidden)


def test_the_centre_is_cut_and_scaled_in_one_step() -> None:
    picture = colours(100, 200)
    expected = Image.fromarray(picture).resize((64, 64), Image.Resampling.BICUBIC, box=(56.25, 6.25, 143.75, 93.75))
    assert np.array_equal(Picture(size=64).square(picture), np.asarray(expected))
    whole = Image.fromarray(picture).resize((64, 64), Image.Resampling.BILINEAR, box=(50, 0, 150, 100))
    assert np.array_equal(Picture(size=64, crop=1, resample="bilinear").square(picture), np.asarray(whole))


def test_small_pictures_are_scaled_up() -> None:
    assert Picture(size=64).square(np.zeros((1, 1), np.uint8)).shape == (64, 64, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(tmp_path: Path, orientation: int, suffix: str) -> None:
    upright = colours(64, 48)
    turns = {
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = Image.fromarray(np.ascontiguousarray(turns.get(orientation, upright)))
    path = saved(tmp_path / f"a{suffix}", lying, exif=exif)
    assert close(Picture(size=32).square(path), Picture(size=32).square(upright), 3)
    if suffix != ".jpg":
        assert Picture().facts(path).twin == Picture().facts(upright).twin


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_what_is_transparent_shows_white(tmp_path: Path, suffix: str) -> None:
    pixels = np.zeros((40, 40, 4), np.uint8)
    path = saved(tmp_path / f"a{suffix}", pixels, **({"lossless": True, "exact": True} if suffix == ".webp" else {}))
    assert (Picture(size=32).square(path) == 255).all()
    pixels[...] = (255, 0, 0, 128)
    path = saved(tmp_path / f"b{suffix}", pixels, **({"lossless": True} if suffix == ".webp" else {}))
    assert close(Picture(size=32).square(path), np.full((32, 32, 3), (255, 127, 127), np.uint8), 1)


def test_palettes_with_and_without_transparency_are_colours(tmp_path: Path) -> None:
    picture = Image.new("P", (40, 40), 1)
    picture.putpalette([0, 0, 255, *RED])
    assert (Picture(size=32).square(saved(tmp_path / "a.png", picture)) == RED).all()
    assert (Picture(size=32).square(saved(tmp_path / "b.png", picture, transparency=1)) == WHITE).all()
    assert (Picture(size=32).square(saved(tmp_path / "c.gif", picture, transparency=1)) == WHITE).all()
    assert (Picture(size=32).square(saved(tmp_path / "d.png", picture, transparency=b"\xff\x00")) == WHITE).all()


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path: Path) -> None:
    grey = colours()[..., 0]
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    for name in ("a.png", "a.tif"):
        path = saved(tmp_path / name, deep)
        assert np.array_equal(Picture(size=32).square(path), Picture(size=32).square(grey))
        assert Picture().facts(path).twin == Picture().facts(grey).twin


def test_a_bright_deep_grey_is_bright(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(np.full((40, 40), 40_000, np.uint16)))
    assert (Picture(size=32).square(path) == 156).all()


def test_floats_and_deep_integers_are_seen(tmp_path: Path) -> None:
    grey = colours()[..., 0]
    expected = Picture(size=32).square(grey)
    for name, deep in (
        ("unit", grey / 255),
        ("far", grey * 1000.0 - 7),
        ("holes", np.where(grey == 0, np.nan, grey / 255)),
    ):
        path = saved(tmp_path / f"{name}.tif", Image.fromarray(deep.astype(np.float32)))
        assert close(Picture(size=32).square(path), expected, 2), name
    path = saved(tmp_path / "ints.tif", Image.fromarray(grey.astype(np.int32) * 70000))
    assert close(Picture(size=32).square(path), expected, 2)


def test_cmyk_one_bit_and_grey_are_colours(tmp_path: Path) -> None:
    cmyk = Image.fromarray(colours()).convert("CMYK")
    assert close(
        Picture(size=32).square(saved(tmp_path / "a.jpg", cmyk, quality=95)), Picture(size=32).square(colours()), 4
    )
    bits = Image.new("1", (40, 40), 1)
    assert (Picture(size=32).square(saved(tmp_path / "b.tif", bits)) == 255).all()
    grey = Image.new("LA", (40, 40), (0, 0))
    assert (Picture(size=32).square(saved(tmp_path / "c.png", grey)) == 255).all()


def test_the_first_frame_of_a_moving_picture_counts(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (40, 40), RED), Image.new("RGB", (40, 40), "blue")]
    for name in ("a.gif", "a.webp", "a.png", "a.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        assert close(Picture(size=32).square(tmp_path / name), np.full((32, 32, 3), RED, np.uint8), 2), name


def png_of(width: int, height: int) -> bytes:
    """A file that says it is this large, in a hundred bytes."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [10_001, 14_000, 19_000, 30_000])
def test_a_giant_is_refused_before_it_is_decoded(tmp_path: Path, side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(png_of(side, side))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("it was decoded"))
    for look in (Picture().square, Picture().facts):
        with pytest.raises(TooLargeItem, match="pixels"):
            look(tmp_path / "a.png")


def test_the_limit_is_the_users(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", colours(48, 64))
    with pytest.raises(TooLargeItem, match="64 x 48 pixels, and the limit is 3,000"):
        Picture(max_pixels=3000).facts(path)
    assert Picture(max_pixels=3072).facts(path)


def test_damaged_files_say_why_in_a_few_words(tmp_path: Path) -> None:
    whole = saved(tmp_path / "whole.jpg", colours(400, 400), quality=95).read_bytes()
    png = saved(tmp_path / "whole.png", colours(400, 400)).read_bytes()
    files = {
        "text.png": (b"this is no picture", "none of JPEG, PNG"),
        "short.jpg": (whole[: len(whole) // 2], "truncated"),
        "short.png": (png[: len(png) // 2], "truncated"),
        "torn.png": (png[:60] + b"\0" * 40 + png[100:], "damaged"),
    }
    for name, (content, reason) in files.items():
        (tmp_path / name).write_bytes(content)
        for look in (Picture().square, Picture().facts):
            with pytest.raises(BadItem, match=reason) as caught:
                look(tmp_path / name)
            assert len(str(caught.value)) < 120
            assert str(tmp_path) not in str(caught.value)
            assert caught.value.kind == "unreadable"


def test_an_empty_file_is_an_empty_item(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(EmptyItem, match="empty"):
        Picture().facts(tmp_path / "a.png")
    with pytest.raises(EmptyItem):
        Picture().facts(np.zeros((0, 3), np.uint8))


def test_a_missing_file_and_a_path_that_leads_out_are_item_errors(tmp_path: Path) -> None:
    for look in (Picture().facts, Picture().digest, Picture().square):
        with pytest.raises(BadItem, match=r"(?i)no such file"):
            look(tmp_path / "none.png")
        with pytest.raises(BadItem, match=r"'\.\./a\.png' leads out"):
            look("../a.png")


def test_twins_are_found_across_formats_and_not_by_file(tmp_path: Path) -> None:
    png, bmp = saved(tmp_path / "a.png", colours()), saved(tmp_path / "a.bmp", colours())
    picture = Picture()
    assert picture.facts(png).twin == picture.facts(bmp).twin == picture.facts(colours()).twin
    assert picture.digest(png) != picture.digest(bmp)
    assert picture.facts(colours(10, 20)).twin != picture.facts(colours(20, 10)).twin
    black = np.zeros((10, 20), np.uint8)
    assert picture.facts(black).twin != picture.facts(black.reshape(20, 10)).twin
    assert picture.digest(black) != picture.digest(black.reshape(20, 10))


def test_a_sketch_tells_colours_and_edges_apart() -> None:
    def sketch(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        found = Picture().facts(pixels).sketch
        assert found is not None
        return found

    stripes = np.tile(np.repeat([0, 255], 4).astype(np.uint8), (64, 8))
    across, down = sketch(stripes), sketch(np.ascontiguousarray(stripes.T))
    assert across.dtype == np.float32
    assert across.shape == down.shape == (192,)
    assert np.abs(across - down).max() > 0.2
    assert np.isclose((across[:64] ** 2).sum(), 1)
    assert np.isclose((across[64:] ** 2).sum(), 1)
    assert np.isfinite(sketch(np.zeros((8, 8), np.uint8))).all()
    red = np.full((8, 8, 3), RED, np.uint8)
    assert np.abs(sketch(red) - sketch(red[..., ::-1])).max() == 1


def test_a_large_jpeg_is_decoded_small_and_looks_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.jpg", colours(901, 1203), quality=95)
    fast = Picture(size=96).square(path)
    decoded: list[tuple[int, int]] = []
    resize = Image.Image.resize
    monkeypatch.setattr(Image.Image, "resize", lambda self, *a, **k: decoded.append(self.size) or resize(self, *a, **k))
    assert np.array_equal(Picture(size=96).square(path), fast)
    assert decoded == [(301, 226)]
    monkeypatch.setattr(module, "DRAFT_GAP", 1e9)
    monkeypatch.setattr(module, "REDUCING_GAP", None)
    slow = Picture(size=96).square(path)
    assert decoded[-1] == (1203, 901)
    assert close(fast, slow, 1)


def test_a_reader_gives_bytes_and_keeps_bad_items_apart(tmp_path: Path) -> None:
    reader = Picture(size=32).reader(BodyFolder("toy:image", tmp_path, "toy", "image:size=224", "0"))
    (tmp_path / "bad.png").write_bytes(b"no")
    first, bad, last = reader.load([colours(), tmp_path / "bad.png", colours()[..., 0]])
    assert isinstance(bad, BadItem)
    batch = reader.stack([first, last])
    assert batch["pixels"].shape == (2, 32, 32, 3)
    assert batch["pixels"].dtype == np.uint8
    assert reader.budget // reader.cost(first) >= 8


def test_a_body_for_texts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadBody, match="reads 'text'") as caught:
        Picture().reader(BodyFolder("toy:text", tmp_path, "toy", "text", "0"))
    assert "--model wheel:" in caught.value.hint


def test_a_saved_picture_means_the_same(tmp_path: Path) -> None:
    for pixels in (colours(), colours()[..., 0]):
        content, suffix = Picture().save(pixels, 100_000)
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), pixels)
        assert suffix == ".png"
    path = saved(tmp_path / "A.JPG", Image.fromarray(colours()), quality=95)
    content, suffix = Picture().save(path, 100_000)
    assert close(np.asarray(Image.open(io.BytesIO(content))), colours(), 2)
    assert suffix == ".jpg"
    assert Picture().open(path) == path
    with pytest.raises(BadItem, match="no such file"):
        Picture().open(tmp_path / "none.jpg")


def test_the_example_is_a_picture() -> None:
    assert Picture().square(Picture().example()).shape == (224, 224, 3)


def test_a_picture_that_is_too_large_to_keep_is_kept_smaller(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (600, 800, 3), dtype=np.uint8)
    path = saved(tmp_path / "large.png", Image.fromarray(noise))
    content, suffix = Picture().save(path, 60_000)
    assert len(content) <= 60_000 and suffix == ".jpg"
    (tmp_path / "small.jpg").write_bytes(content)
    with Image.open(tmp_path / "small.jpg") as small:
        assert 0.7 < small.height / small.width < 0.8


def with_secrets(path: Path, picture: Image.Image, **settings: object) -> Path:
    """A file that tells where and by whom it was made, lying on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x013B] = "SECRET artist"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0), 29: "SECRET date"})
    picture.save(path, exif=exif, icc_profile=b"SECRET profile", comment=b"SECRET", xmp=b"SECRET", **settings)
    assert b"SECRET" in path.read_bytes()
    with Image.open(path) as again:
        assert path.suffix == ".tif" or again.getexif().get_ifd(0x8825)[1] == "N"
    return path


def info(name: str) -> dict[str, object]:
    texts = PngInfo()
    texts.add_text("Author", "SECRET")
    return {"pnginfo": texts} if name.endswith(".png") else {"lossless": True} if name.endswith(".webp") else {}


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
@pytest.mark.parametrize("limit_bytes", [100_000, 6_000])
def test_a_saved_picture_tells_nothing_of_its_maker_and_stands_upright(
    tmp_path: Path, name: str, limit_bytes: int
) -> None:
    path = with_secrets(tmp_path / name, Image.fromarray(colours(360, 480)), **info(name))
    content, suffix = Picture().save(path, limit_bytes)
    assert b"SECRET" not in content
    assert suffix == (".jpg" if name == "a.jpg" or limit_bytes == 6_000 else ".png")
    (tmp_path / f"saved{suffix}").write_bytes(content)
    with Image.open(tmp_path / f"saved{suffix}") as again:
        assert not again.getexif() and again.info.keys() <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert again.height > again.width  # it was 480 wide and 360 high, lying on its side
        upright = np.asarray(again.resize((360, 480)))
    assert close(upright, np.rot90(colours(360, 480), -1), 3)
    if suffix == ".png":
        assert Picture().facts(tmp_path / "saved.png").twin == Picture().facts(path).twin


def test_a_jpeg_of_several_pictures_is_saved_as_its_first(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(colours()).save(path, "MPO", save_all=True, append_images=[Image.new("RGB", (64, 48))])
    content, suffix = Picture().save(path, 100_000)
    assert suffix == ".jpg"
    assert close(np.asarray(Image.open(io.BytesIO(content))), colours(), 3)
