"""What a regression says: coefficients, predicted shares, average marginal effects, per country and overall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from riskmodels.errors import InputError, Problem
from riskmodels.estimates.estimates import Estimates, make_estimates
from riskmodels.fit.regression import RegressionFit
from riskmodels.models.regression_design import own_design, shared_design
from riskmodels.vocabulary import COUNTRY, DEFAULT_INTERVAL, DEFAULT_PROBABILITY, IntervalKind

FloatArray = npt.NDArray[np.float64]

#: Step of a derivative, in scales of the predictor.
STEP = 1e-4
YES, THRESHOLD_OF = "yes", "threshold: "


def _coefficients(fit: RegressionFit) -> tuple[list[str], FloatArray]:
    """Names and draws (chain, draw, names) of coefficients; thresholds in place of the intercept of an ordered outcome."""
    values = fit.posterior["coefficient"].transpose("chain", "draw", "term")
    names, draws = [str(name) for name in values["term"].to_numpy()], values.to_numpy()
    if "threshold" not in fit.posterior:
        return names, draws
    thresholds = fit.posterior["threshold"].transpose("chain", "draw", ...)
    between = [f"{THRESHOLD_OF}{name}" for name in thresholds["threshold_name"].to_numpy()]
    return [*between, *names[1:]], np.concatenate([thresholds.to_numpy(), draws[..., 1:]], axis=-1)


def coefficient_estimates(
    fit: RegressionFit,
    *,
    odds_ratios: bool = False,
    probability: float = DEFAULT_PROBABILITY,
    interval: IntervalKind = DEFAULT_INTERVAL,
) -> Estimates:
    """Coefficients of a regression, with the probability of their direction.

    Parameters
    ----------
    fit
        A checked fit.
    odds_ratios
        Give ``exp(coefficient)`` instead, transformed draw by draw; the intercept is left out.
    probability, interval
        95 % equal-tailed by default.

    Returns
    -------
    Estimates
        Log odds of the population of countries (what brms reports); of an ordered outcome log odds of a higher level,
        and the thresholds between levels. `probability_of_direction` is the posterior probability of the sign of the
        median, 0.5 to 1.
    """
    names, draws = _coefficients(fit)
    above = np.einsum("cs,csq->q", fit.draw_weights, (draws > 0).astype(float))
    keep = [k for k, name in enumerate(names) if not (odds_ratios and name.startswith(("Intercept", THRESHOLD_OF)))]
    if not keep:
        raise InputError(
            [
                Problem(
                    "E195",
                    "a regression without predictors has no odds ratio",
                    "odds_ratios",
                    1,
                    "read the coefficient",
                )
            ],
            "coefficient_estimates",
        )
    shown = np.exp(draws[..., keep]) if odds_ratios else draws[..., keep]
    labels = pd.DataFrame({"coefficient": [names[k] for k in keep]})
    quantity, unit = ("odds ratio", "ratio") if odds_ratios else ("coefficient", "log odds")
    found = make_estimates(fit, labels, shown, quantity=quantity, unit=unit, probability=probability, interval=interval)
    found.table["probability_of_direction"] = np.maximum(above, 1 - above)[keep]
    return found


def _linear_predictor(fit: RegressionFit, values: Mapping[str, FloatArray]) -> FloatArray:
    """Log odds of every row at some values of its predictors, shape (chain, draw, rows)."""
    _, shared = shared_design(fit.spec, fit.rows, values)
    average = fit.posterior["average_coefficient"].transpose("chain", "draw", "term").to_numpy()
    eta = average @ shared.T
    if "country_deviation" in fit.posterior:
        _, own = own_design(fit.spec, fit.rows, values)
        deviation = fit.posterior["country_deviation"].transpose("chain", "draw", "country", "varying").to_numpy()
        for number in range(len(fit.rows.countries)):
            at = fit.rows.country == number
            eta[..., at] += deviation[:, :, number] @ own[at].T
    return np.asarray(eta)


def predicted_shares(fit: RegressionFit, values: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Shares of every row at some values of its predictors, draw by draw, each of shape (chain, draw, rows).

    Returns
    -------
    dict
        Level of an ordered outcome -> share of children who give it; of a yes/no outcome ``"yes"`` -> share affected.
    """
    eta = _linear_predictor(fit, values)
    if fit.rows.outcome_levels is None:
        return {YES: special.expit(eta)}
    intercept = fit.posterior["coefficient"].transpose("chain", "draw", "term").to_numpy()[..., :1]
    offsets = fit.posterior["threshold"].transpose("chain", "draw", ...).to_numpy() + intercept
    above = [special.expit(eta - offsets[..., j, None]) for j in range(offsets.shape[-1])]
    edges = [np.ones_like(eta), *above, np.zeros_like(eta)]
    return {label: edges[k] - edges[k + 1] for k, label in enumerate(fit.rows.outcome_levels.labels)}


