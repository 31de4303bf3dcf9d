"""What a file's first bytes look like, and whether a text was read in the wrong encoding."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Looks:
    """A format recognised by its first bytes, in words, with what to do if the name says otherwise."""

    format: str
    words: str
    remedy: str


_RENAME = "give it the ending of its real format"
_SIGNATURES: tuple[tuple[bytes, Looks], ...] = (
    (b"$FL2", Looks("sav", "an SPSS file (.sav)", _RENAME)),
    (b"$FL3", Looks("zsav", "a compressed SPSS file (.zsav)", _RENAME)),
    (b"<stata_dta>", Looks("dta", "a Stata file (.dta)", _RENAME)),
    (b"PAR1", Looks("parquet", "a Parquet file (.parquet)", _RENAME)),
    (b"ENCRYPTEDSAV", Looks("encrypted", "an SPSS file with a password", "save it without a password first")),
    (
        b"PK\x03\x04",
        Looks("zip", "a ZIP archive or an Excel workbook", "unpack it, or export the data as .sav, .csv or .parquet"),
    ),
    (b"\x1f\x8b", Looks("gzip", "a gzip archive", "unpack it first")),
    (b"%PDF", Looks("pdf", "a PDF document", "name the data file")),
    (b"\xd0\xcf\x11\xe0", Looks("xls", "an old Excel or Word file", "export the data as .sav, .csv or .parquet")),
    (b"SQLite format 3", Looks("sqlite", "a SQLite database", "export the table as .csv or .parquet")),
    (
        b"<!DOCTYPE",
        Looks("html", "a web page", "the download gave a page instead of the file: log in and get it again"),
    ),
    (b"<html", Looks("html", "a web page", "the download gave a page instead of the file: log in and get it again")),
)


def looks_like(head: bytes) -> Looks | None:
    """Recognise a format by its first bytes; None where nothing is recognised (text, old Stata)."""
    stripped = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for start, looks in _SIGNATURES:
        if head.startswith(start) or (start.startswith(b"<") and stripped[:20].lower().startswith(start.lower())):
            return looks
    return None


#: Two signs that arise when UTF-8 is read as a Western single-byte encoding, or the sign for what could not be read.
_GARBLED = re.compile(
    "[ÃÂÐÑØÙ][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u2122]|\ufffd"
)


def mojibake(text: str) -> bool:
    """Whether a text looks like UTF-8 read as something else.

    Examples
    --------
    >>> mojibake("Niño"), mojibake("Niño".encode().decode("latin-1"))
    (False, True)
    """
    return bool(_GARBLED.search(text))
