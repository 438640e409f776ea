from __future__ import annotations

import datetime
import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from tailorbird.data.encoding import decode
from tailorbird.data.tables import table, write_table
from tailorbird.errors import BadData, BadOutput

ROWS = [("schön, warm; and | nice", "pos"), ('he said "no"\tand left', "neg"), ("two\nlines", "NA"), (" 007 ", "null")]
ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8 with a byte-order mark",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16 without a byte-order mark",
    "utf-16-be": "UTF-16 without a byte-order mark",
    "utf-32": "UTF-32",
    "latin-1": "Latin-1",
    "cp1252": "Windows-1252",
}
DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}


def csv_of(delimiter: str, end: str = "\n") -> str:
    def quoted(value: str) -> str:
        return '"' + value.replace('"', '""') + '"'

    rows = [("text", "label"), *ROWS]
    return "".join(delimiter.join(map(quoted, row)) + end for row in rows)


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("delimiter", DELIMITERS)
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_delimiter_and_encoding_are_inferred_and_told(
    tmp_path: Path, encoding: str, delimiter: str, suffix: str
) -> None:
    text = csv_of(delimiter).replace("nice", "nice “quoted”") if encoding == "cp1252" else csv_of(delimiter)
    found = table(written(tmp_path / f"a{suffix}", text.encode(encoding)))
    assert found.names == ("text", "label")
    assert found.columns["text"][1:] == tuple(row[0] for row in ROWS[1:])
    assert found.columns["text"][0].startswith("schön")
    assert ENCODINGS[encoding] in found.told
    assert DELIMITERS[delimiter] in found.told


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_values_stay_as_the_user_wrote_them(tmp_path: Path, end: str) -> None:
    found = table(written(tmp_path / "a.csv", csv_of(",", end)))
    assert list(zip(*found.columns.values(), strict=True)) == ROWS
    assert found.ids == ("a.csv:2", "a.csv:3", "a.csv:4", "a.csv:5")


def test_blank_rows_are_no_rows_and_are_numbered(tmp_path: Path) -> None:
    found = table(written(tmp_path / "a.csv", "a,b\n1,2\n\n3,4\n,\n5,\n\n"))
    assert found.columns == {"a": ("1", "3", "5"), "b": ("2", "4", "")}
    assert list(found.numbers) == [2, 4, 6]


def test_one_column_needs_no_delimiter(tmp_path: Path) -> None:
    assert table(written(tmp_path / "a.csv", "text\nhello there\nbye\n")).columns == {"text": ("hello there", "bye")}


def test_a_row_longer_than_the_parsers_block_is_read(tmp_path: Path) -> None:
    found = table(written(tmp_path / "a.csv", "a,b\n" + "x" * 3_000_000 + ",1\n"))
    assert len(found.columns["a"][0]) == 3_000_000


def test_ragged_rows_are_named_with_their_numbers(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", 'a,b,c\n1,2,3\n"x\ny",2\n1,2,3\n1,2,3,4,5\n' + "1\n" * 7)
    with pytest.raises(BadData) as caught:
        table(path)
    assert caught.value.problem == (
        f"'{path}' has 3 columns (row 1), but row 3 has 2, row 5 has 5, "
        "row 6 has 1, row 7 has 1, row 8 has 1, and 4 more"
    )
    assert "needs quotes around it" in caught.value.hint
    assert f"sed -n 3p {path}" in caught.value.hint


def test_a_quote_that_is_never_closed_swallows_no_rows(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", 'a,b\n1,2\n3,"open\n4,5\n6,7\n')
    with pytest.raises(BadData, match="a quote in row 3 that is never closed") as caught:
        table(path)
    assert "close it" in caught.value.hint
    fine = table(written(tmp_path / "b.csv", 'a,b\n1,5" pipe\n2,6\n'))
    assert fine.columns["b"] == ('5" pipe', "6")


@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n" + bytes(range(256)), b"PK\x03\x04" + bytes(100), bytes([1, 2, 3, 250]) * 50]
)
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_a_binary_file_is_no_table(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = written(tmp_path / f"a{suffix}", content)
    with pytest.raises(BadData) as caught:
        table(path)
    assert str(path) in caught.value.problem
    assert caught.value.hint == f"see what it is: file {path}"


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.csv", "", "is empty"),
        ("a.csv", " \n\n", "is empty"),
        ("a.jsonl", "\n", "is empty"),
        ("a.csv", "text,label\n", r"has columns \(text, label\) and no rows"),
        ("a.csv", "a,b,a\n1,2,3\n", "more than one column named 'a'; columns: a, b, a"),
        ("a.jsonl", '{"a": 1}\n{"a": \n', "line 2, is no JSON"),
        ("a.jsonl", '{"a": 1}\n\n[1, 2]\n', r"line 3, is no JSON object but '\[1, 2\]'"),
        ("a.jsonl", "[" * 100_000, "line 1, is no JSON"),
        ("a.jsonl", "{}\n", "has no columns"),
        ("a.xlsx", "x", "is no table: its suffix is '.xlsx'"),
    ],
)
def test_a_table_that_cannot_be_read_says_why(tmp_path: Path, name: str, text: str, problem: str) -> None:
    path = written(tmp_path / name, text)
    with pytest.raises(BadData, match=problem) as caught:
        table(path)
    assert str(path) in caught.value.problem
    assert caught.value.hint


