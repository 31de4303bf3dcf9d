"""CSV files: header, delimiter and encoding are looked at here; the rows stay in the file until SQL reads them."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import pandas as pd

from riskmodels.errors import InputError, Problem, name_rows, raise_if_stopping
from riskmodels.survey.readers import names
from riskmodels.survey.readers.signatures import damaged
from riskmodels.survey.source import SQL_SETTINGS, ColumnInfo, SourceTable, scan_csv

DELIMITERS = (",", ";", "\t")
BLOCK_BYTES = 2**20
SAMPLE_BYTES = 2**18
SAMPLE_LINES = 20
#: Up to this size every row's number of fields is checked before anything else; in larger files as they are collapsed.
CHECKED_WHOLE_BYTES = 256 * 2**20
#: Encodings that SQL reads from the file itself; any other is read into memory.
READ_IN_PLACE = frozenset(("utf-8", "utf-8-sig", "ascii"))


def _first_invalid_byte(path: Path) -> int | None:
    """Place of the first byte that is not UTF-8 (or is a NUL, which no text holds); None where there is none."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    done = 0
    with path.open("rb") as stream:
        while True:
            block = stream.read(BLOCK_BYTES)
            if b"\x00" in block:
                return done + block.index(b"\x00")
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                return done + error.start
            if not block:
                return None
            done += len(block)


def _proposal(path: Path) -> str:
    """Encodings worth trying, the likeliest first; none is ever used unasked."""
    with path.open("rb") as stream:
        sample = stream.read(SAMPLE_BYTES)
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or sample.count(b"\x00") > len(sample) / 4:
        return '"utf-16"'
    western = sample.decode("latin-1")
    if names.WESTERN_RUN.search(western):
        return '"windows-1251" (Cyrillic) or "windows-1256" (Arabic)'
    return '"windows-1252" (western), "windows-1251" (Cyrillic) or "windows-1256" (Arabic)'


def _check_utf8(path: Path) -> list[Problem]:
    """E170: the file is not UTF-8."""
    place = _first_invalid_byte(path)
    if place is None:
        return []
    remedy = f"save it as CSV UTF-8, or read it with encoding={_proposal(path)}, and look at the labels"
    return [Problem("E170", f"the text is not UTF-8 from byte {place + 1:,} on", path.name, 1, remedy)]


def _sample(path: Path, encoding: str) -> str:
    """First lines of the file, whole; InputError (E170) where they do not fit the encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as stream:
        block = stream.read(SAMPLE_BYTES)
    try:
        text = decoder.decode(block).removeprefix("\ufeff")
    except UnicodeError:
        raise InputError([_misfit(path, encoding)], path.name) from None
    whole, end, _ = text.rpartition("\n")
    return whole + end if end and len(block) == SAMPLE_BYTES else text


def _misfit(path: Path, encoding: str) -> Problem:
    return Problem(
        "E170", f"the text does not fit the encoding {encoding}", path.name, 1, f"try encoding={_proposal(path)}"
    )


def _parsed(sample: str, delimiter: str) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, strict=True):
            rows.append(row)
            if len(rows) == SAMPLE_LINES:
                break
    except csv.Error:
        return rows
    return rows


def sniff_delimiter(sample: str) -> str:
    r"""Find the delimiter under which the header has most names and the lines below as many fields.

    Parameters
    ----------
    sample
        First lines of a file.

    Returns
    -------
    str
        Comma, semicolon or tab; a comma for a file of one column.

    Examples
    --------
    >>> sniff_delimiter("weight;age\n1,5;13\n0,7;14\n")
    ';'
    """

    def score(delimiter: str) -> tuple[float, int]:
        rows = [row for row in _parsed(sample, delimiter) if row]
        width = len(rows[0]) if rows else 0
        agree = sum(len(row) == width for row in rows) / len(rows) if rows else 0.0
        return (round(agree, 1) if width > 1 else 0.0, width)

    return max(DELIMITERS, key=score)


def _misshapen(source: SourceTable) -> list[Problem]:
    """E190: rows whose number of fields is not the header's, by line number and never by content."""
    connection = duckdb.connect(":memory:", config=SQL_SETTINGS)
    try:
        connection.execute(f"SELECT count(*) FROM {scan_csv(source, 'store_rejects=true')}").fetchall()
        found = connection.execute("SELECT DISTINCT line FROM reject_errors ORDER BY line").fetchall()
    except duckdb.Error:
        return [damaged(source.path, "its lines do not form a table")]
    finally:
        connection.close()
    if not found:
        return []
    return [_wrong_lines(source.path, [line for (line,) in found], len(found), source.delimiter)]


