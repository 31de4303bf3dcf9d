"""A first codebook from a file's own labels, for people to finish: every guess is marked as one."""

from __future__ import annotations

import re
from collections.abc import Mapping

from riskmodels.survey.codebook.consistency import TAKEN
from riskmodels.survey.countries import folded
from riskmodels.survey.source import ColumnInfo, SourceTable

#: Words in names and labels by which columns of the design are recognised, folded; several languages.
DESIGN_WORDS: Mapping[str, tuple[str, ...]] = {
    "country": ("country", "cntry", "ctry", "pays", "pais", "land", "iso3", "iso"),
    "weight": ("weight", "wgt", "wt", "poids", "ponderation", "peso", "ponderacion", "gewicht"),
    "stratum": ("stratum", "strata", "strat", "strate", "estrato", "schicht"),
    "psu": ("psu", "cluster", "ea", "enumeration", "conglomerado", "grappe", "upm", "klumpen"),
    "child_id": ("id", "identifier", "respid", "respondent", "caseid", "identifiant", "folio"),
}
#: Words in value labels by which kinds of missing answers are recognised.
MISSING_WORDS: Mapping[str, tuple[str, ...]] = {
    "dont_know": (
        "dont know",
        "do not know",
        "dk",
        "unsure",
        "ne sait pas",
        "ne sais pas",
        "nsp",
        "no sabe",
        "no se",
        "weiss nicht",
    ),
    "prefer_not_to_say": (
        "prefer not",
        "refus",
        "rather not",
        "no answer",
        "ne veut pas",
        "no responde",
        "prefiero no",
        "prefere",
        "keine angabe",
    ),
    "not_asked": (
        "not asked",
        "not applicable",
        "na ",
        "n a",
        "sans objet",
        "no aplica",
        "no procede",
        "skip",
        "trifft nicht",
    ),
}
YES_WORDS, NO_WORDS = ("yes", "oui", "si", "ja", "sim", "да", "co"), ("no", "non", "nein", "nao", "нет", "khong")
NEVER_WORDS = ("never", "jamais", "nunca", "nie", "никогда", "khong bao gio")
SCALE_WORDS = (
    "often",
    "sometimes",
    "rarely",
    "always",
    "souvent",
    "parfois",
    "a veces",
    "siempre",
    "immer",
    "agree",
    "true",
)


def _quoted(text: object) -> str:
    plain = "".join(sign if sign.isprintable() else " " for sign in str(text))
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"').strip() + '"'


def _code(code: float | str) -> str:
    return _quoted(code) if isinstance(code, str) else f"{code:g}"


def _key(text: str, taken: set[str]) -> str:
    """Make a name of a label or column, unused so far."""
    words = re.sub(r"[^a-z0-9]+", "_", folded(text)).strip("_")[:40].strip("_") or "item"
    name, number = words if not words[0].isdigit() else f"v_{words}", 2
    while name in taken:
        name, number = f"{words}_{number}", number + 1
    taken.add(name)
    return name


def _has(text: str, words: tuple[str, ...]) -> bool:
    plain = f"{folded(text)} "
    return any(plain.startswith(word) or f" {word}" in plain for word in words)


def _is_word(text: str, words: tuple[str, ...]) -> bool:
    return folded(text) in words or text.strip().casefold() in words


def _design(columns: tuple[ColumnInfo, ...]) -> dict[str, ColumnInfo]:
    found: dict[str, ColumnInfo] = {}
    for part, words in DESIGN_WORDS.items():
        for column in columns:
            pieces = set(folded(column.name).replace("_", " ").split()) | set(folded(column.label).split()[:4])
            if (
                column not in found.values()
                and pieces & set(words)
                and not (part == "child_id" and column.value_labels)
            ):
                found[part] = column
                break
    return found


def _kinds(column: ColumnInfo) -> tuple[dict[str, list[float | str]], dict[float | str, str]]:
    """Codes of missing answers by kind, and the labels of what is left."""
    missing: dict[str, list[float | str]] = {}
    valid: dict[float | str, str] = {}
    for code, label in column.value_labels.items():
        kind = next((kind for kind, words in MISSING_WORDS.items() if _has(label, words)), None)
        if kind is None and code in column.missing_codes:
            kind = "prefer_not_to_say"
        if kind is None:
            valid[code] = label
        else:
            missing.setdefault(kind, []).append(code)
    return missing, valid


def _missing_line(missing: Mapping[str, list[float | str]]) -> str:
    parts = ", ".join(f"{kind} = [{', '.join(map(_code, codes))}]" for kind, codes in missing.items())
    return f"missing = {{ {parts} }}  # guess: by the labels"


