"""What forbids or burdens a joint model of several risks: found in the codebook first, then in the counted answers.

No message holds a count of children under ten, and none tells nobody from a few: "fewer than 10" may be none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from riskmodels.errors import Problem
from riskmodels.survey.codebook.records import Codebook
from riskmodels.vocabulary import Base

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: How many risks a joint model takes.
FEWEST, MOST = 2, 15
#: Children below which no number of them is told, and below which a joint answer counts as (nearly) never seen.
SMALL = 10
#: Children with both answers from which a message may speak of a pair, and below which a pair cannot be modelled.
ENOUGH = 25
#: Children of a country below which how its risks come together is what the other countries say.
FEW_IN_A_COUNTRY = 100
#: Share of the children with one risk who lack the other, up to which the one seems to imply the other.
SELDOM = 0.05
#: Share of a country's children not asked from which a question counts as filtered; below, as a slip of the fieldwork.
FILTERED_FROM = 0.01
#: Names listed in one message.
LISTED = 8


@dataclass(frozen=True, eq=False)
class JointTallies:
    """Unweighted joint answers, added up for the checks.

    Parameters
    ----------
    names, countries
        Risks and countries, in words.
    together
        Children with both risks per pair, shape (risks, risks); on the diagonal with the risk.
    answered
        Children whose answers to both are known, same shape.
    first_only
        Children with the row's risk and without the column's, both known, same shape.
    known
        Children per country with a known answer to each risk, shape (countries, risks).
    children
        Children per country with any known answer.
    unasked
        Children per country whom each risk's question was not put to by a skip pattern, shape (countries, risks).
    everyone
        Children per country.
    """

    names: tuple[str, ...]
    countries: tuple[str, ...]
    together: FloatArray
    answered: FloatArray
    first_only: FloatArray
    known: FloatArray
    children: FloatArray
    unasked: FloatArray
    everyone: FloatArray


def listed(names: Iterable[str]) -> str:
    """List names, cut after a few."""
    every = list(names)
    more = f" and {len(every) - LISTED} more" if len(every) > LISTED else ""
    return ", ".join(every[:LISTED]) + more


def _parts(codebook: Codebook, name: str) -> set[str]:
    """Questions that a union rests on, through unions of unions; the question itself where it is none."""
    own = codebook.indicators[name].any_of
    return set().union(*(_parts(codebook, part) for part in own)) if own else {name}


def _filters(codebook: Codebook, name: str) -> set[str]:
    """Indicators that decide whom a question is put to, through filters of filters."""
    found: set[str] = set()
    waiting = list(_parts(codebook, name))
    while waiting:
        condition = codebook.indicators[waiting.pop()].asked_if
        if condition is None or condition.name not in codebook.indicators or condition.name in found:
            continue
        found.add(condition.name)
        waiting += _parts(codebook, condition.name)
    return found


def _is_filtered_by(codebook: Codebook, name: str, other: str) -> bool:
    filters = _filters(codebook, name)
    return other in filters or any(_parts(codebook, one) & _parts(codebook, other) for one in filters)


def declared_problems(
    codebook: Codebook, risks: Sequence[str], base: Base | None, impossible: Sequence[tuple[str, str]]
) -> list[Problem]:
    """What the codebook alone forbids; every risk must be declared.

    Parameters
    ----------
    codebook, risks, base, impossible
        As in `joint_counts`.

    Returns
    -------
    list of Problem
        E155 number of risks, E154 risks made of one another or given twice, E157 a follow-up beside the question that
        filters it, E156 several denominators, E195 pairs declared impossible that are no pairs.
    """
    problems = []
    distinct = list(dict.fromkeys(risks))
    if not FEWEST <= len(distinct) <= MOST:
        remedy = "give 2 to 15; choose those the question is about, or join several into one by any_of in the codebook"
        what = "a joint model takes 2 to 15 risks"
        problems.append(Problem("E155", what, f"{len(distinct)} given", len(distinct), remedy))
    repeated = [name for name in distinct if list(risks).count(name) > 1]
    columns = {name: codebook.indicators[name].answers for name in distinct}
    made, filtered = list(repeated), []
    for place, first in enumerate(distinct):
        for second in distinct[place + 1 :]:
            if _parts(codebook, first) & _parts(codebook, second) or (
                columns[first] is not None and columns[first] == columns[second]
            ):
                made.append(f"{first} and {second}")
            elif _is_filtered_by(codebook, second, first):
                filtered.append(f"{second} after {first}")
            elif _is_filtered_by(codebook, first, second):
                filtered.append(f"{first} after {second}")
    if made:
        what = "risks that are made of one another, share a part or a column, or are given twice"
        remedy = "keep the parts or their union, not both: one would imply the other"
        problems.append(Problem("E154", what, listed(made), len(made), remedy))
    if filtered:
        what = "a follow-up beside the question that decides who is asked it"
        remedy = "leave the question out (the figures are then of the children asked), or leave its follow-ups out"
        problems.append(Problem("E157", what, listed(filtered), len(filtered), remedy))
    bases = {codebook.indicators[name].base for name in distinct}
    if base is None and len(bases) > 1:
        what = "risks with different denominators, of which a joint model has one"
        remedy = 'give base="all asked" or base="valid answers"'
        problems.append(Problem("E156", what, listed(distinct), len(bases), remedy))
    wrong = [pair for pair in impossible if len(set(pair)) != 2 or not set(pair) <= set(distinct)]
    if wrong:
        where = listed(" and ".join(map(str, pair)) for pair in wrong)
        remedy = "name two of the risks asked for in each"
        problems.append(
            Problem("E195", "pairs declared impossible that are no pairs of these risks", where, len(wrong), remedy)
        )
    return problems


def counted_problems(tallies: JointTallies, impossible: Sequence[tuple[int, int]]) -> list[Problem]:
    """What the counted answers forbid or burden.

    Parameters
    ----------
    tallies
        Unweighted joint answers.
    impossible
        Pairs that nobody can have together.

    Returns
    -------
    list of Problem
        As `joint_counts` tells.
    """
    return [*_single(tallies), *_paired(tallies, impossible), *_by_country(tallies)]


def _single(tallies: JointTallies) -> list[Problem]:
    """E153: risks without variation."""
    yes, known = np.diagonal(tallies.together), np.diagonal(tallies.answered)
    same = [name for name, y, n in zip(tallies.names, yes, known, strict=True) if n > 0 and y in (0, n)]
    if not same:
        return []
    what = "risks on which all children gave the same answer"
    return [Problem("E153", what, listed(same), len(same), "leave them out: nothing can come together with them")]


def _paired(tallies: JointTallies, impossible: Sequence[tuple[int, int]]) -> list[Problem]:
    """E158, E159, W153, W154: pairs of risks."""
    size, names = len(tallies.names), tallies.names
    forbidden = {tuple(sorted(pair)) for pair in impossible}
    broken, apart, never, implied = [], [], [], []
    for first in range(size):
        for second in range(first + 1, size):
            words = f"{names[first]} and {names[second]}"
            both, answered = tallies.together[first, second], tallies.answered[first, second]
            if (first, second) in forbidden:
                broken += [words] if both > 0 else []
            elif answered < ENOUGH:
                apart.append(words)
            elif both < SMALL:
                never.append(words)
            for one, other in ((first, second), (second, first)):
                with_one = both + tallies.first_only[one, other]
                lack = tallies.first_only[one, other]
                if with_one >= ENOUGH and lack < SMALL and lack <= SELDOM * with_one:
                    implied.append(f"{names[one]} with {names[other]}")
    problems = []
    if broken:
        what = "pairs declared impossible that children do have together"
        remedy = "correct the answers or the codes, or do not declare the pair impossible"
        problems.append(Problem("E158", what, listed(broken), len(broken), remedy))
    if apart:
        what = "pairs of risks that hardly any child was asked together"
        remedy = "leave one of each pair out: nothing in the data says how they come together"
        problems.append(Problem("E159", what, listed(apart), len(apart), remedy))
    if never:
        what = "pairs of risks that fewer than 10 children, perhaps none, have together"
        remedy = (
            "taken as chance: the estimate leans on the other pairs and the prior; where no child can have both, "
            "declare the pair in impossible="
        )
        problems.append(Problem("W153", what, listed(never), len(never), remedy))
    if implied:
        what = "risks that all or nearly all children with them have together with another"
        remedy = "check whether one answer implies the other (then keep one of them); else read the pair with care"
        problems.append(Problem("W154", what, listed(implied), len(implied), remedy))
    return problems


def _by_country(tallies: JointTallies) -> list[Problem]:
    """E152, W145, W155, W158, W159: who was asked where."""
    problems, several = [], len(tallies.countries) > 1
    present = tallies.children > 0
    gone = [name for name, here in zip(tallies.countries, present, strict=True) if not here]
    lacking = (tallies.known == 0) & present[:, None]
    fielded = (tallies.known > 0).sum(axis=0)
    single = [name for name, count in zip(tallies.names, fielded, strict=True) if several and count < 2]
    if single:
        what = "risks that fewer than two countries of the study asked about"
        remedy = "leave them out, or keep to the countries that asked all of the questions"
        problems.append(Problem("E152", what, listed(single), len(single), remedy))
    if gone:
        what = "countries without a known answer to any of the risks: left out"
        problems.append(Problem("W155", what, listed(gone), len(gone), "say so beside the figures"))
    missing = [
        f"{name} in {listed(tallies.countries[k] for k in np.flatnonzero(lacking[:, place]))}"
        for place, name in enumerate(tallies.names)
        if lacking[:, place].any()
    ]
    if missing:
        what = "risks that some countries did not ask about: their figures there come from the other countries"
        remedy = "do not report them for these countries, nor the number of risks there"
        problems.append(Problem("W158", what, listed(missing), int(lacking.sum()), remedy))
    few = [
        name
        for name, children in zip(tallies.countries, tallies.children, strict=True)
        if 0 < children < FEW_IN_A_COUNTRY
    ]
    if few and several:
        what = "countries with fewer than 100 children: how risks come together there is what the others say"
        problems.append(Problem("W159", what, listed(few), len(few), "report these countries' pairs with care"))
    filtered = tallies.unasked > FILTERED_FROM * tallies.everyone[:, None]
    some = [name for place, name in enumerate(tallies.names) if filtered[:, place].any()]
    if some:
        what = "questions that only some children were asked: figures are of the children asked"
        remedy = "say so beside the figure; give no population"
        problems.append(Problem("W145", what, ", ".join(some), len(some), remedy))
    return problems
