"""Draws brought into line with known national figures, by weighting them with how well they match."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.errors import InputError, Problem, raise_if_stopping
from riskmodels.estimates.poststratify import Domains, domains_of
from riskmodels.estimates.prevalence import cell_draws
from riskmodels.fit.checks import at_least, below
from riskmodels.fit.fit import Fit
from riskmodels.fit.limits import ESS_AT_LEAST, PARETO_K_BELOW
from riskmodels.fit.weighting import smoothed_weights
from riskmodels.provenance import hash_record
from riskmodels.survey.population import PopulationFrame
from riskmodels.vocabulary import COUNTRY, INDICATOR

FloatArray = npt.NDArray[np.float64]


def benchmarked(fit: Fit, known: pd.DataFrame, *, population: PopulationFrame | None = None) -> Fit:
    """The posterior given, in addition, national figures known from elsewhere.

    Parameters
    ----------
    fit
        A checked fit by the Laplace engine, whose draws are independent.
    known
        One row per national figure: `country` (code or label), `prevalence` and `standard_error` (proportions), and
        `indicator` where the cells have several. The figures must not come from the cells themselves.
    population
        As in `prevalence_estimates`.

    Returns
    -------
    Fit
        With other weights of its draws, another fingerprint, and two more checks: the k-hat of the weights and the effective
        draws left. They fail where the figures lie too far from the survey to be reached by weighting: then the two
        sources contradict each other, which is worth knowing before anything else.

    References
    ----------
    Okonek & Wakefield 2024, International Statistical Review (benchmarking with uncertainty, by weighting draws).

    Examples
    --------
    >>> import pandas as pd
    >>> import riskmodels as rm
    >>> fit = rm.fit_model(rm.example_cells(), sampler=rm.SamplerSpec(engine="laplace"))
    >>> registry = pd.DataFrame({"country": ["KEN"], "prevalence": [0.16], "standard_error": [0.02]})
    >>> nearer = rm.prevalence_estimates(benchmarked(fit, registry)).table
    """
    if fit.weights is None:
        raise InputError(
            [
                Problem(
                    "E196",
                    "draws by NUTS depend on one another: weighting them would overstate what they are worth",
                    "engine",
                    1,
                    "fit with engine='laplace'",
                )
            ],
            "national figures",
        )
    domains = domains_of(fit.cells, [COUNTRY], population)
    rows = _matching_domains(fit, domains, known)
    values = domains.average(cell_draws(fit))
    target, error = known["prevalence"].to_numpy(float), known["standard_error"].to_numpy(float)
    log_weights = -0.5 * (((values[..., rows] - target) / error) ** 2).sum(axis=-1)
    with np.errstate(divide="ignore"):
        combined = np.log(fit.weights) + log_weights
    weights, k_hat = smoothed_weights(np.maximum(combined, combined.max() - 700.0).ravel())
    left = float(1 / (weights.reshape(log_weights.shape).sum(axis=0) ** 2).sum())
    where = f"{len(known)} figures"
    checks = (
        *fit.checks,
        below("k-hat of the benchmark weights", where, k_hat, PARETO_K_BELOW),
        at_least("effective draws after benchmarking", where, left, ESS_AT_LEAST),
    )
    identity = hash_record({"cells": fit.fingerprint.cells, "rows": np.asarray(rows), "target": target, "error": error})
    return replace(
        fit,
        weights=weights.reshape(log_weights.shape),
        checks=checks,
        fingerprint=replace(fit.fingerprint, cells=identity),
    )


def _matching_domains(fit: Fit, domains: Domains, known: pd.DataFrame) -> list[int]:
    """Domain of every national figure; all faults of the table at once."""
    several = INDICATOR in domains.by
    if INDICATOR in known and not several:
        only = fit.cells.factor(INDICATOR) if INDICATOR in fit.cells.names else None
        other = ~known[INDICATOR].isin([*only.levels, *only.labels] if only is not None else [])
        raise_if_stopping(
            [
                Problem(
                    "E145",
                    "national figures of another indicator than the fit's",
                    INDICATOR,
                    int(other.sum()),
                    "keep the figures of the fit's indicator",
                )
            ]
            if other.any()
            else [],
            "national figures",
        )
    foreign = [str(name) for name in known if name not in (COUNTRY, INDICATOR, "prevalence", "standard_error")]
    raise_if_stopping(
        [
            Problem(
                "E132",
                "columns that a national figure cannot have",
                ", ".join(foreign),
                len(foreign),
                "give figures for whole countries, without further columns",
            )
        ]
        if foreign
        else [],
        "national figures",
    )
    needed = [COUNTRY, "prevalence", "standard_error", *([INDICATOR] if several else [])]
    raise_if_stopping(
        [
            Problem("E132", f"column {name} is absent", "national figures", 1, f"give {', '.join(needed)}")
            for name in needed
            if name not in known
        ],
        "national figures",
    )
    problems, rows = [], []
    for name, low, high in (("prevalence", 0.0, 1.0), ("standard_error", 0.0, 0.5)):
        bad = ~((known[name].to_numpy(float) > low) & (known[name].to_numpy(float) < high))
        if bad.any():
            problems.append(
                Problem(
                    "E181",
                    f"{name} lies outside {low:g} to {high:g}",
                    name,
                    int(bad.sum()),
                    "write proportions, not per cent",
                )
            )
    for _, row in known.iterrows():
        wanted = [fit.cells.factor(name) for name in domains.by]
        at = [
            factor.levels.index(row[factor.name])
            if row[factor.name] in factor.levels
            else factor.labels.index(row[factor.name])
            if row[factor.name] in factor.labels
            else -1
            for factor in wanted
        ]
        found = np.flatnonzero((domains.index == at).all(axis=1))
        if found.size:
            rows.append(int(found[0]))
        else:
            problems.append(
                Problem(
                    "E145",
                    "no cells for a national figure",
                    " / ".join(str(row[factor.name]) for factor in wanted),
                    1,
                    "check country and indicator",
                )
            )
    if len(known) == 0:
        problems.append(Problem("E101", "no national figure is given", "national figures", 0, "give at least one"))
    raise_if_stopping(problems, "national figures")
    if len(set(rows)) < len(rows):
        raise InputError(
            [
                Problem(
                    "E150",
                    "a national figure stands twice",
                    "national figures",
                    len(rows) - len(set(rows)),
                    "keep one per country and indicator",
                )
            ],
            "national figures",
        )
    return rows
