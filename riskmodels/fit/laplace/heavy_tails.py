"""Normal noise with a heavy-tailed part: a normal alone is too light where a cell has few cases."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

FloatArray = npt.NDArray[np.float64]

#: Share and degrees of freedom of the heavy-tailed part of the effects' proposals: a normal alone is too light where
#: a cell has few cases.
HEAVY_SHARE = 0.15
HEAVY_DEGREES = 4.0


def heavy_radius(
    rng: np.random.Generator, shape: tuple[int, ...], share: FloatArray | float = HEAVY_SHARE
) -> FloatArray:
    """What divides standard normals so that a share of draws is Student-t: heavy tails as a defence."""
    radius = np.sqrt(rng.chisquare(HEAVY_DEGREES, shape) / HEAVY_DEGREES)
    return np.where(rng.uniform(size=shape) < share, radius, 1.0)


def heavy_normals(
    rng: np.random.Generator, shape: tuple[int, ...], share: FloatArray | float = HEAVY_SHARE
) -> FloatArray:
    """Such noise, shape (k, ..., draws), one radius per draw over the first axis."""
    return np.asarray(rng.standard_normal(shape) / heavy_radius(rng, shape[1:], share))


def log_heavy(square: FloatArray, size: int, share: FloatArray | float = HEAVY_SHARE) -> FloatArray:
    """Log density of that noise at squared length `square` in `size` dimensions, with the normal's constant left out.

    References
    ----------
    Hesterberg 1995, Technometrics 37, 185-194 (defensive mixtures).
    """
    constant = (
        special.gammaln((HEAVY_DEGREES + size) / 2)
        - special.gammaln(HEAVY_DEGREES / 2)
        - 0.5 * size * np.log(HEAVY_DEGREES / 2)
    )
    heavy = constant - 0.5 * (HEAVY_DEGREES + size) * np.log1p(square / HEAVY_DEGREES)
    return np.logaddexp(np.log1p(-share) - 0.5 * square, np.log(share) + heavy)
