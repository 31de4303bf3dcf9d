"""Completed sets of a survey collapsed to the rows of a regression: drawn here, or made by the user elsewhere.

A completed set is a survey again: one coded row per eligible child under a codebook that reads the codes. It goes
through `regression_rows` like the survey itself, so denominators, design effects and weights are made in one place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from riskmodels.design.coding import MISSING_CODE, PSU, STRATUM, WEIGHT
from riskmodels.design.missing_predictors import KIND_OF, MissingPredictors, coded_children, why_missing
from riskmodels.design.regression_clusters import RegressionClusters, regression_clusters
from riskmodels.design.regression_notes import notes_on_the_asked
from riskmodels.design.regression_rows import RegressionRows, regression_rows
from riskmodels.design.survey_factors import country_factor
from riskmodels.errors import Problem, raise_if_stopping
from riskmodels.survey.codebook.records import Answers, Codebook, DesignColumns, Variable
from riskmodels.survey.imputation import Drawn, completed
from riskmodels.survey.readers import source_from_frame
from riskmodels.survey.source import SourceTable
from riskmodels.vocabulary import COUNTRY, MISSING_KINDS


def _codebook_of_codes(codebook: Codebook, coded: pd.DataFrame, outcome: str, predictors: Sequence[str]) -> Codebook:
    """The codebook that reads coded children: codes are codes, filters and eligibility are behind us."""
    missing = {kind: (MISSING_CODE[kind],) for kind in MISSING_KINDS}
    design = codebook.design
    replicates = design.replicates
    if replicates is not None:
        replicates = replace(replicates, columns=tuple(f"carried:{name}" for name in replicates.columns))
    countries = country_factor(codebook, [str(code) for code in pd.unique(coded[COUNTRY].dropna())])
    variables = {}
    for name in (*predictors, outcome):
        if name in codebook.scales:
            variables[name] = Variable(name, codebook.scales[name].label, Answers(name, {}))
        elif name in codebook.variables:
            own = codebook.variables[name]
            levels = {level: (place,) for place, level in enumerate(own.answers.levels)}
            answers = Answers(name, levels, {} if own.is_number else missing)
            variables[name] = replace(own, answers=answers, by_country={}, asked_if=None)
    indicators = {}
    if outcome in codebook.indicators:
        answers = Answers(outcome, {"no": (0,), "yes": (1,)}, missing)
        indicators[outcome] = replace(
            codebook.indicators[outcome], answers=answers, any_of=(), by_country={}, asked_if=None, follows=None
        )
    return replace(
        codebook,
        design=DesignColumns(
            country=COUNTRY,
            countries={code: code for code in countries.levels},
            country_labels=design.country_labels,
            weight=WEIGHT if design.weight is not None else None,
            stratum=STRATUM if design.stratum is not None else None,
            psu=PSU if design.psu is not None else None,
            replicates=replicates,
            lonely_psu=design.lonely_psu,
        ),
        eligibility=(),
        variables=variables,
        indicators=indicators,
        scales={},
        response_sets={},
    )


@dataclass(frozen=True, eq=False)
class CompletedSet:
    """A completed set collapsed, and what it is read from.

    Parameters
    ----------
    rows
        Its rows of the regression.
    codebook, source
        The completed survey.
    """

    rows: RegressionRows
    codebook: Codebook
    source: SourceTable

    def clusters(self, outcome: str) -> RegressionClusters:
        """Its children per PSU or replicate, for the adjustment for the sampling design."""
        return regression_clusters(self.codebook, self.source, outcome, self.rows)


def rows_of_drawn(codebook: Codebook, missing: MissingPredictors, sets: Iterable[Drawn]) -> tuple[RegressionRows, ...]:
    """Rows of `sets_of_drawn`."""
    return tuple(one.rows for one in sets_of_drawn(codebook, missing, sets))


def sets_of_drawn(codebook: Codebook, missing: MissingPredictors, sets: Iterable[Drawn]) -> tuple[CompletedSet, ...]:
    """Collapse completed sets to the rows of the regression.

    Parameters
    ----------
    codebook
        The survey's own.
    missing
        The survey with its gaps.
    sets
        Values for them, as `riskmodels.survey.imputation.draw_sets` gives.
    """
    plain = missing.coded.drop(columns=[name for name in missing.coded if str(name).startswith(KIND_OF)])
    reader = _codebook_of_codes(codebook, missing.coded, missing.outcome, missing.predictors)
    found = []
    for drawn in sets:
        whole = completed(missing.answers.values, drawn, missing.predictors)
        columns = {}
        for name in missing.predictors:
            columns[name] = plain[name].to_numpy(float, copy=True)
            columns[name][missing.inside] = whole[name]
        source = source_from_frame(plain.assign(**columns), columns=reader.columns())
        rows = regression_rows(reader, source, missing.outcome, missing.predictors, base=missing.base)
        rows = replace(rows, notes=notes_on_the_asked(codebook, missing.outcome))
        found.append(CompletedSet(rows, reader, source))
    return tuple(found)


def rows_of_completed(
    codebook: Codebook, missing: MissingPredictors, frames: Sequence[pd.DataFrame]
) -> tuple[RegressionRows, ...]:
    """Rows of `sets_of_completed`."""
    return tuple(one.rows for one in sets_of_completed(codebook, missing, frames))


def sets_of_completed(
    codebook: Codebook, missing: MissingPredictors, frames: Sequence[pd.DataFrame]
) -> tuple[CompletedSet, ...]:
    """Collapse completed sets that the user made elsewhere.

    Parameters
    ----------
    codebook
        The survey's own.
    missing
        The survey with its gaps.
    frames
        Completed copies of the survey: the same columns, codes and rows in the same order, only with predictors filled
        in. Of R's mice: ``complete(imputed, "all")``.

    Raises
    ------
    InputError
        E149, all at once: other children, answers that were changed, gaps that remain.
    """
    problems: list[Problem] = []
    found = []
    for number, frame in enumerate(frames, start=1):
        source = source_from_frame(frame, columns=codebook.columns())
        coded = coded_children(codebook, source, [missing.outcome, *missing.predictors])
        problems += _differences(codebook, missing, coded, number)
        found.append(source)
    raise_if_stopping(problems, "imputations")
    rows = (regression_rows(codebook, one, missing.outcome, missing.predictors, base=missing.base) for one in found)
    return tuple(CompletedSet(own, codebook, source) for own, source in zip(rows, found, strict=True))


def _differences(codebook: Codebook, missing: MissingPredictors, coded: pd.DataFrame, number: int) -> list[Problem]:
    where = f"set {number}"
    if len(coded) != len(missing.coded):
        what, remedy = (
            "a completed set holds other children than the survey",
            "give every child once, in the file's order",
        )
        return [Problem("E149", what, where, abs(len(coded) - len(missing.coded)), remedy)]
    problems = []
    for name in (COUNTRY, WEIGHT, missing.outcome, *missing.predictors):
        before, after = missing.coded[name], coded[name]
        if name in missing.predictors:
            had, has = (why_missing(codebook, table, name) >= 0 for table in (missing.coded, coded))
            changed = had & (before.to_numpy(float) != after.to_numpy(float))
            open_gaps = int((missing.inside & ~has).sum())
            if open_gaps:
                what, remedy = (
                    "gaps that a completed set leaves open",
                    "fill them in, or give no imputations of your own",
                )
                problems.append(Problem("E149", what, f"{where}: {name}", open_gaps, remedy))
        else:
            changed = ~((before == after) | (before.isna() & after.isna())).to_numpy(bool)
        if changed.any():
            what = "answers that differ from the survey's"
            remedy = "keep what was answered; is the order of the rows the same?"
            problems.append(Problem("E149", what, f"{where}: {name}", int(changed.sum()), remedy))
    return problems
