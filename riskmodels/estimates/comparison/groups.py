"""How well a regression predicts a whole group it has not seen: refits that leave out countries, or other groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.design.regression_rows import RegressionRows, check_rows, refuse_ordered
from riskmodels.errors import InputError, Problem, raise_if_stopping
from riskmodels.estimates.comparison.held_out import averaged, held_out
from riskmodels.estimates.comparison.scores import (
    UNIT_WORDS,
    Scores,
    table_in_html,
)
from riskmodels.fit import limits
from riskmodels.fit.checks import CheckResult, below
from riskmodels.fit.regression import fit_regression
from riskmodels.fit.sampler import Progress, SamplerSpec, no_progress
from riskmodels.models.regression_design import shared_design
from riskmodels.models.regression_spec import RegressionSpec
from riskmodels.provenance import hash_record
from riskmodels.survey.factors import Factor
from riskmodels.vocabulary import COUNTRY

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Random stream of folds and of new countries' effects, apart from those of the engines.
STREAM_OF_FOLDS = 10_003
#: Counts of a row that its parts must add up to.
COUNTS = ("n", "yes", "weight", "weight_yes", "weight_squared")


@dataclass(frozen=True, eq=False)
class GroupedResult:
    """Predictive accuracy of a regression for groups it was not fitted to; internal, not cleared for release.

    Parameters
    ----------
    formula, outcome, weights
        The model, and how it uses weights.
    rows_hash
        Identity of rows, groups and folds.
    criterion
        What was left out.
    labels
        Names of the groups where they are countries; None otherwise: other groups may hold few children and are never
        listed.
    children
        Children per group.
    joint
        Log predictive density of all answers of each group together.
    each_child
        Sum over the group's children of the log predictive density of each alone, none of its group being known.
    error, pareto_k
        Monte Carlo error of `joint`, and Pareto k of what its average is taken over.
    fold, fold_passed
        Fold of each group, and whether the fit without that fold passed the gate.
    synthetic
        Whether the children are made up.
    checks
        Verdicts: fits without each fold, largest Pareto k.
    """

    formula: str
    outcome: str
    weights: str
    rows_hash: str
    criterion: str
    labels: tuple[str, ...] | None
    children: FloatArray
    joint: FloatArray
    each_child: FloatArray
    error: FloatArray
    pareto_k: FloatArray
    fold: IntArray
    fold_passed: tuple[bool, ...]
    synthetic: bool
    checks: tuple[CheckResult, ...] = field(default=())

    @property
    def scores(self) -> Scores:
        """One unit per group, its joint density."""
        one = np.ones(len(self.joint))
        return Scores(self.joint, one, one, one)

    @property
    def elpd(self) -> float:
        """Sum of the joint log predictive densities of the groups; nearer to 0 is better."""
        return self.scores.total

    @property
    def se(self) -> float:
        """Standard error of `elpd` over groups, as if they were drawn independently; rough for few groups."""
        return self.scores.error_of(self.joint)

    @property
    def elpd_each_child(self) -> float:
        """Sum over children, each predicted alone."""
        return float(self.each_child.sum())

    @property
    def passed(self) -> bool:
        """Whether every fit passed the gate and every Pareto k is below 0.7."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def table(self) -> pd.DataFrame:
        """Per country (a single row for other groups) and in all.

        `children`, `elpd` (answers of the group together), `se` (of the sum), `mcse` (Monte Carlo), `elpd_each_child`,
        `largest_k`, `passed`.
        """
        good = np.array(self.fold_passed)[self.fold] & (self.pareto_k < limits.PARETO_K_BELOW)
        listed = pd.DataFrame(
            {
                "group": list(self.labels or ()),
                "children": self.children,
                "elpd": self.joint,
                "se": np.nan,
                "mcse": self.error,
                "elpd_each_child": self.each_child,
                "largest_k": self.pareto_k,
                "passed": good,
            }
            if self.labels
            else {}
        )
        total = pd.DataFrame(
            {
                "group": [f"all {len(self.joint)} groups"],
                "children": [self.children.sum()],
                "elpd": [self.elpd],
                "se": [self.se],
                "mcse": [float(np.sqrt((self.error**2).sum()))],
                "elpd_each_child": [self.elpd_each_child],
                "largest_k": [self.pareto_k.max()],
                "passed": [self.passed],
            }
        )
        return pd.concat([listed, total], ignore_index=True) if self.labels else total

    def __repr__(self) -> str:
        """Say what it is in a line."""
        brand = "SYNTHETIC, " if self.synthetic else ""
        verdict = "all checks passed" if self.passed else "CHECKS FAILED"
        return (
            f"GroupedResult({brand}{self.formula}; {self.criterion}; elpd {self.elpd:.1f}, SE {self.se:.1f}, {verdict})"
        )

    def _repr_html_(self) -> str:
        title = f"{self.formula}: {self.criterion}; {UNIT_WORDS[self.weights]}"
        return table_in_html(self.table, title, self.checks, synthetic=self.synthetic)


