"""Population files: by country, by cell, or as margins; every fault of a file named at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from riskmodels.errors import Problem, name_rows, raise_if_stopping
from riskmodels.survey.countries import country_code, is_country, nearest_countries
from riskmodels.survey.population.cells import NAMED, name_levels
from riskmodels.survey.population.frame import SHARE, SHARE_SE, TOTAL, PopulationFrame, population_from_table
from riskmodels.survey.published import read_text_table
from riskmodels.survey.published_checks import parse_numbers
from riskmodels.vocabulary import COUNTRY

#: Standard error of a share online for which the source prints none (as Ghai et al. 2026 assume).
DEFAULT_SHARE_SE = 0.03

CODE, MARGIN, PERCENT, PERCENT_SE = "country_iso3", "margin", "internet_share_pct", "internet_share_se_pct"
#: Columns of a population file that describe a row and split no children.
DESCRIBING = ("year", "population", "source", "confidence", "note")
#: Levels that pool the others: a row with one of them would count children twice.
POOLING_LEVELS = frozenset({"all", "total", "both", "both sexes", "both_sexes", "overall", "sum", "any"})


def read_population(
    path: str | Path, *, default_se: float = DEFAULT_SHARE_SE, countries: Sequence[str] = ()
) -> PopulationFrame:
    """Read a population frame by country from CSV.

    Parameters
    ----------
    path
        Columns `country_iso3` or `country` (code or name in English, French or Spanish), `total` (children), and
        optionally `internet_share_pct` (100 if absent) and `internet_share_se_pct` (percentage points).
    default_se
        Standard error of the share, as a proportion, where the file gives none.
    countries
        Names taken as they stand beside the ISO codes: the invented countries of synthetic data.

    Returns
    -------
    PopulationFrame
        One entry per country.

    Raises
    ------
    InputError
        E132, E163, E172, E173, E181, E185, E150: all faults of the file at once.
    """
    path = Path(path)
    raw = read_text_table(path)
    raise_if_stopping(
        _absent(raw, (TOTAL,), "population files need country_iso3 (or country) and total", country_needed=True),
        path.name,
    )
    frame, problems = parse_numbers(raw, (TOTAL, PERCENT, PERCENT_SE))
    frame, faults = with_country_codes(frame, countries)
    problems = [*problems, *faults, *_cell_problems(frame, ()), *_share_problems(frame)]
    if not any(problem.code == "E172" for problem in problems):
        problems += _repeated(frame, [COUNTRY], "keep one row per country")
    raise_if_stopping(problems, path.name)
    share = frame[PERCENT]
    default = 0.0 if share.isna().all() else default_se
    return PopulationFrame(
        countries=tuple(frame[COUNTRY]),
        children=frame[TOTAL].to_numpy(float),
        share_online=(share.fillna(100.0) / 100).to_numpy(float),
        share_online_se=(frame[PERCENT_SE] / 100).fillna(default).to_numpy(float),
        source=_source(frame, path),
    )


def read_population_table(
    path: str | Path,
    *,
    factors: Sequence[str] | None = None,
    default_se: float = DEFAULT_SHARE_SE,
    countries: Sequence[str] = (),
) -> PopulationFrame:
    r"""Read a population frame by cell from CSV.

    Parameters
    ----------
    path
        One row per cell: `total` (children), any factor columns, optionally `country_iso3` or `country`, and
        `internet_share_pct`, `internet_share_se_pct` in every row or in none.
    factors
        Factor columns besides country; every column that is none of the above and does not describe the row (`year`,
        `population`, `source`, `confidence`, `note`) if omitted.
    default_se, countries
        As in `read_population`.

    Returns
    -------
    PopulationFrame
        With cells, levels in the order of the file. A share online repeated in every row of a country is one figure
        of the country.

    Raises
    ------
    InputError
        All faults of the file at once: E132, E150, E163, E172, E173, E181, E185. Nothing is read in part.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "children.csv"
    >>> _ = path.write_text("country,gender,total\nViet Nam,girl,4000\nViet Nam,boy,4300\n")
    >>> read_population_table(path).cells.names
    ('country', 'gender')
    """
    path = Path(path)
    raw = read_text_table(path)
    wanted = _factor_columns(raw) if factors is None else list(factors)
    problems = _absent(raw, (TOTAL, *wanted), "give the factors as columns, and total", country_needed=False)
    if MARGIN in raw:
        problems.append(
            Problem(
                "E132", "the file holds margins, not cells", f"column {MARGIN}", 1, "use read_margins, rake_population"
            )
        )
    raise_if_stopping(problems, path.name)
    frame, problems = parse_numbers(raw, (TOTAL, PERCENT, PERCENT_SE))
    named = [COUNTRY] if COUNTRY in frame or CODE in frame else []
    if named:
        frame, faults = with_country_codes(frame, countries)
        problems = [*problems, *faults]
    names = [*named, *wanted]
    problems = [*problems, *_cell_problems(frame, wanted), *_share_problems(frame)]
    if not any(problem.code == "E172" for problem in problems):
        problems += _repeated(frame, names, "give every column that tells the rows apart")
    raise_if_stopping(problems, path.name)
    table = frame[[*names, TOTAL]].copy()
    if frame[PERCENT].notna().any():
        table[SHARE] = frame[PERCENT] / 100
        known = frame[PERCENT] == 100
        table[SHARE_SE] = (frame[PERCENT_SE] / 100).fillna(known.map({True: 0.0, False: default_se}))
    return population_from_table(table, source=_source(frame, path))


def read_margins(path: str | Path, *, countries: Sequence[str] = ()) -> tuple[pd.DataFrame, ...]:
    r"""Read margins for `rake_population` from one CSV in long form.

    Parameters
    ----------
    path
        Columns `margin` (the factors of the margin, ``"country*gender"``), `total`, and one column per factor,
        filled where the row's margin has the factor and empty where it has not.
    countries
        As in `read_population`.

    Returns
    -------
    tuple of pandas.DataFrame
        One table per margin in the order of the file: its factors, and `total`.

    Raises
    ------
    InputError
        All faults of the file at once, as `read_population_table`.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "margins.csv"
    >>> _ = path.write_text("margin,gender,age,total\ngender,girl,,60\ngender,boy,,40\nage,,12-14,30\nage,,15-17,70\n")
    >>> [list(margin.columns) for margin in read_margins(path)]
    [['gender', 'total'], ['age', 'total']]
    """
    path = Path(path)
    raw = read_text_table(path)
    raise_if_stopping(
        _absent(raw, (MARGIN, TOTAL), "margins need a column margin, the factors and total", country_needed=False),
        path.name,
    )
    frame, problems = parse_numbers(raw, (TOTAL,))
    if COUNTRY in frame or CODE in frame:
        frame, faults = with_country_codes(frame, countries, empty_allowed=True)
        problems = [*problems, *faults]
    split = {text: [part.strip() for part in text.split("*")] for text in pd.unique(frame[MARGIN])}
    known = [*([COUNTRY] if COUNTRY in frame else []), *_factor_columns(frame)]
    tables = []
    for text, names in split.items():
        rows = frame[frame[MARGIN] == text]
        unknown = [name for name in names if name not in known]
        if unknown or len(set(names)) < len(names):
            what = "a margin names factors that are no columns, or none, or one twice"
            problems.append(
                Problem("E132", what, name_rows(rows["row"]), len(rows), f"choose among {', '.join(known)}, e.g. a*b")
            )
            continue
        filled = (rows[[name for name in known if name not in names]] != "").any(axis=1)
        if filled.any():
            problems.append(
                Problem(
                    "E185",
                    "a level stands in a column that the row's margin does not have",
                    name_rows(rows.loc[filled, "row"]),
                    int(filled.sum()),
                    "leave the column empty there, or add its name to the margin",
                )
            )
        problems += [*_cell_problems(rows, names), *_repeated(rows, names, "keep one row of each")]
        tables.append(rows[[*names, TOTAL]].reset_index(drop=True))
    raise_if_stopping(problems, path.name)
    return tuple(tables)


def with_country_codes(
    frame: pd.DataFrame, countries: Sequence[str] = (), *, empty_allowed: bool = False
) -> tuple[pd.DataFrame, list[Problem]]:
    """Bring `country_iso3` or `country` to codes in the column `country`; E172 with the nearest names.

    Parameters
    ----------
    frame
        Text columns, and `row`.
    countries
        Names that count as they stand.
    empty_allowed
        Whether a row may have no country (margins).

    Returns
    -------
    tuple of pandas.DataFrame and list of Problem
        `country` holds codes, empty where unknown; `country_iso3` is gone.
    """
    frame = frame.copy()
    own = set(countries)
    nothing = pd.Series("", index=frame.index)
    by_name = frame.get(COUNTRY, nothing)
    named = by_name.map(lambda word: word if word in own else country_code(word) or "")
    if CODE in frame:
        given = frame.pop(CODE)
        codes = given.where(given.map(is_country) | given.isin(own), "")
    else:
        given, codes = by_name, named
    problems = []
    unknown = (codes == "") & ~((given == "") & empty_allowed)
    if unknown.any():
        near = {int(row): nearest_countries(word)[:1] for row, word in zip(frame["row"][unknown], given[unknown])}
        hints = [f"row {row}: {near_name[0]}?" for row, near_name in near.items() if near_name][:NAMED]
        problems.append(
            Problem(
                "E172",
                "country empty, unknown or not the name of one country only",
                "; ".join([name_rows(frame.loc[unknown, "row"]), *hints]),
                int(unknown.sum()),
                "write the three-letter code of ISO 3166 (was NA, Namibia, or NO, Norway, lost by a spreadsheet?)",
            )
        )
    apart = (named != "") & (codes != "") & (named != codes)
    if apart.any():
        problems.append(
            Problem(
                "E172",
                "country_iso3 and country name two countries in one row",
                name_rows(frame.loc[apart, "row"]),
                int(apart.sum()),
                "check for a shifted column",
            )
        )
    problems += _lonely_two_letters(given, own, frame["row"])
    return frame.assign(**{COUNTRY: codes}), problems


def _lonely_two_letters(given: pd.Series, own: set[str], row: pd.Series) -> list[Problem]:
    """E172: NA or NO among names or three-letter codes may be a missing value, not Namibia or Norway."""
    two = given.str.fullmatch(r"[A-Za-z]{2}") & ~given.isin(own)
    doubtful = two & given.str.upper().isin(["NA", "NO"])
    if not doubtful.any() or (two & ~doubtful).any() or (given[~doubtful] == "").all():
        return []
    return [
        Problem(
            "E172",
            "NA or NO stands among countries that are not written with two letters: Namibia, Norway, or no answer?",
            name_rows(row[doubtful]),
            int(doubtful.sum()),
            "write NAM or NOR",
        )
    ]


def _factor_columns(frame: pd.DataFrame) -> list[str]:
    """Columns that split children, apart from country."""
    known = {"row", TOTAL, PERCENT, PERCENT_SE, CODE, COUNTRY, MARGIN, *DESCRIBING}
    return [str(name) for name in frame.columns if name not in known and name != ""]


def _absent(raw: pd.DataFrame, needed: Sequence[str], remedy: str, *, country_needed: bool) -> list[Problem]:
    absent = [name for name in needed if name not in raw]
    if country_needed and CODE not in raw and COUNTRY not in raw:
        absent.insert(0, CODE)
    return [Problem("E132", f"column {name} is absent", "header", 1, remedy) for name in absent]


def _cell_problems(frame: pd.DataFrame, factors: Sequence[str]) -> list[Problem]:
    """E185: children not above 0, empty levels, levels that pool others."""
    problems = []
    bad = ~(np.isfinite(frame[TOTAL]) & (frame[TOTAL] > 0))
    if bad.any():
        problems.append(
            Problem(
                "E185",
                "number of children is zero, negative or missing",
                name_rows(frame.loc[bad, "row"]),
                int(bad.sum()),
                "give the number of children, above 0; leave combinations out that cannot occur",
            )
        )
    for name in factors:
        empty = frame[name] == ""
        if empty.any():
            where = f"column {name}, {name_rows(frame.loc[empty, 'row'])}"
            problems.append(Problem("E185", "a level is empty", where, int(empty.sum()), "name the level"))
        words = [str(word) for word in pd.unique(frame[name])]
        pooled = [word for word in words if word.casefold() in POOLING_LEVELS]
        if pooled and len(words) > 1:
            problems.append(
                Problem(
                    "E185",
                    f"a level of {name} looks like the sum of the others",
                    name_levels(pooled),
                    len(pooled),
                    "leave those rows out: their children would count twice",
                )
            )
    return problems


def _share_problems(frame: pd.DataFrame) -> list[Problem]:
    """E181, E185: shares online that are no per cent, impossible, or given in some rows only."""
    problems = _looks_like_proportions(frame)
    share, error = frame[PERCENT], frame[PERCENT_SE]
    some = share.isna() & bool(share.notna().any())
    for what, bad, remedy in (
        ("share online is given in some rows only", some, "give it in every row or in none"),
        ("share online lies outside 0 to 100 %", (share <= 0) | (share > 100), "write per cent"),
        ("standard error of the share is negative or above 50 points", (error < 0) | (error > 50), "write points"),
        ("a standard error stands without its share online", error.notna() & share.isna(), "give both"),
    ):
        if bad.any():
            problems.append(Problem("E185", what, name_rows(frame.loc[bad, "row"]), int(bad.sum()), remedy))
    return problems


def _looks_like_proportions(frame: pd.DataFrame) -> list[Problem]:
    """E181: every share online is 1 or less."""
    share = frame[PERCENT]
    if not share.notna().any() or share.max() > 1:
        return []
    return [
        Problem(
            "E181",
            "every share online is 1 or less: a column of proportions?",
            f"column {PERCENT}",
            int(share.notna().sum()),
            "write per cent",
        )
    ]


def _repeated(frame: pd.DataFrame, names: Sequence[str], remedy: str) -> list[Problem]:
    """E150: the same combination of levels twice."""
    if not names:
        return []
    twice = frame.duplicated(list(names), keep=False)
    if not twice.any():
        return []
    what = "the same combination of levels stands twice"
    return [Problem("E150", what, name_rows(frame.loc[twice, "row"]), int(twice.sum()), remedy)]


def _source(frame: pd.DataFrame, path: Path) -> str:
    return "; ".join(pd.unique(frame["source"])) if "source" in frame else path.name