def _country_lines(column: ColumnInfo) -> list[str]:
    from riskmodels.survey.countries import country_code

    lines = [f"country = {_quoted(column.name)}  # guess"]
    if column.value_labels:
        pairs = [
            f"{_quoted(f'{c:g}' if not isinstance(c, str) else c)} = {_quoted(country_code(label) or label)}"
            for c, label in column.value_labels.items()
        ]
        lines.append(f"countries = {{ {', '.join(pairs)} }}  # TODO: check the three-letter codes")
    return lines


def _part(column: ColumnInfo, taken: set[str]) -> list[str]:
    """One variable or indicator."""
    missing, valid = _kinds(column)
    name = _key(column.name, taken)
    label = f"label = {_quoted(column.label or column.name)}"
    tail = [_missing_line(missing)] if missing else []
    yes = [code for code, words in valid.items() if _is_word(words, YES_WORDS)]
    no = [code for code, words in valid.items() if _is_word(words, NO_WORDS)]
    never = [code for code, words in valid.items() if _has(words, NEVER_WORDS)]
    if len(valid) == 2 and yes and no:
        body = [f"yes = [{', '.join(map(_code, yes))}]", f"no = [{', '.join(map(_code, no))}]  # guess: by the labels"]
        return [
            f"[indicators.{name}]",
            f"column = {_quoted(column.name)}",
            label,
            *body,
            *tail,
            'base = "all asked"  # TODO: or "valid answers"',
        ]
    if never and len(valid) > 2:
        others = [code for code in valid if code not in never]
        body = [
            f"yes = [{', '.join(map(_code, others))}]  # guess: anything but never",
            f"no = [{', '.join(map(_code, never))}]",
        ]
        return [
            f"[indicators.{name}]",
            f"column = {_quoted(column.name)}",
            label,
            *body,
            *tail,
            'base = "all asked"  # TODO: or "valid answers"',
        ]
    if valid:
        used: set[str] = set()
        keys = {code: _key(words, used) for code, words in valid.items()}
        levels = ", ".join(f"{keys[code]} = [{_code(code)}]" for code in valid)
        labels = ", ".join(f"{keys[code]} = {_quoted(words)}" for code, words in valid.items())
        ordered = any(_has(words, SCALE_WORDS) for words in valid.values()) or column.measure == "ordinal"
        body = [f"levels = {{ {levels} }}", f"labels = {{ {labels} }}"]
        body += ["ordered = true  # guess"] if ordered else []
        return [f"[variables.{name}]", f"column = {_quoted(column.name)}", label, *body, *tail]
    note = "# TODO: a number as it stands; give levels if these are codes, or remove"
    return [f"[variables.{name}]  {note}", f"column = {_quoted(column.name)}", label, *tail]


def draft_codebook(source: SourceTable, title: str = "") -> str:
    """Write a first codebook from what a file says of its columns.

    Parameters
    ----------
    source
        What `list_columns` gave; no row is needed.
    title
        Title of the study.

    Returns
    -------
    str
        TOML that `riskmodels check` reads. Lines marked ``# guess`` were inferred from names and labels; lines marked
        ``# TODO`` need a decision. Text columns without labels are left out: they may hold names.

    Examples
    --------
    >>> from pathlib import Path
    >>> from riskmodels.survey.source import ColumnInfo, SourceTable
    >>> column = ColumnInfo("Q7", "Has a phone", {0.0: "No", 1.0: "Yes", 9.0: "Don't know"})
    >>> print(draft_codebook(SourceTable((column,), None, Path("a.sav"), "sav")).split("[indicators")[1].splitlines()[4])
    no = [0]  # guess: by the labels
    """
    design = _design(source.columns)
    lines = [
        "# First draft from the file's own labels. Finish the lines marked TODO, check those marked guess.",
        "[study]",
        f"id = {_quoted(_key(source.path.stem, set()))}",
        f"title = {_quoted(title or 'TODO')}  # TODO",
        'population = ""  # TODO: e.g. internet-using children 12-17',
        f"file = {_quoted(source.path.name)}",
        "synthetic = false  # TODO: true if the children are made up",
        "",
        "[design]",
    ]
    for part in ("country", "weight", "stratum", "psu", "child_id"):
        if part not in design:
            lines.append(f'# {part} = ""  # TODO: column, if the file has one')
        elif part == "country":
            lines += _country_lines(design[part])
        else:
            lines.append(f"{part} = {_quoted(design[part].name)}  # guess")
    taken = set(TAKEN)
    skipped = []
    for column in source.columns:
        if column in design.values():
            continue
        if not column.numeric and not column.value_labels and source.format not in ("csv", "parquet"):
            skipped.append(column.name)
            continue
        lines += ["", *_part(column, taken)]
    if skipped:
        lines += ["", f"# {len(skipped)} text columns without labels were left out."]
    return "\n".join(lines) + "\n"