def with_level(fit: RegressionFit, labels: pd.DataFrame, level: str) -> pd.DataFrame:
    """Name the level of an ordered outcome; nothing to add to a yes/no outcome."""
    return labels if fit.rows.outcome_levels is None else labels.assign(level=level)


def standardised(fit: RegressionFit, rows: FloatArray, by: Sequence[str]) -> tuple[pd.DataFrame, FloatArray]:
    """Average over children (by weight) overall, or per country or level of a predictor."""
    weight = fit.rows.weight
    unknown = [name for name in by if name != COUNTRY and name not in fit.rows.factors]
    if unknown:
        known = ", ".join([COUNTRY, *fit.rows.factors])
        raise InputError(
            [Problem("E132", "cannot be broken down by", ", ".join(unknown), len(unknown), f"choose among {known}")],
            "by",
        )
    if not by:
        return pd.DataFrame({"group": ["all children"]}), (rows @ weight / weight.sum())[..., None]
    places = [fit.rows.country if name == COUNTRY else fit.rows.values[name].astype(np.int64) for name in by]
    groups, of_row = np.unique(np.column_stack(places), axis=0, return_inverse=True)
    share = np.zeros((len(weight), len(groups)))
    share[np.arange(len(weight)), of_row.reshape(-1)] = weight
    labels = {
        name: [(fit.rows.countries if name == COUNTRY else fit.rows.factors[name]).labels[k] for k in groups[:, place]]
        for place, name in enumerate(by)
    }
    return pd.DataFrame(labels), rows @ (share / share.sum(axis=0))


def _position(fit: RegressionFit, name: str, value: object) -> float:
    """A predictor's value as the design matrix takes it: a number, or the position of a level."""
    factor = fit.rows.factors.get(name)
    if factor is None:
        return float(str(value))
    for place, pair in enumerate(zip(factor.levels, factor.labels, strict=True)):
        if value in pair:
            return float(place)
    raise InputError(
        [Problem("E145", "no such level", f"{name}: {value}", 1, f"choose among {', '.join(factor.levels)}")], "values"
    )


def _check_predictors(fit: RegressionFit, names: Sequence[str]) -> None:
    unknown = [name for name in names if name not in fit.rows.values]
    if unknown:
        known = ", ".join(fit.rows.values)
        raise InputError(
            [
                Problem(
                    "E132",
                    "not a predictor of this regression",
                    ", ".join(unknown),
                    len(unknown),
                    f"choose among {known}",
                )
            ],
            "values",
        )


