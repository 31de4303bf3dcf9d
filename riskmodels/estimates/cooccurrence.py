"""Which risks come together: how many a child has, each pair beyond chance, and how many children that is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.design.cells import Cells
from riskmodels.errors import InputError, Problem
from riskmodels.estimates.cooccurrence_measures import (
    HOW_MANY_COLUMN,
    NUMBER_MEASURES,
    SINGLE,
    NumberMeasureName,
    check_measure,
    measure,
)
from riskmodels.estimates.cooccurrence_summaries import estimates_of
from riskmodels.estimates.estimates import Estimates, label_columns, make_estimates
from riskmodels.estimates.joint_domains import cells_of_counts
from riskmodels.estimates.pair_measures import PAIR_MEASURES, PairMeasureName
from riskmodels.estimates.poststratify import affected_draws
from riskmodels.estimates.prevalence import ALL_COUNTRIES, STREAM_OF_SHARES
from riskmodels.fit.cooccurrence_fit import CELL, HOW_MANY, CooccurrenceFit
from riskmodels.survey.population import PopulationFrame
from riskmodels.vocabulary import COUNTRY, DEFAULT_INTERVAL, DEFAULT_PROBABILITY, IntervalKind

FloatArray = npt.NDArray[np.float64]


def number_estimates(
    fit: CooccurrenceFit,
    measure_of: NumberMeasureName = "at least",
    by: Sequence[str] = (COUNTRY,),
    *,
    population: PopulationFrame | None = None,
    probability: float = DEFAULT_PROBABILITY,
    interval: IntervalKind = DEFAULT_INTERVAL,
) -> Estimates:
    """How many of the risks children meet.

    Parameters
    ----------
    fit
        A checked fit.
    measure_of
        ``"any"``; ``"at least"`` one, two, ... all; ``"exactly"`` none, one, ...; ``"mean"`` number per child.
    by
        Factors to keep; the others are averaged over. Everybody together where empty.
    population
        Children per country or per cell; weight totals of the cells if omitted.
    probability, interval
        95 % equal-tailed by default.

    Returns
    -------
    Estimates
        Proportions (risks per child for the mean), `how_many` in a column of its own. `direct` rests on children who
        answered every question, and is empty where a question was not asked at all; the model also uses the others.

    Raises
    ------
    InputError
        E195 for an unknown measure; E132, E185 as in `joint_domains`.
    """
    check_measure(measure_of, tuple(NUMBER_MEASURES))
    found = measure(fit, measure_of, by, population=population, probability=probability)
    return estimates_of(fit, found, probability=probability, interval=interval)


def risk_estimates(
    fit: CooccurrenceFit,
    by: Sequence[str] = (COUNTRY,),
    *,
    population: PopulationFrame | None = None,
    probability: float = DEFAULT_PROBABILITY,
    interval: IntervalKind = DEFAULT_INTERVAL,
) -> Estimates:
    """How common each single risk is under the joint model: the margins of all that is said of pairs.

    Parameters
    ----------
    fit, by, population, probability, interval
        As in `number_estimates`.

    Returns
    -------
    Estimates
        Proportions, one row per domain and `risk`.
    """
    found = measure(fit, SINGLE, by, population=population, probability=probability)
    return estimates_of(fit, found, probability=probability, interval=interval)


def pair_estimates(
    fit: CooccurrenceFit,
    measure_of: PairMeasureName = "ratio",
    by: Sequence[str] = (),
    *,
    population: PopulationFrame | None = None,
    probability: float = DEFAULT_PROBABILITY,
    interval: IntervalKind = DEFAULT_INTERVAL,
) -> Estimates:
    """How every two of the risks come together.

    Parameters
    ----------
    fit
        A checked fit.
    measure_of
        ``"both"``: share of children with both; ``"given"``: share with `other_risk` among children with `risk`, in both
        directions; ``"ratio"``: P(both) over P(risk) P(other_risk), 1 where they meet by chance only; ``"odds ratio"``;
        ``"tetrachoric"``: correlation of the normal variables behind the two.
    by, population, probability, interval
        As in `number_estimates`; all children together by default.

    Returns
    -------
    Estimates
        One row per domain and pair, computed draw by draw from the domain's own 2 x 2 table. Pairs declared impossible
        and pairs without a fourth cell have an empty row with the reason in `note`; so say pairs that nobody was seen
        to have, whose figure is the model's.

    Raises
    ------
    InputError
        E195 for an unknown measure or one that exists for no pair; E132, E185 as in `joint_domains`.

    References
    ----------
    The tetrachoric correlation of Pearson 1900 is that of the domain's table, not a parameter of the model.
    """
    check_measure(measure_of, tuple(PAIR_MEASURES))
    found = measure(fit, measure_of, by, population=population, probability=probability)
    return estimates_of(fit, found, probability=probability, interval=interval)


def children_estimates(
    fit: CooccurrenceFit,
    population: PopulationFrame,
    at_least: Sequence[int] = (1, 2, 3),
    by: Sequence[str] = (COUNTRY,),
    *,
    seed: int | None = None,
    probability: float = DEFAULT_PROBABILITY,
    interval: IntervalKind = DEFAULT_INTERVAL,
) -> Estimates:
    """How many children meet at least so many of the risks, per domain and in all countries together.

    Parameters
    ----------
    fit
        A fit whose cells have countries.
    population
        Children per country or cell (taken as known) and the shares online with their standard errors.
    at_least
        Numbers of risks, 1 to J; those above J, and those that declared impossible pairs rule out, are left out.
    by
        Factors to keep.
    seed
        Seed of the draws of the share online; the fit's own seed if omitted.
    probability, interval
        95 % equal-tailed by default.

    Returns
    -------
    Estimates
        Numbers of children. A child with three risks is among those with two and with one: never add rows of different
        `how_many`. ``all countries`` is summed draw by draw, where `by` is the country alone.

    Raises
    ------
    InputError
        E195 where `at_least` holds no number from 1 to J; E132, E185 as in `joint_domains`.
    """
    risks = len(fit.counts.risks)
    exactly = fit.posterior["number"].transpose("chain", "draw", CELL, HOW_MANY).to_numpy()
    steps = [k for k in at_least if 1 <= k <= risks and exactly[..., k:].max() > 0]
    if not steps:
        raise InputError(
            [Problem("E195", "no such number of risks", "at_least", len(at_least), f"give numbers from 1 to {risks}")],
            "children_estimates",
        )
    cells = cells_of_counts(fit.counts)
    stream = [fit.sampler.seed if seed is None else seed, STREAM_OF_SHARES]
    labels, draws, notes = _children(exactly, cells, steps, by, population, stream)
    if list(by) == [COUNTRY] and len(cells.factor(COUNTRY)) > 1:
        total, sums, of_total = _children(exactly, cells, steps, (), population, stream)
        total = total.assign(**{name: ALL_COUNTRIES if name == COUNTRY else "ALL" for name in labels.columns[:-1]})
        labels, draws = pd.concat([labels, total[labels.columns]]), np.concatenate([draws, sums], axis=-1)
        notes += of_total
    return make_estimates(
        fit,
        labels,
        draws,
        quantity="children with at least how_many of the risks",
        unit="children",
        base=f"all children of the age range, those offline counted as not affected; asked: {fit.base}",
        probability=probability,
        interval=interval,
        notes=notes,
    )


def _children(
    exactly: FloatArray,
    cells: Cells,
    at_least: Sequence[int],
    by: Sequence[str],
    population: PopulationFrame,
    stream: Sequence[int],
) -> tuple[pd.DataFrame, FloatArray, list[str]]:
    """Children of every domain with at least so many risks: labels, draws (chain, draw, row) and notes."""
    frames: list[pd.DataFrame] = []
    parts: list[FloatArray] = []
    notes: list[str] = []
    for k in at_least:
        rng = np.random.default_rng(stream)  # the same each time: one draw of the share online holds for every row
        domains, children = affected_draws(exactly[..., k:].sum(axis=-1), cells, by, population, rng)
        frames.append(label_columns(cells, domains).assign(**{HOW_MANY_COLUMN: k}))
        parts.append(children)
        notes += [domains.note] * len(domains)
    return pd.concat(frames, ignore_index=True), np.concatenate(parts, axis=-1), notes
