"""Rules for what codes mean: E165 (opposite codings), E167 (no answer read as one), E170 and I171 (labels)."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict

from riskmodels.errors import Problem
from riskmodels.survey.checks.catalogue import SMALLEST_BASE, listed, problem
from riskmodels.survey.checks.profile.reading import Part, as_number
from riskmodels.survey.checks.profile.records import Profile, country_names
from riskmodels.survey.checks.rules.answers import parts_of
from riskmodels.survey.codebook.records import Answers, Code, Codebook, Indicator, Variable
from riskmodels.survey.source import ColumnInfo, SourceTable

#: Shares of yes between which an indicator's countries must lie for one to be taken as coded the other way round.
MOST_YES, FEW_YES = 0.80, 0.20

YES_WORDS = frozenset("yes oui si sim ja ya evet tak da nai ndiyo ndio oo".split())
NO_WORDS = frozenset("no non nao nein nee nie net ne hayir hapana tidak hindi".split())
NO_ANSWER = re.compile(
    r"don.?t know|do not know|do not remember|refus|prefer not|no answer|no response|not applicable|not asked|"
    r"\bn/?a\b|\bdk\b|not stated|missing|skipped|ne sait pas|sans reponse|no sabe|no contesta|no responde|nao sabe|"
    r"nao respond|weiss nicht|keine angabe|keine antwort|sijui|prefiere no|prefere nao",
    re.IGNORECASE,
)
#: What UTF-8 looks like when it was read as a Western single-byte encoding.
MOJIBAKE = re.compile(
    "[\u00c2\u00c3][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u2122]|\u00e2\u20ac|\ufffd"
)


def plain(text: str) -> str:
    r"""Strip accents and case, for comparing words.

    Examples
    --------
    >>> plain(" N\u00e3o ")
    'nao'
    """
    whole = unicodedata.normalize("NFKD", text.replace("\u00df", "ss"))
    return "".join(mark for mark in whole if not unicodedata.combining(mark)).strip().lower()


def label_of(info: ColumnInfo | None, code: Code) -> str:
    """Give the file's own label of a declared code; empty where it has none."""
    if info is None:
        return ""
    number = as_number(code)
    for value, label in info.value_labels.items():
        if value == code or (number is not None and as_number(value) == number):
            return label
    return ""


def check_labels_of_yes(codebook: Codebook, source: SourceTable) -> list[Problem]:
    """E165: a code declared as yes that the file labels no, or the other way round, with the table of codings."""
    problems = []
    for name, indicator in codebook.indicators.items():
        variants = {"": indicator.answers, **indicator.by_country}
        wrong = [
            f"{country or 'all countries'}: {level} = {_code(code)}, labelled {label}"
            for country, answers in variants.items()
            if answers is not None
            for level, other in (("yes", NO_WORDS), ("no", YES_WORDS))
            for code in answers.levels.get(level, ())
            if plain(label := label_of(source.info(answers.column), code)) in other
        ]
        if wrong:
            problems.append(problem("E165", f"{name}: {listed(wrong)}", len(wrong), "the file's labels say otherwise"))
    return problems


def check_reversed_countries(profile: Profile, codebook: Codebook) -> list[Problem]:
    """E165: a country over 80 % yes while all others are under 20 % by the same codes, or the other way round."""
    problems = []
    for name, indicator in codebook.indicators.items():
        answers = indicator.answers
        if answers is None:
            continue
        shares = {
            country: share for country, share in _shares(profile, name).items() if country not in indicator.by_country
        }
        high = [country for country, share in shares.items() if share > MOST_YES]
        low = [country for country, share in shares.items() if share < FEW_YES]
        odd = min(high, low, key=len)
        if len(shares) >= 3 and len(high) + len(low) == len(shares) and odd and len(odd) * 3 <= len(shares):
            codes = "; ".join(
                f"{level} = {listed(map(_code, answers.levels.get(level, ())))}" for level in ("yes", "no")
            )
            table = "; ".join(
                f"{country_names(profile, codebook, sorted(group))}: {words}"
                for group, words in ((high, "over 80 % yes"), (low, "under 20 % yes"))
            )
            problems.append(problem("E165", f"{name} ({codes})", len(odd), table))
    return problems


