"""CooccurrenceSpec: which joint model of several risks, frozen and hashable."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

import tomli_w

from riskmodels.errors import InputError, Problem
from riskmodels.models.priors import PRESETS, Prior, Priors, prior_preset
from riskmodels.provenance import hash_text
from riskmodels.vocabulary import COUNTRY

Structure = Literal["pairwise", "factor", "classes"]
STRUCTURES: tuple[Structure, ...] = ("pairwise", "factor", "classes")


_MEAN = Prior("normal", location=0.5, scale=1.0, reason="risks come together; conditional odds ratios of 0.2 to 12")
_PAIR_SD = Prior("half_normal", scale=0.75, reason="some pairs hang together much more than others")
_GROUP_SD = Prior(
    "half_normal", scale=0.3, reason="countries differ less in how risks hang together than in how common"
)
_STEP_SD = Prior(
    "half_normal", scale=0.75, reason="children of unseen propensities bend the curve by up to one logit a step"
)


@dataclass(frozen=True)
class AssociationPriors:
    """Priors of the log odds ratios between two risks, all other risks given.

    Parameters
    ----------
    mean
        Their mean over pairs.
    pair_sd
        SD between pairs.
    group_sd
        SD between groups of children of what all pairs share.
    deviation_sd
        SD between groups of one pair's own deviation.
    step_sd
        Spread of the terms for at least three, four, ... risks.
    """

    mean: Prior = _MEAN
    pair_sd: Prior = _PAIR_SD
    group_sd: Prior = _GROUP_SD
    deviation_sd: Prior = _GROUP_SD
    step_sd: Prior = _STEP_SD

    def __post_init__(self) -> None:
        """Refuse a prior of the wrong kind (E195)."""
        halves = ("half_normal", "half_student_t")
        wanted = {"mean": ("normal",), **dict.fromkeys(("pair_sd", "group_sd", "deviation_sd", "step_sd"), halves)}
        problems = [
            Problem("E195", f"{name} takes {' or '.join(kinds)}", name, 1, "choose a prior of that family")
            for name, kinds in wanted.items()
            if getattr(self, name).family not in kinds
        ]
        if problems:
            raise InputError(problems, "AssociationPriors")


_ASSOCIATIONS = AssociationPriors()


@dataclass(frozen=True)
class CooccurrenceSpec:
    """How risks come together: a joint model of all combinations of answers.

    Parameters
    ----------
    structure
        ``"pairwise"``: log-linear with every pair of risks and every number of them; ``"factor"``: latent factors; ``"classes"``: latent classes.
    associations_by
        Factors whose levels may differ in how risks hang together (pairwise): country, and e.g. a group of vulnerable
        children.
    ordered
        Factors of subgroups whose levels are steps of one scale: a random walk in how common each risk is.
    interactions
        Whether every risk's country effect may differ by subgroup.
    number_steps
        Whether each number of risks from three on has a term of its own (pairwise), so that the shares of children with
        none, one, two, ... are matched as the pairs are. False is the plain model of pairs, for comparison.
    factors, classes
        Number of latent factors (1 or 2) or classes (2 to 6) of these structures.
    priors
        How common each risk is: a preset's name or a `Priors` record.
    association_priors
        How risks hang together.
    """

    structure: Structure = "pairwise"
    associations_by: tuple[str, ...] = (COUNTRY,)
    ordered: tuple[str, ...] = ()
    interactions: bool = False
    number_steps: bool = True
    factors: int = 2
    classes: int = 3
    priors: Priors | str = "default"
    association_priors: AssociationPriors = _ASSOCIATIONS

    def __post_init__(self) -> None:
        """Check every field at once (E195)."""
        object.__setattr__(self, "associations_by", tuple(self.associations_by))
        object.__setattr__(self, "ordered", tuple(self.ordered))
        wrong = (
            ("structure", self.structure not in STRUCTURES, f"choose among {', '.join(STRUCTURES)}"),
            ("factors", self.factors not in (1, 2), "use 1 or 2"),
            ("classes", not 2 <= self.classes <= 6, "use 2 to 6"),
            (
                "priors",
                isinstance(self.priors, str) and self.priors not in PRESETS,
                f"choose among {', '.join(PRESETS)}",
            ),
        )
        problems = [Problem("E195", "not a possible value", name, 1, remedy) for name, bad, remedy in wrong if bad]
        if problems:
            raise InputError(problems, "CooccurrenceSpec")

    @property
    def prior_set(self) -> Priors:
        """The priors of how common risks are, as a record."""
        return prior_preset(self.priors) if isinstance(self.priors, str) else self.priors

    @property
    def content_hash(self) -> str:
        """Equal for specifications that mean the same model, presets spelled out."""
        record = asdict(self) | {"priors": asdict(self.prior_set)}

        def plain(value: object) -> object:
            if isinstance(value, dict):
                return {name: plain(one) for name, one in sorted(value.items()) if one is not None}
            return list(value) if isinstance(value, tuple) else value

        return hash_text(tomli_w.dumps(plain(record)))  # type: ignore[arg-type]
