"""Directions and loadings of effects as plain arrays, shared by every engine: nothing is compiled here."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg import helmert

from riskmodels.design.cells import Cells
from riskmodels.models.specs import Term
from riskmodels.vocabulary import COUNTRY, INDICATOR

FloatArray = npt.NDArray[np.float64]

#: A typical SD between groups on the logit scale, against which the data's information is held.
TYPICAL_SD = 0.5


def zero_sum_basis(levels: int) -> FloatArray:
    """Orthonormal directions in which effects that sum to zero can vary, shape (levels, levels - 1)."""
    return np.ascontiguousarray(helmert(levels).T, dtype=np.float64)


def trend_basis(levels: int) -> FloatArray:
    """Centred cumulative steps between neighbouring levels, shape (levels, levels - 1)."""
    steps = np.tril(np.ones((levels, levels - 1)), -1)
    return np.asarray(steps - steps.mean(axis=0))


def country_columns(term: Term, cells: Cells) -> list[str]:
    """Names of what varies between countries: the indicators (or the intercept), then the slopes."""
    return [*(cells.factor(INDICATOR).levels if INDICATOR in term.factors else ("intercept",)), *term.slopes]


def country_loadings(term: Term, cells: Cells) -> np.ndarray:
    """How much of each country column every cell holds, shape (cells, columns)."""
    own = (
        np.eye(len(cells.factor(INDICATOR)))[cells.position(INDICATOR)]
        if INDICATOR in term.factors
        else np.ones((len(cells), 1))
    )
    return np.column_stack([own, *(standardised_levels(cells, name)[cells.position(name)] for name in term.slopes)])


def standardised_levels(cells: Cells, name: str) -> np.ndarray:
    """Numbers that the levels of a continuous factor stand for, mean 0 and SD 1 over the levels."""
    numbers = np.array([float(level) for level in cells.factor(name).levels])
    return np.asarray((numbers - numbers.mean()) / numbers.std())


def standardised_predictor(cells: Cells, values: dict[str, float]) -> np.ndarray:
    """Country predictor per cell, mean 0 and SD 1 over the countries."""
    per_country = np.array([values[code] for code in cells.factor(COUNTRY).levels], dtype=float)
    return np.asarray(((per_country - per_country.mean()) / per_country.std())[cells.position(COUNTRY)])


def well_determined(cells: Cells, name: str) -> bool:
    """Whether the answers alone tell every level of a factor to within half of the spread between levels.

    Compares the binomial information on the logit of each level with the variance between levels; decides only how
    an effect is parameterised.
    """
    p = (cells.yes_effective + 0.5) / (cells.n_effective + 1)
    information = np.bincount(
        cells.position(name), weights=cells.n_effective * p * (1 - p), minlength=len(cells.factor(name))
    )
    return bool(information.min() * TYPICAL_SD**2 > 4)


def centred_factors(cells: Cells) -> tuple[str, ...]:
    """Factors whose effects the sampler's graph writes in centred form on these cells."""
    return tuple(name for name in cells.names if well_determined(cells, name))
