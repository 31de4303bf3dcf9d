"""Lean clustered samples with informative weights, for studies of how well intervals cover."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

FloatArray = npt.NDArray[np.float64]

#: SD of PSU effects on the liability scale that gives about this design effect at 25 children per PSU, with the
#: weights below.
PSU_SD = {1.5: 0.19, 2.0: 0.31, 4.0: 0.56}
INFORMATIVE = 1.0
WEIGHT_SPREAD = 0.25


@dataclass(frozen=True, eq=False)
class ClusteredSample:
    """One indicator asked of children in PSUs, and the true share affected per country.

    Parameters
    ----------
    country, psu, girl
        Numbers of country and PSU, and 0 / 1, one entry per child.
    weight
        Sampling weight.
    yes
        1 affected, 0 not.
    truth
        True share affected per country.
    """

    country: npt.NDArray[np.int64]
    psu: npt.NDArray[np.int64]
    girl: npt.NDArray[np.int64]
    weight: FloatArray
    yes: FloatArray
    truth: FloatArray


def simulate_clustered(
    seed: int, design_effect: float, *, countries: int = 12, psus: int = 40, children_per_psu: int = 25
) -> ClusteredSample:
    """Simulate a clustered survey whose PSUs with many affected children are likelier to be drawn.

    Parameters
    ----------
    seed
        Seed; country effects are drawn anew each time.
    design_effect
        About 1.5, 2 or 4.
    countries, psus, children_per_psu
        Size.

    Returns
    -------
    ClusteredSample
        Unweighted shares are too high: drawing PSUs in proportion to ``exp(effect)`` shifts their normal effects by
        their variance, which the weights ``exp(-effect)`` undo exactly.
    """
    rng = np.random.default_rng([seed, 4242])
    sd = PSU_SD[design_effect]
    liability = rng.normal(stats.norm.ppf(0.12), 0.3, countries)
    effect = rng.normal(INFORMATIVE * sd**2, sd, (countries, psus))
    size = countries * psus * children_per_psu
    country = np.repeat(np.arange(countries), psus * children_per_psu)
    psu = np.repeat(np.arange(countries * psus), children_per_psu)
    girl = rng.integers(0, 2, size)
    own = np.repeat(effect.ravel(), children_per_psu)
    total = liability[country] + own + 0.1 * (girl - 0.5)
    yes = (total + rng.normal(size=size) > 0).astype(float)
    weight = np.exp(-INFORMATIVE * own + WEIGHT_SPREAD * rng.normal(size=size))
    spread = np.sqrt(1 + sd**2)
    truth = (stats.norm.cdf((liability + 0.05) / spread) + stats.norm.cdf((liability - 0.05) / spread)) / 2
    return ClusteredSample(country, psu, girl, weight, yes, truth)