def _wrong_lines(path: Path, lines: Sequence[int], count: int, delimiter: str) -> Problem:
    """E190: lines that do not have the header's number of fields."""
    return Problem(
        "E190",
        "lines with more or fewer fields than the header, or with a stray quotation mark",
        f"{path.name}, {name_rows(lines).replace('row', 'line')}",
        count,
        f"look at these lines: a delimiter ({delimiter!r}) or a quotation mark inside an answer needs quotation marks",
    )


def _in_memory(source: SourceTable, encoding: str) -> pd.DataFrame:
    """Read a file that is not UTF-8: text columns, None where empty."""
    width = len(source.all_columns)
    rows: list[list[str]] = []
    wrong: list[int] = []
    try:
        with source.path.open(encoding=encoding, newline="") as stream:
            reader = csv.reader(stream, delimiter=source.delimiter, strict=True)
            next(reader)
            for row in reader:
                if len(row) == width:
                    rows.append(row)
                elif row:
                    wrong.append(reader.line_num)
    except UnicodeError:
        raise InputError([_misfit(source.path, encoding)], source.path.name) from None
    except csv.Error:
        raise InputError([damaged(source.path, "its lines do not form a table")], source.path.name) from None
    if wrong:
        raise InputError([_wrong_lines(source.path, wrong, len(wrong), source.delimiter)], source.path.name)
    places = {name: place for place, name in enumerate(source.all_columns)}
    texts = {c.name: pd.Series([row[places[c.name]] or None for row in rows], dtype="str") for c in source.columns}
    return pd.DataFrame(texts)


def read_delimited(path: Path, columns: Sequence[str] | None = None, encoding: str | None = None) -> SourceTable:
    """Look at a CSV file and describe its columns; all are text, so that ``NA`` stays Namibia.

    Parameters
    ----------
    path
        The file; comma, semicolon or tab between fields, names in the first line.
    columns
        Columns to read; None for all.
    encoding
        Encoding of its text; None for UTF-8 with or without a byte-order mark, which is checked and never guessed.

    Returns
    -------
    SourceTable
        Without a frame (SQL reads the file), or with one where the encoding is not UTF-8.

    Raises
    ------
    InputError
        E132 declared columns absent, E170 not UTF-8, E190 no usable header or lines that do not fit it.
    """
    in_place = encoding is None or codecs.lookup(encoding).name in READ_IN_PLACE
    raise_if_stopping(_check_utf8(path) if in_place else [], path.name)
    sample = _sample(path, "utf-8" if in_place else str(encoding))
    delimiter = sniff_delimiter(sample)
    header = next(iter(_parsed(sample, delimiter)), [])
    problems = names.check_header(header, path.name) if header else [damaged(path, "its first line is empty")]
    raise_if_stopping(problems, path.name)
    wanted = list(dict.fromkeys(columns)) if columns is not None else header
    raise_if_stopping(names.check_declared(wanted, header, path.name), path.name)
    source = SourceTable(
        columns=tuple(ColumnInfo(name, numeric=False) for name in wanted),
        frame=None,
        path=path,
        format="csv",
        all_columns=tuple(header),
        encoding="utf-8" if in_place else str(encoding),
        delimiter=delimiter,
        notes=tuple(names.note_scripts(wanted, (), path.name)),
    )
    if not in_place:
        return replace(source, frame=_in_memory(source, str(encoding)))
    if path.stat().st_size <= CHECKED_WHOLE_BYTES:
        raise_if_stopping(_misshapen(source), path.name)
    return source
