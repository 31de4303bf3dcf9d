"""Simulation-based calibration of regressions, binary and ordered, by both engines: part of `make calibrate`.

    python calibration/calibrate_regression.py [--replicates 1000] [--workers 2] [--only NAME]

As `calibrate.py`: truths from the priors (thresholds in order, countries drawn from their population), answers of
children of eight countries from the truth, one fit each. Ranked are the coefficients of the population, the thresholds,
SDs and correlation of the country effects, one country's deviation, a prediction, and the log likelihood.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import calibrate
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import special

import riskmodels as rm
from riskmodels.design.regression_rows import RegressionRows
from riskmodels.fit.regression import RegressionFit, fit_regression, reported_draws
from riskmodels.fit.sampler import CompiledModel
from riskmodels.models.regression import build_regression_model, data_of
from riskmodels.models.regression_design import own_design, shared_design
from riskmodels.models.regression_spec import RegressionSpec, regression_formula
from riskmodels.survey.factors import Factor

CERTIFIES = (
    *calibrate.CERTIFIES,
    "fit/tailed_proposal.py",
    "design/ordered_outcome.py",
    "models/latent_regression.py",
    "models/regression.py",
    "models/regression_design.py",
)
CODES = ("ETH", "IDN", "KEN", "NAM", "PHL", "THA", "UGA", "VNM")
LEVELS = Factor("upset", ("not at all", "a little", "fairly", "very"))
GIRLS_PER_ROW = 12
NUTS = rm.SamplerSpec(engine="nuts", draws=250, tune=500, chains=4)


@dataclass(frozen=True)
class Case:
    """A regression to calibrate: specification, engine, replicates of a full run."""

    spec: RegressionSpec
    sampler: rm.SamplerSpec
    replicates: int


def _case(outcome: str, sampler: rm.SamplerSpec, replicates: int) -> Case:
    formula = f"{outcome} ~ gender * age + (1 + age | country)"
    return Case(regression_formula(formula, numbers={"age": (15.0, 2.0)}, weights="none"), sampler, replicates)


CASES = {
    "regression, binary": _case("harmed", calibrate.LAPLACE, 1000),
    "regression, ordered": _case("upset", calibrate.LAPLACE, 1000),
    "regression, binary, NUTS": _case("harmed", NUTS, 200),
    "regression, ordered, NUTS": _case("upset", NUTS, 200),
}


def rows_with(spec: RegressionSpec, shares: np.ndarray | None, rng: np.random.Generator) -> RegressionRows:
    """Countries x gender x age, a dozen children each; answers drawn from `shares` of the levels (rows, levels)."""
    frame = pd.MultiIndex.from_product([range(8), range(2), range(12, 18)], names=["c", "g", "a"]).to_frame(index=False)
    n = np.full(len(frame), float(GIRLS_PER_ROW))
    ordered = spec.outcome == "upset"
    counts = np.zeros((len(frame), 4 if ordered else 2)) if shares is None else rng.multinomial(GIRLS_PER_ROW, shares)
    counts = counts.astype(float)
    yes = counts[:, 2:].sum(axis=1) if ordered else counts[:, 1]
    return RegressionRows(
        countries=Factor("country", CODES),
        factors={"gender": Factor("gender", ("boy", "girl"))},
        country=frame["c"].to_numpy(),
        values={"gender": frame["g"].to_numpy(float), "age": frame["a"].to_numpy(float)},
        n=n,
        yes=yes,
        weight=n,
        weight_yes=yes,
        weight_squared=n,
        design_effect=np.ones(8),
        base="valid answers",
        lost=pd.DataFrame(),
        labels={},
        synthetic=True,
        outcome_levels=LEVELS if ordered else None,
        counts=counts if ordered else None,
        weight_counts=counts if ordered else None,
    )


def shares_at(eta: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Shares of the levels at logits (..., rows) and thresholds (..., levels - 1)."""
    below = special.expit(thresholds[..., None, :] - eta[..., :, None])
    edges = np.concatenate([np.zeros_like(below[..., :1]), below, np.ones_like(below[..., :1])], axis=-1)
    return np.diff(edges, axis=-1)