def some_rows(rows: RegressionRows, keep: npt.NDArray[np.bool_]) -> RegressionRows:
    """Some of the rows, with the countries that they hold; levels of predictors stay as they are."""
    used = np.unique(rows.country[keep])
    levels, labels = (tuple(names[k] for k in used) for names in (rows.countries.levels, rows.countries.labels))
    return replace(
        rows,
        countries=Factor(rows.countries.name, levels, labels),
        country=np.searchsorted(used, rows.country[keep]),
        values={name: values[keep] for name, values in rows.values.items()},
        design_effect=rows.design_effect[used],
        **{name: getattr(rows, name)[keep] for name in COUNTS},
    )


def split_rows(rows: RegressionRows, parts: pd.DataFrame) -> tuple[RegressionRows, npt.NDArray[np.generic]]:
    """Split rows by a finer grouping, such as clusters, so that groups of children can be left out.

    Parameters
    ----------
    rows
        Rows collapsed over the groups.
    parts
        One record per row and group: `row` (its position in `rows`), `group`, and the part's `n`, `yes`, `weight`,
        `weight_yes` and `weight_squared`, on the scale of `rows`.

    Returns
    -------
    tuple
        The rows in parts (fits and `leave_one_out` give the same), and the label of each part, for `groups=` of
        `grouped_cross_validation`.

    Raises
    ------
    InputError
        E195 where the parts of some row do not add up to it.
    """
    at = parts["row"].to_numpy(np.int64)
    inside = (at >= 0) & (at < len(rows))
    wrong = int((~inside).sum())
    for name in COUNTS:
        sums = np.bincount(at[inside], parts[name].to_numpy(float)[inside], minlength=len(rows))
        wrong = max(wrong, int((~np.isclose(sums, getattr(rows, name), rtol=1e-6, atol=1e-9)).sum()))
    if wrong:
        problem = Problem(
            "E195", "parts that do not add up to their rows", "parts", wrong, "give all parts of each row"
        )
        raise InputError([problem], "split_rows")
    counts: dict[str, Any] = {name: parts[name].to_numpy(float) for name in COUNTS}
    values = {name: of_row[at] for name, of_row in rows.values.items()}
    split = replace(rows, country=rows.country[at], values=values, **counts)
    return split, parts["group"].to_numpy()


def _group_of_row(rows: RegressionRows, groups: str | Sequence[object] | npt.NDArray[np.generic]) -> IntArray:
    """Number of every row's group."""
    if isinstance(groups, str):
        if groups == COUNTRY:
            return np.asarray(np.unique(rows.country, return_inverse=True)[1], dtype=np.int64)
        remedy = 'give "country", or one label per row'
        raise InputError([Problem("E195", "no such groups", "groups", 1, remedy)], "grouped_cross_validation")
    labels = pd.Series(np.asarray(groups).ravel())
    problems = []
    if len(labels) != len(rows):
        problems.append(Problem("E195", "not one group label per row", "groups", len(labels), f"give {len(rows)}"))
    elif labels.isna().any():
        count = int(labels.isna().sum())
        problems.append(Problem("E195", "rows without a group", "groups", count, "give every row a group"))
    raise_if_stopping(problems, "grouped_cross_validation")
    return np.asarray(pd.factorize(labels, sort=True)[0], dtype=np.int64)


def _fold_of_group(count: int, folds: int | None, seed: int) -> IntArray:
    """Fold of every group; each its own where `folds` is None."""
    if count < 2 or (folds is not None and not 2 <= folds <= count):
        where = f"{count} groups, {'one fold each' if folds is None else f'{folds} folds'}"
        remedy = "two folds at least, and no more folds than groups"
        raise InputError(
            [Problem("E195", "groups cannot be left out", where, count, remedy)], "grouped_cross_validation"
        )
    if folds is None:
        return np.arange(count)
    order = np.random.default_rng([seed, STREAM_OF_FOLDS]).permutation(count)
    fold = np.empty(count, dtype=np.int64)
    fold[order] = np.arange(count) % folds
    return fold