def _shares(profile: Profile, name: str) -> dict[str, float]:
    """Share of yes among valid answers per country with 25 of them or more."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for tally in profile.analysed(name, asked=True):
        if tally.country is not None and tally.reading.level in ("no", "yes"):
            counts[tally.country][tally.reading.level == "yes"] += tally.rows
    return {country: yes / (no + yes) for country, (no, yes) in counts.items() if no + yes >= SMALLEST_BASE}


def _code(code: Code) -> str:
    return f"{code:g}" if isinstance(code, float) else str(code)


def check_missing_as_valid(profile: Profile, codebook: Codebook, source: SourceTable) -> list[Problem]:
    """E167: a code that the file marks or labels as no answer and that the codebook reads as one."""
    problems = []
    for name, part in parts_of(codebook).items():
        wrong = []
        for answers in (part.answers, *part.by_country.values()):
            info = source.info(answers.column) if answers is not None else None
            if answers is not None and info is not None:
                wrong += _as_level(answers, info, part) + _as_number(profile, name, answers, info, part)
        if wrong:
            found = list(dict.fromkeys(wrong))
            problems.append(problem("E167", f"{name}: {listed(found)}", len(found)))
    return problems


def _named(code: Code, info: ColumnInfo) -> str:
    label = label_of(info, code)
    return f"{_code(code)} ({label})" if label else f"{_code(code)} (user-missing in the file)"


def _marked(code: Code, info: ColumnInfo) -> bool:
    number = as_number(code)
    return any(
        code == missing or (number is not None and as_number(missing) == number) for missing in info.missing_codes
    )


def _as_level(answers: Answers, info: ColumnInfo, part: Part) -> list[str]:
    """Find codes of levels that the file marks as missing; a level that says so by its name is meant."""
    labels = dict(zip(part.answers.levels, part.labels)) if isinstance(part, Variable) and part.labels else {}
    return [
        _named(code, info)
        for level, codes in answers.levels.items()
        if not NO_ANSWER.search(plain(f"{level} {labels.get(level, '')}").replace("_", " "))
        for code in codes
        if _marked(code, info) or NO_ANSWER.search(plain(label_of(info, code)))
    ]


def _as_number(profile: Profile, name: str, answers: Answers, info: ColumnInfo, part: Part) -> list[str]:
    """Find codes such as 888 that would be read as a number: marked or labelled in the file, seen, not declared."""
    if isinstance(part, Indicator) or not part.is_number:
        return []
    declared = {as_number(code) for codes in answers.missing.values() for code in codes}
    suspects = [
        *info.missing_codes,
        *(code for code, label in info.value_labels.items() if NO_ANSWER.search(plain(label))),
    ]
    seen = {tally.reading.number for tally in profile.analysed(name)}
    return [
        _named(code, info)
        for code in dict.fromkeys(suspects)
        if (number := as_number(code)) is not None and number not in declared and number in seen
    ]


def check_labels(codebook: Codebook, source: SourceTable) -> list[Problem]:
    """E170: labels of the file in a wrong encoding, with the encoding proposed; I171: names and labels beyond ASCII."""
    broken, unusual = [], []
    for column in source.columns:
        labels = [column.label, *column.value_labels.values()]
        if any(MOJIBAKE.search(text) for text in (column.name, *labels)):
            broken.append(column.name)
        elif not column.name.isascii() or any(_right_to_left(text) for text in labels):
            unusual.append(column.name)
    problems = []
    if broken:
        declared = f"the file declares {source.encoding}; " if source.encoding else ""
        detail = f"{declared}these look like UTF-8 read as Windows-1252"
        problems.append(problem("E170", f"labels of {listed(broken)}", len(broken), detail))
    if unusual:
        problems.append(problem("I171", listed(unusual), len(unusual)))
    return problems


def _right_to_left(text: str) -> bool:
    return any(unicodedata.bidirectional(mark) in ("R", "AL") for mark in text)
