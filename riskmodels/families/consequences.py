"""Consequences: how children fare against having told someone and having support, among the exposed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from riskmodels.errors import InputError, Problem
from riskmodels.families.choose import split_by_perpetrator, told_options
from riskmodels.families.outcomes import Outcome, Outcomes, asked_of, named_outcomes, option_of, with_indicators
from riskmodels.families.predictors import by_dimension
from riskmodels.families.words import OptionWords, holds_word
from riskmodels.survey.codebook.records import Codebook, Condition, Indicator, Scale, Variable

#: The predictor made of a child's answers to "whom did you tell", and the number of kinds of people behind it.
TOLD, KINDS = "told_someone", "told_kinds"


def consequence_outcomes(
    codebook: Codebook,
    of: str | None = None,
    names: Sequence[str] | None = None,
    *,
    split: bool = True,
    words: OptionWords | None = None,
    cuts: Mapping[str, float] | None = None,
) -> tuple[Outcomes, str]:
    """How children fare, among the exposed, against having told someone and having support.

    Parameters
    ----------
    codebook
        The study's.
    of
        Indicator whose follow-up ``told`` is meant; the only one that has it where None.
    names
        Ordered variables, indicators or numbers; by default those whose name has one of `words.consequences`.
    split
        Whether children who named a peer and those who named an adult are shown apart too.
    words, cuts
        How names are sorted; where numbers are cut.

    Returns
    -------
    tuple
        The outcomes, and default predictors: told someone, support, gender and age.
    """
    words = words or OptionWords()
    every = (*codebook.variables, *codebook.indicators)
    chosen = names or [name for name in every if holds_word(name, words.consequences)]
    if not chosen:
        remedy = "name the variables: outcomes=[...]"
        problem = Problem("E132", "the codebook declares no well-being, school or social life", "outcomes", 0, remedy)
        raise InputError([problem], codebook.study_id)
    options = _options_of_one_question(codebook, of, words)
    gate = options[0].asked_if
    outcomes, made = named_outcomes(codebook, chosen, words, "consequence", cuts)
    wider = _with_told(with_indicators(codebook, made), options)
    found, own, scales = [], [], {}
    for one in outcomes:
        exposed: Variable | Indicator
        if one.family == "ordinal":
            exposed = _ordered_of_the_exposed(wider.variables[one.name], gate)
            scales[exposed.name] = exposed
        else:
            exposed = _of_the_exposed(wider, one, gate)
            own.append(exposed)
        found.append(replace(one, name=exposed.name, concept="consequence", asked=asked_of(wider, exposed)))
    wider = replace(with_indicators(wider, own), variables={**wider.variables, **scales})
    apart, extra = split_by_perpetrator(wider, found, words) if split else ([], [])
    known = by_dimension(codebook)
    support = [name for name in codebook.variables if holds_word(name, words.support)]
    terms = [TOLD, *support, *(known[name] for name in ("gender", "age") if name in known)]
    notes = (
        "associations: children who told differ from others in more than that",
        f"told someone: yes to at least one of {', '.join(one.label for one in options)}",
    )
    whole = Outcomes(with_indicators(wider, extra), (*found, *apart), notes, {TOLD: KINDS})
    return whole, " + ".join(dict.fromkeys(terms))


def _options_of_one_question(codebook: Codebook, of: str | None, words: OptionWords) -> list[Indicator]:
    """Options of the one question about whom a child told, nobody left out."""
    parts = [part for group in told_options(codebook, of, None, words).values() for part in group]
    parents = list(dict.fromkeys(part.follows or "" for part in parts))
    if len(parents) > 1:
        what = "several questions about whom a child told"
        raise InputError([Problem("E195", what, ", ".join(parents), len(parents), "choose one: of=...")], "family")
    options = [part for part in parts if part.answers is not None and not words.group_of(option_of(part), "nobody")]
    if not options:
        what, remedy = "no question about whom a child told", "name an indicator with a follow-up 'told': of=..."
        raise InputError([Problem("E132", what, of or "told", 0, remedy)], codebook.study_id)
    return options


def _with_told(codebook: Codebook, options: list[Indicator]) -> Codebook:
    """Count the kinds of people told, as a scale over the options; all of them must be answered."""
    items = {}
    for one in options:
        name = f"told_item.{option_of(one)}"
        assert one.answers is not None
        items[name] = Variable(name, one.label, one.answers, by_country=one.by_country, asked_if=one.asked_if)
    scale = Scale(KINDS, "Kinds of people told, number", tuple(items), "sum", len(items))
    return replace(codebook, variables={**codebook.variables, **items}, scales={**codebook.scales, scale.name: scale})


def _ordered_of_the_exposed(asked: Variable, gate: Condition | None) -> Variable:
    """The same of an ordered variable as a whole."""
    if gate is None or asked.asked_if is not None:
        return asked
    return replace(asked, name=f"{asked.name}.exposed", asked_if=gate)


def _of_the_exposed(codebook: Codebook, outcome: Outcome, gate: Condition | None) -> Indicator:
    """The outcome among children who were asked whom they told; as it is where it has a condition of its own."""
    asked = codebook.indicators[outcome.name]
    if gate is None or asked.any_of or asked.asked_if is not None:
        return asked
    return replace(asked, name=f"{outcome.name}.exposed", asked_if=gate)