def _check_folds(rows: RegressionRows, spec: RegressionSpec, fold_of_row: IntArray) -> list[RegressionRows]:
    """Rows without each fold, after everything cheap that could fail was checked, all folds at once."""
    problems, without = [], []
    for number in range(fold_of_row.max() + 1):
        kept = some_rows(rows, fold_of_row != number)
        without.append(kept)
        gone = sorted(set(rows.countries.levels) - set(kept.countries.levels))
        where = f"without {', '.join(gone)}" if gone else f"without fold {number + 1}"
        if gone and spec.varying and len(kept.countries) < 2:
            remedy = "three countries or more, fewer in a fold, or leave out other groups"
            problems.append(Problem("E142", "one country left: nothing is known of a new one", where, 1, remedy))
            continue
        names, design = shared_design(spec, kept, kept.values)
        try:
            check_rows(kept, len(names) - 1, design, names)
        except InputError as error:
            problems += [replace(p, where=f"{p.where}; {where}") for p in error.problems if p.stops]
    raise_if_stopping(problems, "grouped_cross_validation")
    return without


def grouped_cross_validation(
    rows: RegressionRows,
    spec: RegressionSpec,
    sampler: SamplerSpec | None = None,
    *,
    groups: str | Sequence[object] | npt.NDArray[np.generic] = COUNTRY,
    folds: int | None = None,
    progress: Progress = no_progress,
) -> GroupedResult:
    """How well a regression predicts groups of children it was not fitted to, by refitting without them.

    Parameters
    ----------
    rows, spec, sampler
        As for `fit_regression`.
    groups
        ``"country"``, or one label per row of `rows` (a region, a cluster). A group must not share a row with another:
        rows collapsed over clusters are split by `split_rows` first.
    folds
        Groups are left out in so many random lots of equal size; each alone where None.
    progress
        Called with a stage, fits done and fits in all.

    Returns
    -------
    GroupedResult
        `elpd` is the sum over groups of the log predictive density of *all answers of the group together*: that of
        leaving a group out. The answers of a group are dependent, so this is not the sum of `elpd_each_child`, in
        which each child is predicted as the only one seen of its group.

        A country that the fit has not seen is one more draw from the population of countries: its effects are normal
        with the posterior's SDs and correlations and are integrated out, draw by draw, so the result says how well the
        model carries over to a new country. A group within a country that the fit has seen keeps that country's
        effects. Binomial coefficients are left out. With weights the answers count as in the likelihood (a
        pseudo-likelihood), which says how models compare and is no probability.

    Raises
    ------
    InputError
        E195 for groups or folds that do not fit, E142 where one country would be left, E141 and E147 where a fit
        without a fold could not be made; all folds are checked before the first fit.

    References
    ----------
    Vehtari & Lampinen 2002, Neural Computation 14, 2439-2468 (leaving groups out); Vehtari, Gelman & Gabry 2017 (as in
    `leave_one_out`).

    Examples
    --------
    >>> import riskmodels as rm
    >>> study = rm.load_study("data/synthetic/invented/study.toml")
    >>> fit = study.regression("comments ~ gender + (1 | country)")
    >>> found = grouped_cross_validation(fit.rows, fit.spec)
    >>> found.passed, len(found.table)
    (True, 6)
    """
    refuse_ordered(rows.outcome_levels, "cross-validation by groups")
    sampler = sampler or SamplerSpec()
    group = _group_of_row(rows, groups)
    by_country = isinstance(groups, str)
    fold = _fold_of_group(int(group.max()) + 1, folds, sampler.seed)
    without = _check_folds(rows, spec, fold[group])
    held = held_out(rows, spec)
    found = np.zeros((len(fold), 4))
    passed: list[bool] = []
    checks: list[CheckResult] = []
    for number, kept in enumerate(without):
        progress("cross-validation", number, len(without))
        fit = fit_regression(kept, spec, sampler)
        passed.append(fit.passed)
        checks += [replace(check, name=f"without fold {number + 1}: {check.name}") for check in fit.checks]
        for place in np.flatnonzero(fold == number):
            rng = np.random.default_rng([sampler.seed, STREAM_OF_FOLDS, int(place)])
            joint, alone = held.predicted(fit, np.flatnonzero(group == place), rng)
            found[place] = *averaged(fit, joint), alone
    progress("cross-validation", len(without), len(without))
    joint, error, pareto_k, alone_sum = found.T
    largest = float(pareto_k.max()) if np.isfinite(pareto_k).all() else float("nan")
    checks.append(below("Pareto k of leaving groups out", "all groups", largest, limits.PARETO_K_BELOW))
    what = "countries" if by_country else "groups"
    return GroupedResult(
        formula=spec.formula,
        outcome=spec.outcome,
        weights=spec.weights,
        rows_hash=hash_record({"rows": rows.content_hash, "group": group, "fold": fold}),
        criterion=f"leaving out {what}, {len(fold)} in {len(without)} folds",
        labels=rows.countries.labels if by_country else None,
        children=np.bincount(group, rows.n),
        joint=joint,
        each_child=alone_sum,
        error=error,
        pareto_k=pareto_k,
        fold=fold,
        fold_passed=tuple(passed),
        synthetic=rows.synthetic,
        checks=tuple(checks),
    )
