"""Made-up children answer a made-up survey: drawn in PSUs, weighted, skipping, refusing, under-reporting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from riskmodels.survey.synthetic.truth import AGES, AREAS, SurveyTruth

FloatArray = npt.NDArray[np.float64]

PREFER_NOT_TO_SAY, DONT_KNOW = 888.0, 999.0
CHANNELS = ("social_media", "online_game", "in_person")
PERPETRATORS = ("peer_known", "peer_unknown", "adult_known", "adult_unknown")
TOLD = ("nobody", "friend", "sibling", "mother", "father", "teacher", "police", "helpline")
SKILL_ITEMS = 6
COPING = ("deleted", "blocked", "told")


@dataclass(frozen=True)
class SkillPathway:
    """How digital skill works on exposure, coping and distress, all on the logit scale.

    Parameters
    ----------
    discrimination
        Slope of every skill item.
    exposure
        Intercept and slope on skill of being cyberbullied.
    coping
        Intercept and slope of each strategy among the exposed.
    distress
        Slopes on skill, on any coping, and on their product.
    thresholds
        Thresholds of the distress levels.
    """

    discrimination: float = 1.5
    exposure: tuple[float, float] = (-2.0, 0.4)
    coping: tuple[tuple[float, float], ...] = ((-0.3, 0.5), (0.0, 0.6), (-0.6, 0.3))
    distress: tuple[float, float, float] = (-0.5, -0.4, -0.2)
    thresholds: tuple[float, ...] = (-1.0, 0.5, 2.0)


@dataclass(frozen=True, eq=False)
class SimulatedSurvey:
    """A made-up survey and the truth behind it.

    Parameters
    ----------
    frame
        One row per child; numbers as in a file (888 prefer not to say, 999 don't know, empty not asked).
    affected
        Who is truly affected by which risk, before refusals and under-reporting, shape (children, risks).
    truth
        The parameters.
    """

    frame: pd.DataFrame
    affected: npt.NDArray[np.bool_]
    truth: SurveyTruth


def _sampled_children(truth: SurveyTruth, rng: np.random.Generator) -> pd.DataFrame:
    """Children with their PSU, weight, and what splits them; three strata (areas) per country."""
    per_psu = max(1, round(truth.children / (len(AREAS) * truth.psus)))
    countries, strata, psus = len(truth.countries), len(AREAS), truth.psus
    country, area, psu, _ = (part.ravel() for part in np.indices((countries, strata, psus, per_psu)))
    drawn = rng.normal(truth.informative * truth.psu_sd**2, truth.psu_sd, (countries, strata, psus))
    effect = drawn[country, area, psu]
    size = len(country)
    weight = np.exp(-truth.informative * effect + truth.weight_spread * rng.normal(size=size))
    weight /= (np.bincount(country, weight) / np.bincount(country))[country]
    return pd.DataFrame(
        {
            "country": country,
            "area": area,
            "psu": psu + psus * area,
            "psu_effect": effect,
            "weight": weight,
            "age": rng.choice(AGES, size).astype(float),
            "girl": rng.integers(0, 2, size).astype(float),
            "ses": rng.integers(0, 4, size).astype(float),
        }
    )


def _answers(affected: npt.NDArray[np.bool_], truth: SurveyTruth, rng: np.random.Generator) -> FloatArray:
    """Frequency answers 1 never ... 5 very often, with under-reporting and refusals, shape (children, risks)."""
    often = rng.choice([2.0, 3.0, 4.0, 5.0], affected.shape, p=[0.45, 0.35, 0.13, 0.07])
    says = affected & (rng.uniform(size=affected.shape) < truth.reporting)
    answer = np.where(says, often, 1.0)
    draw = rng.uniform(size=affected.shape)
    refuses = np.where(affected, truth.refusal_if_affected, truth.refusal)
    answer = np.where(draw < refuses, PREFER_NOT_TO_SAY, answer)
    return np.where((draw >= refuses) & (draw < refuses + truth.dont_know), DONT_KNOW, answer)


def _told(
    yes: npt.NDArray[np.bool_], age: FloatArray, helped: FloatArray, rng: np.random.Generator
) -> dict[str, FloatArray]:
    """Whom children who said yes told: nobody excludes the others."""
    silent = rng.uniform(size=len(yes)) < special.expit(-0.2 + 0.1 * (age - 14.5) - 0.6 * helped)
    shares = (0.5, 0.2, 0.35, 0.12, 0.06, 0.03, 0.03)
    columns = {"told_nobody": np.where(yes, silent.astype(float), np.nan)}
    for name, share in zip(TOLD[1:], shares, strict=True):
        told = (~silent) & (rng.uniform(size=len(yes)) < share)
        columns[f"told_{name}"] = np.where(yes, told.astype(float), np.nan)
    return columns


def _pathway(frame: pd.DataFrame, pathway: SkillPathway, rng: np.random.Generator) -> dict[str, FloatArray]:
    """Digital skill, cyberbullying, coping and distress; coping and distress are asked of the exposed only."""
    size = len(frame)
    theta = rng.normal(size=size) + 0.1 * (frame["age"].to_numpy() - 14.5) / 1.7
    columns: dict[str, FloatArray] = {}
    for item in range(SKILL_ITEMS):
        thresholds = np.array([-1.5, 0.0, 1.5]) + 0.3 * (item - 2.5)
        latent = pathway.discrimination * theta + rng.logistic(size=size)
        columns[f"skill_{item + 1}"] = 1.0 + (latent[:, None] > thresholds).sum(axis=1).astype(float)
    exposed = rng.uniform(size=size) < special.expit(pathway.exposure[0] + pathway.exposure[1] * theta)
    columns["cyberbullied"] = exposed.astype(float)
    coped = np.zeros(size)
    for name, (intercept, slope) in zip(COPING, pathway.coping, strict=True):
        used = rng.uniform(size=size) < special.expit(intercept + slope * theta)
        coped = np.maximum(coped, used)
        columns[f"coped_{name}"] = np.where(exposed, used.astype(float), np.nan)
    on_skill, on_coping, on_both = pathway.distress
    latent = on_skill * theta + on_coping * coped + on_both * theta * coped + rng.logistic(size=size)
    level = 1.0 + (latent[:, None] > np.array(pathway.thresholds)).sum(axis=1)
    columns["distress"] = np.where(exposed, level, np.nan)
    return columns


def _background(frame: pd.DataFrame, vulnerable: FloatArray, rng: np.random.Generator) -> dict[str, FloatArray]:
    """Religion, disability, ethnic origin, self-efficacy, psychological difficulties, knowledge of help."""
    size = len(frame)
    return {
        "religion": rng.choice([1.0, 2.0, 3.0], size, p=[0.6, 0.3, 0.1]),
        "disability": (rng.uniform(size=size) < special.expit(-2.6 + 0.5 * vulnerable)).astype(float),
        "ethnic_origin": rng.choice([1.0, 2.0], size, p=[0.85, 0.15]),
        "self_efficacy": np.clip(np.round(6 - vulnerable + 2 * rng.normal(size=size)), 0, 10),
        "difficulties": np.clip(np.round(3 + 1.2 * vulnerable + 1.5 * rng.normal(size=size)), 0, 10),
        "knows_help": (rng.uniform(size=size) < special.expit(-0.4 + 0.15 * (frame["age"] - 14.5))).astype(float),
        "sex_education": (rng.uniform(size=size) < 0.55).astype(float),
    }


def simulate_survey(
    truth: SurveyTruth | None = None, seed: int = 1, *, pathway: SkillPathway | None = None
) -> SimulatedSurvey:
    """Simulate a clustered, weighted survey with skip patterns, refusals and under-reporting.

    Parameters
    ----------
    truth
        What is true and how it is distorted.
    seed
        Same seed, same children.
    pathway
        How digital skill works on exposure, coping and distress.

    Returns
    -------
    SimulatedSurvey
        Unweighted shares differ from the truth on purpose: PSUs with high liabilities are drawn more often, affected
        children refuse more often, and some do not say.

    Examples
    --------
    >>> survey = simulate_survey(SurveyTruth(children=120), seed=1)
    >>> len(survey.frame), bool((survey.frame["weight"] > 0).all())
    (630, True)
    """
    truth, pathway = truth or SurveyTruth(), pathway or SkillPathway()
    rng = np.random.default_rng([seed, 20_260])
    frame = _sampled_children(truth, rng)
    size = len(frame)
    factors = rng.normal(size=(size, 2))
    loadings = np.array(truth.loadings)
    own = rng.normal(size=(size, len(truth.risks))) * np.sqrt(1 - (loadings**2).sum(axis=1))
    liability = (truth.centres() + truth.country_effects())[frame["country"]]
    liability += (
        truth.fixed(*(frame[name].to_numpy(float) for name in ("age", "girl", "ses")))[:, None]
        + frame["psu_effect"].to_numpy()[:, None]
    )
    affected = liability + factors @ loadings.T + own > 0
    answers = _answers(affected, truth, rng)
    columns: dict[str, FloatArray] = {f"risk_{name}": answers[:, k] for k, name in enumerate(truth.risks)}
    background = _background(frame, factors[:, 0], rng)
    first = next(iter(truth.risks))
    yes = np.isin(columns[f"risk_{first}"], (2, 3, 4, 5))
    for name, share in zip(CHANNELS, (0.6, 0.25, 0.35), strict=True):
        columns[f"channel_{name}"] = np.where(yes, (rng.uniform(size=size) < share).astype(float), np.nan)
    for name, share in zip(PERPETRATORS, (0.4, 0.25, 0.2, 0.3), strict=True):
        columns[f"who_{name}"] = np.where(yes, (rng.uniform(size=size) < share).astype(float), np.nan)
    columns |= _told(yes, frame["age"].to_numpy(), background["knows_help"], rng)
    columns |= _pathway(frame, pathway, rng)
    full = pd.concat([frame.drop(columns="psu_effect"), pd.DataFrame({**background, **columns})], axis=1)
    return SimulatedSurvey(frame=full, affected=affected, truth=truth)
