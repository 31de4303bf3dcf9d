"""How well a joint model of several risks predicts a child of a country it has not seen: refits without each country."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from riskmodels.design.joint_counts import JointCounts
from riskmodels.errors import InputError, Problem
from riskmodels.estimates.comparison.joint_scores import (
    BATCH,
    NEW_COUNTRY,
    JointScore,
    fitting_patterns,
    structure_in_words,
)
from riskmodels.estimates.comparison.scores import Scores
from riskmodels.fit.checks import CheckResult
from riskmodels.fit.cooccurrence_fit import CooccurrenceFit
from riskmodels.fit.sampler import Progress, no_progress
from riskmodels.survey.factors import Factor
from riskmodels.vocabulary import COUNTRY

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def without_country(counts: JointCounts, country: int) -> JointCounts:
    """The same counts without one country (its position among the levels)."""
    first = counts.factors[0]
    kept_levels = [k for k in range(len(first)) if k != country]
    levels, labels = (tuple(names[k] for k in kept_levels) for names in (first.levels, first.labels))
    cells = np.flatnonzero(counts.position(COUNTRY) != country)
    rows = np.flatnonzero(counts.position(COUNTRY)[counts.cell] != country)
    index = np.array(counts.index[cells])
    index[:, 0] -= index[:, 0] > country
    return replace(
        counts,
        factors=(Factor(first.name, levels, labels), *counts.factors[1:]),
        index=index,
        n=counts.n[cells],
        weight=counts.weight[cells],
        n_effective=counts.n_effective[cells],
        cell=np.searchsorted(cells, counts.cell[rows]),
        answers=counts.answers[rows],
        count=counts.count[rows],
        children=None if counts.children is None else counts.children[rows],
    )


def leave_country_out(
    counts: JointCounts,
    fit: Callable[[JointCounts], CooccurrenceFit],
    *,
    progress: Progress = no_progress,
) -> JointScore:
    """How well a joint model predicts a child of a country it was not fitted to, by refitting without each country.

    Parameters
    ----------
    counts
        Joint counts of all countries.
    fit
        Fits a structure to joint counts, e.g. ``lambda counts: fit_factor(counts, spec)``.
    progress
        Called with a stage, fits done and fits in all.

    Returns
    -------
    JointScore
        One unit per country, in which `elpd` sums the log probability of each child's answers, every child being the
        first one seen of its country.

    Notes
    -----
    The model is fitted again without each country, since taking away a thousand children by reweighting draws fails its
    own diagnostics. What is known of the new country is what the other countries are: for each subgroup, a child's
    probability of a combination of answers is the mean over the other countries, draw by draw. That asks nothing of how
    a structure describes the population of countries, so all structures are judged alike; it takes the countries at hand
    for that population, and predicts each child alone, not the new country's children together.

    Children count as their effective number; standard errors take countries as independent units, and are rough for few
    countries.

    Raises
    ------
    InputError
        E142 for fewer than three countries, E195 for subgroups that one country alone has.

    References
    ----------
    Vehtari & Lampinen 2002, Neural Computation 14, 2439-2468 (leaving groups out).
    """
    countries = counts.factors[0]
    where = counts.position(COUNTRY)
    _check_countries(counts)
    density = np.empty(len(counts.count))
    checks: list[CheckResult] = []
    structure = ""
    for country, name in enumerate(countries.levels):
        progress("cross-validation", country, len(countries))
        fitted = fit(without_country(counts, country))
        structure = structure_in_words(fitted)
        checks += [replace(check, name=f"without {name}: {check.name}") for check in fitted.checks]
        rows = np.flatnonzero(where[counts.cell] == country)
        density[rows] = _of_new_country(fitted, counts.index[counts.cell[rows], 1:], counts.answers[rows])
    progress("cross-validation", len(countries), len(countries))
    of_country = np.bincount(where[counts.cell], counts.count * density, len(countries))
    one = np.ones(len(countries))
    return JointScore(
        structure=structure,
        counts_hash=counts.content_hash,
        criterion=NEW_COUNTRY,
        scores=Scores(of_country, one, one, one),
        stacked=density,
        stacked_mass=np.array(counts.count),
        pareto_k=np.zeros(len(countries)),
        p_loo=float("nan"),
        synthetic=counts.synthetic,
        checks=tuple(checks),
    )


def _check_countries(counts: JointCounts) -> None:
    if len(counts.factors[0]) < 3:
        problem = Problem("E142", "too few countries to leave one out", COUNTRY, 1, "three countries or more")
        raise InputError([problem], "leave_country_out")
    groups, of_cell = np.unique(counts.index[:, 1:], axis=0, return_inverse=True)
    held = np.array([len(np.unique(counts.index[of_cell == k, 0])) for k in range(len(groups))])
    lonely = int((held < 2).sum())
    if lonely:
        remedy = "use coarser subgroups, or none"
        problem = Problem("E195", "groups cannot be left out: one country alone has them", "subgroups", lonely, remedy)
        raise InputError([problem], "leave_country_out")


def _of_new_country(fit: CooccurrenceFit, groups: IntArray, answers: IntArray) -> FloatArray:
    """Log predictive probability of answers of children of a country that was not fitted, by subgroup."""
    draws = fit.draw_weights.ravel()
    step = max(1, BATCH // (len(fit.counts) * 2 ** len(fit.counts.risks)))
    kinds, of_row = np.unique(groups, axis=0, return_inverse=True)
    same = [(fit.counts.index[:, 1:] == kind).all(axis=1) for kind in kinds]
    mean = np.zeros((len(kinds), 2 ** len(fit.counts.risks)))
    for start in range(0, len(draws), step):
        which = np.arange(start, min(start + step, len(draws)))
        over_draws = fit.probabilities(which) @ draws[which]
        mean += np.stack([over_draws[cells].mean(axis=0) for cells in same])
    out = np.empty(len(answers))
    for rows, patterns in fitting_patterns(answers):
        out[rows] = np.log(mean[of_row[rows][:, None], patterns].sum(axis=1))
    return out