def test_json_lines_keep_their_kinds_of_values(tmp_path: Path) -> None:
    lines = '{"text": "a", "n": 1.50}\r\n \n{"more": [1], "text": "b"}\n'
    found = table(written(tmp_path / "a.jsonl", lines))
    assert found.columns == {"text": ("a", "b"), "n": (1.5, None), "more": (None, [1])}
    assert found.ids == ("a.jsonl:1", "a.jsonl:3")


def test_parquet_is_read_and_its_folder_is_no_column(tmp_path: Path) -> None:
    folder = tmp_path / "year=2020"
    folder.mkdir()
    parquet.write_table(pa.table({"text": ["a", None], "n": [1, 2]}), folder / "a.parquet")
    found = table(folder / "a.parquet")
    assert found.columns == {"text": ("a", None), "n": (1, 2)}
    assert found.ids == ("a.parquet:1", "a.parquet:2")


def test_parquet_with_a_name_twice_or_no_rows_is_refused(tmp_path: Path) -> None:
    parquet.write_table(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), tmp_path / "a.parquet")
    with pytest.raises(BadData, match="more than one column named 'a'"):
        table(tmp_path / "a.parquet")
    parquet.write_table(pa.table({"a": pa.array([], pa.string())}), tmp_path / "b.parquet")
    with pytest.raises(BadData, match="and no rows"):
        table(tmp_path / "b.parquet")


words = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"], include_characters="\n\r\t"), min_size=1
).filter(str.strip)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(words, words), min_size=1, max_size=5))
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_a_written_table_is_read_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, rows: list[tuple[str, str]]
) -> None:
    columns = {"text": [row[0] for row in rows], "a label": [row[1] for row in rows]}
    path = tmp_path_factory.mktemp("tables") / f"out{suffix}"
    write_table(path, columns)
    if decode(path.read_bytes() if suffix != ".parquet" else b"")[1].startswith("UTF-8"):
        assert {name: list(column) for name, column in table(path).columns.items()} == columns


def test_numbers_dates_and_nothing_are_written(tmp_path: Path) -> None:
    day = datetime.date(2026, 1, 2)
    columns = {"text": ["a", None], "score": [0.5, None], "more": [{"k": [1]}, True], "day": [day, day]}
    write_table(tmp_path / "a.csv", columns)
    assert (tmp_path / "a.csv").read_text() == (
        'text,score,more,day\na,0.5,"{""k"": [1]}",2026-01-02\n,,true,2026-01-02\n'
    )
    write_table(tmp_path / "a.jsonl", columns)
    assert [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()] == [
        {"text": "a", "score": 0.5, "more": {"k": [1]}, "day": "2026-01-02"},
        {"text": None, "score": None, "more": True, "day": "2026-01-02"},
    ]
    with pytest.raises(BadOutput, match="mixes kinds of values") as caught:
        write_table(tmp_path / "a.parquet", columns)
    assert caught.value.hint == f"--out {tmp_path / 'a.jsonl'}"
    with pytest.raises(BadOutput, match=r"suffix is '\.doc'"):
        write_table(tmp_path / "a.doc", columns)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.jsonl"]
