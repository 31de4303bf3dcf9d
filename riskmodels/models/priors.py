"""Prior distributions as frozen records, and the named sets of them, every default with a reason."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from riskmodels.errors import InputError, Problem

FloatArray = npt.NDArray[np.float64]
Family = Literal["normal", "student_t", "half_normal", "half_student_t", "lkj"]

_NEEDS: dict[str, tuple[str, ...]] = {
    "normal": ("location", "scale"),
    "student_t": ("location", "scale", "degrees"),
    "half_normal": ("scale",),
    "half_student_t": ("scale", "degrees"),
    "lkj": ("shape",),
}


@dataclass(frozen=True)
class Prior:
    """One prior distribution with the reason for it.

    Parameters
    ----------
    family
        ``normal``, ``student_t`` (location, scale, degrees), ``half_normal``, ``half_student_t`` (scale ...),
        ``lkj`` (shape).
    location, scale, degrees, shape
        Its parameters; those that the family does not use stay None.
    reason
        Why, with the source.
    """

    family: Family
    location: float | None = None
    scale: float | None = None
    degrees: float | None = None
    shape: float | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse impossible parameters (E195)."""
        problems = []
        if self.family not in _NEEDS:
            allowed = ", ".join(_NEEDS)
            raise InputError(
                [Problem("E195", "no such prior family", str(self.family), 1, f"choose among {allowed}")], "priors"
            )
        for name in ("location", "scale", "degrees", "shape"):
            value = getattr(self, name)
            if name not in _NEEDS[self.family]:
                if value is not None:
                    problems.append(
                        Problem(
                            "E195",
                            f"a {self.family} prior has no {name}",
                            name,
                            1,
                            f"give {', '.join(_NEEDS[self.family])} only",
                        )
                    )
            elif value is None or not math.isfinite(value):
                problems.append(
                    Problem(
                        "E195",
                        f"a {self.family} prior needs a finite {name}",
                        name,
                        1,
                        f"give {', '.join(_NEEDS[self.family])}",
                    )
                )
            elif name != "location" and value <= 0:
                problems.append(
                    Problem("E195", f"{name} of a {self.family} prior must be positive", name, 1, "use a value above 0")
                )
        if problems:
            raise InputError(problems, "priors")

    def log_density(self, x: FloatArray) -> FloatArray:
        """Log density at `x`, element by element (not for correlation matrices)."""
        x = np.asarray(x, dtype=float)
        if self.family == "normal":
            return np.asarray(stats.norm.logpdf(x, self.location, self.scale))
        if self.family == "student_t":
            return np.asarray(stats.t.logpdf(x, self.degrees, self.location, self.scale))
        if self.family == "lkj":
            raise TypeError("the density of a correlation prior is given by lkj_log_kernel")
        half = (
            stats.norm.logpdf(x, 0, self.scale)
            if self.family == "half_normal"
            else stats.t.logpdf(x, self.degrees, 0, self.scale)
        )
        return np.asarray(np.where(x >= 0, half + math.log(2), -np.inf))

    def __str__(self) -> str:
        """Give the prior as people write it, e.g. ``HalfNormal(0.75)``."""
        names = {
            "normal": "Normal",
            "student_t": "Student-t",
            "half_normal": "HalfNormal",
            "half_student_t": "half-Student-t",
            "lkj": "LKJ",
        }
        order = {"student_t": ("degrees", "location", "scale"), "half_student_t": ("degrees", "scale")}.get(
            self.family, _NEEDS[self.family]
        )
        values = ", ".join(
            f"{getattr(self, name):.4g}"
            for name in (("degrees", "location", "scale") if self.family == "student_t" else order)
        )
        return f"{names[self.family]}({values})"


def lkj_log_kernel(correlation: FloatArray, shape: float) -> FloatArray:
    """Log density of LKJ(shape), up to its constant, for matrices in the two last axes."""
    return np.asarray((shape - 1) * np.linalg.slogdet(correlation)[1])


