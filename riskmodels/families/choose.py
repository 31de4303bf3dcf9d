"""Which outcomes a family holds, from what the codebook declares: exposure, harm, disclosure, consequences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from riskmodels.design.survey_factors import check_names
from riskmodels.errors import InputError, Problem
from riskmodels.families.outcomes import (
    NOT_SPLIT,
    Outcome,
    Outcomes,
    asked_of,
    by_perpetrator,
    exposed_by,
    follow_ups,
    named_outcomes,
    option_of,
    put_to,
    unsorted_perpetrators,
    with_indicators,
)
from riskmodels.families.words import OptionWords, holds_word
from riskmodels.survey.codebook.records import Codebook, Condition, Indicator, Variable


def _none_found(codebook: Codebook, what: str, remedy: str) -> InputError:
    return InputError([Problem("E132", f"the codebook declares no {what}", codebook.study_id, 0, remedy)], "family")


def _perpetrator_notes(codebook: Codebook, parents: Sequence[str], words: OptionWords) -> list[str]:
    left = unsorted_perpetrators(codebook, parents, words)
    return [f"neither peer nor adult by their names: {', '.join(dict.fromkeys(left))}"] if left else []


def exposure_outcomes(
    codebook: Codebook, names: Sequence[str] | None = None, *, split: bool = True, words: OptionWords | None = None
) -> Outcomes:
    """Exposure: questions put to every child, each also by a peer and by an adult where the study asked who did it.

    Parameters
    ----------
    codebook
        The study's.
    names
        Indicators; by default those put to all children, without follow-ups, response sets and what is declared not
        sensitive.
    split
        Whether peers and adults are shown apart, among all children asked (a child can name both).
    words
        How options are sorted.
    """
    words = words or OptionWords()
    in_sets = {name for options in codebook.response_sets.values() for name in options}
    chosen = names or [
        one.name
        for one in codebook.indicators.values()
        if one.follows is None
        and one.name not in in_sets
        and one.sensitive
        and asked_of(codebook, one) == "all children"
    ]
    if not chosen:
        raise _none_found(codebook, "question about a risk put to all children", "name them: outcomes=[...]")
    outcomes, made = named_outcomes(codebook, chosen, words, "risk")
    for name in chosen if split else ():
        if name not in codebook.indicators:
            continue
        for kind, parts in exposed_by(codebook, name, words).items():
            made += parts
            whole = parts[-1]
            asked = asked_of(codebook, codebook.indicators[name])
            outcomes.append(Outcome(whole.name, whole.label, "risk", asked, kind, whole.any_of[:-1]))
    return Outcomes(
        with_indicators(codebook, made), tuple(outcomes), tuple(_perpetrator_notes(codebook, chosen, words))
    )


def harm_outcomes(
    codebook: Codebook,
    names: Sequence[str] | None = None,
    *,
    split: bool = True,
    words: OptionWords | None = None,
    cuts: Mapping[str, float] | None = None,
) -> Outcomes:
    """Harm among the exposed, step by step, with the exposure it follows beside it, as a risk.

    Parameters
    ----------
    codebook
        The study's.
    names
        Ordered variables or indicators; by default those put to the exposed only whose name has one of `words.harm`.
    split
        Whether harm by peers and by adults is shown apart, where the study asked who did it.
    words, cuts
        How options are sorted; where numbers are cut.
    """
    words = words or OptionWords()
    asked_once: list[Variable | Indicator] = [
        *codebook.variables.values(),
        *(one for one in codebook.indicators.values() if one.follows is None),
    ]
    chosen = names or [
        part.name
        for part in asked_once
        if _gate(codebook, part) is not None
        and (part.ordered if isinstance(part, Variable) else True)
        and holds_word(part.name, words.harm)
    ]
    if not chosen:
        raise _none_found(
            codebook, "question to the exposed about how bad it was", "name the variables: outcomes=[...]"
        )
    outcomes, made = named_outcomes(codebook, chosen, words, "harm", cuts)
    outcomes = [replace(one, concept="harm") for one in outcomes]
    wider = with_indicators(codebook, made)
    gates = list(dict.fromkeys(gate for one in outcomes if (gate := _gate(wider, _asked(wider, one)))))
    risks, _ = named_outcomes(codebook, gates, words, "risk")
    apart, extra = split_by_perpetrator(wider, outcomes, words) if split else ([], [])
    notes = _perpetrator_notes(codebook, gates, words) if split else []
    return Outcomes(with_indicators(wider, extra), (*risks, *outcomes, *apart), tuple(notes))


def _asked(codebook: Codebook, outcome: Outcome) -> Variable | Indicator:
    """The question behind an outcome."""
    return codebook.variables[outcome.name] if outcome.family == "ordinal" else codebook.indicators[outcome.name]


def _gate(codebook: Codebook, part: Variable | Indicator) -> str | None:
    """Indicator whose yes opens the question; None where there is none."""
    condition = part.asked_if
    opens = condition is not None and condition.name in codebook.indicators and condition.levels == ("yes",)
    return condition.name if condition is not None and opens else None


def split_by_perpetrator(
    codebook: Codebook, outcomes: Sequence[Outcome], words: OptionWords
) -> tuple[list[Outcome], list[Indicator]]:
    """The same outcomes among children who named a peer, and among those who named an adult."""
    found, made = [], []
    kinds = {"peer": "a peer", "adult": "an adult"}
    for outcome in outcomes:
        if outcome.family == "ordinal":  # its steps are split
            continue
        whole = codebook.indicators[outcome.name]
        parts = [codebook.indicators[name] for name in whole.any_of] or [whole]
        gates = [_gate(codebook, part) for part in parts]
        by = {gate: by_perpetrator(codebook, gate, words) for gate in gates if gate is not None}
        for kind in kinds:
            if not by or not all(gate is not None and kind in by[gate] for gate in gates):
                continue
            made += [by[gate][kind] for gate in by]
            own = [
                put_to(part, Condition(by[gate][kind].name, ("yes",)), kind)
                for part, gate in zip(parts, gates, strict=True)
                if gate is not None
            ]
            made += own
            name = own[0].name if whole.any_of == () else f"{whole.name}.{kind}"
            made += [] if whole.any_of == () else [replace(whole, name=name, any_of=tuple(part.name for part in own))]
            label, asked = f"{outcome.label}, when {kinds[kind]} did it", f"{outcome.asked}, by {kinds[kind]}"
            found.append(replace(outcome, name=name, label=label, asked=asked, perpetrator=kind))
    return found, made


def disclosure_outcomes(
    codebook: Codebook,
    of: str | Sequence[str] | None = None,
    *,
    told: Sequence[str] | None = None,
    split: bool = True,
    words: OptionWords | None = None,
) -> Outcomes:
    """Disclosure: told anyone, a formal source, an informal source, each of them, nobody.

    Parameters
    ----------
    codebook
        The study's.
    of
        Indicators whose follow-up ``told`` is meant; all that have one where None. Options of one name are taken
        together over the indicators.
    told
        Indicators that are the options, where the codebook does not declare them as a follow-up; by default those
        named ``told_...``, and ``did_not_disclose``.
    split
        Whether the summaries (anyone, formal, informal, nobody) are shown apart for peers and adults, where the study
        asked who did it. A child who named both counts in both.
    words
        How options are sorted.

    Raises
    ------
    InputError
        E132 where the codebook declares no such question, or an indicator named has none.
    """
    words = words or OptionWords()
    options = told_options(codebook, of, told, words)
    silent = {name for name in options if words.group_of(name, "nobody")}
    channels = {name: parts for name, parts in options.items() if name not in silent}
    if not channels:
        raise _none_found(codebook, "question about whom a child told", "name the indicators: told=[...]")
    prefix = "told" if len({part.follows for parts in options.values() for part in parts}) != 1 else _prefix(options)
    sorted_into = {name: words.group_of(name, "formal", "informal") for name in channels}
    groups = {"any": ("Told anyone", list(channels))}
    for group in ("formal", "informal"):
        inside = [name for name in channels if sorted_into[name] == group]
        if inside:
            listed = ", ".join(channels[name][0].label for name in inside)
            article = "an" if group == "informal" else "a"
            groups[group] = (f"Told {article} {group} source ({listed})", inside)
    made: list[Indicator] = []
    outcomes: list[Outcome] = []
    for group, (label, inside) in groups.items():
        outcomes.append(_together(codebook, f"{prefix}.{group}", label, [p for n in inside for p in channels[n]], made))
    summaries = len(outcomes)
    for name, parts in channels.items():
        label = f"Told: {parts[0].label}" if parts[0].follows else parts[0].label
        outcomes.append(_together(codebook, f"{prefix}.to_{name}", label, parts, made))
    for parts in (options[name] for name in silent):
        label = "Told nobody" if parts[0].follows else parts[0].label
        outcomes.append(_together(codebook, f"{prefix}.to_nobody", label, parts, made))
    wider = with_indicators(codebook, made)
    several = [*outcomes[:summaries], *outcomes[summaries + len(channels) :]]
    apart, extra = split_by_perpetrator(wider, several, words) if split else ([], [])
    notes = _told_notes(channels, sorted_into)
    parents = list(dict.fromkeys(part.follows for parts in options.values() for part in parts if part.follows))
    notes += _perpetrator_notes(codebook, parents, words) if split else []
    return Outcomes(with_indicators(wider, extra), (*outcomes, *apart), tuple(notes))


def _prefix(options: Mapping[str, Sequence[Indicator]]) -> str:
    parent = next(iter(options.values()))[0].follows
    return "told" if parent is None else f"{parent}.told"


def told_options(
    codebook: Codebook, of: str | Sequence[str] | None, told: Sequence[str] | None, words: OptionWords
) -> dict[str, list[Indicator]]:
    """Options of the question "whom did you tell" by name, each with its indicators."""
    if told is not None:
        check_names(codebook, told, [])
        parts = [codebook.indicators[name] for name in told]
    else:
        wanted = [of] if isinstance(of, str) else list(of) if of is not None else list(codebook.indicators)
        parts = [one for parent in wanted for one in follow_ups(codebook, parent, "told")]
        lacking = [parent for parent in wanted if of is not None and not follow_ups(codebook, parent, "told")]
        if lacking:
            remedy = "choose an indicator with a follow-up 'told', or name the options: told=[...]"
            raise InputError(
                [Problem("E132", "no question about whom a child told", ", ".join(lacking), len(lacking), remedy)],
                codebook.study_id,
            )
        if not parts:
            whole = [one for one in codebook.indicators.values() if one.follows is None]
            parts = [o for o in whole if o.name.startswith("told_") or words.group_of(o.name, "nobody")]
    found: dict[str, list[Indicator]] = {}
    for part in parts:
        name = "nobody" if words.group_of(option_of(part), "nobody") else option_of(part)
        found.setdefault(name, []).append(part)
    return found


def _together(codebook: Codebook, name: str, label: str, parts: Sequence[Indicator], made: list[Indicator]) -> Outcome:
    """One outcome of several indicators: yes if any is yes."""
    one = parts[0]
    if len(parts) > 1:
        one = Indicator(name, label, None, any_of=tuple(part.name for part in parts), base=parts[0].base)
        made.append(one)
    asked = asked_of(codebook, one)
    return Outcome(one.name, label, "disclosure", asked, NOT_SPLIT, tuple(part.name for part in parts))


def _told_notes(channels: Mapping[str, Sequence[Indicator]], sorted_into: Mapping[str, str]) -> list[str]:
    def listed(group: str) -> str:
        return ", ".join(parts[0].label for name, parts in channels.items() if sorted_into[name] == group)

    notes = [f"told anyone: at least one of {', '.join(parts[0].label for parts in channels.values())}"]
    notes += [f"{group}: {listed(group)}" for group in ("formal", "informal") if listed(group)]
    if listed(""):
        notes.append(f"neither formal nor informal by their names, counted in 'told anyone': {listed('')}")
    return notes
