"""A country that was not in the sample: what the spread between countries says about it, and how little that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from riskmodels.design.cells import Cells
from riskmodels.errors import InputError, Problem
from riskmodels.estimates.estimates import Estimates, label_columns, make_estimates
from riskmodels.estimates.poststratify import Domains
from riskmodels.fit.fit import Fit
from riskmodels.models.blocks import country_loadings, standardised_levels, zero_sum_basis
from riskmodels.models.specs import Term
from riskmodels.vocabulary import COUNTRY, DEFAULT_INTERVAL, DEFAULT_PROBABILITY, INDICATOR, IntervalKind

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Random stream of the new country's effects, apart from those of the engines (which count up from 1).
STREAM_OF_NEW_COUNTRIES = 10_002


def new_country_estimates(
    fit: Fit,
    by: Sequence[str] = (),
    *,
    predictors: Mapping[str, float] | None = None,
    seed: int | None = None,
    probability: float = DEFAULT_PROBABILITY,
    interval: IntervalKind = DEFAULT_INTERVAL,
) -> Estimates:
    """How common each indicator may be in a country without data, if it resembles those in the sample.

    Parameters
    ----------
    fit
        A checked fit of two countries or more.
    by
        Subgroup factors to keep; the others are averaged over with the mean composition of the sampled countries.
    predictors
        The new country's value of every country predictor of the specification.
    seed
        Seed of the draws of its effects; the fit's own seed if omitted.
    probability, interval
        95 % equal-tailed by default.

    Returns
    -------
    Estimates
        Proportions, marked in the column `note`. The interval holds the spread between countries, so it is wide; it
        is a statement about a country drawn from the same population of countries, not a measurement.

    Raises
    ------
    InputError
        E142 where the model has no country effects, E185 for a predictor without a value.

    Examples
    --------
    >>> import riskmodels as rm
    >>> fit = rm.fit_model(rm.example_cells(), sampler=rm.SamplerSpec(draws=500, tune=500))
    >>> table = new_country_estimates(fit).table
    >>> bool(table["high"][0] - table["low"][0] > 0.15)
    True
    """
    cells, given = fit.cells, dict(predictors or {})
    terms = fit.spec.terms_for(cells).terms
    if not any(COUNTRY in term.factors for term in terms):
        raise InputError(
            [
                Problem(
                    "E142",
                    "the model has no country effects: nothing is known about other countries",
                    "country",
                    1,
                    "fit two countries or more",
                )
            ],
            "new country",
        )
    unknown = [name for name in by if name not in cells.names]
    if unknown:
        raise InputError(
            [
                Problem(
                    "E132",
                    "no such factor in the cells",
                    ", ".join(unknown),
                    len(unknown),
                    f"choose among {', '.join(cells.names)}",
                )
            ],
            "by",
        )
    foreign = sorted(set(given) - set(fit.spec.country_predictors))
    if foreign or not all(np.isfinite(value) for value in given.values()):
        raise InputError(
            [
                Problem(
                    "E195",
                    "predictors that the model does not have, or not finite",
                    ", ".join(foreign or given),
                    len(foreign or given),
                    "give the model's own predictors as numbers",
                )
            ],
            "new country",
        )
    absent = sorted(set(fit.spec.country_predictors) - set(given))
    if absent:
        raise InputError(
            [
                Problem(
                    "E185",
                    "the new country has no value of some predictors",
                    ", ".join(absent),
                    len(absent),
                    "give predictors={name: value}",
                )
            ],
            "new country",
        )
    rows, share = _composition(cells)
    rng = np.random.default_rng([fit.sampler.seed if seed is None else seed, STREAM_OF_NEW_COUNTRIES])
    eta = fit.posterior["intercept"].to_numpy()[..., None] + sum(_term_draws(fit, term, rows, rng) for term in terms)
    for name, values in fit.spec.country_predictors.items():
        known = np.array([values[code] for code in cells.factor(COUNTRY).levels])
        eta = eta + fit.posterior[f"slope_{name}"].to_numpy()[..., None] * (given[name] - known.mean()) / known.std()
    domains = _domains_of_rows(cells, rows, share, by)
    draws = domains.average(1 / (1 + np.exp(-eta)))
    labels = label_columns(cells, domains)
    labels.insert(0, COUNTRY, "a country not in the sample")
    return make_estimates(
        fit,
        labels,
        draws,
        quantity="prevalence in a new country",
        probability=probability,
        interval=interval,
        notes=[f"drawn from the spread between {len(cells.factor(COUNTRY))} countries; not measured"] * len(labels),
    )


def _composition(cells: Cells) -> tuple[IntArray, FloatArray]:
    """One cell per combination of the factors other than country, and its mean share over the countries."""
    others = [place for place, name in enumerate(cells.names) if name != COUNTRY]
    key = (
        np.unique(cells.index[:, others], axis=0, return_inverse=True)[1].reshape(-1)
        if others
        else np.zeros(len(cells), dtype=np.int64)
    )
    item = cells.position(INDICATOR) if INDICATOR in cells.names else np.zeros(len(cells), dtype=np.int64)
    group = np.unique(np.column_stack([cells.position(COUNTRY), item]), axis=0, return_inverse=True)[1].reshape(-1)
    within = cells.weight / np.bincount(group, weights=cells.weight)[group]
    rows = np.unique(key, return_index=True)[1]
    return rows, np.bincount(key, weights=within)


def _domains_of_rows(cells: Cells, rows: IntArray, share: FloatArray, by: Sequence[str]) -> Domains:
    wanted = [
        name
        for name in cells.names
        if name != COUNTRY and (name in by or (name == INDICATOR and len(cells.factor(INDICATOR)) > 1))
    ]
    columns = (
        np.column_stack([cells.position(name)[rows] for name in wanted])
        if wanted
        else np.zeros((len(rows), 1), dtype=np.int64)
    )
    index, of_row = np.unique(columns, axis=0, return_inverse=True)
    of_row = of_row.reshape(-1)
    return Domains(
        by=tuple(wanted),
        index=index[:, : len(wanted)],
        of_cell=of_row,
        share=share / np.bincount(of_row, weights=share)[of_row],
    )


def _term_draws(fit: Fit, term: Term, rows: IntArray, rng: np.random.Generator) -> FloatArray:
    """One term of the new country's logit, shape (chain, draw, row).

    Sampled effects are deviations from the mean of C countries, so a new country's deviation has (1 + 1/C) times
    their variance.
    """
    cells, draws = fit.cells, fit.posterior
    at = [cells.position(name)[rows] for name in term.factors]
    widen = np.sqrt(1 + 1 / len(cells.factor(COUNTRY))) if COUNTRY in cells.names else 1.0
    if term.kind == "slope":
        return np.asarray(
            draws[f"slope_{term.name}"].to_numpy()[..., None] * standardised_levels(cells, term.name)[at[0]]
        )
    if COUNTRY not in term.factors:
        effect = draws[f"{term.name}_effect"].to_numpy()
        return np.asarray(effect[:, :, at[0]] if len(at) == 1 else effect[:, :, at[0], at[1]])
    sd = draws[f"{term.name}_sd"].to_numpy()
    if term.kind == "pool":
        return np.asarray((widen * sd * rng.standard_normal(sd.shape))[..., None] * np.ones(len(rows)))
    if term.kind == "correlated":
        root = np.linalg.cholesky(draws["country_correlation"].to_numpy()) * sd[..., None]
        effect = widen * np.einsum("...ij,...j->...i", root, rng.standard_normal(sd.shape))
        return np.asarray(effect @ country_loadings(term, cells)[rows].T)
    other = next(name for name in term.factors if name != COUNTRY)
    basis = zero_sum_basis(len(cells.factor(other)))
    effect = widen * sd[..., None] * (rng.standard_normal((*sd.shape, basis.shape[1])) @ basis.T)
    return np.asarray(effect[..., cells.position(other)[rows]])
