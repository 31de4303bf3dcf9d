"""The door for microdata: one call for every format, and what to say when SQL stumbles over a file later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from riskmodels.errors import InputError, Problem, raise_if_stopping
from riskmodels.survey.readers import names
from riskmodels.survey.readers.columnar import read_columnar
from riskmodels.survey.readers.delimited import read_delimited
from riskmodels.survey.readers.guarded import DEFAULT_LIMITS, Limits
from riskmodels.survey.readers.labelled import read_labelled
from riskmodels.survey.readers.signatures import WORDS, format_of
from riskmodels.survey.source import SourceTable


def read_source(
    path: str | Path,
    columns: Sequence[str] | None = None,
    encoding: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> SourceTable:
    r"""Read the declared columns of a survey file, raw: no code becomes a label, no kind of missing becomes another.

    Parameters
    ----------
    path
        SPSS (.sav, .zsav), Stata (.dta), .csv or .parquet.
    columns
        Columns to read (`Codebook.columns()`); None for all.
    encoding
        Encoding of the file's text, where the file's own word is wrong or it has none.
    limits
        Time and memory allowed to the child process that parses SPSS and Stata files.

    Returns
    -------
    SourceTable
        SPSS and Stata: in memory, user-missing codes as they stand (888 is 888), Stata's extended missing values as
        text (``".a"`` to ``".z"``) in a companion column ``NAME__reason``; dates are numbers, as stored. CSV and
        Parquet: the columns are described and the rows stay in the file; `SourceTable.connect` reads them. `notes`
        says what a reader of the results should know.

    Raises
    ------
    InputError
        E132 declared columns absent (all of them, with the nearest names); E170 text in another encoding than said;
        E190 missing, empty, damaged, renamed or protected files.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "children.csv")
    ...     _ = path.write_text("country;age\nNA;13\nNO;14\n")
    ...     source = read_source(path, columns=["country"])
    ...     rows = source.connect().execute("SELECT country FROM source").fetchall()
    >>> source.delimiter, rows
    (';', [('NA',), ('NO',)])
    """
    return _read(Path(path), columns, encoding, limits, rows=True)


def list_columns(path: str | Path, encoding: str | None = None, limits: Limits = DEFAULT_LIMITS) -> SourceTable:
    """Describe every column of a survey file without reading a row: for the first draft of a codebook.

    Parameters
    ----------
    path, encoding, limits
        As in `read_source`.

    Returns
    -------
    SourceTable
        Names, labels, value labels, missing codes and ranges, measures and response sets. The frame of an SPSS or
        Stata file has its columns and no rows; whether a Stata column holds unlabelled extended missing values is only
        known after `read_source`.

    Raises
    ------
    InputError
        E170, E190 as in `read_source`.
    """
    return _read(Path(path), None, encoding, limits, rows=False)


def _read(
    path: Path, columns: Sequence[str] | None, encoding: str | None, limits: Limits, *, rows: bool
) -> SourceTable:
    format = format_of(path)
    raise_if_stopping(names.check_encoding_name(encoding, path.name), path.name)
    if format == "csv":
        return read_delimited(path, columns, encoding)
    if format == "parquet":
        return read_columnar(path, columns)
    return read_labelled(path, format, columns, encoding, limits, rows=rows)


@contextmanager
def reading(source: SourceTable) -> Iterator[None]:
    """Turn what SQL says about a broken row into E190, without the row.

    A database error quotes the line it stumbled over. Every statement that reads rows of a `SourceTable` belongs inside
    ``with reading(source):``.

    Parameters
    ----------
    source
        The table being read.

    Raises
    ------
    InputError
        E190 in place of any database error.
    """
    try:
        yield
    except duckdb.Error as error:
        problem = Problem(
            "E190",
            f"{WORDS.get(source.format, 'the table')} could be opened but not read to its end ({type(error).__name__})",
            source.path.name,
            1,
            "the file is damaged, or a line has other fields than the header: export it again",
        )
        raise InputError([problem], source.path.name) from None
