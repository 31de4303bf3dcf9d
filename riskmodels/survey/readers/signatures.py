"""What a file is by its first bytes, and what to say when that is not what its name promises."""

from __future__ import annotations

from pathlib import Path

from riskmodels.errors import InputError, Problem

#: Ending of a file name -> format; what a format is called.
FORMATS = {".sav": "sav", ".zsav": "sav", ".dta": "dta", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}
WORDS = {"sav": "SPSS (.sav, .zsav)", "dta": "Stata (.dta)", "csv": "text (.csv)", "parquet": "Parquet (.parquet)"}
READABLE = "SPSS .sav or .zsav, Stata .dta, .csv or .parquet"
HEAD_BYTES = 512

ENCRYPTED = "an SPSS file protected by a password"
PORTABLE = "an older SPSS portable file (.por)"
EXCEL = "a ZIP archive (.xlsx, .docx and .zip look like this)"
TEXT = "plain text"
UNKNOWN = "nothing that is known here"

#: First bytes -> format, or the words for a kind of file that is not read here.
MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"PAR1", "parquet"),
    (b"PK\x03\x04", EXCEL),
    (b"SQLite format 3", "an SQLite database"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file (.xls, .doc)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"ARROW1", "a Feather file"),
    (b"FEA1", "a Feather file"),
    (b"RDX", "an R data file"),
    (b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xc2\xea\x81\x60", "a SAS file"),
)
#: The same for files whose first bytes are all readable text (a .csv may well have a first column named PAR1).
TEXT_MAGIC = ((b"$FL2", "sav"), (b"$FL3", "sav"), (b"<stata_dta>", "dta"), (b"%PDF", "a PDF"))
#: First byte of the Stata versions before 13; the second says the byte order.
OLD_STATA = frozenset((102, 103, 104, 105, 108, 110, 111, 112, 113, 114, 115))


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    return b"\x00" not in head and sum(byte < 32 and byte not in b"\t\r\n\x0c" for byte in head) == 0


def kind_of(head: bytes) -> str:
    """Name the format (`FORMATS`) or, in words, the kind of file that starts with these bytes.

    Examples
    --------
    >>> kind_of(b"$FL2@(#) SPSS DATA FILE")
    'sav'
    >>> kind_of(b"%PDF-1.7")
    'a PDF'
    >>> kind_of(b"country,age")
    'plain text'
    """
    if b"ENCRYPTED" in head[:36]:
        return ENCRYPTED
    text = _is_text(head)
    for start, kind in TEXT_MAGIC if text else (*MAGIC, *TEXT_MAGIC):
        if head.startswith(start):
            return kind
    if len(head) >= 4 and head[0] in OLD_STATA and head[1] in (1, 2) and head[2] == 1:
        return "dta"
    if b"SPSS PORT FILE" in head.replace(b"\r", b"").replace(b"\n", b""):
        return PORTABLE
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html")):
        return "a web page (HTML)"
    return TEXT if text else UNKNOWN


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(HEAD_BYTES)


def _lacks_its_end(path: Path) -> bool:
    """Whether a Stata file since version 13 stops before its closing tag (labels stand last and would be lost)."""
    closing = b"</stata_dta>"
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - 64))
        return closing not in stream.read()


def _size(path: Path) -> str:
    size = path.stat().st_size
    return f"{size:,} bytes" if size < 10_000 else f"{size / 1e6:,.1f} MB"


def damaged(path: Path, why: str) -> Problem:
    """E190: a file of the right kind that cannot be read; says its size and what it should be."""
    expected = WORDS[FORMATS[path.suffix.lower()]]
    return Problem(
        "E190",
        f"the file ({_size(path)}) should be {expected} and cannot be read: {why}",
        path.name,
        1,
        "open it in the program that made it; if it opens there, save it again, else fetch it again",
    )


def _renamed(path: Path, expected: str, kind: str) -> Problem:
    """E190: the first bytes belong to another kind of file than the name says."""
    found = WORDS.get(kind, kind)
    remedies = {
        ENCRYPTED: "save it in SPSS without a password, in a folder that only you can read",
        PORTABLE: "open it in SPSS or PSPP and save it as .sav: .por loses why an answer is missing",
        TEXT: "if it is a table with commas, semicolons or tabs between fields, rename it to end in .csv",
        EXCEL: "if it is a spreadsheet, save it as CSV (UTF-8); if it is an archive, unpack it",
    }
    if kind in WORDS:
        remedy = f"rename it to end in {next(ending for ending, name in FORMATS.items() if name == kind)}"
    else:
        remedy = remedies.get(kind, f"export the data as {READABLE}")
    what = f"the file ({_size(path)}) should be {WORDS[expected]} but starts like {found}"
    return Problem("E190", what, path.name, 1, remedy)


def _door(path: Path) -> Problem | None:
    """Find the first reason not to open a file at all."""
    ending = path.suffix.lower()
    if path.is_dir():
        return Problem("E190", "this is a folder, not a file", path.name, 1, f"name the data file in it: {READABLE}")
    if not path.exists():
        return Problem("E190", "there is no such file", path.name, 1, "check folder and spelling of the name")
    if not path.is_file():
        return Problem("E190", "this is not an ordinary file", path.name, 1, f"name a data file: {READABLE}")
    try:
        head = _head(path)
    except PermissionError:
        return Problem("E190", "the file may not be read", path.name, 1, "ask its owner for the right to read it")
    if not head:
        return Problem("E190", "the file is empty (0 bytes)", path.name, 1, "fetch or export it again")
    kind = kind_of(head)
    if ending == ".por" or (ending not in FORMATS and kind == PORTABLE):
        return Problem(
            "E190",
            "SPSS portable files are not read: they lose why an answer is missing",
            path.name,
            1,
            "open it in SPSS or PSPP and save it as .sav",
        )
    if ending not in FORMATS:
        found = WORDS.get(kind, kind)
        what = f"the file's ending {ending or '(none)'} is not one that is read here; it starts like {found}"
        return Problem("E190", what, path.name, 1, f"give {READABLE}")
    expected = FORMATS[ending]
    matches = kind == expected or (expected == "csv" and kind in (TEXT, UNKNOWN))
    if matches and head.startswith(b"<stata_dta>") and _lacks_its_end(path):
        return damaged(path, "it ends too early: truncated download?")
    return None if matches else _renamed(path, expected, kind)


def format_of(path: Path) -> str:
    """Tell the format of a data file from its name, and make sure that its first bytes agree.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    str
        ``"sav"``, ``"dta"``, ``"csv"`` or ``"parquet"``.

    Raises
    ------
    InputError
        E190: missing, a folder, empty, of another kind than its name says, or protected by a password.
    """
    problem = _door(path)
    if problem is not None:
        raise InputError([problem], path.name)
    return FORMATS[path.suffix.lower()]
