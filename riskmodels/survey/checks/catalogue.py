"""The catalogue: what each code says and the one remedy it offers, written once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from riskmodels.errors import Problem

#: A code or a count that rests on fewer rows than this is never shown.
SMALL_CELL = 10
#: Below this base nothing can be released.
SMALLEST_BASE = 25
#: Names listed in one message before "and n more".
MOST_NAMED = 8
#: The same where several lists stand in one message.
FEW_NAMED = 4


class Rule(NamedTuple):
    """What a code says, the one thing to do about it, and what its count counts (one, several)."""

    what: str
    remedy: str
    unit: tuple[str, str]


ROWS, VALUES, CODES = ("row", "rows"), ("value", "values"), ("code", "codes")
COUNTRIES, GROUPS, STRATA = ("country", "countries"), ("group", "groups"), ("stratum", "strata")
COLUMNS, NAMES, LEVELS = ("column", "columns"), ("name", "names"), ("level", "levels")
PSUS, PAIRS, IDENTIFIERS = ("PSU", "PSUs"), ("pair", "pairs"), ("identifier", "identifiers")
CODINGS, QUESTIONS = ("coding", "codings"), ("question", "questions")


RULES: dict[str, Rule] = {
    "E101": Rule("no child is left to analyse", "check the eligibility rule and its codes; check units of age?", ROWS),
    "W102": Rule("a base is under 25 children", "nothing can be released below 25: pool groups", GROUPS),
    "E110": Rule("negative weights", "mend them: weights must be above 0", ROWS),
    "E111": Rule("all weights are zero", "check that [design] weight names the right column", ROWS),
    "W111": Rule("some weights are zero", "leave them if meant: such children count in n and add nothing", ROWS),
    "E112": Rule(
        "weights that are missing, not finite or not a number", "mend them, or drop these rows before reading", ROWS
    ),
    "W113": Rule(
        "a few very large weights carry the result", "ask who made the weights whether to trim them", COUNTRIES
    ),
    "W114": Rule(
        "weights average 1 in some countries and count the population in others",
        "compare countries only: results pooled by these weights would be those of the second kind",
        COUNTRIES,
    ),
    "W115": Rule(
        "the weight column looks like a code or a running number",
        "check that [design] weight names the weight, not a stratum, a size or a row number",
        VALUES,
    ),
    "E120": Rule(
        "PSUs that lie in more than one stratum",
        "correct the stratum of these PSUs, or give each its own PSU code",
        PSUS,
    ),
    "I120": Rule(
        "PSU codes start again in every stratum",
        "nothing to do: a PSU is read as stratum and code together; check that this is meant",
        COUNTRIES,
    ),
    "E121": Rule(
        "strata with a single PSU, from which no sampling error can be computed",
        "choose a policy in [design] lonely_psu (centred is cautious), or join neighbouring strata",
        STRATA,
    ),
    "I121": Rule(
        "strata with a single PSU, treated by the policy of the codebook",
        "nothing to do; the policy is reported",
        STRATA,
    ),
    "E122": Rule("children without stratum or PSU", "fill it in, or leave the column out of [design]", ROWS),
    "E130": Rule(
        "a question is empty in every country", "check the column's name, or leave the question out", QUESTIONS
    ),
    "W131": Rule(
        "a question was fielded in some countries only",
        "nothing to do if meant: not fielded is never read as 0 %; else check the column in the countries without",
        COUNTRIES,
    ),
    "E132": Rule("a name that is not there", "correct the name in the codebook", NAMES),
    "W140": Rule(
        "an indicator is 0 % or 100 % in a country",
        "report the upper (or lower) limit; the estimate borrows from other groups",
        GROUPS,
    ),
    "W141": Rule(
        "two questions hold the same answers for every child", "use one of them, or correct its column", PAIRS
    ),
    "E142": Rule(
        "one country only, and a comparison of countries is asked for",
        "use the single-country model: the spread between countries would be the prior's, not the data's",
        COUNTRIES,
    ),
    "W143": Rule(
        "fewer than five countries",
        "read the prior sensitivity beside the result: the prior weighs on the spread",
        COUNTRIES,
    ),
    "I144": Rule(
        "subgroups without any child", 'shown as "-"; an estimate only on request, marked as model-only', GROUPS
    ),
    "W146": Rule(
        "a question was asked in a country and nobody gave a valid answer",
        "check the codes declared as missing; with base all asked this would read as 0 %",
        GROUPS,
    ),
    "E150": Rule("identifiers that stand on more than one row", "keep one row of each child", IDENTIFIERS),
    "W150": Rule("children without an identifier", "fill it in, so that a child read twice can be found", ROWS),
    "E160": Rule(
        "codes that the codebook does not declare", "declare each as a level or as a kind of missing answer", CODES
    ),
    "W161": Rule("levels of the codebook that no child has", "leave them out, or check their codes", LEVELS),
    "E163": Rule(
        "numbers and text in one column", "make the column of one type, or declare the text as a code", VALUES
    ),
    "E164": Rule("fractions where whole codes are declared", "check the column: an average or a weight?", VALUES),
    "E165": Rule(
        "yes and no are coded in opposite ways",
        "declare the coding of each such country under by_country (also where it is as it should be, to say so)",
        CODINGS,
    ),
    "E166": Rule(
        "numbers outside the declared range", "declare missing codes, correct the unit, or widen low and high", VALUES
    ),
    "E167": Rule(
        "a code that the file marks as no answer is read as a valid answer", "declare the code under missing", CODES
    ),
    "E170": Rule(
        "labels read in the wrong encoding", "save the file as UTF-8, or name its encoding when reading", COLUMNS
    ),
    "I171": Rule(
        "names beyond plain letters, or labels written from right to left",
        "nothing to do: normalised for matching, shown as they are",
        COLUMNS,
    ),
    "E172": Rule(
        "country codes that are empty, lost or not declared",
        "declare every code in [design] countries; was NA (Namibia) or NO (Norway) lost by a spreadsheet?",
        ROWS,
    ),
    "W172": Rule(
        "country codes that are not ISO 3166-1 alpha-3",
        "map them in [design] countries, e.g. to VNM, CIV, TUR, TZA",
        CODES,
    ),
    "E173": Rule(
        "values mangled by a spreadsheet",
        "export the column again as text, with decimal points and leading zeros",
        VALUES,
    ),
    "W182": Rule(
        "answers that disagree with the skip pattern",
        "check asked_if of the question against the questionnaire",
        COUNTRIES,
    ),
}


def problem(code: str, where: str, count: int, detail: str = "") -> Problem:
    """Make a problem of a catalogue code.

    Parameters
    ----------
    code
        Code of the catalogue.
    where
        Columns, names or levels; never a child's value.
    count
        Rows, levels or countries concerned. For answers: codes or countries, never children.
    detail
        What adds to the rule's own words.

    Returns
    -------
    Problem

    Examples
    --------
    >>> print(problem("E111", "wgt", 500))
    E111  all weights are zero  [where: wgt; count: 500]  -> check that [design] weight names the right column
    """
    rule = RULES[code]
    return Problem(code, f"{rule.what}: {detail}" if detail else rule.what, where, count, rule.remedy)


def listed(names: Iterable[str], limit: int = MOST_NAMED) -> str:
    """List names, cut after `limit`.

    Examples
    --------
    >>> listed(["KEN", "UGA", "TZA"], limit=2)
    'KEN, UGA and 1 more'
    """
    found = list(names)
    more = f" and {len(found) - limit} more" if len(found) > limit else ""
    return ", ".join(found[:limit]) + more


def rows_in_words(rows: int) -> str:
    """Say how many children gave some answer without showing a small cell.

    Examples
    --------
    >>> rows_in_words(3), rows_in_words(1200)
    ('fewer than 10 rows', '1,200 rows')
    """
    return f"fewer than {SMALL_CELL} rows" if rows < SMALL_CELL else f"{rows:,} rows"
