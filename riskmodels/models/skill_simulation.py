"""Children made up by the skill pathway itself, with every parameter known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from riskmodels.design.skill_rows import STRATEGY, UNKNOWN, SkillRows, collapse_children
from riskmodels.models.skill_kernel import common_cause
from riskmodels.survey.factors import Factor
from riskmodels.vocabulary import COUNTRY

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SkillTruth:
    """What is true in a simulated skill pathway; everything on the logit scale per SD of skill.

    Parameters
    ----------
    countries, children
        Countries, and children in each.
    discrimination
        Slope of every item.
    item_levels
        Levels per item.
    exposure
        Logit share exposed at skill 0, and effect of skill.
    coping
        Of each strategy: logit share among the exposed at skill 0, and effect of skill.
    distress
        Effects of skill, of any coping, and of their product.
    distress_threshold
        Thresholds of distress.
    skill_sd, level_sd, slope_sd
        SDs between countries of mean skill, of levels, and of effects of skill.
    girl
        Effect of a covariate (a girl or not) on skill, exposure, every strategy and distress; no covariate where None.
    rho
        Correlation of exposure and distress through an unmeasured common cause.
    """

    countries: int = 13
    children: int = 1000
    discrimination: tuple[float, ...] = (1.5, 1.2, 1.8, 1.0, 1.6, 1.4)
    item_levels: int = 4
    exposure: tuple[float, float] = (-2.55, 0.4)
    coping: tuple[tuple[float, float], ...] = ((-0.3, 0.5), (0.0, 0.6), (-0.6, 0.3))
    distress: tuple[float, float, float] = (-0.5, -0.4, -0.2)
    distress_threshold: tuple[float, ...] = (-1.0, 0.5, 2.0)
    skill_sd: float = 0.3
    level_sd: float = 0.3
    slope_sd: float = 0.1
    girl: tuple[float, float, float, float] | None = (0.2, 0.3, 0.1, 0.4)
    rho: float = 0.0


@dataclass(frozen=True, eq=False)
class SimulatedSkills:
    """Made-up rows, the children's true skill, and what their countries truly are.

    Parameters
    ----------
    rows
        Data.
    theta
        True skill per child, in the order drawn.
    mean
        Mean skill per country.
    level, slope
        Levels and effects of skill per country, shape (countries, outcomes): exposure, strategies, distress.
    truth
        The parameters.
    """

    rows: SkillRows
    theta: FloatArray
    mean: FloatArray
    level: FloatArray
    slope: FloatArray
    truth: SkillTruth


def item_thresholds(truth: SkillTruth) -> FloatArray:
    """Thresholds of every item, shape (items, levels - 1)."""
    steps = np.linspace(-1.5, 1.5, truth.item_levels - 1) if truth.item_levels > 2 else np.zeros(1)
    spread = np.linspace(-0.75, 0.75, len(truth.discrimination))
    return np.asarray(steps[None] + spread[:, None])


def _ordered(eta: FloatArray, thresholds: FloatArray, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    return np.asarray((eta + rng.logistic(size=eta.shape))[..., None] > thresholds, dtype=np.int64).sum(axis=-1)


def simulate_skills(truth: SkillTruth | None = None, seed: int = 1, *, missing: float = 0.0) -> SimulatedSkills:
    """Simulate children who answer skill items, meet a risk, cope and are distressed.

    Parameters
    ----------
    truth
        What is true.
    seed
        Same seed, same children.
    missing
        Share of answers to items, coping and distress that are unknown at random.

    Returns
    -------
    SimulatedSkills
        Deviations of countries sum to zero.

    Examples
    --------
    >>> made = simulate_skills(SkillTruth(countries=2, children=200), seed=1)
    >>> float(made.rows.n.sum()), made.slope.shape
    (400.0, (2, 5))
    """
    truth = truth or SkillTruth()
    rng = np.random.default_rng([seed, 20_261])
    countries, outcomes = truth.countries, 2 + len(truth.coping)

    def deviations(sd: float, width: int) -> FloatArray:
        drawn = rng.normal(size=(countries, width))
        return np.asarray(sd * (drawn - drawn.mean(axis=0)))

    mean = deviations(truth.skill_sd, 1)[:, 0]
    level = np.array([truth.exposure[0], *(one[0] for one in truth.coping), 0.0]) + deviations(truth.level_sd, outcomes)
    slope = np.array([truth.exposure[1], *(one[1] for one in truth.coping), truth.distress[0]])
    slope = slope + deviations(truth.slope_sd, outcomes)
    country = np.repeat(np.arange(countries), truth.children)
    size = len(country)
    girl = rng.integers(0, 2, size)
    on_skill, on_exposure, on_coping, on_distress = truth.girl or (0.0, 0.0, 0.0, 0.0)
    theta = mean[country] + on_skill * (girl - 0.5) + rng.normal(size=size)
    answers = np.column_stack(
        [
            _ordered(a * theta, thresholds, rng)
            for a, thresholds in zip(truth.discrimination, item_thresholds(truth), strict=True)
        ]
    )

    cause = common_cause(truth.rho)
    unmeasured = np.random.default_rng([seed, 20_262]).normal(size=size)

    def logit(outcome: int, effect: float) -> FloatArray:
        return np.asarray(level[country, outcome] + slope[country, outcome] * theta + effect * (girl - 0.5))

    exposed = (rng.uniform(size=size) < special.expit(logit(0, on_exposure) + cause.on_exposure * unmeasured)).astype(
        np.int64
    )
    coping = np.column_stack(
        [rng.uniform(size=size) < special.expit(logit(1 + k, on_coping)) for k in range(len(truth.coping))]
    ).astype(np.int64)
    coped = coping.max(axis=1)
    eta = (
        logit(outcomes - 1, on_distress)
        + truth.distress[1] * coped
        + truth.distress[2] * theta * coped
        + cause.on_distress * unmeasured
    )
    distress = _ordered(eta, np.array(truth.distress_threshold), rng)
    answers[rng.uniform(size=answers.shape) < missing] = UNKNOWN
    coping[(exposed == 0)[:, None] | (rng.uniform(size=coping.shape) < missing)] = UNKNOWN
    distress[(exposed == 0) | (rng.uniform(size=size) < missing)] = UNKNOWN
    rows = collapse_children(
        Factor(COUNTRY, tuple(f"C{k + 1:02d}" for k in range(countries))),
        tuple(
            Factor(f"skill_{j + 1}", tuple(str(k) for k in range(truth.item_levels))) for j in range(answers.shape[1])
        ),
        Factor(STRATEGY, tuple(f"strategy_{k + 1}" for k in range(len(truth.coping)))),
        Factor("distress", tuple(f"level {k + 1}" for k in range(len(truth.distress_threshold) + 1))),
        country=country,
        answers=answers,
        exposed=exposed,
        coping=coping,
        distress=distress,
        values={} if truth.girl is None else {"girl": girl.astype(float)},
        factors={} if truth.girl is None else {"girl": Factor("girl", ("no", "yes"))},
        synthetic=True,
    )
    return SimulatedSkills(rows=rows, theta=theta, mean=mean, level=level, slope=slope, truth=truth)
