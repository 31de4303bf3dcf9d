"""A prevalence model as plain arrays: Gaussian effects, hyperparameters that size them, and a count in every cell.

The same model as `models/prevalence.py` builds for a sampler, written for the Laplace engine. Logits are
``offset + X g + Z u[country]``: `g` are effects shared by all countries, `u` the effects of one country, which sum to
zero over the countries. Both are scaled standard normals, ``g = mean + scale * h`` and ``u = root v``, and only
`scale` and `root` depend on the hyperparameters. Arrays carry draws on their last axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from riskmodels.design.cells import Cells
from riskmodels.design.dependence import dependence_between_items
from riskmodels.models.blocks import (
    country_columns,
    country_loadings,
    standardised_levels,
    standardised_predictor,
    trend_basis,
    zero_sum_basis,
)
from riskmodels.models.cell_likelihood import BinomialCounts, CellLikelihood
from riskmodels.models.hyperparameters import Hyper, HyperKind
from riskmodels.models.priors import Prior
from riskmodels.models.specs import PrevalenceSpec, Term
from riskmodels.vocabulary import COUNTRY

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Effect:
    """A run of columns of `g` (shared) or `u` (per country), and how they are sized.

    Parameters
    ----------
    name
        Name of the term; ``"intercept"`` and ``"slope_..."`` are reported as they stand.
    per_country
        Whether the columns belong to `u`.
    start, size
        Place among the columns.
    basis
        What the columns mean, shape (levels, columns); None for a single number.
    sized_by
        Positions in `LatentGaussian.hypers` of the SDs (one, or one per column), of the correlation, of the mixing.
    mean, scale
        Prior mean and fixed scale of the columns.
    """

    name: str
    per_country: bool
    start: int
    size: int
    basis: FloatArray | None
    sized_by: tuple[int, ...]
    mean: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True, eq=False)
class LatentGaussian:
    """Counts, designs and effects of one model; cells are sorted into countries and padded with empty ones.

    Parameters
    ----------
    likelihood
        Counts of every place, and what they say of its logit.
    offset, shared, own
        What the likelihood reads: offset (countries, places), design of `g` (..., G), design of `u` (..., B).
    plain_shared, plain_own
        The same designs before children were counted once: they give the prevalence.
    place
        Flat place of every cell, shape (cells,).
    effects, hypers
        Columns and hyperparameters.
    """

    likelihood: CellLikelihood
    offset: FloatArray
    shared: FloatArray
    own: FloatArray
    plain_shared: FloatArray
    plain_own: FloatArray
    place: IntArray
    effects: tuple[Effect, ...]
    hypers: tuple[Hyper, ...]

    @property
    def dimension(self) -> int:
        """Number of unconstrained coordinates of the hyperparameters."""
        return sum(hyper.size for hyper in self.hypers)


class _Assembly:
    """Collects columns and hyperparameters while the terms of a specification are read."""

    def __init__(self, cells: Cells, spec: PrevalenceSpec) -> None:
        self.cells, self.spec, self.priors = cells, spec, spec.prior_set
        self.columns: dict[bool, list[FloatArray]] = {False: [], True: []}
        self.width = {False: 0, True: 0}
        self.effects: list[Effect] = []
        self.hypers: list[Hyper] = []

    def hyper(self, name: str, kind: HyperKind, prior: Prior, size: int = 1) -> int:
        self.hypers.append(Hyper(name, kind, prior, sum(h.size for h in self.hypers), size))
        return len(self.hypers) - 1

    def add(
        self,
        name: str,
        columns: FloatArray,
        sized_by: tuple[int, ...],
        *,
        per_country: bool = False,
        basis: npt.NDArray[np.floating] | None = None,
        mean: float = 0.0,
        scale: float = 1.0,
    ) -> None:
        columns = columns.reshape(len(self.cells), -1)
        self.effects.append(
            Effect(
                name,
                per_country,
                self.width[per_country],
                columns.shape[1],
                None if basis is None else np.asarray(basis, dtype=float),
                sized_by,
                mean,
                scale,
            )
        )
        self.columns[per_country].append(columns)
        self.width[per_country] += columns.shape[1]

    def number(self, name: str, prior: Prior, column: FloatArray) -> None:
        """Add a single coefficient with a normal or Student-t prior."""
        mixing = (self.hyper(f"{name}_mixing", "mixing", prior),) if prior.family == "student_t" else ()
        self.add(name, column, mixing, mean=float(prior.location or 0.0), scale=float(prior.scale or 1.0))

    def term(self, term: Term) -> None:
        cells, priors = self.cells, self.priors
        at = [cells.position(name) for name in term.factors]
        if term.kind == "slope":
            self.number(f"slope_{term.name}", priors.slope, standardised_levels(cells, term.name)[at[0]])
        elif term.kind == "correlated":
            names = country_columns(term, cells)
            sds = tuple(self.hyper(f"country_sd[{place}]", "sd", priors.group_sd) for place in range(len(names)))
            correlation = self.hyper(
                "country_correlation", "correlation", priors.correlation, len(names) * (len(names) - 1) // 2
            )
            self.add(
                COUNTRY, country_loadings(term, cells), (*sds, correlation), per_country=True, basis=np.eye(len(names))
            )
        elif term.kind == "interaction":
            self._interaction(term, at)
        elif term.name == COUNTRY:
            self.add(
                COUNTRY,
                np.ones(len(cells)),
                (self.hyper("country_sd", "sd", priors.group_sd),),
                per_country=True,
                basis=np.ones((1, 1)),
            )
        else:
            trend = term.kind == "trend"
            levels = len(cells.factor(term.name))
            basis = trend_basis(levels) if trend else zero_sum_basis(levels)
            sd = (
                self.hyper(f"{term.name}_step_sd", "sd", priors.trend_step)
                if trend
                else self.hyper(f"{term.name}_sd", "sd", priors.group_sd)
            )
            self.add(term.name, basis[at[0]], (sd,), basis=basis)

    def _interaction(self, term: Term, at: list[IntArray]) -> None:
        bases = [zero_sum_basis(len(self.cells.factor(name))) for name in term.factors]
        sd = (self.hyper(f"{term.name}_sd", "sd", self.priors.group_sd),)
        if COUNTRY in term.factors:
            other = 1 - term.factors.index(COUNTRY)
            self.add(term.name, bases[other][at[other]], sd, per_country=True, basis=bases[other])
        else:
            both = np.einsum("ni,nj->nij", bases[0][at[0]], bases[1][at[1]])
            self.add(term.name, both, sd, basis=np.kron(bases[0], bases[1]))


def latent_prevalence_model(cells: Cells, spec: PrevalenceSpec) -> LatentGaussian:
    """Write the prevalence model of these cells as plain arrays.

    Parameters
    ----------
    cells, spec
        As in `build_prevalence_model`; only the binomial likelihood is log-concave and covered.

    Raises
    ------
    ValueError
        For another likelihood.
    """
    if spec.likelihood != "binomial":
        raise ValueError("the Laplace engine covers the binomial likelihood only")
    build = _Assembly(cells, spec)
    build.number("intercept", spec.prior_set.intercept, np.ones(len(cells)))
    for term in spec.terms_for(cells).terms:
        build.term(term)
    for name, values in spec.country_predictors.items():
        build.number(f"slope_{name}", spec.prior_set.slope, standardised_predictor(cells, dict(values)))
    shared = np.column_stack(build.columns[False])
    own = np.column_stack(build.columns[True]) if build.columns[True] else np.zeros((len(cells), 0))
    read_shared, read_own, offset = shared, own, np.zeros(len(cells))
    dependence = dependence_between_items(cells, spec.within_child_correlation)
    if dependence is not None:
        offset = dependence.apply(np.zeros(len(cells)))
        read_shared = dependence.turn(shared.T).T
        read_own = dependence.turn(own.T).T
    groups = cells.position(COUNTRY) if own.shape[1] else np.zeros(len(cells), dtype=np.int64)
    place, width = places_in_countries(groups)
    countries = int(groups.max()) + 1

    def padded(values: FloatArray) -> FloatArray:
        out = np.zeros((countries * width, *values.shape[1:]))
        out[place] = values
        return out.reshape(countries, width, *values.shape[1:])

    return LatentGaussian(
        likelihood=BinomialCounts(padded(cells.yes_effective), padded(cells.n_effective)),
        offset=padded(offset),
        shared=padded(read_shared),
        own=padded(read_own),
        plain_shared=padded(shared),
        plain_own=padded(own),
        place=place,
        effects=tuple(build.effects),
        hypers=tuple(build.hypers),
    )


def places_in_countries(groups: IntArray) -> tuple[IntArray, int]:
    """Flat place of every cell when each country gets as many places as the largest one needs."""
    counts = np.bincount(groups)
    order = np.argsort(groups, kind="stable")
    within = np.empty(len(groups), dtype=np.int64)
    within[order] = np.arange(len(groups)) - np.repeat(np.cumsum(counts) - counts, counts)
    return groups * counts.max() + within, int(counts.max())


def likelihood_given(latent: LatentGaussian, values: list[FloatArray]) -> CellLikelihood:
    """The likelihood at these hyperparameters: only thresholds of an ordered outcome are part of it."""
    steps = [value for hyper, value in zip(latent.hypers, values, strict=True) if hyper.kind == "step"]
    return latent.likelihood.given(np.stack(steps)) if steps else latent.likelihood


def shared_scale(latent: LatentGaussian, values: list[FloatArray], draws: int) -> tuple[FloatArray, FloatArray]:
    """Prior mean (G,) and scale (G, draws) of the effects shared by all countries."""
    width = latent.shared.shape[-1]
    mean, scale = np.zeros(width), np.ones((width, draws))
    for effect in latent.effects:
        if effect.per_country:
            continue
        at = slice(effect.start, effect.start + effect.size)
        mean[at] = effect.mean
        scale[at] = effect.scale
        for position in effect.sized_by:
            value = values[position]
            scale[at] *= np.sqrt(value) if latent.hypers[position].kind == "mixing" else value
    return mean, scale


def own_root(latent: LatentGaussian, values: list[FloatArray], draws: int) -> FloatArray:
    """Cholesky factor of the prior covariance of one country's effects, shape (B, B, draws)."""
    width = latent.own.shape[-1]
    root = np.zeros((width, width, draws))
    for effect in latent.effects:
        if not effect.per_country:
            continue
        at = np.arange(effect.start, effect.start + effect.size)
        kinds = [latent.hypers[position].kind for position in effect.sized_by]
        sds = np.stack(
            [values[position] for position, kind in zip(effect.sized_by, kinds, strict=True) if kind == "sd"]
        )
        if "correlation" in kinds:
            root[at[:, None], at[None, :]] = values[effect.sized_by[-1]] * sds[:, None, :]
        else:
            root[at, at] = sds
    return root
