"""Names and labels of columns: what is absent, doubled, garbled or not plain Latin."""

from __future__ import annotations

import codecs
import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from riskmodels.errors import Problem, name_rows

#: The mark that stands where bytes could not be decoded.
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
#: Four letters above ASCII in a row: no western language writes so, Cyrillic or Arabic read as western text does.
WESTERN_RUN = re.compile("[\u00c0-\u00ff]{4}")
SHOWN = 8


def _plain(name: str) -> str:
    """Fold a name for comparison: one Unicode form, no case, no spaces or punctuation."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())


def _near(name: str, have: Sequence[str]) -> list[str]:
    same = [other for other in have if _plain(other) == _plain(name)]
    if same:
        return same[:2]
    folded: dict[str, str] = {}
    for other in have:
        folded.setdefault(_plain(other), other)
    return [folded[near] for near in difflib.get_close_matches(_plain(name), list(folded), n=3, cutoff=0.6)]


def _absent(name: str, have: Sequence[str], source: str) -> Problem:
    what = f"the codebook declares column {name}, which the file does not have"
    near = _near(name, have)
    if any(unicodedata.normalize("NFC", other) == unicodedata.normalize("NFC", name) for other in near):
        remedy = f"it has {near[0]}, the same letters in another Unicode form: copy the name from the file"
    elif near:
        remedy = f"write {' or '.join(near)} in the codebook if that is the one"
    else:
        remedy = "name a column of the file, or take it out of the codebook"
    return Problem("E132", what, source, 1, remedy)


def check_declared(declared: Iterable[str] | None, have: Sequence[str], source: str) -> list[Problem]:
    """E132: declared columns that the file does not have, each with the nearest names.

    Examples
    --------
    >>> [problem.remedy for problem in check_declared(["Weight "], ["id", "weight"], "survey.csv")]
    ['write weight in the codebook if that is the one']
    """
    known = set(have)
    return [_absent(name, have, source) for name in dict.fromkeys(declared or ()) if name not in known]


def check_header(names: Sequence[str], source: str) -> list[Problem]:
    """E190: a header without names, or with one name twice; answers standing there are never shown."""
    numbers = [name for name in names if re.fullmatch(r"\s*[-+]?[\d.,]+\s*", name)]
    if numbers:
        return [
            Problem(
                "E190",
                "the first line holds numbers where names of columns belong",
                f"{source}, line 1",
                len(numbers),
                "put one line with the names of the columns above the answers",
            )
        ]
    empty = [place for place, name in enumerate(names, 1) if not name.strip()]
    doubled = [name for name, count in Counter(names).items() if count > 1 and name.strip()]
    problems = []
    if empty:
        where = f"{source}, {name_rows(empty).replace('row', 'column')}"
        problems.append(
            Problem("E190", "columns without a name", where, len(empty), "name them, or delete the empty columns")
        )
    if doubled:
        where = f"{source}: {', '.join(doubled[:SHOWN])}"
        problems.append(
            Problem("E190", "the same name stands over several columns", where, len(doubled), "give each its own name")
        )
    return problems


def _decoded_again(text: str) -> bool:
    """Whether the text is UTF-8 that was once read as western text."""
    for western in ("cp1252", "latin-1"):
        try:
            return text.encode(western).decode("utf-8") != text
        except UnicodeError:
            continue
    return False


def proposed_encoding(texts: Iterable[str]) -> tuple[str, int]:
    """Propose the encoding in which garbled labels would be readable.

    Parameters
    ----------
    texts
        Names and labels of a file.

    Returns
    -------
    proposal, count
        Words for what to pass as ``encoding=`` (empty where nothing looks garbled), and how many texts look so.

    Examples
    --------
    >>> proposed_encoding(["Edad", "A\u00f1o"])
    ('', 0)
    >>> proposed_encoding(["A\u00f1o".encode().decode("latin-1")])
    ('"utf-8"', 1)
    """
    labels = [text for text in dict.fromkeys(texts) if not text.isascii()]
    twice = [text for text in labels if _decoded_again(text)]
    lost = [text for text in labels if REPLACEMENT in text]
    eastern = [text for text in labels if WESTERN_RUN.search(text) and text not in set(twice)]
    if twice:
        return '"utf-8"', len(twice)
    if eastern:
        return '"windows-1251" (Cyrillic) or "windows-1256" (Arabic)', len(eastern)
    return (
        ('"windows-1252" (western), "windows-1251" (Cyrillic) or "windows-1256" (Arabic)', len(lost))
        if lost
        else ("", 0)
    )


def check_labels(texts: Sequence[str], source: str, encoding: str | None) -> list[Problem]:
    """E170: labels that look garbled (W170 where the reader of the file has chosen the encoding)."""
    proposal, count = proposed_encoding(texts)
    if not count:
        return []
    code = "E170" if encoding is None else "W170"
    if encoding is None:
        remedy = f"read it with encoding={proposal}, and look at the labels"
    else:
        remedy = f"another encoding than {encoding} may be right: {proposal}; or the labels were stored garbled"
    return [Problem(code, "names or labels look garbled: read in another encoding than written", source, count, remedy)]


def check_encoding_name(encoding: str | None, source: str) -> list[Problem]:
    """E170: an encoding that does not exist."""
    try:
        codecs.lookup(encoding or "utf-8")
    except (LookupError, ValueError):
        remedy = 'name one that exists, e.g. "utf-8" or "windows-1252"'
        return [Problem("E170", "the encoding named is not known", source, 1, remedy)]
    return []


def _right_to_left(text: str) -> bool:
    return any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text)


def note_scripts(names: Sequence[str], labels: Sequence[str], source: str) -> list[Problem]:
    """I171: names outside ASCII and labels written from right to left, which are kept as they are."""
    beyond = [name for name in names if not name.isascii()]
    leftward = [label for label in labels if not label.isascii() and _right_to_left(label)]
    notes = []
    if beyond:
        where = f"{source}: {', '.join(beyond[:SHOWN])}"
        notes.append(
            Problem(
                "I171", "names with letters outside ASCII", where, len(beyond), "nothing: they are kept as they are"
            )
        )
    if leftward:
        notes.append(
            Problem("I171", "labels written from right to left", source, len(leftward), "nothing: shown as written")
        )
    return notes
