"""What is true of made-up children: prevalences, what goes with what, and how the survey distorts it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy import stats

FloatArray = npt.NDArray[np.float64]

AGES = (12, 13, 14, 15, 16, 17)
GENDERS = ("boy", "girl")
AREAS = ("urban", "peri_urban", "rural")
SES = ("lowest", "low", "high", "highest")


@dataclass(frozen=True)
class SurveyTruth:
    """Parameters of a population and of the survey drawn from it.

    A child is affected by risk j if its liability exceeds zero: ``centre_j + country + age + gender + ses + PSU +
    loadings_j . (two factors of the child) + own``, all normal, the child's own parts together with variance 1.

    Parameters
    ----------
    countries
        Codes.
    children
        Children sampled per country.
    psus
        PSUs per stratum (area) and country; children are spread evenly over them.
    risks
        Name -> share affected in the average country (before what countries add).
    loadings
        Loadings of each risk on the two factors of a child, shape (risks, 2); squared lengths below 1.
    country_sd, country_seed
        Spread of countries on the liability scale, and the seed of their effects, which are part of the truth.
    age, girl, ses
        Effect of a year of age (from 14.5), of being a girl (half added, half subtracted), and of a socio-economic step.
    psu_sd
        SD of PSU effects: how alike children of one PSU are.
    informative
        How much likelier PSUs with high liabilities are to be drawn, per unit of their effect.
    weight_spread
        SD of the log of weights that have nothing to do with answers.
    refusal, refusal_if_affected
        Share who prefer not to say, among children not affected and affected.
    dont_know
        Share who do not know, whoever they are.
    reporting
        Share of affected children who say so.
    """

    countries: tuple[str, ...] = ("AXA", "BOR", "CYR", "DEL", "ERL")
    children: int = 1000
    psus: int = 14
    risks: Mapping[str, float] = field(
        default_factory=lambda: {"comments": 0.15, "images": 0.06, "requests": 0.08, "threats": 0.04}
    )
    loadings: tuple[tuple[float, float], ...] = ((0.6, 0.1), (0.6, 0.3), (0.6, 0.2), (0.5, 0.4))
    country_sd: float = 0.25
    country_seed: int = 7
    age: float = 0.07
    girl: float = 0.1
    ses: float = -0.05
    psu_sd: float = 0.25
    informative: float = 1.0
    weight_spread: float = 0.25
    refusal: float = 0.02
    refusal_if_affected: float = 0.08
    dont_know: float = 0.02
    reporting: float = 0.9

    def country_effects(self) -> FloatArray:
        """Effect of every country on every risk, shape (countries, risks): half shared, half own."""
        rng = np.random.default_rng(self.country_seed)
        shape = (len(self.countries), len(self.risks))
        shared, own = rng.normal(size=(shape[0], 1)), rng.normal(size=shape)
        return np.asarray(self.country_sd * (shared + own) / np.sqrt(2))

    def centres(self) -> FloatArray:
        """Liability of the average child, shape (risks,)."""
        spread = np.sqrt(1 + self.psu_sd**2)
        return np.asarray(stats.norm.ppf(list(self.risks.values())) * spread)

    def fixed(self, age: FloatArray, girl: FloatArray, ses: FloatArray) -> FloatArray:
        """What age, gender and socio-economic group add to every liability."""
        return np.asarray(self.age * (age - 14.5) + self.girl * (girl - 0.5) + self.ses * (ses - 1.5))

    def prevalence(self) -> FloatArray:
        """True share affected per country and risk, before refusals and under-reporting; exact.

        Returns
        -------
        numpy.ndarray
            Shape (countries, risks): the average over all ages, genders and groups, each equally frequent.
        """
        grid = np.array(list(product(AGES, (0.0, 1.0), (0.0, 1.0, 2.0, 3.0))))
        added = self.fixed(*grid.T)
        liability = self.centres() + self.country_effects()
        spread = np.sqrt(1 + self.psu_sd**2)
        return np.asarray(stats.norm.cdf((liability[..., None] + added) / spread).mean(axis=-1))

    def pairs(self) -> FloatArray:
        """True share affected by both of two risks, shape (countries, risks, risks); by quadrature."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(15)
        weights = weights / weights.sum()
        first, second, psu = np.meshgrid(nodes, nodes, nodes, indexing="ij")
        weight = np.einsum("i,j,k->ijk", weights, weights, weights).ravel()
        loadings = np.array(self.loadings)
        own = np.sqrt(1 - (loadings**2).sum(axis=1))
        factors = np.stack([first.ravel(), second.ravel()], axis=-1) @ loadings.T + self.psu_sd * psu.ravel()[:, None]
        grid = np.array(list(product(AGES, (0.0, 1.0), (0.0, 1.0, 2.0, 3.0))))
        found = np.zeros((len(self.countries), len(self.risks), len(self.risks)))
        for number, effects in enumerate(self.centres() + self.country_effects()):
            for added in self.fixed(*grid.T):
                p = stats.norm.cdf((effects + added + factors) / own)
                found[number] += (p * weight[:, None]).T @ p / len(grid)
        same = np.arange(len(self.risks))
        found[:, same, same] = self.prevalence()
        return found
