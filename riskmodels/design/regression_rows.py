"""Survey to the rows of a regression: one per combination of predictors, stratum and PSU left behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.design.coding import MISSING_CODE, UNDECLARED, WEIGHT, coded_select, quoted, refuse_undeclared
from riskmodels.design.collapse import collapse, not_fielded_in
from riskmodels.design.ordered_outcome import (
    check_monotonic,
    check_ordered_outcome,
    levels_that_occur,
    middle_threshold,
    with_indicator_above,
)
from riskmodels.design.regression_notes import notes_on_constants, notes_on_the_asked
from riskmodels.design.survey_cells import cells_of_survey
from riskmodels.design.survey_factors import check_names, country_factor
from riskmodels.errors import InputError, Problem, raise_if_stopping
from riskmodels.provenance import hash_record
from riskmodels.survey.codebook.records import Codebook, Indicator, Scale, Variable
from riskmodels.survey.factors import Factor
from riskmodels.survey.readers import reading
from riskmodels.survey.source import SourceTable
from riskmodels.vocabulary import ASKED_BUT_MISSING, COUNTRY, Base

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Events (or non-events, whichever are fewer) per predictor below which a regression is refused.
EVENTS_PER_PREDICTOR = 10


@dataclass(frozen=True, eq=False)
class RegressionRows:
    """Children who answered the outcome and every predictor, one row per combination of values.

    Parameters
    ----------
    countries
        Countries, in order.
    factors
        Predictors with levels, by name.
    country
        Country of every row.
    values
        Predictor -> level position, or number, per row.
    n, yes
        Unweighted children and affected; of an ordered outcome, those above its middle threshold.
    weight, weight_yes, weight_squared
        Sums of weights (mean 1 per child within a country), of those affected, and of squared weights.
    design_effect
        Design effect of the outcome per country.
    base
        Denominator.
    lost
        Children in the base left out because a predictor is missing: `country`, `children`, `share`, `weighted_share`.
    labels
        Words for the outcome and the predictors.
    synthetic
        Whether the children are made up.
    outcome_levels
        Levels of an ordered outcome; None for an indicator.
    counts, weight_counts
        Of an ordered outcome: children and sums of weights per row and level, shape (rows, levels).
    notes
        What a reader of any fit to these rows must know.
    """

    countries: Factor
    factors: Mapping[str, Factor]
    country: IntArray
    values: Mapping[str, FloatArray]
    n: FloatArray
    yes: FloatArray
    weight: FloatArray
    weight_yes: FloatArray
    weight_squared: FloatArray
    design_effect: FloatArray
    base: Base
    lost: pd.DataFrame
    labels: Mapping[str, str]
    synthetic: bool
    outcome_levels: Factor | None = None
    counts: FloatArray | None = None
    weight_counts: FloatArray | None = None
    notes: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        """Give the number of rows."""
        return len(self.n)

    def __repr__(self) -> str:
        """Say what it is, never what is in it."""
        brand = "SYNTHETIC, " if self.synthetic else ""
        return f"RegressionRows({brand}{len(self)} rows of {self.n.sum():,.0f} children in {len(self.countries)} countries)"

    @property
    def content_hash(self) -> str:
        """Equal for equal rows."""
        arrays: dict[str, object] = {
            name: getattr(self, name)
            for name in ("country", "n", "yes", "weight", "weight_yes", "weight_squared", "design_effect")
        }
        arrays |= {f"value {name}": values for name, values in self.values.items()}
        arrays |= {} if self.counts is None else {"counts": self.counts, "weight counts": self.weight_counts}
        levels = {name: list(factor.levels) for name, factor in self.factors.items()}
        return hash_record({**arrays, "levels": levels, "countries": list(self.countries.levels), "base": self.base})


def regression_rows(
    codebook: Codebook,
    source: SourceTable,
    outcome: str,
    predictors: Sequence[str],
    *,
    base: Base | None = None,
    monotonic: Sequence[str] = (),
) -> RegressionRows:
    """Collapse a survey to the rows of a regression.

    Parameters
    ----------
    codebook, source
        The study.
    outcome
        Indicator, or an ordered variable.
    predictors
        Variables (levels or numbers) and scales.
    base
        Denominator; the indicator's own where None. An ordered outcome is known of valid answers only.
    monotonic
        Predictors whose effect has one direction: their levels must be ordered.

    Returns
    -------
    RegressionRows
        Complete cases; `lost` says how many children are left out, raw and weighted.

    Raises
    ------
    InputError
        E132 for unknown names, E160 for values that the codebook does not declare, E101 where nothing is left, E195 for
        an outcome or a monotonic predictor without an order.
    """
    check_monotonic(codebook, monotonic)
    ordered = outcome in codebook.variables
    if ordered:
        check_ordered_outcome(codebook, outcome, base)
    else:
        check_names(codebook, [outcome], [name for name in predictors if name not in codebook.scales])
    chosen: Base = "valid answers" if ordered else base or codebook.indicators[outcome].base
    with reading(source), source.connect() as connection:
        fielded = not_fielded_in(
            connection, codebook, source, [outcome, *(n for n in predictors if n not in codebook.scales)]
        )
        statement = coded_select(codebook, source, [outcome, *predictors], fielded)
        keys = ", ".join(quoted(name) for name in (COUNTRY, *predictors, outcome))
        weight = quoted(WEIGHT)
        table = connection.execute(
            f"SELECT {keys}, count(*) AS children, sum({weight}) AS total, sum({weight} * {weight}) AS squares "
            f"FROM ({statement}) GROUP BY {keys} ORDER BY {keys}"
        ).df()
    counted = {
        name: int(table.loc[table[name] == UNDECLARED, "children"].sum())
        for name in (outcome, *predictors)
        if name in codebook.indicators or (name in codebook.variables and not codebook.variables[name].is_number)
    }
    refuse_undeclared(counted, codebook.file)
    return _rows(codebook, source, table, outcome, predictors, chosen)


def _rows(
    codebook: Codebook, source: SourceTable, table: pd.DataFrame, outcome: str, predictors: Sequence[str], base: Base
) -> RegressionRows:
    missing = [MISSING_CODE[kind] for kind in ASKED_BUT_MISSING] if base == "all asked" else []
    asked = table[(table[outcome] >= 0) | table[outcome].isin(missing)].reset_index(drop=True)
    whole = np.ones(len(asked), dtype=bool)
    for name in predictors:
        values = asked[name].to_numpy(float)
        is_number = name in codebook.scales or codebook.variables[name].is_number
        whole &= np.isfinite(values) if is_number else values >= 0
    if not whole.any():
        problem = Problem(
            "E101", "no child answered the outcome and every predictor", outcome, 0, "check the predictors"
        )
        raise InputError([problem], codebook.study_id)
    countries = country_factor(codebook, list(pd.unique(asked.loc[whole, COUNTRY])))
    lost = _lost(asked, whole)
    ordered, positions = None, np.array([0, 1])
    if outcome in codebook.variables:
        ordered, positions = levels_that_occur(codebook, outcome, asked.loc[whole, outcome])
    lowest = positions[middle_threshold(len(positions)) + 1]
    kept = asked[whole].assign(
        yes=lambda f: f["children"].where(f[outcome] >= lowest, 0),
        total_yes=lambda f: f["total"].where(f[outcome] >= lowest, 0.0),
    )
    sums = (
        kept.groupby([COUNTRY, *predictors], sort=True)[["children", "yes", "total", "total_yes", "squares"]]
        .sum()
        .reset_index()
    )
    counts, weight_counts = _per_level(kept, [COUNTRY, *predictors], outcome, positions) if ordered else (None, None)
    country = countries.codes(sums[COUNTRY])
    scale = (np.bincount(country, sums["children"]) / np.bincount(country, sums["total"]))[country]
    factors, values_of = {}, {}
    for name in predictors:
        values = sums[name].to_numpy(float)
        if name in codebook.scales or codebook.variables[name].is_number:
            values_of[name] = values
            continue
        declared = codebook.variables[name].factor
        used = np.unique(values.astype(np.int64))
        factors[name] = Factor(name, tuple(declared.levels[k] for k in used), tuple(declared.labels[k] for k in used))
        values_of[name] = np.searchsorted(used, values.astype(np.int64)).astype(float)
    parts: dict[str, Variable | Indicator | Scale] = {**codebook.variables, **codebook.indicators, **codebook.scales}
    return RegressionRows(
        countries=countries,
        factors=factors,
        country=country,
        values=values_of,
        n=sums["children"].to_numpy(float),
        yes=sums["yes"].to_numpy(float),
        weight=sums["total"].to_numpy(float) * scale,
        weight_yes=sums["total_yes"].to_numpy(float) * scale,
        weight_squared=sums["squares"].to_numpy(float) * scale**2,
        design_effect=_design_effects(*with_indicator_above(codebook, outcome, lowest), source, base, countries)
        if ordered
        else _design_effects(codebook, outcome, source, base, countries),
        base=base,
        lost=lost,
        labels={name: parts[name].label or name for name in (outcome, *predictors)},
        synthetic=codebook.synthetic,
        outcome_levels=ordered,
        counts=counts,
        weight_counts=None if weight_counts is None else weight_counts * scale[:, None],
        notes=notes_on_the_asked(codebook, outcome),
    )


def _per_level(
    kept: pd.DataFrame, keys: list[str], outcome: str, positions: npt.NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """Children and sums of weights per row (in the order of `keys`) and level of the outcome."""
    tables = (
        kept.pivot_table(index=keys, columns=outcome, values=name, aggfunc="sum") for name in ("children", "total")
    )
    counts, weights = (table.reindex(columns=positions).fillna(0.0).to_numpy(float) for table in tables)
    return counts, weights


def _design_effects(codebook: Codebook, outcome: str, source: SourceTable, base: Base, countries: Factor) -> FloatArray:
    """N over effective n of the outcome in each country (1 at least)."""
    cells = cells_of_survey(collapse(codebook, source, [outcome], base=base, pairs=False))
    found = dict(
        zip(
            (cells.factor(COUNTRY).levels[k] for k in cells.position(COUNTRY)), cells.n / cells.n_effective, strict=True
        )
    )
    return np.array([max(1.0, found.get(code, 1.0)) for code in countries.levels])


def _lost(asked: pd.DataFrame, whole: npt.NDArray[np.bool_]) -> pd.DataFrame:
    frame = asked.assign(gone=asked["children"].where(~whole, 0), gone_weight=asked["total"].where(~whole, 0.0))
    sums = frame.groupby(COUNTRY, sort=True)[["children", "gone", "total", "gone_weight"]].sum()
    return pd.DataFrame(
        {
            COUNTRY: sums.index,
            "children": sums["gone"].to_numpy(),
            "share": (sums["gone"] / sums["children"]).to_numpy(),
            "weighted_share": (sums["gone_weight"] / sums["total"]).to_numpy(),
        }
    )


def refuse_ordered(levels: Factor | None, what: str) -> None:
    """Stop where only yes/no outcomes are covered (E195), rather than take an order for yes and no in silence."""
    if levels is not None:
        remedy = "use an indicator, e.g. whether a child's answer is at a level or higher"
        raise InputError([Problem("E195", f"{what} covers yes/no outcomes only", levels.name, 1, remedy)], "regression")


def check_rows(
    rows: RegressionRows, coefficients: int, design: FloatArray, names: Sequence[str]
) -> tuple[Problem, ...]:
    """What forbids or burdens a regression on these rows, before any sampling.

    Parameters
    ----------
    rows
        The data.
    coefficients
        Coefficients besides the intercept.
    design
        Design matrix, intercept first, shape (rows, coefficients + 1).
    names
        Names of its columns.

    Returns
    -------
    tuple of Problem
        Warnings: the rows' own (W145), W144 predictors constant in a country, W141 separation, W143 few countries.

    Raises
    ------
    InputError
        E141 columns that are combinations of others, E147 an outcome without variation or with fewer than ten events
        per coefficient.
    """
    problems = []
    events = float(min(rows.yes.sum(), (rows.n - rows.yes).sum()))
    if events < EVENTS_PER_PREDICTOR * max(coefficients, 1):
        what = f"fewer than {EVENTS_PER_PREDICTOR} events per coefficient"
        problems.append(Problem("E147", what, "outcome", coefficients, "leave predictors out, or pool their levels"))
    rank = np.linalg.matrix_rank(design * np.sqrt(rows.n)[:, None])
    if rank < design.shape[1]:
        bad = _dependent(design, names)
        remedy = "drop one of them, or pool levels"
        problems.append(Problem("E141", "predictors that are combinations of others", ", ".join(bad), len(bad), remedy))
    for k, name in enumerate(names[1:], start=1):
        column = design[:, k]
        for side in np.unique(column)[:2] if len(np.unique(column)) == 2 else ():
            at = column == side
            if rows.yes[at].sum() in (0, rows.n[at].sum()):
                remedy = "read the prior's part in this coefficient, pool levels, or drop it"
                problems.append(Problem("W141", "a predictor separates the affected from the others", name, 1, remedy))
                break
    if 1 < len(rows.countries) < 5:
        remedy = "compare other priors of the SD between countries"
        problems.append(
            Problem(
                "W143",
                "fewer than five countries: the prior of the between-country SD matters",
                "country",
                len(rows.countries),
                remedy,
            )
        )
    constant = notes_on_constants(rows.country, len(rows.countries), rows.values)
    return (*rows.notes, *constant, *raise_if_stopping(problems, "regression"))


def _dependent(design: FloatArray, names: Sequence[str]) -> list[str]:
    found, kept = [], np.zeros((len(design), 0))
    for k, name in enumerate(names):
        more = np.column_stack([kept, design[:, k]])
        if np.linalg.matrix_rank(more) == more.shape[1]:
            kept = more
        else:
            found.append(name)
    return found
