"""SkillPathwaySpec: skill -> exposure -> coping -> distress, frozen, validated and hashable."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Literal

import tomli_w

from riskmodels.errors import InputError, Problem, raise_if_stopping
from riskmodels.models.priors import Prior
from riskmodels.provenance import hash_text
from riskmodels.vocabulary import COUNTRY, RESERVED_NAMES

Measurement = Literal["latent", "score", "eap"]
MEASUREMENTS: tuple[Measurement, ...] = ("latent", "score", "eap")
CopingEffect = Literal["any", "each"]
COPING_EFFECTS: tuple[CopingEffect, ...] = ("any", "each")
WEIGHTS = ("none", "effective", "pseudo")
LEAST_ITEMS = 3
LEAST_ANCHORS = 2
MOST_RHO = 0.8


def _normal(scale: float, reason: str, location: float = 0.0) -> Prior:
    return Prior("normal", location=location, scale=scale, reason=reason)


def _half(scale: float, reason: str) -> Prior:
    return Prior("half_normal", scale=scale, reason=reason)


_LOG_DISCRIMINATION = _normal(0.5, "item slopes of 0.5 to 4 in published scales", math.log(1.4))
_ITEM_THRESHOLD = _normal(2.5, "an item level holds anything from 1 to 99 %")
_SKILL_COVARIATE = _normal(0.5, "groups rarely differ by more than an SD")
_EXPOSURE = _normal(1.2, "published past-year prevalences run 1-30 %", math.log(0.1 / 0.9))
_COPING = _normal(1.5, "a strategy is used by anything from 5 to 95 %")
_SLOPE = _normal(1.0, "an odds ratio of 7 per SD would be extreme")
_DISTRESS_THRESHOLD = _normal(2.5, "a level holds anything from 1 to 99 %")
_SKILL_SD = _half(0.75, "countries differ in mean skill by less than children do")
_LEVEL_SD = _half(0.75, "12 published country prevalences have a logit SD of about 0.6 (Ghai et al. 2026)")
_SLOPE_SD = _half(0.3, "effects of skill differ less between countries than levels do")
_SHIFT_SD = _half(0.5, "most items work alike in all countries")


@dataclass(frozen=True)
class SkillPriors:
    """Priors of the skill pathway, all on the logit scale, skill in SDs of children of one country.

    Parameters
    ----------
    log_discrimination
        Log of an item's slope on skill.
    item_threshold
        Each threshold of each item, in their order.
    skill_covariate
        Effect of a covariate on skill.
    exposure, coping
        Logit share exposed, and of each strategy among the exposed, for the average child.
    slope
        Effect of skill, of a covariate, of coping, and of their product.
    distress_threshold
        Each threshold of distress, in their order.
    skill_sd, level_sd, slope_sd, shift_sd
        SD between countries of mean skill, of levels of an outcome, of effects of skill, and of item thresholds.
    """

    log_discrimination: Prior = _LOG_DISCRIMINATION
    item_threshold: Prior = _ITEM_THRESHOLD
    skill_covariate: Prior = _SKILL_COVARIATE
    exposure: Prior = _EXPOSURE
    coping: Prior = _COPING
    slope: Prior = _SLOPE
    distress_threshold: Prior = _DISTRESS_THRESHOLD
    skill_sd: Prior = _SKILL_SD
    level_sd: Prior = _LEVEL_SD
    slope_sd: Prior = _SLOPE_SD
    shift_sd: Prior = _SHIFT_SD

    def __post_init__(self) -> None:
        """Refuse a prior on the wrong kind of parameter (E195)."""
        wanted = {
            one.name: ("half_normal", "half_student_t") if one.name.endswith("_sd") else ("normal",)
            for one in fields(self)
        }
        wrong = [name for name, families in wanted.items() if getattr(self, name).family not in families]
        raise_if_stopping(
            [
                Problem("E195", f"{name} takes {' or '.join(wanted[name])}", name, 1, "choose that family")
                for name in wrong
            ],
            "SkillPriors",
        )


_PRIORS = SkillPriors()


@dataclass(frozen=True)
class SkillPathwaySpec:
    """How digital skill works on exposure, coping and distress.

    Parameters
    ----------
    skill_items
        Items of the skill scale, each scored so that more is more skilful.
    exposure
        Who met the risk.
    coping
        Strategies, asked of the exposed.
    distress
        Ordered, asked of the exposed.
    covariates
        What skill, exposure, coping and distress may all depend on: common causes that are to be held fixed.
    numbers
        Number -> (centre, scale), as in a regression; (0, 1) where not named.
    dif
        Items whose thresholds may differ by country; the others carry the scale from one country to the next.
    measurement
        ``"latent"``: skill is never seen, its measurement error is part of the model; ``"score"``: the mean of the
        items in SDs is taken for skill itself, for comparison; ``"eap"``: the same with each child's expected skill.
    coping_effect
        ``"any"``: distress depends on whether any strategy was used; ``"each"``: on each.
    weights
        ``"none"``, ``"effective"`` or ``"pseudo"``, as in a regression.
    priors
        A `SkillPriors` record.
    nodes
        Points at which the distribution of skill is summed.
    rho
        Correlation, given skill and covariates, of exposure and distress through an unmeasured common cause: a parameter of
        sensitivity, assumed and never estimated; 0 by default. Effects are then those with that cause held fixed.

    Examples
    --------
    >>> spec = SkillPathwaySpec(("s1", "s2", "s3"), "bullied", ("blocked",), "upset")
    >>> spec.formula
    'skill[s1, s2, s3] -> bullied -> {blocked} -> upset'

    References
    ----------
    Samejima 1969, Psychometrika Monograph 17 (graded response); VanderWeele 2015, Explanation in Causal Inference.
    """

    skill_items: tuple[str, ...]
    exposure: str
    coping: tuple[str, ...]
    distress: str
    covariates: tuple[str, ...] = ()
    numbers: Mapping[str, tuple[float, float]] = field(default_factory=dict, hash=False)
    dif: tuple[str, ...] = ()
    measurement: Measurement = "latent"
    coping_effect: CopingEffect = "any"
    weights: str = "effective"
    priors: SkillPriors = _PRIORS
    nodes: int = 31
    rho: float = 0.0

    def __post_init__(self) -> None:
        """Check what can be checked without data, all at once (E195, E202)."""
        for name in ("skill_items", "coping", "covariates", "dif"):
            value = getattr(self, name)
            object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))
        object.__setattr__(self, "numbers", dict(self.numbers))
        used = (*self.skill_items, self.exposure, *self.coping, self.distress, *self.covariates)
        anchors = len(self.skill_items) - len(self.dif)
        wrong = (
            (
                "skill_items, exposure, coping, distress, covariates",
                len(set(used)) < len(used),
                "name each question once",
            ),
            ("names", bool(set(used) & ({COUNTRY} | RESERVED_NAMES)), "rename the variable"),
            ("coping", not 1 <= len(self.coping) <= 6, "name one to six strategies"),
            ("dif", bool(set(self.dif) - set(self.skill_items)), "name skill items"),
            (
                "dif",
                bool(self.dif) and anchors < LEAST_ANCHORS,
                f"leave {LEAST_ANCHORS} items or more out: they carry the scale",
            ),
            ("dif", bool(self.dif) and self.measurement != "latent", 'use measurement="latent"'),
            ("numbers", bool(set(self.numbers) - set(self.covariates)), "name covariates"),
            ("numbers", any(not scale > 0 for _, scale in self.numbers.values()), "give a positive scale"),
            ("measurement", self.measurement not in MEASUREMENTS, f"choose among {', '.join(MEASUREMENTS)}"),
            ("coping_effect", self.coping_effect not in COPING_EFFECTS, f"choose among {', '.join(COPING_EFFECTS)}"),
            ("weights", self.weights not in WEIGHTS, f"choose among {', '.join(WEIGHTS)}"),
            ("rho", not -MOST_RHO <= self.rho <= MOST_RHO, f"use {-MOST_RHO} to {MOST_RHO}"),
            ("nodes", not (isinstance(self.nodes, int) and 15 <= self.nodes <= 401), "use 31"),
        )
        problems = [Problem("E195", "not a possible value", name, 1, remedy) for name, bad, remedy in wrong if bad]
        if len(self.skill_items) < LEAST_ITEMS:
            remedy = "add items: two cannot tell skill from what else they share"
            problems.append(
                Problem("E202", f"fewer than {LEAST_ITEMS} skill items", "skill_items", len(self.skill_items), remedy)
            )
        if problems:
            raise InputError(problems, "SkillPathwaySpec")

    @property
    def formula(self) -> str:
        """The pathway in a line."""
        return f"skill[{', '.join(self.skill_items)}] -> {self.exposure} -> {{{', '.join(self.coping)}}} -> {self.distress}"

    @property
    def content_hash(self) -> str:
        """Equal for specifications that mean the same model."""

        def plain(value: object) -> object:
            if isinstance(value, dict):
                return {name: plain(one) for name, one in sorted(value.items()) if one is not None}
            return [plain(one) for one in value] if isinstance(value, tuple) else value

        return hash_text(tomli_w.dumps(plain(asdict(self))))  # type: ignore[arg-type]
