"""Prevalence and burden of a fit: how common, and how many children that is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.errors import InputError, Problem
from riskmodels.estimates.estimates import Estimates, direct_columns, label_columns, make_estimates
from riskmodels.estimates.poststratify import affected_draws, domains_of
from riskmodels.fit.fit import Fit
from riskmodels.survey.population import PopulationFrame
from riskmodels.vocabulary import COUNTRY, DEFAULT_INTERVAL, DEFAULT_PROBABILITY, INDICATOR, IntervalKind

FloatArray = npt.NDArray[np.float64]

#: Label of the row that sums or pools all countries.
ALL_COUNTRIES = "all countries"
#: Random stream of the share online, apart from those of the engines (which count up from 1).
STREAM_OF_SHARES = 10_001


def cell_draws(fit: Fit) -> FloatArray:
    """Prevalence of every cell on the response scale, shape (chain, draw, cell), to be used with `fit.weights`."""
    return np.asarray(fit.posterior["prevalence"].transpose("chain", "draw", "cell").to_numpy(), dtype=float)


def prevalence_estimates(
    fit: Fit,
    by: Sequence[str] = (COUNTRY,),
    *,
    population: PopulationFrame | None = None,
    probability: float = DEFAULT_PROBABILITY,
    interval: IntervalKind = DEFAULT_INTERVAL,
) -> Estimates:
    """How common each indicator is, by any factors of the cells.

    Parameters
    ----------
    fit
        A checked fit.
    by
        Factors to keep, e.g. ``["country"]``; the others are averaged over by the children they stand for. Several
        indicators are never averaged.
    population
        Children and share online per country: decides how much each country weighs when countries are pooled. The
        cells' weight totals (usually sample sizes) if omitted.
    probability, interval
        95 % equal-tailed by default.

    Returns
    -------
    Estimates
        Proportions. `estimate` is the model's, `direct` that of the domain's own answers alone; where they differ
        the model has borrowed from other groups, the more the smaller `n_effective`.

    Examples
    --------
    >>> import riskmodels as rm
    >>> fit = rm.fit_model(rm.example_cells(), sampler=rm.SamplerSpec(draws=500, tune=500))
    >>> list(prevalence_estimates(fit, by=["country"]).table["country"])[:2]
    ['Cambodia', 'Ethiopia']

    References
    ----------
    Gelman & Little 1997, Survey Methodology 23, 127-135 (poststratification).
    """
    domains = domains_of(fit.cells, by, population)
    return make_estimates(
        fit,
        label_columns(fit.cells, domains),
        domains.average(cell_draws(fit)),
        quantity="prevalence",
        probability=probability,
        interval=interval,
        direct=direct_columns(fit.cells, domains, probability),
        notes=[domains.note] * len(domains),
    )


def burden_estimates(
    fit: Fit,
    population: PopulationFrame,
    *,
    seed: int | None = None,
    probability: float = DEFAULT_PROBABILITY,
    interval: IntervalKind = DEFAULT_INTERVAL,
) -> Estimates:
    """How many children are affected per country, and in all countries together.

    Parameters
    ----------
    fit
        A fit whose cells have countries.
    population
        Children per country or cell (taken as known) and the shares online with their standard errors.
    seed
        Seed of the draws of the share online; the fit's own seed if omitted.
    probability, interval
        95 % equal-tailed by default.

    Returns
    -------
    Estimates
        Numbers of children. ``all countries`` is summed draw by draw, so its interval is that of the sum, not the sum
        of the ends. Children named under several indicators are the same children: never add indicators.
    """
    if COUNTRY not in fit.cells.names:
        raise InputError(
            [Problem("E185", "the burden needs cells by country", "cells", 1, "fit cells that name their countries")],
            "burden",
        )
    rng = np.random.default_rng([fit.sampler.seed if seed is None else seed, STREAM_OF_SHARES])
    domains, children = affected_draws(cell_draws(fit), fit.cells, [COUNTRY], population, rng)
    labels = label_columns(fit.cells, domains)
    total_labels, total = _totals(fit, labels, children)
    return make_estimates(
        fit,
        pd.concat([labels, total_labels], ignore_index=True),
        np.concatenate([children, total], axis=-1),
        quantity="children affected",
        unit="children",
        base=f"all children of the age range, those offline counted as not affected; asked: {fit.cells.base}",
        probability=probability,
        interval=interval,
        notes=[domains.note] * (len(labels) + len(total_labels)),
    )


def _totals(fit: Fit, labels: pd.DataFrame, children: FloatArray) -> tuple[pd.DataFrame, FloatArray]:
    """Sum over countries draw by draw, per indicator; indicators missing in a country are not summed."""
    if len(fit.cells.factor(COUNTRY)) == 1:
        return labels.iloc[:0], children[..., :0]
    rows, sums = [], []
    key = labels[INDICATOR] if INDICATOR in labels else pd.Series("", index=labels.index)
    for name in pd.unique(key):
        member = np.flatnonzero(key == name)
        if len(member) == len(fit.cells.factor(COUNTRY)):
            row = {column: labels.iloc[member[0]][column] for column in labels.columns}
            rows.append(
                {**row, COUNTRY: ALL_COUNTRIES, **({f"{COUNTRY}_code": "ALL"} if f"{COUNTRY}_code" in labels else {})}
            )
            sums.append(children[..., member].sum(axis=-1))
    if not rows:
        return labels.iloc[:0], children[..., :0]
    return pd.DataFrame(rows, columns=labels.columns), np.stack(sums, axis=-1)
