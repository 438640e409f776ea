"""Tables as the user has them: CSV, TSV, JSON lines and Parquet, read whole and verbatim, and written back."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from tailorbird.data.encoding import decode
from tailorbird.errors import BadData, BadOutput
from tailorbird.store import files
from tailorbird.types import JSON

DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
_LINES = (".jsonl", ".ndjson")
SUFFIXES = frozenset({".csv", ".tsv", *_LINES, ".parquet"})
_SAMPLE_CHARACTERS = 1 << 16  # to tell the delimiter by
_BLOCK_BYTES = 1 << 26  # no row may be larger: pyarrow's own limit of 1 MB is less than a long text
_SHOWN = 5  # bad rows named in an error


@dataclass(frozen=True)
class Table:
    """A whole table. columns: name -> values, in the file's order; CSV values stay the strings that they are."""

    path: Path
    columns: Mapping[str, tuple[JSON, ...]]
    numbers: Sequence[int]  # of each row, as a spreadsheet (header: row 1) or an editor would number it
    told: str  # how the file was read

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self.columns)

    @property
    def ids(self) -> tuple[str, ...]:
        """Each row as its owner would name it: "reviews.csv:12"."""
        return tuple(f"{self.path.name}:{number}" for number in self.numbers)


def located(path: str | Path) -> Path:
    """The path, or the file that a `data:NAME` spelling stands for."""
    if not str(path):
        raise BadData("the path '' is empty", "name a file or folder")
    if not str(path).startswith("data:"):
        return Path(path)
    from tailorbird.data import samples  # it brings the catalogue along, which plain paths do not need

    return samples.open(str(path).removeprefix("data:"))


def table(path: str | Path) -> Table:
    """The whole table in a file, by its suffix. Raises BadData that names the rows at fault."""
    place = located(path)
    suffix = place.suffix.lower()
    if suffix not in SUFFIXES:
        raise BadData(
            f"{str(path)!r} is no table: its suffix is {suffix!r}", f"save it as {', '.join(sorted(SUFFIXES))}"
        )
    try:
        content = place.read_bytes()
    except OSError as error:
        raise BadData(f"{str(path)!r} cannot be read: {error.strerror}", f"look at it: ls -l {place}") from error
    found = _parquet(place, content) if suffix == ".parquet" else _text_table(place, content)
    if not found.numbers:
        raise BadData(f"{str(path)!r} has columns ({', '.join(found.names)}) and no rows", "name a table with rows")
    return found