def prediction_estimates(
    fit: RegressionFit,
    at: Mapping[str, Sequence[object]],
    by: Sequence[str] = (),
    *,
    probability: float = DEFAULT_PROBABILITY,
    interval: IntervalKind = DEFAULT_INTERVAL,
) -> Estimates:
    """Predicted shares if every child had certain values, all else as it is.

    Parameters
    ----------
    fit
        A checked fit.
    at
        Predictor -> values (numbers, or levels by name or label); every combination is predicted.
    by
        Country or predictors with levels to keep apart; everybody together where empty.
    probability, interval
        95 % equal-tailed by default.

    Returns
    -------
    Estimates
        Proportions, averaged over the sample's children by their weights within the same countries; one row per `level`
        of an ordered outcome.
    """
    _check_predictors(fit, list(at))
    frames, parts = [], []
    for combination in pd.MultiIndex.from_product(list(at.values())):
        chosen = dict(zip(at, combination if isinstance(combination, tuple) else (combination,), strict=True))
        fixed = {name: np.full(len(fit.rows), _position(fit, name, value)) for name, value in chosen.items()}
        for level, shares in predicted_shares(fit, {**fit.rows.values, **fixed}).items():
            labels, draws = standardised(fit, shares, by)
            at_values = {f"at {name}": str(value) for name, value in chosen.items()}
            frames.append(with_level(fit, labels.assign(**at_values), level))
            parts.append(draws)
    labels = pd.concat(frames, ignore_index=True)
    return make_estimates(
        fit,
        labels,
        np.concatenate(parts, axis=-1),
        quantity="predicted share",
        probability=probability,
        interval=interval,
    )


def marginal_effects(
    fit: RegressionFit,
    predictor: str,
    by: Sequence[str] = (),
    *,
    probability: float = DEFAULT_PROBABILITY,
    interval: IntervalKind = DEFAULT_INTERVAL,
) -> Estimates:
    """Average marginal effect of one predictor on the share affected.

    Parameters
    ----------
    fit
        A checked fit.
    predictor
        A number: the slope of the share per unit of the number. A variable with levels: each level against the
        reference.
    by
        Country or predictors with levels to keep apart.
    probability, interval
        95 % equal-tailed by default.

    Returns
    -------
    Estimates
        Differences of proportions, averaged over the sample's children by their weights (not at the average child); one
        row per `level` of an ordered outcome, which sum to zero.

    References
    ----------
    Average slopes and comparisons as in Arel-Bundock, Greifer & Heiss 2024, Journal of Statistical Software 111(9).
    """
    _check_predictors(fit, [predictor])
    values = fit.rows.values
    if predictor not in fit.rows.factors:
        step = STEP * fit.spec.numbers.get(predictor, (0.0, 1.0))[1]
        high, low = (predicted_shares(fit, {**values, predictor: values[predictor] + sign * step}) for sign in (1, -1))
        changes = {level: (high[level] - low[level]) / (2 * step) for level in high}
        return _effects(fit, {f"{predictor}: per unit": changes}, by, probability, interval)
    factor = fit.rows.factors[predictor]
    reference = int(_position(fit, predictor, fit.spec.references.get(predictor, factor.levels[0])))
    base = predicted_shares(fit, {**values, predictor: np.full(len(fit.rows), float(reference))})
    contrasts = {}
    for place, label in enumerate(factor.labels):
        if place != reference:
            other = predicted_shares(fit, {**values, predictor: np.full(len(fit.rows), float(place))})
            contrasts[f"{predictor}: {label} against {factor.labels[reference]}"] = {
                level: other[level] - base[level] for level in base
            }
    return _effects(fit, contrasts, by, probability, interval)


def _effects(
    fit: RegressionFit,
    contrasts: Mapping[str, Mapping[str, FloatArray]],
    by: Sequence[str],
    probability: float,
    interval: IntervalKind,
) -> Estimates:
    """Average the changes of every contrast and level over children."""
    frames, parts = [], []
    for contrast, changes in contrasts.items():
        for level, change in changes.items():
            labels, draws = standardised(fit, change, by)
            frames.append(with_level(fit, labels.assign(contrast=contrast), level))
            parts.append(draws)
    return make_estimates(
        fit,
        pd.concat(frames, ignore_index=True),
        np.concatenate(parts, axis=-1),
        quantity="average marginal effect",
        probability=probability,
        interval=interval,
    )
