"""ISO 3166-1 country codes, the names people write for them, and the codes of pooled rows."""

from __future__ import annotations

import csv
import difflib
import functools
import unicodedata
from collections.abc import Mapping
from importlib import resources

#: Columns of `countries.csv` that hold names, one each, apart from the list `aliases`.
_NAME_COLUMNS = ("name", "french", "spanish")
#: Names that stand for more than one country; `country_code` refuses them.
AMBIGUOUS_NAMES = frozenset(
    {
        *("congo", "korea", "coree", "corea", "republic of china"),
        *("virgin islands", "iles vierges", "islas virgenes", "saint martin"),
    }
)
#: Openings of long official names that may be left out: Republic of Zambia is Zambia.
_LONG_FORMS = ("republic of the ", "republic of ", "kingdom of ")
#: Letters that keep no base letter when accents are taken off.
_LETTERS = str.maketrans(
    {
        **{"ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "&": " and "},
        **{"\N{LATIN SMALL LETTER DOTLESS I}": "i", "\N{RIGHT SINGLE QUOTATION MARK}": "'"},
    }
)
#: Words that carry nothing at the front of a name.
_LEADING = ("the ", "la ", "le ", "les ", "las ", "el ")


def _rows() -> list[dict[str, str]]:
    """Rows of the shipped list, one per country."""
    text = resources.files("riskmodels.survey").joinpath("countries.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


ISO_ALPHA_3 = frozenset(row["alpha_3"] for row in _rows())

#: Codes of rows that pool several countries; never a country of the model.
POOLED_CODES = frozenset({"ALL", "WLD", "POOLED", "TOTAL"})


def is_country(code: str) -> bool:
    """Whether `code` is an ISO 3166-1 alpha-3 code (Kosovo's XKX included)."""
    return code in ISO_ALPHA_3


def simplified_name(name: str) -> str:
    """Give a name without accents, capitals, punctuation and leading articles, for matching only.

    Examples
    --------
    >>> simplified_name("Côte d'Ivoire"), simplified_name("The Gambia"), simplified_name("St. Lucia")
    ('cote d ivoire', 'gambia', 'saint lucia')
    """
    plain = unicodedata.normalize("NFKD", name.casefold().translate(_LETTERS))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter)).replace(".", "")
    words = "".join(letter if letter.isalnum() else " " for letter in plain).split()
    joined = " ".join("saint" if word in ("st", "ste", "sainte") else word for word in words)
    for article in _LEADING:
        if joined.startswith(article) and len(joined) > len(article):
            return joined.removeprefix(article)
    return joined


@functools.cache
def _codes() -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Look-up of codes (two letters, three letters, three digits) and of simplified names."""
    by_code: dict[str, str] = {}
    by_name: dict[str, set[str]] = {}
    for row in _rows():
        code = row["alpha_3"]
        by_code.update({key: code for key in (row["alpha_2"], code, row["numeric"]) if key})
        names = [row[column] for column in _NAME_COLUMNS] + [alias for alias in row["aliases"].split(";") if alias]
        for name in names:
            by_name.setdefault(simplified_name(name), set()).add(code)
    single = {name: next(iter(codes)) for name, codes in by_name.items() if len(codes) == 1}
    return by_code, {name: code for name, code in single.items() if name not in AMBIGUOUS_NAMES}


def country_code(name_or_code: str) -> str | None:
    """Find the ISO 3166-1 alpha-3 code of a country written in any usual way.

    Parameters
    ----------
    name_or_code
        Alpha-3, alpha-2 or numeric code (leading zeros may be lost), or a name in English, French or Spanish;
        capitals, accents and punctuation do not matter. ``"NA"`` is Namibia and ``"NO"`` Norway.

    Returns
    -------
    str or None
        The three-letter code; None where the name is unknown or stands for more than one country (``"Congo"``,
        ``"Korea"``): then `nearest_countries` tells what may have been meant.

    Examples
    --------
    >>> [country_code(word) for word in ("NA", "no", "116", "Viet Nam", "Costa de Marfil", "Turkiye", "Congo")]
    ['NAM', 'NOR', 'KHM', 'VNM', 'CIV', 'TUR', None]

    References
    ----------
    ISO 3166-1 (codes and English short names); Kosovo as XK / XKX, which ISO leaves to its users.
    """
    by_code, by_name = _codes()
    text = name_or_code.strip()
    if text.isascii() and text.isdigit():
        return by_code.get(text.zfill(3))
    name = simplified_name(text)
    short = next((name.removeprefix(long) for long in _LONG_FORMS if name.startswith(long)), name)
    found = by_code.get(text.upper()) or by_name.get(name)
    return found if found or name in AMBIGUOUS_NAMES else by_name.get(short)


@functools.cache
def country_name(code: str) -> str:
    """Give the English name of an alpha-3 code; the code itself where it is not a country's."""
    return next((row["name"] for row in _rows() if row["alpha_3"] == code), code)


def nearest_countries(name: str, limit: int = 3) -> tuple[str, ...]:
    """Name the countries whose names look most like `name`, as ``"Viet Nam (VNM)"``, nearest first.

    Examples
    --------
    >>> nearest_countries("Tanzanie Unie")[0]
    'Tanzania, United Republic of (TZA)'
    >>> nearest_countries("Congo")
    ('Congo (COG)', 'Congo, Democratic Republic of the (COD)')
    """
    by_name = _codes()[1]
    wanted = simplified_name(name)
    if wanted in AMBIGUOUS_NAMES:
        meant = [row for row in _rows() if any(wanted in simplified_name(row[column]) for column in _NAME_COLUMNS)]
        return tuple(f"{row['name']} ({row['alpha_3']})" for row in meant[:limit])
    near = difflib.get_close_matches(wanted, by_name, n=4 * limit, cutoff=0.72)
    codes = list(dict.fromkeys(by_name[found] for found in near))[:limit]
    return tuple(f"{country_name(code)} ({code})" for code in codes)
