"""Comparisons and claims: contrasts, ranks with intervals, and the probability that a statement holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.errors import InputError, Problem
from riskmodels.estimates.estimates import Estimates, label_columns, make_estimates
from riskmodels.estimates.poststratify import Domains, domains_of
from riskmodels.estimates.prevalence import cell_draws
from riskmodels.estimates.quantities import difference, odds_ratio, ranks, ratio
from riskmodels.fit.fit import Fit
from riskmodels.survey.population import PopulationFrame
from riskmodels.vocabulary import COUNTRY, DEFAULT_INTERVAL, DEFAULT_PROBABILITY, INDICATOR, IntervalKind

FloatArray = npt.NDArray[np.float64]
Contrast = Literal["difference", "ratio", "odds ratio"]
_CONTRASTS = {"difference": difference, "ratio": ratio, "odds ratio": odds_ratio}


def _position(fit: Fit, factor: str, level: str) -> int:
    """Position of a level given by code or label."""
    known = fit.cells.factor(factor)
    if level in known.levels:
        return known.levels.index(level)
    if level in known.labels:
        return known.labels.index(level)
    raise InputError(
        [Problem("E145", f"no such level of {factor}", level, 1, f"choose among {', '.join(known.levels)}")], factor
    )


def _groups(domains: Domains, factor: str) -> list[tuple[tuple[int, ...], npt.NDArray[np.int64]]]:
    """Rows of the domains that differ only in `factor`."""
    place = domains.by.index(factor)
    rest = np.delete(domains.index, place, axis=1)
    keys = np.unique(rest, axis=0) if rest.shape[1] else np.zeros((1, 0), dtype=np.int64)
    return [(tuple(int(k) for k in key), np.flatnonzero((rest == key).all(axis=1))) for key in keys]


def contrast_estimates(
    fit: Fit,
    factor: str = COUNTRY,
    *,
    reference: str,
    contrast: Contrast = "difference",
    by: Sequence[str] = (),
    population: PopulationFrame | None = None,
    probability: float = DEFAULT_PROBABILITY,
    interval: IntervalKind = DEFAULT_INTERVAL,
) -> Estimates:
    """Every level of a factor against a reference level.

    Parameters
    ----------
    fit
        A checked fit.
    factor
        Factor whose levels are compared.
    reference
        Code or label of the level compared with.
    contrast
        ``"difference"`` (proportion points), ``"ratio"`` or ``"odds ratio"``, computed draw by draw.
    by
        Further factors to keep apart.
    population, probability, interval
        As in `prevalence_estimates`.

    Returns
    -------
    Estimates
        One row per other level; an interval that holds 0 (difference) or 1 (ratios) leaves the direction open.
    """
    if contrast not in _CONTRASTS:
        raise InputError(
            [Problem("E195", "no such contrast", "contrast", 1, f"choose among {', '.join(_CONTRASTS)}")], "contrast"
        )
    domains = domains_of(fit.cells, [factor, *by], population)
    values = domains.average(cell_draws(fit))
    at, place = _position(fit, factor, reference), domains.by.index(factor)
    kept, draws = [], []
    for _, rows in _groups(domains, factor):
        base = [row for row in rows if domains.index[row, place] == at]
        others = [row for row in rows if domains.index[row, place] != at]
        if base:
            kept += others
            draws += [_CONTRASTS[contrast](values[..., row], values[..., base[0]]) for row in others]
    if not kept:
        raise InputError(
            [
                Problem(
                    "E145",
                    "nothing to compare: the factor has one level",
                    factor,
                    1,
                    "choose a factor with two levels or more",
                )
            ],
            "contrast",
        )
    label = fit.cells.factor(factor).labels[at]
    labels = label_columns(fit.cells, domains).iloc[kept]
    return make_estimates(
        fit,
        labels,
        np.stack(draws, axis=-1),
        quantity=f"{contrast} to {label}",
        unit="proportion" if contrast == "difference" else "ratio",
        probability=probability,
        interval=interval,
    )


def rank_estimates(
    fit: Fit,
    over: str = COUNTRY,
    *,
    by: Sequence[str] = (),
    population: PopulationFrame | None = None,
    probability: float = DEFAULT_PROBABILITY,
) -> Estimates:
    """Rank of every level of a factor, 1 the highest prevalence, with its uncertainty.

    Parameters
    ----------
    fit, by, population, probability
        As in `prevalence_estimates`.
    over
        Factor whose levels are ranked.

    Returns
    -------
    Estimates
        Mean and interval of the rank; overlapping intervals mean that a league table would mislead. The gate judges
        the prevalences behind the ranks.
    """
    domains = domains_of(fit.cells, [over, *by], population)
    values = domains.average(cell_draws(fit))
    places = np.empty_like(values)
    for _, rows in _groups(domains, over):
        places[..., rows] = ranks(values[..., rows])
    return make_estimates(
        fit,
        label_columns(fit.cells, domains),
        places,
        quantity=f"rank among {over} levels",
        unit="rank",
        probability=probability,
        interval="equal-tailed",
        gate_on=values,
    )


def exceedance_estimates(
    fit: Fit, threshold: float, by: Sequence[str] = (COUNTRY,), *, population: PopulationFrame | None = None
) -> Estimates:
    """Probability that the prevalence exceeds a threshold (a proportion).

    Parameters
    ----------
    fit, by, population
        As in `prevalence_estimates`.
    threshold
        Proportion between 0 and 1.

    Returns
    -------
    Estimates
        `estimate` is the probability; its interval only says whether single draws exceed, so read `estimate` and `mcse`.
    """
    if not 0 <= threshold <= 1:
        raise InputError(
            [Problem("E195", "the threshold is a proportion between 0 and 1", "threshold", 1, "write 0.10 for 10 %")],
            "exceedance",
        )
    domains = domains_of(fit.cells, by, population)
    values = domains.average(cell_draws(fit))
    return make_estimates(
        fit,
        label_columns(fit.cells, domains),
        (values > threshold).astype(float),
        quantity=f"probability that prevalence exceeds {threshold:g}",
        unit="probability",
        probability=DEFAULT_PROBABILITY,
        interval=DEFAULT_INTERVAL,
        gate_on=values,
    )


def probability_that(
    fit: Fit, higher: str, lower: str, *, factor: str = COUNTRY, population: PopulationFrame | None = None
) -> Estimates:
    """Probability of the claim "prevalence is higher in A than in B", per indicator.

    Parameters
    ----------
    fit, population
        As in `prevalence_estimates`.
    higher, lower
        Codes or labels of the two levels.
    factor
        The factor they belong to.

    Returns
    -------
    Estimates
        `estimate` is the probability that the claim holds.
    """
    domains = domains_of(fit.cells, [factor], population)
    values = domains.average(cell_draws(fit))
    if _position(fit, factor, higher) == _position(fit, factor, lower):
        raise InputError(
            [Problem("E195", "the claim compares a level with itself", factor, 1, "name two different levels")], "claim"
        )
    a, b, place = _position(fit, factor, higher), _position(fit, factor, lower), domains.by.index(factor)
    kept, draws, differences = [], [], []
    for _, rows in _groups(domains, factor):
        pair = {int(domains.index[row, place]): row for row in rows}
        if a in pair and b in pair:
            kept.append(pair[a])
            differences.append(values[..., pair[a]] - values[..., pair[b]])
            draws.append((differences[-1] > 0).astype(float))
    if not kept:
        raise InputError(
            [Problem("E145", "no indicator has both levels", factor, 1, "compare levels asked the same indicator")],
            "claim",
        )
    names = fit.cells.factor(factor).labels
    labels = label_columns(fit.cells, domains).iloc[kept].drop(columns=[factor, f"{factor}_code"], errors="ignore")
    labels.insert(0, "claim", f"higher in {names[a]} than in {names[b]}")
    return make_estimates(
        fit,
        labels,
        np.stack(draws, axis=-1),
        quantity="probability of a claim",
        unit="probability",
        probability=DEFAULT_PROBABILITY,
        interval=DEFAULT_INTERVAL,
        gate_on=np.stack(differences, axis=-1),
    )


def ahead_counts(
    fit: Fit,
    among: Sequence[str] | None = None,
    *,
    factor: str = INDICATOR,
    across: str = COUNTRY,
    population: PopulationFrame | None = None,
) -> Estimates:
    """In how many countries each channel (perpetrator, indicator) is ahead of the others, and how sure that is.

    Parameters
    ----------
    fit, population
        As in `prevalence_estimates`.
    among
        Codes or labels of the levels compared, e.g. the channels of one item; all levels of `factor` if omitted.
    factor
        Factor they belong to.
    across
        Factor over whose levels is counted.

    Returns
    -------
    Estimates
        One row per level: posterior mean and interval of the number of countries where its prevalence is highest. Draw
        by draw the rows sum to the number of countries asked about all of them, which `note` states.
    """
    domains = domains_of(fit.cells, [factor, across], population)
    chosen = [
        _position(fit, factor, level) for level in (among if among is not None else fit.cells.factor(factor).levels)
    ]
    place, over = domains.by.index(factor), domains.by.index(across)
    complete: dict[tuple[int, ...], list[npt.NDArray[np.int64]]] = {}
    for _, rows in _groups(domains, factor):
        at = {int(domains.index[row, place]): row for row in rows}
        if set(chosen) <= set(at):
            rest = tuple(
                int(k)
                for name, k in zip(domains.by, domains.index[rows[0]], strict=True)
                if name not in (factor, across)
            )
            complete.setdefault(rest, []).append(np.array([at[level] for level in chosen]))
    if len(chosen) < 2 or not complete:
        raise InputError(
            [
                Problem(
                    "E145",
                    "nothing to compare: two levels or more, asked in the same country, are needed",
                    factor,
                    len(chosen),
                    "name levels that share countries",
                )
            ],
            "claim",
        )
    values = domains.average(cell_draws(fit))
    others = [name for place, name in enumerate(domains.by) if place not in (domains.by.index(factor), over)]
    parts, leads, labels, notes = [], [], [], []
    for rest, members in complete.items():
        ordered = values[..., np.stack(members)]
        parts.append((ordered == ordered.max(axis=-1, keepdims=True)).sum(axis=-2).astype(float))
        runner_up = np.where(np.eye(len(chosen), dtype=bool), -np.inf, ordered[..., None, :]).max(axis=-1)
        leads.append((ordered - runner_up).reshape(*values.shape[:2], -1))
        labels += [
            {
                **{name: fit.cells.factor(name).labels[k] for name, k in zip(others, rest, strict=True)},
                factor: fit.cells.factor(factor).labels[level],
            }
            for level in chosen
        ]
        notes += [f"of {len(members)} asked about all {len(chosen)}"] * len(chosen)
    made = make_estimates(
        fit,
        pd.DataFrame(labels),
        np.concatenate(parts, axis=-1),
        quantity=f"number of {across} levels in which it is ahead",
        unit="count",
        probability=DEFAULT_PROBABILITY,
        interval=DEFAULT_INTERVAL,
        gate_on=np.concatenate(leads, axis=-1),
    )
    return replace(made, table=made.table.assign(note=notes))
