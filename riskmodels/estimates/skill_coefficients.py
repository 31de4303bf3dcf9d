"""Coefficients of a skill pathway on the logit scale, items and where they work differently, and what scores attenuate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.errors import InputError, Problem
from riskmodels.estimates.estimates import Estimates, make_estimates
from riskmodels.estimates.skill_population import groups_of
from riskmodels.fit.skill_fit import SkillFit
from riskmodels.vocabulary import COUNTRY, DEFAULT_INTERVAL, DEFAULT_PROBABILITY, IntervalKind

FloatArray = npt.NDArray[np.float64]
#: Shift of an item's thresholds that matters, as a rule of large-scale assessments: 0.43 logits.
NEGLIGIBLE_SHIFT = 0.43


def _weighted_share(fit: SkillFit, draws: npt.NDArray[np.bool_]) -> FloatArray:
    """Posterior probability of a statement about every quantity, draws (chain, draw, quantities)."""
    return np.asarray(np.einsum("cs,csq->q", fit.draw_weights, draws.astype(float)))


def _values(fit: SkillFit, name: str) -> FloatArray:
    return np.asarray(fit.posterior[name].transpose("chain", "draw", ...).to_numpy())


def skill_coefficients(
    fit: SkillFit,
    by: Sequence[str] = (),
    *,
    probability: float = DEFAULT_PROBABILITY,
    interval: IntervalKind = DEFAULT_INTERVAL,
) -> Estimates:
    """Log odds per SD of skill of exposure, each strategy and distress; coping and skill x coping on distress.

    Parameters
    ----------
    fit
        A checked fit.
    by
        ``()``: averages over the countries at hand; ``("country",)``: the effects of skill in each country.
    probability, interval
        95 % equal-tailed by default.

    Returns
    -------
    Estimates
        Log odds ratios. `probability_of_direction` is the posterior probability of the sign of the median. The effect of
        coping is that at average skill. For figures that people can read, see `skill_slopes` and `coping_paths`.
    """
    outcomes = [str(name) for name in fit.posterior["outcome"].to_numpy()]
    if by:
        groups = groups_of(fit, by)
        draws = np.swapaxes(_values(fit, "slope"), -1, -2)
        labels = pd.concat(
            [groups.labels.assign(coefficient=f"skill -> {name}") for name in outcomes], ignore_index=True
        )
        shown = draws.reshape(*draws.shape[:2], -1)
    else:
        mediators = [str(name) for name in fit.posterior["mediator"].to_numpy()]
        names = [f"skill -> {name}" for name in outcomes]
        names += [f"{name} -> {outcomes[-1]}" for name in mediators]
        names += [f"skill x {name} -> {outcomes[-1]}" for name in mediators]
        labels = pd.DataFrame({"group": "all countries", "coefficient": names})
        shown = np.concatenate([_values(fit, name) for name in ("average_slope", "on_coping", "on_product")], axis=-1)
    above = _weighted_share(fit, shown > 0)
    found = make_estimates(
        fit, labels, shown, quantity="coefficient", unit="log odds", probability=probability, interval=interval
    )
    found.table["probability_of_direction"] = np.clip(np.maximum(above, 1 - above), 0.5, 1.0)
    return found


def item_shifts(
    fit: SkillFit, *, probability: float = DEFAULT_PROBABILITY, interval: IntervalKind = DEFAULT_INTERVAL
) -> Estimates:
    """Where items work differently: by how much an item is harder in a country than in the average country.

    Parameters
    ----------
    fit
        A checked fit whose specification named items in `dif`.
    probability, interval
        95 % equal-tailed by default.

    Returns
    -------
    Estimates
        Shifts of all thresholds of an item, in logits; above 0 the item is harder there for equally skilful children.
        `probability_matters` is the posterior probability of a shift beyond 0.43 logits either way. Countries are linked
        by the items not named in `dif`, which are taken to work alike everywhere; shifts of an item sum to zero.

    Raises
    ------
    InputError
        E195 where no item may shift.

    References
    ----------
    Zwick 2012, ETS Research Report 12-08 (0.43 logits: one unit of the delta scale).
    """
    if "item_shift" not in fit.posterior:
        remedy = "name items in dif=, with two or more countries"
        raise InputError([Problem("E195", "no item may work differently in this fit", "dif", 1, remedy)], "item_shifts")
    draws = _values(fit, "item_shift")
    labels = pd.concat(
        [groups_of(fit, (COUNTRY,)).labels.assign(item=str(name)) for name in fit.posterior["shifted_item"].to_numpy()],
        ignore_index=True,
    )
    shown = draws.reshape(*draws.shape[:2], -1)
    found = make_estimates(
        fit, labels, shown, quantity="shift of an item", unit="logits", probability=probability, interval=interval
    )
    found.table["probability_matters"] = _weighted_share(fit, np.abs(shown) > NEGLIGIBLE_SHIFT)
    return found


def item_parameters(
    fit: SkillFit, *, probability: float = DEFAULT_PROBABILITY, interval: IntervalKind = DEFAULT_INTERVAL
) -> Estimates:
    """Discrimination of every item: how steeply its answers rise with skill.

    Parameters
    ----------
    fit
        A checked fit with latent skill.
    probability, interval
        95 % equal-tailed by default.

    Returns
    -------
    Estimates
        Logits per SD of skill; below about 0.6 an item tells little.

    Raises
    ------
    InputError
        E195 where skill was taken as known.
    """
    if "discrimination" not in fit.posterior:
        remedy = 'fit with measurement="latent"'
        raise InputError(
            [Problem("E195", "scores say nothing about items", "measurement", 1, remedy)], "item_parameters"
        )
    labels = pd.DataFrame({"item": [fit.rows.labels.get(item.name, item.name) for item in fit.rows.items]})
    draws = _values(fit, "discrimination")
    return make_estimates(
        fit, labels, draws, quantity="discrimination", unit="logits", probability=probability, interval=interval
    )


def attenuation(latent: SkillFit, score: SkillFit) -> pd.DataFrame:
    """Effects of skill side by side: skill measured with error modelled, and a score taken for skill.

    Parameters
    ----------
    latent, score
        Fits of the same rows that differ in `measurement`.

    Returns
    -------
    pandas.DataFrame
        Per coefficient: both estimates (log odds per SD) with their SDs, and their ratio; well below 1 where measurement
        error hides part of the effect.

    Raises
    ------
    InputError
        E195 where the fits are of other rows, or measure skill alike.
    """
    alike = latent.spec.measurement != "latent" or score.spec.measurement == "latent"
    if alike or latent.rows.content_hash != score.rows.content_hash:
        remedy = 'give a fit with measurement="latent" and one with "score" of the same rows'
        raise InputError([Problem("E195", "these fits cannot be compared", "attenuation", 1, remedy)], "attenuation")
    left, right = (skill_coefficients(fit).table.set_index("coefficient") for fit in (latent, score))
    return pd.DataFrame(
        {
            "latent": left["estimate"],
            "latent_sd": left["sd"],
            "score": right["estimate"],
            "score_sd": right["sd"],
            "ratio": right["estimate"] / left["estimate"],
        }
    ).reset_index()
