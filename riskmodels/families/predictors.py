"""Right-hand sides: default predictors by what the codebook declares, and the constants numbers are centred at."""

from __future__ import annotations

from collections.abc import Sequence

from riskmodels.errors import InputError, Problem
from riskmodels.families.words import holds_word
from riskmodels.survey.codebook.records import Codebook

#: Dimensions of General Comment No. 25 that describe who is harmed, in the order of the default formula.
HARM_DIMENSIONS = ("gender", "age", "socio-economic background", "disability")
#: Names of further variables that go with harm in the literature.
HARM_WORDS = ("self_efficacy", "efficacy", "difficulties", "sdq", "sexual_orientation", "orientation")


def by_dimension(codebook: Codebook) -> dict[str, str]:
    """One variable per dimension of General Comment No. 25: a number before levels, else the first declared."""
    found: dict[str, str] = {}
    for variable in codebook.variables.values():
        name = variable.dimension
        if name is not None and (name not in found or (variable.is_number and not _is_number(codebook, found[name]))):
            found[name] = variable.name
    return found


def _is_number(codebook: Codebook, name: str) -> bool:
    return codebook.variables[name].is_number


def _refuse_none(codebook: Codebook, terms: Sequence[str], what: str) -> None:
    if not terms:
        remedy = 'name them: predictors="gender * age", or declare dimensions in the codebook'
        raise InputError(
            [Problem("E132", f"the codebook declares no variable for {what}", "predictors", 0, remedy)],
            codebook.study_id,
        )


def default_predictors(codebook: Codebook) -> str:
    """Gender and age with their interaction, as far as the codebook declares them by their `dimension`."""
    known = by_dimension(codebook)
    terms = [known[name] for name in ("gender", "age") if name in known]
    _refuse_none(codebook, terms, "gender or age")
    return " * ".join(terms)


def harm_predictors(codebook: Codebook) -> str:
    """Gender, age, socio-economic group, disability, self-efficacy, psychological difficulties: those declared."""
    known = by_dimension(codebook)
    terms = [known[name] for name in HARM_DIMENSIONS if name in known]
    terms += [name for name in (*codebook.variables, *codebook.scales) if holds_word(name, HARM_WORDS)]
    _refuse_none(codebook, terms, "gender, age or what goes with harm")
    return " + ".join(dict.fromkeys(terms))


def number_constants(codebook: Codebook, predictors: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Centre and scale of every number: the middle of its declared range, and one unit of it.

    Examples
    --------
    >>> import riskmodels as rm
    >>> number_constants(rm.read_codebook("data/synthetic/invented/study.toml"), ["gender", "age"])
    {'age': (14.5, 1.0)}
    """
    found = {}
    for name in predictors:
        ends = _range_of(codebook, name)
        if ends is not None:
            found[name] = ((ends[0] + ends[1]) / 2, 1.0)
    return found


def _range_of(codebook: Codebook, name: str) -> tuple[float, float] | None:
    scale = codebook.scales.get(name)
    if scale is not None:
        items = [
            _range_of(codebook, item) or (0.0, len(codebook.variables[item].answers.levels) - 1.0)
            for item in scale.items
        ]
        low, high = sum(low for low, _ in items), sum(high for _, high in items)
        share = len(items) if scale.rule == "mean" else 1
        return low / share, high / share
    variable = codebook.variables.get(name)
    if variable is None or not variable.is_number or variable.low is None or variable.high is None:
        return None
    return variable.low, variable.high
