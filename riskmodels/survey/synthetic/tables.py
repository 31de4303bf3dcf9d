"""Simulated tables with known truth; always branded synthetic, never anyone's answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special, stats

from riskmodels.survey.countries import ISO_ALPHA_3


@dataclass(frozen=True, eq=False)
class SimulatedTable:
    """Counts of simulated children and the prevalences behind them.

    Parameters
    ----------
    frame
        `country`, `indicator`, `n`, `n_effective`, `yes_effective`, one row per cell.
    truth
        True prevalence per row of `frame`.
    countries, indicators
        Levels, in order.
    """

    frame: pd.DataFrame
    truth: npt.NDArray[np.float64]
    countries: tuple[str, ...]
    indicators: tuple[str, ...]


def simulate_table(
    seed: int, *, countries: int = 12, indicators: int = 9, children: int = 1000, within_child: float = 0.4
) -> SimulatedTable:
    """Simulate children who answer several items, and count them per country and item.

    Parameters
    ----------
    seed
        Seed of the simulation.
    countries, indicators, children
        Size of the table; children per country before the design effect.
    within_child
        Tetrachoric correlation between the items answered by one child.

    Returns
    -------
    SimulatedTable
        Item centres spread over 2-20 %, country effects with SD 0.6 and correlation 0.7 between items; design
        effects between 1.1 and 1.6.
    """
    rng = np.random.default_rng(seed)
    centre = special.logit(np.exp(rng.uniform(np.log(0.02), np.log(0.20), indicators)))
    shared = rng.normal(size=(countries, 1))
    effect = 0.6 * (np.sqrt(0.7) * shared + np.sqrt(0.3) * rng.normal(size=(countries, indicators)))
    truth = special.expit(centre + effect)
    size = np.floor(children / rng.uniform(1.1, 1.6, countries)).astype(int)
    yes = np.empty((countries, indicators))
    for country in range(countries):
        liability = np.sqrt(within_child) * rng.normal(size=(size[country], 1)) + np.sqrt(
            1 - within_child
        ) * rng.normal(size=(size[country], indicators))
        yes[country] = (liability > stats.norm.isf(truth[country])).sum(axis=0)
    codes = tuple(sorted(ISO_ALPHA_3)[:countries])
    names = tuple(f"item_{number + 1}" for number in range(indicators))
    frame = pd.DataFrame(
        {
            "country": np.repeat(codes, indicators),
            "indicator": np.tile(names, countries),
            "n": float(children),
            "n_effective": np.repeat(size, indicators).astype(float),
            "yes_effective": yes.ravel(),
        }
    )
    return SimulatedTable(frame=frame, truth=truth.ravel(), countries=codes, indicators=names)


@dataclass(frozen=True, eq=False)
class SimulatedSubgroups:
    """Counts per country, age, gender and socio-economic group, and the prevalences behind them.

    Parameters
    ----------
    frame
        A column per factor, `n`, `n_effective`, `yes_effective`, one row per cell.
    truth
        True prevalence per row.
    levels
        Levels of every factor, in order.
    """

    frame: pd.DataFrame
    truth: npt.NDArray[np.float64]
    levels: dict[str, tuple[str, ...]]


def simulate_subgroups(seed: int, *, countries: int = 13, children: int = 1000) -> SimulatedSubgroups:
    """Simulate one indicator by country, age (13, 15, 17), gender and socio-economic group.

    Parameters
    ----------
    seed
        Seed of the simulation.
    countries
        Up to the number of ISO countries; more get made-up codes.
    children
        Expected children per country, spread evenly over its 24 cells.

    Returns
    -------
    SimulatedSubgroups
        Logit prevalence: -2, country SD 0.6, age -0.3 / 0 / 0.3, gender +-0.15, steps between socio-economic groups
        SD 0.2, country x age SD 0.2, country x gender SD 0.15.
    """
    rng = np.random.default_rng(seed)
    codes = tuple(sorted(ISO_ALPHA_3)[:countries]) + tuple(
        f"Z{number:03d}" for number in range(max(0, countries - len(ISO_ALPHA_3)))
    )
    levels = {
        "country": codes,
        "age": ("13", "15", "17"),
        "gender": ("girl", "boy"),
        "ses": ("lowest", "low", "high", "highest"),
    }
    sizes = [len(names) for names in levels.values()]
    country, age, gender, ses = (part.ravel() for part in np.indices(sizes))
    steps = np.cumsum(rng.normal(0, 0.2, 4))
    effect = (
        rng.normal(0, 0.6, countries)[country]
        + np.array([-0.3, 0.0, 0.3])[age]
        + np.array([-0.15, 0.15])[gender]
        + (steps - steps.mean())[ses]
    )
    eta = (
        -2.0
        + effect
        + rng.normal(0, 0.2, (countries, 3))[country, age]
        + rng.normal(0, 0.15, (countries, 2))[country, gender]
    )
    n = np.maximum(rng.poisson(children / 24, len(eta)), 1).astype(float)
    truth = special.expit(eta)
    frame = pd.DataFrame(
        {
            name: np.array(names)[place]
            for (name, names), place in zip(levels.items(), (country, age, gender, ses), strict=True)
        }
    )
    return SimulatedSubgroups(
        frame=frame.assign(n=n, n_effective=n, yes_effective=rng.binomial(n.astype(int), truth).astype(float)),
        truth=truth,
        levels=levels,
    )
