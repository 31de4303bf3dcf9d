"""Outcomes of a family: which questions of a codebook they are, what they say, whom they were put to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from riskmodels.errors import InputError, Problem
from riskmodels.families.words import OptionWords, holds_word
from riskmodels.survey.codebook.records import Answers, Codebook, Condition, Indicator, Variable

#: What an outcome says: that something happened (risk), how bad it was (harm), what the child did about it (coping),
#: whom it told (disclosure), how the child fares (consequence).
Concept = Literal["risk", "harm", "coping", "disclosure", "consequence"]
#: Kinds of perpetrators, and the word for outcomes that do not tell them apart.
PERPETRATORS = {"peers": "peer", "adults": "adult"}
NOT_SPLIT = "not split"


@dataclass(frozen=True)
class Outcome:
    """One outcome of a family.

    Parameters
    ----------
    name
        Indicator (or ordered variable) it is, in the family's extended codebook.
    label
        Words for people.
    concept
        Risk, harm, coping, disclosure or consequence.
    asked
        Whom it was put to, in words.
    perpetrator
        ``"peer"``, ``"adult"`` or ``"not split"``.
    made_of
        Questions of the codebook that it was made of.
    family
        Kind of answer: ``"binary"``, or ``"ordinal"`` for an ordered variable taken as a whole.
    """

    name: str
    label: str
    concept: Concept
    asked: str = "all children"
    perpetrator: str = NOT_SPLIT
    made_of: tuple[str, ...] = ()
    family: Literal["binary", "ordinal"] = "binary"


@dataclass(frozen=True)
class Outcomes:
    """Outcomes of a family, and the codebook in which they are indicators.

    Parameters
    ----------
    codebook
        The study's codebook with the indicators that were made for the family.
    outcomes
        In the order of the tables.
    notes
        How options were sorted, and which were not.
    above_zero
        Yes/no predictors made from numbers: name -> the scale that is above 0 where it is yes.
    """

    codebook: Codebook
    outcomes: tuple[Outcome, ...]
    notes: tuple[str, ...] = ()
    above_zero: Mapping[str, str] = field(default_factory=dict, hash=False)


def with_indicators(codebook: Codebook, made: Iterable[Indicator]) -> Codebook:
    """Give the codebook more indicators; declared ones stay as they are."""
    return replace(codebook, indicators={**{one.name: one for one in made}, **codebook.indicators})


def option_of(indicator: Indicator) -> str:
    """Name of the option of a follow-up, or of a question named ``told_...``."""
    return indicator.name.rsplit(".", 1)[-1].removeprefix("told_")


def follow_ups(codebook: Codebook, parent: str, dimension: str) -> list[Indicator]:
    """Options of one follow-up of an indicator, in the order declared."""
    return [one for one in codebook.indicators.values() if one.follows == parent and one.dimension == dimension]


def asked_of(codebook: Codebook, part: Indicator | Variable) -> str:
    """Whom a question was put to, in words."""
    condition = part.asked_if
    if isinstance(part, Indicator) and part.any_of:
        return "; ".join(dict.fromkeys(asked_of(codebook, codebook.indicators[name]) for name in part.any_of))
    if condition is None:
        return "all children"
    about = codebook.indicators.get(condition.name) or codebook.variables[condition.name]
    if isinstance(about, Indicator):
        return f"children who said {' or '.join(condition.levels)} to: {about.label}"
    if about.is_number:
        ends = [f"{end:g}" for end in (condition.low, condition.high) if end is not None]
        return f"children with {about.label} {' to '.join(ends)}"
    return f"children with {about.label}: {', '.join(about.factor.label_of(level) for level in condition.levels)}"


def by_perpetrator(codebook: Codebook, parent: str, words: OptionWords) -> dict[str, Indicator]:
    """Indicators "by a peer" and "by an adult" among children who said yes to `parent`; empty where not asked."""
    found = {}
    options = follow_ups(codebook, parent, "perpetrator")
    for group, kind in PERPETRATORS.items():
        parts = tuple(one.name for one in options if words.group_of(option_of(one), *PERPETRATORS) == group)
        if parts:
            about = codebook.indicators[parent]
            found[kind] = Indicator(
                f"{parent}.by_{kind}", f"{about.label}, by {_article(kind)}", None, any_of=parts, base=about.base
            )
    return found


def unsorted_perpetrators(codebook: Codebook, parents: Iterable[str], words: OptionWords) -> list[str]:
    """Labels of perpetrator options that are neither peers nor adults by the words."""
    return [
        one.label
        for parent in parents
        for one in follow_ups(codebook, parent, "perpetrator")
        if not words.group_of(option_of(one), *PERPETRATORS)
    ]


def exposed_by(codebook: Codebook, parent: str, words: OptionWords) -> dict[str, list[Indicator]]:
    """Exposure by a peer and by an adult among *all* children asked: no where the child was not exposed at all.

    Each list holds the outcome last and the helper it rests on first.
    """
    about = codebook.indicators[parent]
    if about.answers is None:
        return {}
    helper = replace(
        about,
        name=f"{parent}.not_exposed",
        answers=_only_no(about.answers),
        by_country={country: _only_no(answers) for country, answers in about.by_country.items()},
    )
    found = {}
    for kind, among_exposed in by_perpetrator(codebook, parent, words).items():
        parts = (*among_exposed.any_of, helper.name)
        label = f"{about.label}, by {_article(kind)}"
        whole = Indicator(f"{parent}.from_{kind}", label, None, any_of=parts, base=about.base, recall=about.recall)
        found[kind] = [helper, whole]
    return found


def _article(kind: str) -> str:
    return {"peer": "a peer", "adult": "an adult"}[kind]


def _only_no(answers: Answers) -> Answers:
    """Read a question so that children who said yes count as not asked: their follow-up speaks for them."""
    yes = answers.levels["yes"]
    missing = {**answers.missing, "not_asked": (*answers.missing.get("not_asked", ()), *yes)}
    return Answers(answers.column, {"no": answers.levels["no"], "yes": ()}, missing)


def put_to(made: Indicator, condition: Condition, ending: str) -> Indicator:
    """The same question, of those only who fulfil another condition."""
    return replace(made, name=f"{made.name}.{ending}", asked_if=condition)


def steps_of(variable: Variable, cuts: Mapping[str, float] | None = None) -> list[Indicator]:
    """Yes/no indicators of a variable with ordered levels (one per step), or of a number cut at a stated value.

    Parameters
    ----------
    variable
        Ordered levels, or a number of whole steps with a declared range.
    cuts
        Name -> value from which on a number counts as yes.

    Raises
    ------
    InputError
        E195 for levels without an order, and for a number without a cut or a declared range.
    """
    levels = list(variable.answers.levels)
    if variable.is_number:
        cut = (cuts or {}).get(variable.name)
        if cut is None or variable.low is None or variable.high is None:
            remedy = "declare low and high, and give cuts={name: value from which on it counts as yes}"
            raise InputError(
                [Problem("E195", "a number as an outcome needs a cut", variable.name, 1, remedy)], "family"
            )
        steps = range(int(variable.low), int(variable.high) + 1)
        codes = {f"{step}": (step,) for step in steps}
        answers = replace(variable.answers, levels=codes)
        at = [next((place for place, step in enumerate(steps) if step >= cut), 0)]
        labels = tuple(codes)
        others = {country: replace(one, levels=codes) for country, one in variable.by_country.items()}
    else:
        if not variable.ordered and len(levels) != 2:
            remedy = "declare ordered = true, or an indicator with the levels that count as yes"
            raise InputError(
                [Problem("E195", "levels without an order cannot be an outcome", variable.name, 1, remedy)], "family"
            )
        answers, labels, others = variable.answers, variable.factor.labels, dict(variable.by_country)
        at = list(range(1, len(levels)))
    levels, found = list(answers.levels), []
    for place in at:
        top = place == len(levels) - 1
        label = f"{variable.label}: {labels[place]}{'' if top else ' or more'}"
        found.append(
            Indicator(
                f"{variable.name}.{levels[place]}{'' if top else '_or_more'}",
                label,
                _cut(answers, levels, place),
                asked_if=variable.asked_if,
                by_country={country: _cut(one, levels, place) for country, one in others.items()},
            )
        )
    return found


def _cut(answers: Answers, order: Sequence[str], place: int) -> Answers:
    low = tuple(code for level in order[:place] for code in answers.levels.get(level, ()))
    high = tuple(code for level in order[place:] for code in answers.levels.get(level, ()))
    return Answers(answers.column, {"no": low, "yes": high}, answers.missing)


def concept_of(codebook: Codebook, name: str, words: OptionWords, default: Concept) -> Concept:
    """What an outcome that the caller named says, by what the codebook declares about it."""
    indicator = codebook.indicators.get(name)
    if indicator is not None:
        if indicator.dimension == "told" or name.startswith("told_") or holds_word(name, words.nobody):
            return "disclosure"
        if name.startswith("cop"):
            return "coping"
        if indicator.dimension in ("channel", "perpetrator"):
            return "risk"
    part = indicator or codebook.variables.get(name)
    return "harm" if part is not None and part.asked_if is not None and holds_word(name, words.harm) else default


def named_outcomes(
    codebook: Codebook,
    names: Sequence[str],
    words: OptionWords,
    default: Concept,
    cuts: Mapping[str, float] | None = None,
) -> tuple[list[Outcome], list[Indicator]]:
    """Outcomes that the caller named: indicators as they are, variables as a whole and step by step.

    All unknown names are told at once.
    """
    unknown = [name for name in names if name not in codebook.indicators and name not in codebook.variables]
    if unknown:
        remedy = f"choose among {', '.join([*codebook.indicators][:12])}"
        raise InputError(
            [Problem("E132", "outcomes that the codebook does not declare", ", ".join(unknown), len(unknown), remedy)],
            codebook.study_id,
        )
    outcomes, made = [], []
    for name in names:
        concept = concept_of(codebook, name, words, default)
        part = codebook.indicators.get(name)
        steps = [part] if part is not None else steps_of(codebook.variables[name], cuts)
        made += [] if part is not None else steps
        if part is None and len(steps) > 1:
            variable = codebook.variables[name]
            asked = asked_of(codebook, variable)
            label = f"{variable.label}, all levels"
            outcomes.append(Outcome(name, label, concept, asked, made_of=(name,), family="ordinal"))
        outcomes += [
            Outcome(one.name, one.label or one.name, concept, asked_of(codebook, one), made_of=one.any_of or (name,))
            for one in steps
        ]
    return outcomes, made
