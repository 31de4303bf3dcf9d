"""Draws of the skill pathway in the terms of the model, and skill taken as known from scores."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import xarray as xr

from riskmodels.design.skill_rows import UNKNOWN, SkillRows
from riskmodels.errors import InputError, Problem
from riskmodels.fit.skill_approximation import approximate
from riskmodels.fit.skill_importance import SkillDraws
from riskmodels.models.skill_arrays import skill_arrays
from riskmodels.models.skill_kernel import grid, ordered_probabilities
from riskmodels.models.skill_posterior import SkillPosterior
from riskmodels.models.skill_spec import SkillPathwaySpec
from riskmodels.survey.factors import Factor
from riskmodels.vocabulary import COUNTRY

FloatArray = npt.NDArray[np.float64]
OUTCOME, ITEM, ITEM_STEP, TERM, STEP, MEDIATOR, CLASS = (
    "outcome",
    "item",
    "item_step",
    "term",
    "step",
    "mediator",
    "class",
)
ANY_COPING = "any strategy"


def steps_of(factor: Factor) -> list[str]:
    """Words for the thresholds between the levels of a factor."""
    return [f"{factor.name}: {low} to {high}" for low, high in pairwise(factor.labels)]


def outcome_names(rows: SkillRows, spec: SkillPathwaySpec) -> list[str]:
    """Exposure, the strategies, distress: the order of every array of outcomes."""
    return [spec.exposure, *rows.strategies.levels, spec.distress]


def natural_draws(posterior: SkillPosterior, rows: SkillRows, found: SkillDraws) -> xr.Dataset:
    """Parameters in the terms of the model, dims (chain, draw, ...).

    Returns
    -------
    xarray.Dataset
        `discrimination`, `item_threshold`, `item_shift`, `skill_mean`, `skill_covariate` (of latent skill); `level` and
        `slope` per country and outcome, `average_level` and `average_slope` over the countries at hand, `covariate`,
        `distress_threshold`, `on_coping`, `on_product`; `country_sd`.
    """
    arrays, spec, latent = posterior.arrays, posterior.spec, posterior.kernel.latent
    chains, draws = found.x.shape[:2]
    flat = [posterior.natural(x) for x in found.x.reshape(-1, posterior.size)]

    def stacked(name: str) -> FloatArray:
        values = np.stack([one.shared[name] for one in flat])
        return values.reshape(chains, draws, *values.shape[1:])

    kinds, count, countries = len(posterior.kinds), posterior.outcomes, arrays.countries
    deviation = np.stack([one.deviation for one in flat]).reshape(chains, draws, kinds, countries)
    start = int(latent)
    level = np.concatenate([stacked("exposure"), stacked("coping"), np.zeros((chains, draws, 1))], axis=-1)
    slope, zero = stacked("slope"), np.zeros((chains, draws, count, countries))
    on_level, on_slope = (
        (deviation[:, :, start : start + count], deviation[:, :, start + count : start + 2 * count])
        if kinds
        else (zero, zero)
    )
    dims = ("chain", "draw")
    data: dict[str, tuple[tuple[str, ...], FloatArray]] = {
        "average_level": ((*dims, OUTCOME), level),
        "average_slope": ((*dims, OUTCOME), slope),
        "level": ((*dims, COUNTRY, OUTCOME), np.swapaxes(level[..., None] + on_level, -1, -2)),
        "slope": ((*dims, COUNTRY, OUTCOME), np.swapaxes(slope[..., None] + on_slope, -1, -2)),
        "covariate": ((*dims, TERM, OUTCOME), stacked("covariate")),
        "distress_threshold": ((*dims, STEP), stacked("distress_threshold")),
        "on_coping": ((*dims, MEDIATOR), stacked("on_coping")),
        "on_product": ((*dims, MEDIATOR), stacked("on_product")),
    }
    coords: dict[str, list[str]] = {
        COUNTRY: list(rows.countries.levels),
        OUTCOME: outcome_names(rows, spec),
        TERM: list(arrays.columns),
        STEP: steps_of(rows.distress_levels),
        MEDIATOR: [ANY_COPING] if arrays.mediators == 1 else list(rows.strategies.levels),
    }
    if latent:
        mean = deviation[:, :, 0] if kinds else np.zeros((chains, draws, countries))
        data["discrimination"] = ((*dims, ITEM), np.exp(stacked("log_discrimination")))
        data["item_threshold"] = ((*dims, ITEM_STEP), stacked("item_threshold"))
        data["skill_mean"] = ((*dims, COUNTRY), mean)
        data["skill_covariate"] = ((*dims, TERM), stacked("skill_covariate"))
        coords[ITEM] = [item.name for item in rows.items]
        coords[ITEM_STEP] = [step for item in rows.items for step in steps_of(item)]
        if len(arrays.shifted):
            data["item_shift"] = ((*dims, "shifted_item", COUNTRY), deviation[:, :, start + 2 * count :])
            coords["shifted_item"] = [rows.items[j].name for j in arrays.shifted]
    if posterior.classes:
        data["country_sd"] = ((*dims, CLASS), found.sd)
        coords[CLASS] = list(posterior.classes)
    return xr.Dataset(data, coords=coords)


def _scores(rows: SkillRows) -> FloatArray:
    """Mean of the answered items, each from 0 to 1, per row."""
    top = np.array([len(item) - 1 for item in rows.items], dtype=float)
    known = rows.answers != UNKNOWN
    total = np.where(known, rows.answers / top, 0.0).sum(axis=1)
    answered = known.sum(axis=1)
    if not answered.all():
        count = int(rows.n[answered == 0].sum())
        remedy = 'leave these children out, or use measurement="latent"'
        raise InputError(
            [Problem("E206", "children who answered no skill item have no score", "skill items", count, remedy)],
            "score",
        )
    return np.asarray(total / answered)


def _expected_skill(rows: SkillRows, spec: SkillPathwaySpec) -> FloatArray:
    """Expected skill of every row given its items, country and covariates, at the mode of the joint model."""
    from dataclasses import replace

    latent = replace(spec, measurement="latent")
    posterior = SkillPosterior(skill_arrays(rows, latent), latent)
    natural = posterior.natural(approximate(posterior).mode)
    mean = np.zeros(len(rows)) if not posterior.kinds else natural.deviation[0][rows.country]
    if len(posterior.arrays.columns):
        from riskmodels.models.skill_arrays import skill_columns

        mean = mean + (skill_columns(spec, rows)[1] - posterior.arrays.means) @ natural.shared["skill_covariate"]
    theta, start = grid(spec.nodes), 0
    log = -0.5 * (theta - mean[:, None]) ** 2
    for j, item in enumerate(rows.items):
        thresholds = natural.shared["item_threshold"][start : start + len(item) - 1]
        start += len(item) - 1
        table = np.log(ordered_probabilities(np.exp(natural.shared["log_discrimination"][j]) * theta, thresholds)[0])
        log += np.concatenate([table, np.zeros((1, len(theta)))])[rows.answers[:, j]]
    share = np.exp(log - log.max(axis=1, keepdims=True))
    return np.asarray(share @ theta / share.sum(axis=1))


def known_skill(rows: SkillRows, spec: SkillPathwaySpec) -> FloatArray | None:
    """Skill of every row where it is taken as known; None where it is latent.

    Returns
    -------
    numpy.ndarray or None
        ``"score"``: the mean of the items, in SDs over the sample's children; ``"eap"``: expected latent skill.
    """
    if spec.measurement == "latent":
        return None
    if spec.measurement == "eap":
        return _expected_skill(rows, spec)
    score = _scores(rows)
    mean = np.average(score, weights=rows.weight)
    return np.asarray((score - mean) / np.sqrt(np.average((score - mean) ** 2, weights=rows.weight)))
