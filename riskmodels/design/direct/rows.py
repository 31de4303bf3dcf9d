"""Direct estimates from rows: proportions, means, totals and ratios of children, over any domain."""

from __future__ import annotations

import numpy as np
import pandas as pd

from riskmodels.design.direct.intervals import check_interval
from riskmodels.design.direct.records import DirectEstimate, FloatArray, Interval, LonelyPsu, Quantity
from riskmodels.design.direct.replicates import ReplicateWeights, spread_of_rows
from riskmodels.design.direct.sample import (
    Numbers,
    Sample,
    check_binary,
    check_numbers,
    numbers_of,
    read_sample,
)
from riskmodels.design.direct.totals import collect, conclude
from riskmodels.design.direct.units import Labels


def _estimate(
    quantity: Quantity, sample: Sample, y: FloatArray, x: FloatArray | None, interval: Interval, probability: float
) -> DirectEstimate:
    divisor = np.ones(len(y)) if x is None else x
    inside = (sample.domain >= 0) & ~np.isnan(y) & ~np.isnan(divisor)
    unit = sample.units.row_unit[inside]
    totals = collect(
        sample.units.stratum[unit], unit, sample.domain[inside], sample.weight[inside], y[inside], divisor[inside]
    )
    replicated = None
    if sample.replicates is not None:
        replicated = spread_of_rows(
            sample.replicates,
            sample.country,
            np.where(inside, sample.domain, -1),
            len(sample.domains),
            sample.weight,
            y,
            None if quantity == "total" else divisor,
        )
    return conclude(quantity, sample.domains, sample.units.strata, totals, interval, probability, replicated)


def direct_proportion(
    y: Numbers,
    weight: Numbers,
    *,
    stratum: Labels | None = None,
    psu: Labels | None = None,
    domain: Labels | pd.DataFrame | None = None,
    country: Labels | None = None,
    lonely_psu: LonelyPsu = "error",
    replicates: ReplicateWeights | None = None,
    interval: Interval = "logit",
    probability: float = 0.95,
) -> DirectEstimate:
    """Proportion of children affected, from the answers of the sample alone.

    Parameters
    ----------
    y
        1 affected, 0 not, NaN outside the base. Children outside the base stay in the sample design: give *all* rows.
        All columns are matched by position.
    weight
        Survey weights, zero or more. Children of weight zero count in n and add nothing.
    stratum, psu
        Labels of strata and PSUs; None: one stratum per country, every child its own PSU. Strata and PSUs are
        numbered anew in each country.
    domain
        Labels of the groups to estimate (a frame: their combinations), NaN outside; None: everybody.
    country
        Labels of countries, each a sample of its own.
    lonely_psu
        What to do with a stratum that holds one PSU: ``"error"``, ``"certainty"``, ``"average"``, ``"centred"``,
        ``"merge"`` (see `taylor`).
    replicates
        Replicate weights, in place of strata and PSUs.
    interval
        ``"logit"``, ``"Wilson"``, ``"Korn-Graubard"`` or ``"normal"``.
    probability
        Coverage the interval aims at.

    Returns
    -------
    DirectEstimate
        One entry per domain. Read `low` to `high` as the range of true proportions that this sample is compatible
        with; read `note` before quoting a row.

    Raises
    ------
    InputError
        E110, E111, E112 (weights), E120, E121, E122 (design), E151 (lengths), E160, E163 (answers), E195 (options).

    Examples
    --------
    Four PSUs in two strata, synthetic:

    >>> from riskmodels.design.direct import direct_proportion
    >>> found = direct_proportion(
    ...     [1, 0, 0, 0, 1, 0, 1, 0], [2, 2, 1, 1, 3, 3, 1, 1],
    ...     stratum=[1, 1, 1, 1, 2, 2, 2, 2], psu=[1, 1, 2, 2, 3, 3, 4, 4],
    ... )
    >>> [round(float(x), 4) for x in (found.estimate[0], found.standard_error[0], found.degrees_of_freedom[0])]
    [0.4286, 0.0841, 2.0]

    References
    ----------
    Lumley 2010, Complex Surveys; Korn & Graubard 1998, Survey Methodology 24, 193-201.
    """
    answers, problems = numbers_of(y, "y")
    problems += check_numbers("y", answers, len(weight)) + check_binary(answers) + check_interval(interval, probability)
    sample = read_sample(weight, stratum, psu, domain, country, lonely_psu, replicates, problems)
    return _estimate("proportion", sample, answers, None, interval, probability)


