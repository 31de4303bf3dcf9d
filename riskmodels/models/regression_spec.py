"""Specification of a regression: outcome, terms, what varies by country, priors; readable as a formula."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import tomli_w

from riskmodels.errors import InputError, Problem, raise_if_stopping
from riskmodels.models.priors import PRESETS, Priors, prior_preset
from riskmodels.provenance import hash_text
from riskmodels.vocabulary import COUNTRY, Base

#: A main effect is one name, an interaction two or more; the empty tuple is the intercept.
TermNames = tuple[str, ...]
Weights = Literal["none", "effective", "pseudo"]
WEIGHTS: tuple[Weights, ...] = ("none", "effective", "pseudo")


@dataclass(frozen=True)
class RegressionSpec:
    """A hierarchical logistic regression of a yes/no outcome, or of ordered levels (cumulative logit).

    Parameters
    ----------
    outcome
        Indicator of the codebook, or an ordered variable: which of the two decides the family.
    terms
        Main effects and interactions shared by all countries; every part of an interaction needs its own main effect.
    varying
        Terms whose coefficients vary by country, correlated; ``()`` is the intercept. Each must be among `terms`.
    numbers
        Number -> (centre, scale): it enters as ``(value - centre) / scale``; (0, 1) where not named. Coefficients are
        reported per scale, at stated constants, never at sample means.
    references
        Variable -> reference level; the first level where not named.
    monotonic
        Predictors with ordered levels whose effect has one direction: every step from one level to the next has the same
        sign, and the data decide how large it is (``mo(name)`` in a formula). Main effects only; by NUTS.
    horseshoe
        How many coefficients are expected to matter, where most are not: their prior is then the regularised horseshoe
        (slab of scale 2 and 4 degrees of freedom) instead of `priors.slope`. By NUTS.
    base
        Denominator; the indicator's own where None.
    weights
        ``"none"``; ``"pseudo"``: each child counts by its weight, mean 1 within its country (what brms does with
        ``weights()``: intervals ignore clusters); ``"effective"``: pseudo-weights divided by the country's design effect.
    priors
        A preset's name or a `Priors` record. The intercept's prior is that of the average child of the sample.

    Examples
    --------
    >>> spec = regression_formula("victim ~ gender * age + (gender * age | country)", numbers={"age": (15, 1)})
    >>> spec.formula
    'victim ~ gender + age + gender:age + (1 + gender + age + gender:age | country)'

    References
    ----------
    Buerkner & Charpentier 2020, British Journal of Mathematical and Statistical Psychology 73, 420-451 (monotonic
    effects); Piironen & Vehtari 2017, Electronic Journal of Statistics 11, 5018-5051 (regularised horseshoe).
    """

    outcome: str
    terms: tuple[TermNames, ...]
    varying: tuple[TermNames, ...] = ((),)
    numbers: Mapping[str, tuple[float, float]] = field(default_factory=dict, hash=False)
    references: Mapping[str, str] = field(default_factory=dict, hash=False)
    base: Base | None = None
    weights: Weights = "effective"
    priors: Priors | str = "default"
    monotonic: tuple[str, ...] = ()
    horseshoe: float | None = None

    def __post_init__(self) -> None:
        """Check what can be checked without data, all at once (E195, E145)."""
        object.__setattr__(self, "terms", tuple(tuple(term) for term in self.terms))
        spelled = {frozenset(term): term for term in self.terms}
        varying = tuple(spelled.get(frozenset(term), tuple(term)) for term in self.varying)
        object.__setattr__(self, "varying", varying)
        problems = []
        known = {frozenset(term) for term in self.terms}
        stray = [":".join(term) for term in self.varying if term and frozenset(term) not in known]
        if stray:
            remedy = "add them as terms shared by all countries"
            problems.append(
                Problem("E195", "terms vary by country without their main effect", ", ".join(stray), len(stray), remedy)
            )
        bare = sorted({name for term in self.terms if len(term) > 1 for name in term if frozenset([name]) not in known})
        if bare:
            problems.append(
                Problem("E195", "interactions without main effects", ", ".join(bare), len(bare), "add the main effects")
            )
        names = set(self.predictors)
        twice = [
            ":".join(term)
            for k, term in enumerate(self.terms)
            if frozenset(term) in {frozenset(t) for t in self.terms[:k]}
        ]
        if twice:
            problems.append(Problem("E195", "terms that stand twice", ", ".join(twice), len(twice), "keep one"))
        if COUNTRY in names or self.outcome in names:
            problems.append(
                Problem(
                    "E195",
                    "country or the outcome among the predictors",
                    ", ".join(sorted(names & {COUNTRY, self.outcome})),
                    1,
                    "let coefficients vary by country instead",
                )
            )
        absent = sorted((set(self.numbers) | set(self.references)) - names)
        if absent:
            problems.append(
                Problem(
                    "E145",
                    "constants for predictors that are not in the model",
                    ", ".join(absent),
                    len(absent),
                    "remove them",
                )
            )
        flat = sorted(name for name, (_, scale) in self.numbers.items() if not scale > 0)
        if flat:
            problems.append(
                Problem("E195", "scales must be above 0", ", ".join(flat), len(flat), "give a positive scale")
            )
        problems += self._problems_of_shapes()
        if self.weights not in WEIGHTS:
            problems.append(
                Problem("E195", "no such use of weights", "weights", 1, f"choose among {', '.join(WEIGHTS)}")
            )
        if isinstance(self.priors, str) and self.priors not in PRESETS:
            problems.append(
                Problem("E195", "no prior preset of that name", "priors", 1, f"choose among {', '.join(PRESETS)}")
            )
        raise_if_stopping(problems, "RegressionSpec")

    def _problems_of_shapes(self) -> list[Problem]:
        """Monotonic effects that do not stand alone; an impossible horseshoe."""
        problems = []
        alone = [name for name in self.monotonic if (name,) in self.terms]
        mixed = [term for term in (*self.terms, *self.varying) if set(term) & set(self.monotonic)]
        bad = [name for name in self.monotonic if name not in alone or sum(name in term for term in mixed) > 1]
        if bad:
            remedy = "take them out of interactions and of what varies by country"
            what = "monotonic effects are main effects shared by all countries"
            problems.append(Problem("E195", what, ", ".join(bad), len(bad), remedy))
        if self.horseshoe is not None and not self.horseshoe > 0:
            problems.append(
                Problem("E195", "a number of coefficients must be above 0", "horseshoe", 1, "use 1, or None")
            )
        return problems

    @property
    def predictors(self) -> tuple[str, ...]:
        """Names of the predictors, in the order of first mention."""
        return tuple(dict.fromkeys(name for term in self.terms for name in term))

    @property
    def prior_set(self) -> Priors:
        """The priors as a record."""
        return prior_preset(self.priors) if isinstance(self.priors, str) else self.priors

    @property
    def formula(self) -> str:
        """The model in the notation of lme4 and brms."""
        shown = [f"mo({term[0]})" if set(term) & set(self.monotonic) else ":".join(term) for term in self.terms]
        shared = " + ".join(shown) or "1"
        own = " + ".join(":".join(term) or "1" for term in self.varying)
        if self.varying and () not in self.varying:
            own = f"0 + {own}"
        return f"{self.outcome} ~ {shared}" + (f" + ({own} | {COUNTRY})" if self.varying else "")

    @property
    def content_hash(self) -> str:
        """Equal for specifications that mean the same model, presets spelled out."""
        record = {
            "formula": self.formula,
            "numbers": {name: list(pair) for name, pair in sorted(self.numbers.items())},
            "references": dict(sorted(self.references.items())),
            "base": self.base or "own",
            "weights": self.weights,
            "horseshoe": self.horseshoe or "none",
            "priors": {n: {k: v for k, v in p.items() if v is not None} for n, p in asdict(self.prior_set).items()},
        }
        return hash_text(tomli_w.dumps(record))


def regression_formula(
    text: str,
    *,
    numbers: Mapping[str, tuple[float, float]] | None = None,
    references: Mapping[str, str] | None = None,
    base: Base | None = None,
    weights: Weights = "effective",
    priors: Priors | str = "default",
    horseshoe: float | None = None,
) -> RegressionSpec:
    """Read a formula in the notation of lme4 and brms.

    Parameters
    ----------
    text
        E.g. ``"victim ~ gender * age + mo(ses) + (1 + gender | country)"``.
    numbers, references, base, weights, priors, horseshoe
        As in `RegressionSpec`.

    Returns
    -------
    RegressionSpec
        Its `formula` shows how the text was read.

    Raises
    ------
    InputError
        E195 for what is not a formula of this kind: transformations, other groups than country, no outcome.
    """
    from formulae import model_description
    from formulae.parser import ParseError
    from formulae.scanner import ScanError
    from formulae.terms.terms import GroupSpecificTerm, Intercept

    def wrong(what: str, where: str) -> InputError:
        remedy = 'write e.g. "victim ~ gender * age + (1 + gender | country)"'
        return InputError([Problem("E195", what, where, 1, remedy)], "formula")

    try:
        model = model_description(text)
    except (ScanError, ParseError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        raise wrong("this is not a formula", "formula") from None
    if model.response is None:
        raise wrong("the formula has no outcome", "left side")
    if not any(isinstance(term, Intercept) for term in model.common_terms):
        raise wrong("the formula leaves out the intercept", "right side")
    terms: list[TermNames] = []
    varying: list[TermNames] = []
    monotonic: list[str] = []
    for term in [*model.common_terms, *model.group_terms]:
        grouped = isinstance(term, GroupSpecificTerm)
        part = term.expr if grouped else term
        if grouped and term.factor.name != COUNTRY:
            raise wrong("coefficients can vary by country only", str(term.factor.name))
        if isinstance(part, Intercept):
            if grouped:
                varying.append(())
            continue
        components = getattr(part, "components", ())
        inside = [_monotonic_name(component) for component in components]
        monotonic += [name for name in inside if name]
        names = tuple(name or component.name for name, component in zip(inside, components, strict=True))
        if not names or not all(name.isidentifier() or name.replace(".", "_").isidentifier() for name in names):
            raise wrong("a term that is not a name or a product of names", "right side")
        (varying if grouped else terms).append(names)
    return RegressionSpec(
        outcome=str(model.response.term.name),
        terms=tuple(terms),
        varying=tuple(varying),
        numbers=dict(numbers or {}),
        references=dict(references or {}),
        base=base,
        weights=weights,
        priors=priors,
        monotonic=tuple(dict.fromkeys(monotonic)),
        horseshoe=horseshoe,
    )


def _monotonic_name(component: Any) -> str:
    """NAME of ``mo(NAME)``; empty for anything else."""
    call = getattr(component, "call", None)
    if call is None or call.callee != "mo" or len(call.args) != 1:
        return ""
    return str(getattr(call.args[0], "name", ""))