@dataclass(frozen=True)
class Priors:
    """All priors of a prevalence model.

    Parameters
    ----------
    intercept
        Logit prevalence at the centre of all levels.
    group_sd
        Standard deviation between the levels of a factor, logit scale.
    slope
        Effect of a country-level predictor, per SD of the predictor.
    correlation
        Correlation of country effects across indicators.
    trend_step
        Step between neighbouring levels of an ordered factor.
    overdispersion
        SD-like scale of the beta-binomial's extra variation (its intra-cell correlation on the logit scale).
    threshold
        Logit of the share above each level of an ordered outcome but the last, for the average child, in their order.
    """

    intercept: Prior
    group_sd: Prior
    slope: Prior
    correlation: Prior
    trend_step: Prior
    overdispersion: Prior
    threshold: Prior = Prior(
        "normal", location=0.0, scale=1.5, reason="a level of an ordered answer holds anything from 1 to 99 %"
    )

    def __post_init__(self) -> None:
        """Refuse a prior on the wrong kind of parameter (E195)."""
        wanted = {
            "intercept": ("normal", "student_t"),
            "slope": ("normal", "student_t"),
            "correlation": ("lkj",),
            "group_sd": ("half_normal", "half_student_t"),
            "trend_step": ("half_normal", "half_student_t"),
            "overdispersion": ("half_normal", "half_student_t"),
            "threshold": ("normal", "student_t"),
        }
        wrong = [name for name, families in wanted.items() if getattr(self, name).family not in families]
        if wrong:
            raise InputError(
                [
                    Problem(
                        "E195", f"{name} takes {' or '.join(wanted[name])}", name, 1, "choose a prior of that family"
                    )
                    for name in wrong
                ],
                "priors",
            )

    def table(self) -> list[tuple[str, str, str]]:
        """Rows of parameter, prior, reason, for documents."""
        return [(name, str(getattr(self, name)), getattr(self, name).reason) for name in asdict(self)]


_LOGIT_TENTH = math.log(0.10 / 0.90)
_OVERDISPERSION = Prior("half_normal", scale=0.05, reason="intra-cell correlations of surveys rarely exceed 0.1")


def _half_normal_set(width: float, note: str) -> Priors:
    return Priors(
        intercept=Prior(
            "normal",
            location=_LOGIT_TENTH,
            scale=1.2 * width,
            reason=f"published past-year prevalences run 1-30 %{note}",
        ),
        group_sd=Prior(
            "half_normal",
            scale=0.75 * width,
            reason=f"12 published country prevalences have a logit SD of about 0.6 (Ghai et al. 2026){note}",
        ),
        slope=Prior(
            "normal", location=0.0, scale=1.0 * width, reason=f"an odds ratio of 7 per SD would be extreme{note}"
        ),
        correlation=Prior("lkj", shape=2.0, reason="mildly towards no correlation (Lewandowski, Kurowicka & Joe 2009)"),
        trend_step=Prior(
            "half_normal", scale=0.5 * width, reason=f"neighbouring age groups differ little (Gao et al. 2021){note}"
        ),
        overdispersion=_OVERDISPERSION,
    )


PRESETS: Mapping[str, Priors] = {
    "default": _half_normal_set(1.0, ""),
    "wide": _half_normal_set(2.0, "; twice as wide"),
    "tight": _half_normal_set(0.5, "; half as wide"),
    "brms": Priors(
        intercept=Prior(
            "student_t",
            location=0.0,
            scale=2.5,
            degrees=3.0,
            reason="brms default (Buerkner 2017), as used by Ghai et al. 2026",
        ),
        group_sd=Prior("half_student_t", scale=2.5, degrees=3.0, reason="brms default"),
        slope=Prior(
            "normal", location=0.0, scale=100.0, reason="brms default is flat; this is flat in effect and proper"
        ),
        correlation=Prior("lkj", shape=1.0, reason="brms default: uniform over correlation matrices"),
        trend_step=Prior("half_student_t", scale=2.5, degrees=3.0, reason="brms default for standard deviations"),
        overdispersion=_OVERDISPERSION,
        threshold=Prior("student_t", location=0.0, scale=2.5, degrees=3.0, reason="brms default"),
    ),
}


def prior_preset(name: str) -> Priors:
    """Look up a named set of priors.

    Parameters
    ----------
    name
        ``"default"``, ``"wide"``, ``"tight"`` or ``"brms"``.

    Returns
    -------
    Priors
        The frozen set; change one with `dataclasses.replace`.

    Examples
    --------
    >>> str(prior_preset("default").group_sd)
    'HalfNormal(0.75)'
    """
    if name not in PRESETS:
        raise InputError(
            [Problem("E195", "no prior preset of that name", name, 1, f"choose among {', '.join(PRESETS)}")], "priors"
        )
    return PRESETS[name]
