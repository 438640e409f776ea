"""Listed files out of archives."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from tailorbird.errors import FetchFailed
from tailorbird.store.archives import read_out
from tailorbird.store.catalogue import Member

CONTENT = b"weights " * 100_000


def member(path: str = "pkg/model.bin", content: bytes = CONTENT) -> Member:
    return Member(path=path, name="out", size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def zipped(path: Path, names: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in names.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, names: dict[str, bytes | str]) -> Path:
    """A .tar.gz; a text as content makes a link to that name."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in names.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def into(tmp_path: Path) -> Path:
    (tmp_path / "into").mkdir()
    return tmp_path / "into"


@pytest.mark.parametrize("make", [zipped, tarred])
def test_only_the_listed_file_is_written_and_under_our_name(tmp_path: Path, into: Path, make: object) -> None:
    names = {"pkg/model.bin": CONTENT, "../escape": b"x", "/tmp/absolute": b"x", "setup.py": b"x"}
    read_out(make(tmp_path / "a", names), [member()], into)
    assert [path.name for path in into.iterdir()] == ["out"]
    assert (into / "out").read_bytes() == CONTENT
    assert not (tmp_path / "escape").exists()


@pytest.mark.parametrize("make", [zipped, tarred])
def test_a_wrong_digest_shows_what_was_wanted_and_got(tmp_path: Path, into: Path, make: object) -> None:
    other = CONTENT.replace(b"w", b"W")
    with pytest.raises(FetchFailed) as caught:
        read_out(make(tmp_path / "a", {"pkg/model.bin": other}), [member()], into)
    assert member().sha256 in caught.value.problem and hashlib.sha256(other).hexdigest() in caught.value.problem


@pytest.mark.parametrize("make", [zipped, tarred])
def test_a_file_that_grows_beyond_its_listed_size_is_not_read_on(tmp_path: Path, into: Path, make: object) -> None:
    bomb = make(tmp_path / "a", {"pkg/model.bin": b"\0" * 50_000_000})
    with pytest.raises(FetchFailed, match="got more than 8 bytes"):
        read_out(bomb, [member(content=b"weights ")], into)
    assert (into / "out").stat().st_size <= 1 << 18


@pytest.mark.parametrize("make", [zipped, tarred])
def test_a_file_that_is_missing_is_named(tmp_path: Path, into: Path, make: object) -> None:
    with pytest.raises(FetchFailed, match=r"pkg/model\.bin"):
        read_out(make(tmp_path / "a", {"other": b""}), [member()], into)


def test_a_link_in_an_archive_is_not_followed(tmp_path: Path, into: Path) -> None:
    archive = tarred(tmp_path / "a", {"secret": CONTENT, "pkg/model.bin": "../secret"})
    with pytest.raises(FetchFailed, match="no plain file"):
        read_out(archive, [member()], into)


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"PK\x03\x04 broken", b"\x1f\x8b broken"])
def test_what_is_no_archive_is_told(tmp_path: Path, into: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(FetchFailed, match="cannot read"):
        read_out(tmp_path / "a", [member()], into)