def draw_truth(spec: RegressionSpec, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """One draw of every parameter from its prior."""
    priors, empty = spec.prior_set, rows_with(spec, None, rng)
    _, shared = shared_design(spec, empty, empty.values)
    slopes = rng.normal(priors.slope.location, priors.slope.scale, shared.shape[1] - 1)
    shift = shared[:, 1:].mean(axis=0) @ slopes
    truth: dict[str, np.ndarray] = {}
    if spec.outcome == "upset":
        thresholds = np.sort(rng.normal(priors.threshold.location, priors.threshold.scale, 3)) + shift
        truth["threshold"] = thresholds
        intercept = -thresholds[1]
    else:
        intercept = rng.normal(priors.intercept.location, priors.intercept.scale) - shift
    sd = np.abs(rng.normal(0, priors.group_sd.scale, 2))
    shape = float(priors.correlation.shape or 1.0)
    correlation = 2 * rng.beta(shape, shape) - 1
    root = np.array([[1.0, 0.0], [correlation, np.sqrt(1 - correlation**2)]]) * sd[:, None]
    truth |= {
        "coefficient": np.array([intercept, *slopes]),
        "country_sd": sd,
        "country_correlation": np.array([[1.0, correlation], [correlation, 1.0]]),
        "country_deviation": root @ rng.normal(size=(2, 8)),
    }
    return truth


def linear_predictor(spec: RegressionSpec, named: dict[str, np.ndarray]) -> np.ndarray:
    """Log odds of every row; leading axes are draws."""
    rows = rows_with(spec, None, np.random.default_rng(0))
    _, shared = shared_design(spec, rows, rows.values)
    _, own = own_design(spec, rows, rows.values)
    deviation = named["country_deviation"][..., rows.country]
    return np.asarray(named["average"] @ shared.T + np.einsum("...kr,rk->...r", deviation, own))


def with_average(truth: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Coefficients of the countries at hand, and their deviations from it."""
    mean = truth["country_deviation"].mean(axis=-1)
    average = truth["coefficient"].copy()
    average[[0, 2]] += mean
    return {**truth, "average": average, "country_deviation": truth["country_deviation"] - mean[:, None]}


def level_shares(spec: RegressionSpec, named: dict[str, np.ndarray]) -> np.ndarray:
    """Shares of the levels of every row, shape (..., rows, levels)."""
    eta = linear_predictor(spec, named)
    if "threshold" not in named:
        p = special.expit(eta)
        return np.stack([1 - p, p], axis=-1)
    return shares_at(eta, named["threshold"] + named["coefficient"][..., :1])


def quantities(spec: RegressionSpec, named: dict[str, np.ndarray], rows: RegressionRows) -> dict[str, np.ndarray]:
    """Scalars that are ranked."""
    shares = level_shares(spec, named)
    counts = np.stack([rows.n - rows.yes, rows.yes], axis=-1) if rows.counts is None else rows.counts
    found = {f"coefficient {k}": named["coefficient"][..., k] for k in range(named["coefficient"].shape[-1])}
    found |= {f"threshold {k}": named["threshold"][..., k] for k in range(3) if "threshold" in named}
    found |= {f"SD {k}": named["country_sd"][..., k] for k in range(2)}
    return found | {
        "correlation": named["country_correlation"][..., 0, 1],
        "deviation of a country": named["country_deviation"][..., 0, 0],
        "share of the last level, first row": shares[..., 0, -1],
        "log likelihood": (counts * np.log(np.maximum(shares, 1e-300))).sum(axis=(-2, -1)),
    }


def draws_of(fit: RegressionFit) -> dict[str, np.ndarray]:
    """Named draws, shape (chain, draw, ...)."""
    names = {str(k): v.transpose("chain", "draw", ...).to_numpy() for k, v in fit.posterior.items()}
    order = fit.posterior["country_deviation"].transpose("chain", "draw", "varying", "country")
    return {**names, "average": names["average_coefficient"], "country_deviation": order.to_numpy()}


def judged(spec: RegressionSpec, truth: dict[str, np.ndarray], fit: RegressionFit) -> dict[str, object]:
    """Posterior probability below the truth of every quantity; how many shares of the last level are covered."""
    named, rows = draws_of(fit), fit.rows
    weights = np.full(named["coefficient"].shape[:2], 1 / named["coefficient"][..., 0].size)
    weights = weights if fit.weights is None else fit.weights
    mine, theirs = quantities(spec, named, rows), quantities(spec, truth, rows)
    below = {key: float((weights * (mine[key] < theirs[key])).sum()) for key in theirs}
    shares, true = level_shares(spec, named)[..., -1], level_shares(spec, truth)[..., -1]
    share = np.einsum("cs,csr->r", weights, (shares < true).astype(float))
    covers = {str(level): float((np.abs(share - 0.5) < level / 2).mean()) for level in (0.5, 0.9, 0.95)}
    return {"below": below, "covers": covers, "passed": fit.passed, "engine": fit.engine}


def simulated(case: Case, number: int) -> tuple[dict[str, np.ndarray], RegressionRows]:
    """One truth whose answers a regression accepts (ten events per coefficient), and these answers.

    Tables that are refused before any sampling are drawn again, truth included: what is calibrated is what is fitted.
    """
    for attempt in range(1000):
        rng = np.random.default_rng([number, attempt, 78])
        truth = with_average(draw_truth(case.spec, rng))
        rows = rows_with(case.spec, level_shares(case.spec, truth), rng)
        every_level = rows.counts is None or (rows.counts.sum(axis=0) > 0).all()
        if min(rows.yes.sum(), (rows.n - rows.yes).sum()) >= 40 and every_level:
            return truth, rows
    raise RuntimeError("no table with events enough in a thousand truths")


def replicate(name: str, number: int) -> dict[str, object]:
    """One truth, one table, one fit with a seed of its own, judged."""
    case = CASES[name]
    truth, rows = simulated(case, number)
    return judged(case.spec, truth, fit_regression(rows, case.spec, replace(case.sampler, seed=number)))


def by_nuts(case: Case, replicates: int) -> list[dict[str, object]]:
    """The same by NUTS, compiled once."""
    found, compiled = [], None
    for number in range(replicates):
        truth, rows = simulated(case, number)
        compiled = compiled or CompiledModel(build_regression_model(rows, case.spec))
        started = time.perf_counter()
        sampled = compiled.with_data(data_of(rows, case.spec)).sample(replace(case.sampler, seed=number))
        fit = RegressionFit(
            spec=case.spec,
            rows=rows,
            sampler=case.sampler,
            posterior=reported_draws(sampled.posterior),
            checks=(),
            fingerprint=None,  # type: ignore[arg-type]
            seconds=time.perf_counter() - started,
            engine="nuts",
        )
        found.append(judged(case.spec, truth, fit))
    return found


def calibrated(name: str, replicates: int, workers: int) -> list[dict[str, object]]:
    """Every replicate of one case, judged."""
    if CASES[name].sampler.engine == "nuts":
        return by_nuts(CASES[name], replicates)
    return list(Parallel(n_jobs=workers)(delayed(replicate)(name, number) for number in range(replicates)))


if __name__ == "__main__":
    calibrate.main(CASES, calibrated, CERTIFIES)
