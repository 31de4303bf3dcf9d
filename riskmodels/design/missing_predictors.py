"""Missing predictors of a regression: which gaps may be filled, and which must not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.design.coding import MISSING_CODE, UNDECLARED, WEIGHT, coded_select, refuse_undeclared
from riskmodels.design.collapse import base_codes, not_fielded_in
from riskmodels.design.survey_factors import country_factor
from riskmodels.errors import Problem, raise_if_stopping
from riskmodels.survey.codebook.records import Answers, Codebook, Variable
from riskmodels.survey.imputation import IncompleteAnswers, Kind
from riskmodels.survey.readers import reading
from riskmodels.survey.source import SourceTable
from riskmodels.vocabulary import COUNTRY, Base

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: Why there is no answer, beside a number's value.
KIND_OF = "kind of "
UNASKED = (MISSING_CODE["not_asked"], MISSING_CODE["not_fielded"])


@dataclass(frozen=True, eq=False)
class MissingPredictors:
    """A survey's predictors with gaps, ready to be filled.

    Parameters
    ----------
    answers
        What the chains need: the children who stand for themselves in the regression.
    outcome, predictors, auxiliary
        Names; auxiliary variables only help to fill gaps.
    base
        Denominator.
    missing
        Children in the base without an answer, per country and predictor and for "any of them": `children`, `share`,
        `weighted_share`.
    notes
        What a reader must know.
    coded
        One coded row per eligible child.
    inside
        Which of them `answers` holds.
    """

    answers: IncompleteAnswers
    outcome: str
    predictors: tuple[str, ...]
    auxiliary: tuple[str, ...]
    base: Base
    missing: pd.DataFrame
    notes: tuple[Problem, ...]
    coded: pd.DataFrame
    inside: BoolArray

    def __repr__(self) -> str:
        """Say what it is, never what is in it."""
        return f"MissingPredictors({self.outcome} by {', '.join(self.predictors)}; {len(self.answers):,} children)"


def _is_number(codebook: Codebook, name: str) -> bool:
    return name in codebook.scales or (name in codebook.variables and codebook.variables[name].is_number)


def _kind_readers(codebook: Codebook, names: Sequence[str]) -> dict[str, Variable]:
    """Variables that tell why a number (or a scale's item) has no answer; a number that was given is `UNDECLARED`."""
    found = {}
    for name in names:
        for item in codebook.scales[name].items if name in codebook.scales else (name,):
            variable = codebook.variables.get(item)
            if variable is None or not (variable.is_number or name in codebook.scales):
                continue

            def told(answers: Answers) -> Answers:
                return replace(answers, levels={"given": ()})

            other = {code: told(answers) for code, answers in variable.by_country.items()}
            found[KIND_OF + item] = replace(
                variable, name=KIND_OF + item, answers=told(variable.answers), labels=(), by_country=other
            )
    return found


def coded_children(codebook: Codebook, source: SourceTable, names: Sequence[str]) -> pd.DataFrame:
    """One coded row per eligible child, in the file's order, with why each answer is missing.

    Parameters
    ----------
    codebook, source
        The study.
    names
        Indicators, variables and scales.

    Returns
    -------
    pandas.DataFrame
        `country`, `weight`, the design, every name coded as everywhere, ``"kind of NAME"`` for numbers and scales: the
        code of the kind of missing, 0 where there is a number.
    """
    readers = _kind_readers(codebook, names)
    wider = replace(codebook, variables={**codebook.variables, **readers})
    replicates = codebook.design.replicates
    wanted = [*dict.fromkeys(names), *readers]
    with reading(source), source.connect() as connection:
        fielded = not_fielded_in(connection, wider, source, wanted)
        statement = coded_select(
            wider, source, wanted, fielded, carried=replicates.columns if replicates is not None else ()
        )
        table = connection.execute(statement).df()
    kinds = {}
    for name in dict.fromkeys(names):
        if not _is_number(codebook, name):
            continue
        items = codebook.scales[name].items if name in codebook.scales else (name,)
        own = table[[KIND_OF + item for item in items]].to_numpy(np.int64)
        asked = ~np.isin(own, UNASKED)
        # A scale counts as asked where any item was; otherwise as its least remote item.
        kind = np.where(asked.any(axis=1), MISSING_CODE["system_missing"], own.max(axis=1))
        if name not in codebook.scales:
            kind = own[:, 0]
        given = np.isfinite(table[name].to_numpy(float))
        kinds[KIND_OF + name] = np.where(given, 0, kind)
    return table.drop(columns=list(readers)).assign(**kinds)


def why_missing(codebook: Codebook, coded: pd.DataFrame, name: str) -> npt.NDArray[np.int64]:
    """0 or above where there is an answer, the code of its kind of missing elsewhere."""
    return coded[KIND_OF + name if _is_number(codebook, name) else name].to_numpy(np.int64)


def missing_predictors(
    codebook: Codebook,
    source: SourceTable,
    outcome: str,
    terms: Sequence[Sequence[str]],
    *,
    base: Base | None = None,
    auxiliary: Sequence[str] = (),
) -> MissingPredictors:
    """Find what is missing among the predictors of a regression, and what may be filled.

    Parameters
    ----------
    codebook, source
        The study.
    outcome
        Indicator, or an ordered variable.
    terms
        Main effects and interactions of the regression.
    base
        Denominator; the indicator's own where None.
    auxiliary
        Variables and scales that are no predictors but say something about those that are.

    Returns
    -------
    MissingPredictors
        Children in the base who were asked every predictor. Children who were not asked one (a filter, a half of the
        sample) have nothing to fill in: they are left out as in complete cases (W149).

    Raises
    ------
    InputError
        All at once: E130 a predictor that no child of a country answered (not fielded is never imputed), E132 unknown
        names, E160 undeclared values, E112 unusable weights, E172 children without country, E101 where nothing is left,
        E195 an auxiliary variable that some were not asked, or that is the outcome or a predictor.

    Examples
    --------
    >>> import riskmodels as rm
    >>> survey = rm.load_study("data/synthetic/invented/study.toml").survey
    >>> missing = missing_predictors(survey.codebook, survey.source, "any_risk", [("gender",), ("age",)])
    >>> missing, missing.answers.incomplete
    (MissingPredictors(any_risk by gender, age; 1,260 children), ('gender',))
    """
    predictors = tuple(dict.fromkeys(name for term in terms for name in term))
    names = [outcome, *predictors, *auxiliary]
    coded = coded_children(codebook, source, names)
    ordered = outcome in codebook.variables
    chosen: Base = "valid answers" if ordered else base or codebook.indicators[outcome].base
    refuse_undeclared({n: int((why_missing(codebook, coded, n) == UNDECLARED).sum()) for n in names}, codebook.file)
    answered = coded[outcome].to_numpy(np.int64)
    in_base = answered >= 0 if ordered else np.isin(answered, base_codes(chosen))
    _refuse_design(codebook, coded, in_base)
    why = {name: why_missing(codebook, coded, name) for name in (*predictors, *auxiliary)}
    unasked = np.any([np.isin(why[name], UNASKED) for name in predictors], axis=0) if predictors else ~in_base
    inside = in_base & ~unasked
    _refuse_unanswered(codebook, coded, in_base, inside, why, predictors, auxiliary)
    own = coded[inside]
    countries = country_factor(codebook, list(pd.unique(own[COUNTRY])))
    values = {n: np.where(why[n][inside] >= 0, own[n].to_numpy(float), np.nan) for n in why}
    answers = IncompleteAnswers(
        values=values,
        kinds={name: _kind(codebook, name) for name in why},
        country=countries.codes(own[COUNTRY]),
        outcome=np.unique(np.maximum(answered[inside], -1), return_inverse=True)[1].reshape(-1).astype(np.int64),
        weight=own[WEIGHT].to_numpy(float),
        terms=tuple(tuple(term) for term in terms),
    )
    left = int((in_base & unasked).sum())
    notes = []
    if left:
        what = "children who were not asked a predictor are left out: nothing is missing that could be filled in"
        where = ", ".join(name for name in predictors if np.isin(why[name][in_base], UNASKED).any())
        notes.append(Problem("W149", what, where, left, "leave the predictor out to speak of all children"))
    return MissingPredictors(
        answers=answers,
        outcome=outcome,
        predictors=predictors,
        auxiliary=tuple(auxiliary),
        base=chosen,
        missing=_missing_table(coded[in_base], {name: why[name][in_base] for name in predictors}),
        notes=tuple(notes),
        coded=coded,
        inside=inside,
    )


def _kind(codebook: Codebook, name: str) -> Kind:
    if _is_number(codebook, name):
        return "number"
    return "ordered" if name in codebook.variables and codebook.variables[name].ordered else "levels"


def _refuse_design(codebook: Codebook, coded: pd.DataFrame, in_base: BoolArray) -> None:
    problems = []
    weight = coded[WEIGHT].to_numpy(float)
    unusable, lost = int((~(np.isfinite(weight) & (weight >= 0))).sum()), int(coded[COUNTRY].isna().sum())
    if not in_base.any():
        problems.append(
            Problem("E101", "no child answered the outcome", "outcome", 0, "check the outcome and its base")
        )
    if unusable:
        what, remedy = (
            "weights that are missing, negative or not finite",
            "mend them, or drop these rows before reading",
        )
        problems.append(Problem("E112", what, codebook.design.weight or WEIGHT, unusable, remedy))
    if lost:
        remedy = "declare every code in [design] countries; was NA or NO lost?"
        what = "country codes that are empty or not declared"
        problems.append(Problem("E172", what, codebook.design.country or COUNTRY, lost, remedy))
    raise_if_stopping(problems, codebook.file)


def _refuse_unanswered(
    codebook: Codebook,
    coded: pd.DataFrame,
    in_base: BoolArray,
    inside: BoolArray,
    why: Mapping[str, npt.NDArray[np.int64]],
    predictors: Sequence[str],
    auxiliary: Sequence[str],
) -> None:
    """Refuse what no child of a country answered (E130), and auxiliary variables that cannot help (E195)."""
    problems = []
    country = coded[COUNTRY].to_numpy()
    for name in why:
        empty = [
            str(code) for code in pd.unique(country[in_base]) if not (why[name][in_base & (country == code)] >= 0).any()
        ]
        if empty:
            where = f"{name}: {', '.join(sorted(empty))}"
            remedy = "leave the variable out, or keep these countries out by an eligibility rule"
            what = "no child of a country answered: not fielded there, which is never imputed"
            problems.append(Problem("E130", what, where, len(empty), remedy))
    for name in auxiliary:
        filtered = int(np.isin(why[name][inside], UNASKED).sum())
        if filtered and not any(name == problem.where.split(":")[0] for problem in problems):
            what = "an auxiliary variable that some children were not asked"
            problems.append(Problem("E195", what, name, filtered, "leave it out"))
    twice = [name for name in auxiliary if name in predictors]
    if twice:
        problems.append(
            Problem("E195", "auxiliary variables that are predictors", ", ".join(twice), len(twice), "drop")
        )
    if not problems and not inside.any():
        remedy = "check the predictors"
        problems.append(Problem("E101", "no child was asked the outcome and every predictor", "outcome", 0, remedy))
    raise_if_stopping(problems, codebook.study_id)


def _missing_table(asked: pd.DataFrame, why: Mapping[str, npt.NDArray[np.int64]]) -> pd.DataFrame:
    """Children without an answer per country and predictor, raw and weighted; the last rows are of any predictor."""
    gone = {name: codes < 0 for name, codes in why.items()}
    if len(gone) > 1:
        gone["any of them"] = np.any(list(gone.values()), axis=0)
    weight = asked[WEIGHT].to_numpy(float)
    parts = []
    for name, lost in gone.items():
        frame = pd.DataFrame({COUNTRY: asked[COUNTRY], "n": 1.0, "w": weight, "gone": lost, "gone_w": lost * weight})
        sums = frame.groupby(COUNTRY, sort=True)[["n", "w", "gone", "gone_w"]].sum().reset_index()
        parts.append(
            pd.DataFrame(
                {
                    COUNTRY: sums[COUNTRY],
                    "predictor": name,
                    "children": sums["gone"].astype(int),
                    "share": sums["gone"] / sums["n"],
                    "weighted_share": sums["gone_w"] / sums["w"],
                }
            )
        )
    columns = [COUNTRY, "predictor", "children", "share", "weighted_share"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
