"""Which predictors act differently from country to country: every slope set free in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from riskmodels.design.regression_rows import RegressionRows
from riskmodels.errors import Problem, raise_if_stopping
from riskmodels.estimates.comparison.leave_one_out import LooResult, leave_one_out
from riskmodels.estimates.comparison.scores import difference, reading_of, table_in_html
from riskmodels.estimates.summarise import summarise
from riskmodels.fit.checks import CheckResult
from riskmodels.fit.regression import RegressionFit, fit_regression
from riskmodels.fit.sampler import Progress, SamplerSpec, no_progress
from riskmodels.models.regression_spec import RegressionSpec
from riskmodels.vocabulary import DEFAULT_INTERVAL, DEFAULT_PROBABILITY


@dataclass(frozen=True, eq=False)
class SlopeScreen:
    """Each predictor's slope free in turn, beside the model whose intercepts alone vary.

    Parameters
    ----------
    table
        One row per predictor and column of it: `predictor`, `coefficient`; `slope_sd`, `low`, `high`: median and
        interval of the SD of its slopes between countries (log odds, per scale of the predictor); `elpd_difference`
        from intercepts alone (above 0: the free slope predicts better) with `se_difference`; `largest_k`, `passed`,
        and `reading` in words.
    fits, loo
        Every model by the name of its free predictor; ``"intercepts alone"`` first.
    synthetic
        Whether the children are made up.
    """

    table: pd.DataFrame
    fits: Mapping[str, RegressionFit]
    loo: Mapping[str, LooResult]
    synthetic: bool

    @property
    def checks(self) -> tuple[CheckResult, ...]:
        """Every model's verdicts, named."""
        return tuple(
            replace(check, name=f"{name}: {check.name}") for name, result in self.loo.items() for check in result.checks
        )

    @property
    def passed(self) -> bool:
        """Whether every model passed all its checks."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    def __repr__(self) -> str:
        """Say what it is in a line."""
        brand = "SYNTHETIC, " if self.synthetic else ""
        verdict = "all checks passed" if self.passed else "CHECKS FAILED"
        return f"SlopeScreen({brand}{len(self.loo) - 1} slopes set free in turn; {verdict})"

    def _repr_html_(self) -> str:
        first = next(iter(self.fits.values()))
        title = f"slopes set free in turn; {first.spec.formula}"
        return table_in_html(self.table, title, self.checks, synthetic=self.synthetic)


INTERCEPTS = "intercepts alone"


def _check_screen(rows: RegressionRows, spec: RegressionSpec, predictors: Sequence[str]) -> None:
    known = [name for name in spec.predictors if (name,) in spec.terms]
    problems = []
    stray = [name for name in predictors if name not in known]
    if stray or not predictors:
        remedy = f"choose among {', '.join(known)}" if known else "give the model predictors"
        problems.append(Problem("E195", "not a predictor whose slope can vary", ", ".join(stray), len(stray), remedy))
    if len(rows.countries) < 2:
        problems.append(Problem("E142", "one country: no slope can vary", "country", 1, "two countries or more"))
    raise_if_stopping(problems, "screen_slopes")


def screen_slopes(
    rows: RegressionRows,
    spec: RegressionSpec,
    sampler: SamplerSpec | None = None,
    *,
    predictors: Sequence[str] | None = None,
    probability: float = DEFAULT_PROBABILITY,
    progress: Progress = no_progress,
) -> SlopeScreen:
    """Set every predictor's slope free between countries, one at a time, and say what it gains.

    Parameters
    ----------
    rows, spec, sampler
        As for `fit_regression`; what `spec` lets vary is replaced by the intercept and one predictor in turn.
    predictors
        Those to screen; all main effects where None.
    probability
        Of the intervals of the SDs.
    progress
        Called with a stage, fits done and fits in all.

    Returns
    -------
    SlopeScreen
        Read `slope_sd` for size and `elpd_difference` for whether it helps prediction: a slope may vary and predict no
        better, as few countries say little about a spread. Screening many predictors and keeping the winner flatters
        it; report the whole table.

    Raises
    ------
    InputError
        E195 for a predictor that is not a main effect, E142 for one country; else as `fit_regression`.

    References
    ----------
    Vehtari, Gelman & Gabry 2017 (as in `leave_one_out`).

    Examples
    --------
    >>> import riskmodels as rm
    >>> study = rm.load_study("data/synthetic/invented/study.toml")
    >>> fit = study.regression("comments ~ gender + (1 | country)")
    >>> screen = screen_slopes(fit.rows, fit.spec)
    >>> screen.passed, screen.table["predictor"].tolist()
    (True, ['gender'])
    """
    chosen = [name for name in spec.predictors if (name,) in spec.terms] if predictors is None else list(predictors)
    _check_screen(rows, spec, chosen)
    fits: dict[str, RegressionFit] = {}
    loo: dict[str, LooResult] = {}
    for place, name in enumerate([INTERCEPTS, *chosen]):
        progress("screening slopes", place, len(chosen) + 1)
        free = ((),) if name == INTERCEPTS else ((), (name,))
        fits[name] = fit_regression(rows, replace(spec, varying=free), sampler)
        loo[name] = leave_one_out(fits[name])
    progress("screening slopes", len(chosen) + 1, len(chosen) + 1)
    parts = [_slope_rows(name, fits[name], loo[name], loo[INTERCEPTS], probability) for name in chosen]
    return SlopeScreen(pd.concat(parts, ignore_index=True), fits, loo, rows.synthetic)


def _slope_rows(name: str, fit: RegressionFit, free: LooResult, fixed: LooResult, probability: float) -> pd.DataFrame:
    """Rows of the table for one predictor."""
    sd = fit.posterior["country_sd"].transpose("chain", "draw", "varying")
    slopes = [k for k, column in enumerate(sd["varying"].to_numpy()) if column != "Intercept"]
    found = summarise(sd.to_numpy()[..., slopes], probability, DEFAULT_INTERVAL, fit.weights)
    gap, error = difference(free.scores, free.scores.density, fixed.scores.density)
    passed = free.passed and fixed.passed
    return pd.DataFrame(
        {
            "predictor": name,
            "coefficient": [str(sd["varying"].to_numpy()[k]) for k in slopes],
            "slope_sd": found["median"],
            "low": found["low"],
            "high": found["high"],
            "elpd_difference": gap,
            "se_difference": error,
            "largest_k": max(free.largest_k, fixed.largest_k),
            "passed": passed,
            "reading": reading_of(gap, error, passed=passed),
        }
    )