def write_table(path: Path, columns: Mapping[str, Sequence[JSON]]) -> None:
    """Columns of equal length as a file, by its suffix; whole or not at all. Text is UTF-8. Raises BadOutput."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise BadOutput(f"cannot write a table to {str(path)!r}: its suffix is {suffix!r}", f"--out {path.stem}.csv")
    if suffix == ".parquet":
        content = _to_parquet(path, columns)
    elif suffix in _LINES:
        content = _to_lines(columns)
    else:
        content = _to_csv(columns, "\t" if suffix == ".tsv" else ",")
    files.write(path, content)


# ---- reading ------------------------------------------------------------------------------------------------------


def _text_table(path: Path, content: bytes) -> Table:
    try:
        text, encoding = decode(content)
    except ValueError as error:
        raise BadData(f"{str(path)!r} is no {path.suffix} file: {error}", f"see what it is: file {path}") from error
    if not text.strip():
        raise BadData(f"{str(path)!r} is empty", "name a table with rows")
    return _lines(path, text, encoding) if path.suffix.lower() in _LINES else _csv(path, text, encoding)


def _csv(path: Path, text: str, encoding: str) -> Table:
    delimiter = _delimiter(text, path.suffix.lower())
    header = next(csv.reader(io.StringIO(text.lstrip("\r\n"), newline=""), delimiter=delimiter))
    _check_names(path, header)
    columns = _cells(path, text.lstrip("\r\n"), delimiter, len(header))
    # Blank lines, and the rows of bare delimiters that spreadsheets leave at the end, are no rows; they are numbered.
    full = [i for i, row in enumerate(zip(*columns, strict=True)) if i and any(row)]
    return Table(
        path,
        {name: tuple(column[i] for i in full) for name, column in zip(header, columns, strict=True)},
        tuple(i + 1 for i in full),
        f"{path.name}: {len(full):,} rows of {len(header)} columns, {encoding}, with {DELIMITERS[delimiter]} between",
    )


def _delimiter(text: str, suffix: str) -> str:
    """The one that splits the header, and the most rows into as many cells; the suffix decides between equals."""
    own = "\t" if suffix == ".tsv" else ","
    sample = text[:_SAMPLE_CHARACTERS]
    agreed = {one: _agreement(sample, one, len(sample) < len(text)) for one in DELIMITERS}
    best = max(DELIMITERS, key=lambda one: (*agreed[one], one == own))
    return best if agreed[best][0] else own


def _agreement(sample: str, delimiter: str, cut: bool) -> tuple[float, int]:
    """The share of rows with as many cells as the header, and that number; zeros if the header is one cell."""
    rows = [row for row in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter) if row]
    rows = rows[:-1] if cut and len(rows) > 1 else rows
    n_cells = len(rows[0])
    return (sum(len(row) == n_cells for row in rows) / len(rows), n_cells) if n_cells > 1 else (0.0, 0)


def _cells(path: Path, text: str, delimiter: str, n_columns: int) -> list[list[str]]:
    """Every cell as text, column by column, the header's first."""
    ragged: list[arrow_csv.InvalidRow] = []

    def note(row: arrow_csv.InvalidRow) -> str:
        ragged.append(row)
        return "skip"

    names = [str(i) for i in range(n_columns)]
    try:
        cells = arrow_csv.read_csv(
            io.BytesIO(text.encode()),
            # A row's number is known to one thread only.
            arrow_csv.ReadOptions(use_threads=False, column_names=names, block_size=_BLOCK_BYTES),
            arrow_csv.ParseOptions(
                delimiter=delimiter,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=note,
            ),
            arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
    except (pa.ArrowInvalid, UnicodeEncodeError) as error:
        raise BadData(f"{str(path)!r} cannot be read as CSV: {error}", f"look at it: head {path}") from error
    if ragged:
        raise _ragged(path, text, delimiter, ragged)
    columns = [column.to_pylist() for column in cells.columns]
    _check_quotes(path, text, columns)
    return columns


def _ragged(path: Path, text: str, delimiter: str, rows: list[arrow_csv.InvalidRow]) -> BadData:
    shown = ", ".join(f"row {row.number} has {row.actual_columns}" for row in rows[:_SHOWN])
    more = f", and {len(rows) - _SHOWN:,} more" if len(rows) > _SHOWN else ""
    line = text.count("\n", 0, max(text.find(rows[0].text), 0)) + 1
    return BadData(
        f"{str(path)!r} has {rows[0].expected_columns} columns (row 1), but {shown}{more}",
        f"a value that holds {DELIMITERS[delimiter]} needs quotes around it; see: sed -n {line}p {path}",
    )


def _check_quotes(path: Path, text: str, columns: list[list[str]]) -> None:
    """A quote that nobody closes makes one cell of all that follows, and the parser says nothing about it."""
    last = [column[-1] for column in columns]
    if text.count('"') % 2 and any("\n" in cell or "\r" in cell for cell in last):
        number = len(columns[0])
        problem = f"{str(path)!r} has a quote in row {number} that is never closed"
        raise BadData(problem, f'close it, or double the quotes inside: ""; see: grep -n \'"\' {path} | tail')


def _lines(path: Path, text: str, encoding: str) -> Table:
    rows: dict[int, dict[str, JSON]] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            rows[number] = _object(path, number, line)
    names = dict.fromkeys(name for row in rows.values() for name in row)
    _check_names(path, list(names))
    columns = {name: tuple(row.get(name) for row in rows.values()) for name in names}
    return Table(path, columns, tuple(rows), f"{path.name}: {len(rows):,} JSON lines, {encoding}")


def _object(path: Path, number: int, line: str) -> dict[str, JSON]:
    hint = f"one JSON object on each line; see: sed -n {number}p {path}"
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadData(f"{str(path)!r}, line {number}, is no JSON: {error}", hint) from error
    if not isinstance(value, dict):
        raise BadData(f"{str(path)!r}, line {number}, is no JSON object but {line.strip()[:40]!r}", hint)
    return value


def _parquet(path: Path, content: bytes) -> Table:
    try:
        found = parquet.ParquetFile(io.BytesIO(content)).read()
    except (pa.ArrowException, OSError) as error:
        raise BadData(f"{str(path)!r} is no Parquet file: {error}", f"see what it is: file {path}") from error
    _check_names(path, found.column_names)
    columns = {name: tuple(found.column(name).to_pylist()) for name in found.column_names}
    return Table(path, columns, range(1, found.num_rows + 1), f"{path.name}: {found.num_rows:,} rows, Parquet")


def _check_names(path: Path, names: Sequence[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise BadData(
            f"{str(path)!r} has more than one column named {', '.join(map(repr, twice))}; columns: {', '.join(names)}",
            "rename one in the header",
        )
    if not names:
        raise BadData(f"{str(path)!r} has no columns", "name a table with columns")


# ---- writing ------------------------------------------------------------------------------------------------------


def _to_csv(columns: Mapping[str, Sequence[JSON]], delimiter: str) -> bytes:
    rows = list(zip(*columns.values(), strict=True))
    # The standard library does not quote a bare carriage return, and every reader takes it for the end of a row.
    odd = any("\r" in str(value) for row in (columns.keys(), *rows) for value in row)
    text = io.StringIO(newline="")
    writer = csv.writer(
        text, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL if odd else csv.QUOTE_MINIMAL
    )
    writer.writerow(columns)
    writer.writerows([_plain(value) for value in row] for row in rows)
    return text.getvalue().encode(errors="replace")


def _plain(value: Any) -> Any:  # what json.loads gives, and the dates of Parquet
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (dict, list, bool)) else value


def _to_lines(columns: Mapping[str, Sequence[JSON]]) -> bytes:
    rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    lines = (
        json.dumps({name: _finite(value) for name, value in row.items()}, ensure_ascii=False, default=str) + "\n"
        for row in rows
    )
    return "".join(lines).encode(errors="replace")


def _finite(value: Any) -> Any:  # JSON has no NaN
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _to_parquet(path: Path, columns: Mapping[str, Sequence[JSON]]) -> bytes:
    buffer = io.BytesIO()
    try:
        parquet.write_table(pa.table({name: list(column) for name, column in columns.items()}), buffer)
    except (pa.ArrowException, TypeError, UnicodeError) as error:
        problem = f"cannot write {str(path)!r}: a column mixes kinds of values: {error}"
        raise BadOutput(problem, f"--out {path.with_suffix('.jsonl')}") from error
    return buffer.getvalue()
