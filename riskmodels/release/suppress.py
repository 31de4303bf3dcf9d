"""What is withheld: small numbers first, then the fewest others without which those could be worked out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from riskmodels.errors import GateError
from riskmodels.release.audit import Atoms, Attacker, Group, atoms_of
from riskmodels.release.rules import ReleaseRules

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: Counts no survey exceeds; the slack of a number that is withheld.
BIG = 1e5
SECONDS = 20.0


@dataclass(frozen=True, eq=False)
class Suppression:
    """Which groups of one outcome show their base and their estimate.

    Parameters
    ----------
    hide_n, hide_yes
        Shape (groups,).
    primary
        Groups withheld for their own counts; the others of `hide_yes` protect these.
    """

    hide_n: BoolArray
    hide_yes: BoolArray
    primary: BoolArray


@dataclass(frozen=True, eq=False)
class _Problem:
    matrix: FloatArray
    value: FloatArray
    members: FloatArray
    atoms: Atoms

    def attacker(self, hidden: BoolArray) -> Attacker:
        return Attacker(sparse.csr_matrix(self.matrix[~hidden]), self.value[~hidden])


def _problem(groups: list[Group], n: FloatArray, yes: FloatArray, *, with_not_stated: bool) -> _Problem:
    """Numbers (bases, then yes) over unknowns (yes, then no, of every finest group)."""
    atoms = atoms_of(groups, with_not_stated=with_not_stated)
    members = atoms.members(groups)
    matrix = np.vstack([np.hstack([members, members]), np.hstack([members, np.zeros_like(members)])])
    return _Problem(matrix, np.concatenate([n, yes]), members, atoms)


def primary(n: FloatArray, yes: FloatArray, rules: ReleaseRules) -> tuple[BoolArray, BoolArray]:
    """Groups whose base is too small, and groups with too few children who said yes or no."""
    small_base = ~(n >= rules.smallest_base)
    return small_base, small_base | ~((yes >= rules.smallest_count) & (n - yes >= rules.smallest_count))


def _too_narrow(problem: _Problem, hidden: BoolArray, rules: ReleaseRules) -> FloatArray | None:
    """A withheld number, or a number of a group of no table, that could be narrowed down too far; None if there is none."""
    attacker = problem.attacker(hidden)
    width = rules.narrowest_interval
    groups = len(problem.members)
    said_no = (problem.matrix[:groups] - problem.matrix[groups:])[hidden[groups:]]
    for row in np.vstack([problem.matrix[hidden], said_no]):
        if not attacker.wide_enough(row, width):
            return np.asarray(row)
    none = np.zeros_like(problem.members[:1])
    shown = {row.tobytes() for row in problem.matrix}
    for member in _differences(problem.members):
        for row in (np.hstack([member, none[0]]), np.hstack([none[0], member])):
            if row.tobytes() in shown or attacker.may_reach(row, rules.smallest_count):
                continue
            if not attacker.wide_enough(row, width):
                low, high = attacker.interval(row)
                if high > 0.5 or low < -0.5:
                    return np.asarray(row)
    return None


def _differences(members: FloatArray) -> list[FloatArray]:
    """Finest groups, and what is left of a group without another that lies in it."""
    found = list(np.eye(members.shape[1]))
    for outer in members:
        found += [outer - inner for inner in members if (inner <= outer).all() and 0 < inner.sum() < outer.sum()]
    return list({one.tobytes(): one for one in found}.values())


def _withhold_more(
    problem: _Problem, hidden: BoolArray, fixed: BoolArray, target: FloatArray, rules: ReleaseRules
) -> BoolArray:
    """Fewest further numbers whose absence leaves `target` a wide enough range; GateError where none suffice.

    Two tables of counts u and v, both possible to the reader, must differ in the target by the width: an integer
    programme chooses which numbers shown may differ between them (Fischetti & Salazar 2001, Management Science 47).
    """
    count, unknowns = problem.matrix.shape
    groups = count // 2
    shown = np.flatnonzero(~hidden)
    matrix, value = problem.matrix[shown], problem.value[shown]
    size = 2 * unknowns + count
    cost = np.concatenate(
        [np.zeros(2 * unknowns), 1 + np.nan_to_num(problem.value) / max(1.0, np.nanmax(problem.value, initial=1.0))]
    )
    mark = np.zeros((len(shown), count))
    mark[np.arange(len(shown)), shown] = BIG
    zero = np.zeros((len(shown), unknowns))
    rows, lower, upper = [], [], []
    for side in ((matrix, zero), (zero, matrix)):
        for sign in (1, -1):
            rows.append(np.hstack([sign * side[0], sign * side[1], -mark]))
            upper.append(sign * value)
            lower.append(np.full(len(shown), -np.inf))
    rows.append(np.concatenate([target, -target, np.zeros(count)])[None])
    lower.append(np.array([rules.narrowest_interval + 0.01]))
    upper.append(np.array([np.inf]))
    both = np.zeros((groups, size))  # a base withheld takes its estimate along
    both[np.arange(groups), 2 * unknowns + np.arange(groups)] = 1
    both[np.arange(groups), 2 * unknowns + groups + np.arange(groups)] = -1
    rows.append(both)
    lower.append(np.full(groups, -np.inf))
    upper.append(np.zeros(groups))
    low = np.concatenate([np.zeros(2 * unknowns), hidden.astype(float)])
    high = np.concatenate([np.full(2 * unknowns, BIG), np.where(fixed & ~hidden, 0.0, 1.0)])
    found = milp(
        cost,
        constraints=LinearConstraint(sparse.csr_matrix(np.vstack(rows)), np.concatenate(lower), np.concatenate(upper)),
        bounds=Bounds(low, high),
        integrality=np.concatenate([np.zeros(2 * unknowns), np.ones(count)]),
        options={"time_limit": SECONDS, "mip_rel_gap": 1e-4},
    )
    if found.x is None:
        raise GateError(
            "not released: together with tables released earlier in this study it would give away a small number of "
            "children, and withholding more of it does not help; ask for fewer groups"
        )
    return hidden | (found.x[2 * unknowns :] > 1e-7)


def suppress(
    groups: list[Group],
    n: FloatArray,
    yes: FloatArray,
    rules: ReleaseRules,
    *,
    earlier: BoolArray | None = None,
    earlier_hidden: BoolArray | None = None,
) -> Suppression:
    """Choose what is withheld of one outcome, and prove by linear programme that it stays withheld.

    Parameters
    ----------
    groups
        Groups of children, those of earlier tables among them.
    n, yes
        Unweighted base and children who said yes; NaN where an earlier table withheld them.
    rules
        Thresholds.
    earlier
        Groups of earlier tables: what they showed cannot be withheld any more.
    earlier_hidden
        Of bases, then of yes, shape (2 groups,): withheld by an earlier table, and so for good.

    Raises
    ------
    GateError
        Where earlier tables leave no way to release this one.

    Examples
    --------
    >>> import numpy as np
    >>> from riskmodels.release.audit import group_of
    >>> from riskmodels.release.rules import release_rules
    >>> groups = [group_of({"country": "KEN", "gender": name}) for name in ("boy", "girl")] + [group_of({"country": "KEN"})]
    >>> found = suppress(groups, np.array([300.0, 300, 600]), np.array([4.0, 60, 64]), release_rules())
    >>> found.hide_yes.tolist(), found.primary.tolist()
    ([True, True, False], [True, False, False])
    """
    was = np.zeros(len(groups), bool) if earlier is None else earlier
    small_base, small = primary(n, yes, rules)
    hidden = np.concatenate([small_base, small])
    fixed = np.concatenate([was, was])
    if earlier_hidden is not None:
        hidden = np.where(fixed, earlier_hidden, hidden | earlier_hidden)
    problem = _problem(groups, n, yes, with_not_stated=False)
    if not problem.attacker(hidden | np.isnan(problem.value)).consistent:
        problem = _problem(groups, n, yes, with_not_stated=True)
    start = hidden.copy()
    while (target := _too_narrow(problem, hidden, rules)) is not None:
        more = _withhold_more(problem, hidden, fixed, target, rules)
        if (more == hidden).all():
            raise GateError("not released: no further number could be withheld; ask for fewer groups")
        hidden = more
    return Suppression(hidden[: len(groups)], hidden[len(groups) :], start[len(groups) :])
