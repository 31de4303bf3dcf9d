"""Model specifications: frozen, validated, hashable, and readable as TOML."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import tomli_w

from riskmodels.design.cells import Cells
from riskmodels.errors import InputError, Problem, raise_if_stopping
from riskmodels.models.priors import PRESETS, Prior, Priors, prior_preset
from riskmodels.provenance import hash_text
from riskmodels.vocabulary import COUNTRY, INDICATOR

Kind = Literal["pool", "trend", "slope", "interaction", "correlated"]


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


@dataclass(frozen=True)
class Term:
    """One additive part of the predictor: its kind, the factors it runs over, and slopes that vary with it."""

    kind: Kind
    factors: tuple[str, ...]
    slopes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the effect in the graph."""
        return COUNTRY if self.kind == "correlated" else "_x_".join(self.factors)


@dataclass(frozen=True)
class Terms:
    """The terms that a specification gives on certain cells, and what had to be left out."""

    terms: tuple[Term, ...]
    notes: tuple[Problem, ...]


@dataclass(frozen=True)
class PrevalenceSpec:
    """How common: a hierarchical model of the share affected per cell.

    Parameters
    ----------
    country
        ``"auto"`` pools countries partially and drops the term where there is only one; ``"partial"`` insists on
        it (E142 with one country); ``"none"`` leaves it out.
    country_correlation
        How the effects of one country on several indicators hang together. ``"equal"``: one shared country effect and
        a deviation per indicator, so every pair is equally correlated (two SDs, well determined by a dozen
        countries). ``"free"``: an SD per indicator and a full correlation matrix with an LKJ prior.
    ordered
        Factors whose levels are steps of one scale (age groups, socio-economic groups): a random walk.
    continuous
        Factors whose levels are numbers (age in years): one slope, and its deviation per country, correlated with the
        country's other effects. Standardised over the levels, each level counting once.
    interactions
        Pairs of factors with their own deviations; ``None`` means country with every subgroup factor.
    country_predictors
        ``{name: {country: value}}``, e.g. the share online; standardised over the countries.
    likelihood
        ``"binomial"`` on effective counts, or ``"beta-binomial"`` with extra variation between cells.
    within_child_correlation
        Assumed tetrachoric correlation between the items answered by one child; 0 treats items as separate samples.
    priors
        A preset's name or a `Priors` record.

    Examples
    --------
    >>> spec = PrevalenceSpec(priors="brms", within_child_correlation=0.7)
    >>> PrevalenceSpec.from_toml(spec.to_toml()) == spec
    True
    """

    country: Literal["auto", "partial", "none"] = "auto"
    country_correlation: Literal["equal", "free"] = "equal"
    ordered: tuple[str, ...] = ()
    continuous: tuple[str, ...] = ()
    interactions: tuple[tuple[str, str], ...] | None = None
    country_predictors: Mapping[str, Mapping[str, float]] = field(default_factory=dict, hash=False)
    likelihood: Literal["binomial", "beta-binomial"] = "binomial"
    within_child_correlation: float = 0.4
    priors: Priors | str = "default"

    def __post_init__(self) -> None:
        """Check every field at once (E195)."""
        object.__setattr__(self, "ordered", tuple(self.ordered))
        object.__setattr__(self, "continuous", tuple(self.continuous))
        if self.interactions is not None:
            object.__setattr__(self, "interactions", tuple((str(a), str(b)) for a, b in self.interactions))
        problems = []
        for name, allowed in (
            ("country", ("auto", "partial", "none")),
            ("country_correlation", ("equal", "free")),
            ("likelihood", ("binomial", "beta-binomial")),
        ):
            if getattr(self, name) not in allowed:
                problems.append(
                    Problem("E195", f"{name} has no such value", name, 1, f"choose among {', '.join(allowed)}")
                )
        if not 0 <= self.within_child_correlation < 1:
            problems.append(
                Problem(
                    "E195",
                    "within-child correlation must lie in [0, 1)",
                    "within_child_correlation",
                    1,
                    "use 0.4, or 0 for independent items",
                )
            )
        if isinstance(self.priors, str) and self.priors not in PRESETS:
            problems.append(
                Problem("E195", "no prior preset of that name", "priors", 1, f"choose among {', '.join(PRESETS)}")
            )
        raise_if_stopping(problems, "PrevalenceSpec")

    @property
    def prior_set(self) -> Priors:
        """The priors as a record."""
        return prior_preset(self.priors) if isinstance(self.priors, str) else self.priors

    def terms_for(self, cells: Cells) -> Terms:
        """Give the terms that this specification means on these cells.

        Raises
        ------
        InputError
            E142 for a country model of one country, E132 for factors that the cells do not have, E185 for a
            country predictor that misses countries.
        """
        notes = self._check_against(cells)
        sizes = {factor.name: len(factor) for factor in cells.factors}
        used = [name for name in cells.names if sizes[name] > 1 and not (name == COUNTRY and self.country == "none")]
        slopes = tuple(name for name in used if name in self.continuous)
        pooled = [name for name in used if name not in slopes]
        terms: list[Term] = []
        free = INDICATOR in pooled and self.country_correlation == "free"
        if COUNTRY in pooled and (slopes or free):
            terms.append(Term("correlated", (COUNTRY, INDICATOR) if free else (COUNTRY,), slopes))
        elif COUNTRY in pooled:
            terms.append(Term("pool", (COUNTRY,)))
        terms += [Term("trend" if name in self.ordered else "pool", (name,)) for name in pooled if name != COUNTRY]
        terms += [Term("slope", (name,)) for name in slopes]
        wanted = (
            self.interactions if self.interactions is not None else tuple((COUNTRY, name) for name in cells.subgroups)
        )
        if COUNTRY in pooled and INDICATOR in pooled and not free:
            wanted = ((COUNTRY, INDICATOR), *(pair for pair in wanted if set(pair) != {COUNTRY, INDICATOR}))
        terms += [Term("interaction", pair) for pair in wanted if set(pair) <= set(pooled)]
        return Terms(terms=tuple(terms), notes=tuple(notes))

    def _check_against(self, cells: Cells) -> list[Problem]:
        problems: list[Problem] = []
        named = {*self.ordered, *self.continuous, *(name for pair in self.interactions or () for name in pair)}
        absent = sorted(named - set(cells.names))
        if absent:
            problems.append(
                Problem(
                    "E132",
                    "factors named in the specification are not in the cells",
                    ", ".join(absent),
                    len(absent),
                    f"the cells have {', '.join(cells.names)}",
                )
            )
        clash = sorted((set(self.ordered) & set(self.continuous)) | ({COUNTRY, INDICATOR} & set(self.continuous)))
        if clash:
            problems.append(
                Problem(
                    "E195",
                    "a factor is either continuous or a set of levels",
                    ", ".join(clash),
                    len(clash),
                    "name it once; country and indicator are never continuous",
                )
            )
        wordy = [
            name
            for name in self.continuous
            if name in cells.names and not all(_is_number(level) for level in cells.factor(name).levels)
        ]
        if wordy:
            problems.append(
                Problem(
                    "E195",
                    "levels of a continuous factor must be numbers",
                    ", ".join(wordy),
                    len(wordy),
                    "code them as numbers (12, 13, ...), or name the factor in ordered=",
                )
            )
        pairs = [tuple(sorted(pair)) for pair in self.interactions or ()]
        repeated = sorted({"*".join(pair) for pair in pairs if pairs.count(pair) > 1 or len(set(pair)) < 2})
        if repeated:
            problems.append(
                Problem(
                    "E195",
                    "interactions stand twice, or pair a factor with itself",
                    ", ".join(repeated),
                    len(repeated),
                    "name every pair of two factors once",
                )
            )
        lost = sorted(
            {
                "*".join(pair)
                for pair in pairs
                if set(pair) & set(self.continuous) or (COUNTRY in pair and self.country == "none")
            }
        )
        if lost:
            problems.append(
                Problem(
                    "E195",
                    "interactions that the model cannot hold",
                    ", ".join(lost),
                    len(lost),
                    "slopes vary by country by themselves; with country='none' nothing does",
                )
            )
        twice = sorted(set(self.country_predictors) & set(self.continuous))
        if twice:
            problems.append(
                Problem(
                    "E195",
                    "a country predictor has the name of a continuous factor",
                    ", ".join(twice),
                    len(twice),
                    "rename the predictor",
                )
            )
        if self.country_predictors and COUNTRY not in cells.names:
            problems.append(
                Problem(
                    "E132",
                    "country predictors need cells by country",
                    ", ".join(self.country_predictors),
                    len(self.country_predictors),
                    "leave them out",
                )
            )
            return list(raise_if_stopping(problems, "PrevalenceSpec"))
        n_countries = len(cells.factor(COUNTRY)) if COUNTRY in cells.names else 0
        if n_countries == 1 and self.country == "partial":
            problems.append(
                Problem(
                    "E142",
                    "one country only, country model asked: the between-country SD would be the prior",
                    "country",
                    1,
                    'use country="auto"',
                )
            )
        elif n_countries == 1:
            problems.append(
                Problem(
                    "I142",
                    "one country: no country effects, no pooling between countries",
                    "country",
                    1,
                    "nothing to do",
                )
            )
        elif 1 < n_countries < 5 and self.country != "none":
            problems.append(
                Problem(
                    "W143",
                    "fewer than five countries: the prior of the between-country SD matters",
                    "country",
                    n_countries,
                    "read prior_sensitivity(fit); `riskmodels reproduce --table` runs it by itself",
                )
            )
        for name, values in self.country_predictors.items():
            missing = (
                [code for code in cells.factor(COUNTRY).levels if not math.isfinite(values.get(code, math.nan))]
                if n_countries
                else []
            )
            if missing:
                problems.append(
                    Problem(
                        "E185",
                        f"country predictor {name} has no finite value for some countries",
                        ", ".join(missing),
                        len(missing),
                        "give a value for every country of the cells",
                    )
                )
            if n_countries and len({values[code] for code in cells.factor(COUNTRY).levels if code in values}) < 2:
                problems.append(Problem("E195", f"country predictor {name} does not vary", name, 1, "leave it out"))
        return list(raise_if_stopping(problems, "PrevalenceSpec"))

    def to_toml(self) -> str:
        """Write as TOML; every prior is spelled out when `priors` is a record."""
        record = asdict(self)
        record["interactions"] = None if self.interactions is None else [list(pair) for pair in self.interactions]
        if not isinstance(self.priors, str):
            record["priors"] = {
                name: {k: v for k, v in value.items() if v is not None} for name, value in asdict(self.priors).items()
            }
        record["ordered"], record["continuous"] = list(self.ordered), list(self.continuous)
        return tomli_w.dumps({key: value for key, value in record.items() if value is not None})

    @classmethod
    def from_toml(cls, text: str) -> PrevalenceSpec:
        """Read what `to_toml` wrote; unknown names are an error (E195)."""
        try:
            record: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise InputError(
                [Problem("E190", f"not TOML: {error}", "specification", 1, "mend the line named")], "specification"
            ) from None
        unknown = sorted(set(record) - set(cls.__dataclass_fields__))
        if unknown:
            raise InputError(
                [
                    Problem(
                        "E195",
                        "unknown names in the specification",
                        ", ".join(unknown),
                        len(unknown),
                        f"allowed: {', '.join(cls.__dataclass_fields__)}",
                    )
                ],
                "specification",
            )
        try:
            if isinstance(record.get("priors"), dict):
                record["priors"] = Priors(**{name: Prior(**value) for name, value in record["priors"].items()})
            if "interactions" in record:
                record["interactions"] = tuple((a, b) for a, b in record["interactions"])
        except (TypeError, ValueError):
            raise InputError(
                [
                    Problem(
                        "E195",
                        "priors or interactions are incomplete or misspelt",
                        "specification",
                        1,
                        "give every prior of the model by name, and interactions as pairs",
                    )
                ],
                "specification",
            ) from None
        return cls(
            **{**record, "ordered": tuple(record.get("ordered", ())), "continuous": tuple(record.get("continuous", ()))}
        )

    @property
    def content_hash(self) -> str:
        """Equal for specifications that mean the same model, presets spelled out."""
        record = PrevalenceSpec(
            **{**{name: getattr(self, name) for name in self.__dataclass_fields__}, "priors": self.prior_set}
        )
        return hash_text(record.to_toml())