def direct_mean(
    y: Numbers,
    weight: Numbers,
    *,
    stratum: Labels | None = None,
    psu: Labels | None = None,
    domain: Labels | pd.DataFrame | None = None,
    country: Labels | None = None,
    lonely_psu: LonelyPsu = "error",
    replicates: ReplicateWeights | None = None,
    probability: float = 0.95,
) -> DirectEstimate:
    """Mean of a number among children, with a Student-t interval.

    Parameters
    ----------
    y
        Numbers; NaN outside the base.
    weight, stratum, psu, domain, country, lonely_psu, replicates, probability
        As in `direct_proportion`.

    Returns
    -------
    DirectEstimate
        One entry per domain; the mean is ``sum(w y) / sum(w)``.

    Raises
    ------
    InputError
        As `direct_proportion`.

    Examples
    --------
    >>> from riskmodels.design.direct import direct_mean
    >>> found = direct_mean([1.0, 2.0, 3.0, 6.0], [1, 1, 1, 1])
    >>> round(float(found.estimate[0]), 4), round(float(found.standard_error[0]), 4)
    (3.0, 1.0801)
    """
    values, problems = numbers_of(y, "y")
    problems += check_numbers("y", values, len(weight)) + check_interval("normal", probability)
    sample = read_sample(weight, stratum, psu, domain, country, lonely_psu, replicates, problems)
    return _estimate("mean", sample, values, None, "normal", probability)


def direct_total(
    y: Numbers,
    weight: Numbers,
    *,
    stratum: Labels | None = None,
    psu: Labels | None = None,
    domain: Labels | pd.DataFrame | None = None,
    country: Labels | None = None,
    lonely_psu: LonelyPsu = "error",
    replicates: ReplicateWeights | None = None,
    probability: float = 0.95,
) -> DirectEstimate:
    """Total over the children of the population, with a Student-t interval; weights must sum to the population.

    Parameters
    ----------
    y
        Numbers, or 0 and 1 to count children; NaN outside the base.
    weight, stratum, psu, domain, country, lonely_psu, replicates, probability
        As in `direct_proportion`. ``lonely_psu="centred"`` is very cautious here: the whole total of the PSU counts.

    Returns
    -------
    DirectEstimate
        One entry per domain; the total is ``sum(w y)``.

    Raises
    ------
    InputError
        As `direct_proportion`.

    Examples
    --------
    >>> from riskmodels.design.direct import direct_total
    >>> found = direct_total([1, 0, 0, 1], [100, 100, 200, 200])
    >>> round(float(found.estimate[0]), 4), round(float(found.standard_error[0]), 4)
    (300.0, 191.4854)
    """
    values, problems = numbers_of(y, "y")
    problems += check_numbers("y", values, len(weight)) + check_interval("normal", probability)
    sample = read_sample(weight, stratum, psu, domain, country, lonely_psu, replicates, problems)
    return _estimate("total", sample, values, None, "normal", probability)


def direct_ratio(
    y: Numbers,
    x: Numbers,
    weight: Numbers,
    *,
    stratum: Labels | None = None,
    psu: Labels | None = None,
    domain: Labels | pd.DataFrame | None = None,
    country: Labels | None = None,
    lonely_psu: LonelyPsu = "error",
    replicates: ReplicateWeights | None = None,
    probability: float = 0.95,
) -> DirectEstimate:
    """Ratio of two totals, e.g. incidents per hour online, or affected children per child exposed.

    Parameters
    ----------
    y, x
        Numerator and denominator of each child; where either is NaN the child is outside the base.
    weight, stratum, psu, domain, country, lonely_psu, replicates, probability
        As in `direct_proportion`.

    Returns
    -------
    DirectEstimate
        One entry per domain; the ratio is ``sum(w y) / sum(w x)``.

    Raises
    ------
    InputError
        As `direct_proportion`.

    Examples
    --------
    >>> from riskmodels.design.direct import direct_ratio
    >>> found = direct_ratio([1, 0, 2, 1], [2, 1, 3, 2], [1, 1, 1, 1])
    >>> round(float(found.estimate[0]), 4), round(float(found.standard_error[0]), 4)
    (0.5, 0.1021)
    """
    (top, of_top), (bottom, of_bottom) = numbers_of(y, "y"), numbers_of(x, "x")
    rows = len(weight)
    problems = (
        of_top
        + of_bottom
        + check_numbers("y", top, rows)
        + check_numbers("x", bottom, rows)
        + check_interval("normal", probability)
    )
    sample = read_sample(weight, stratum, psu, domain, country, lonely_psu, replicates, problems)
    return _estimate("ratio", sample, top, bottom, "normal", probability)
