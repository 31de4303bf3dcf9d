"""Release: what is withheld cannot be worked out, is nowhere in the result, and every refusal has its code."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog

from riskmodels.errors import GateError, InputError
from riskmodels.estimates.estimates import Estimates
from riskmodels.fit.checks import CheckResult
from riskmodels.provenance import Fingerprint
from riskmodels.release.audit import atoms_of, group_of
from riskmodels.release.clear import clear
from riskmodels.release.ledger import Ledger, read_ledger, write_ledger
from riskmodels.release.rounding import nearest, outward, step_of_share, upper_limit
from riskmodels.release.rules import PRESETS, release_rules
from riskmodels.release.suppress import suppress

RULES = release_rules("strict")
FINGERPRINT = Fingerprint("a", "b", "c", 1, (), False, "microdata")
PASSED = (CheckResult("R-hat", "x", 1.0, "< 1.01", True),)


def table_with_margins(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Children who said yes and no, two-way, totals last in each direction."""
    rows, columns = rng.integers(2, 5, 2)
    yes = rng.poisson(rng.choice([2, 8, 20, 60], (rows, columns)))
    no = rng.poisson(rng.choice([5, 40, 200], (rows, columns)))
    with_totals = [np.pad(part, ((0, 1), (0, 1))) for part in (yes, no)]
    for part in with_totals:
        part[-1] = part[:-1].sum(axis=0)
        part[:, -1] = part[:, :-1].sum(axis=1)
    return with_totals[0], with_totals[1]


def attack(yes: np.ndarray, no: np.ndarray, hide_n: np.ndarray, hide_yes: np.ndarray) -> float:
    """Narrowest range of any withheld number, worked out without the package from what is shown."""
    rows, columns = (size - 1 for size in yes.shape)

    def sums(place: tuple[int, int]) -> np.ndarray:
        inside = np.zeros((rows, columns))
        inside[slice(None) if place[0] == rows else place[0], slice(None) if place[1] == columns else place[1]] = 1
        return inside.ravel()

    known, value, wanted = [], [], []
    for place in np.ndindex(*yes.shape):
        one = sums(place)
        for vector, number, hidden in (
            (np.r_[one, one], yes[place] + no[place], hide_n[place]),
            (np.r_[one, 0 * one], yes[place], hide_yes[place]),
        ):
            if hidden:
                wanted.append(vector)
            else:
                known.append(vector)
                value.append(number)
    shown = {"A_eq": np.array(known), "b_eq": np.array(value)} if known else {}
    width = np.inf
    for vector in wanted:
        low, high = (linprog(sign * vector, bounds=(0, 1e6), **shown) for sign in (1, -1))
        assert low.status == high.status == 0
        width = min(width, -high.fun - low.fun)
    return width


def attacked(tables: int, seed: int) -> tuple[float, int, int]:
    """Narrowest range over random tables; numbers withheld, and in all."""
    rng, width, withheld, total = np.random.default_rng(seed), np.inf, 0, 0
    for _ in range(tables):
        yes, no = table_with_margins(rng)
        groups = [
            group_of(
                {name: str(k) for name, k, last in (("a", i, yes.shape[0] - 1), ("b", j, yes.shape[1] - 1)) if k < last}
            )
            for i, j in np.ndindex(*yes.shape)
        ]
        try:
            found = suppress(groups, (yes + no).ravel().astype(float), yes.ravel().astype(float), RULES)
        except GateError:
            continue
        hide_n, hide_yes = found.hide_n.reshape(yes.shape), found.hide_yes.reshape(yes.shape)
        assert hide_yes[(yes < 10) | (no < 10) | (yes + no < 25)].all()
        width = min(width, attack(yes, no, hide_n, hide_yes))
        withheld, total = withheld + int(hide_yes.sum()), total + yes.size
    return width, withheld, total


def test_nothing_withheld_can_be_narrowed_down() -> None:
    width, withheld, total = attacked(25, 1)
    assert width >= 10 - 1e-6
    assert 0 < withheld < total


@pytest.mark.slow
def test_nothing_withheld_can_be_narrowed_down_in_1000_tables() -> None:
    assert attacked(1000, 2)[0] >= 10 - 1e-6


def test_the_attack_succeeds_where_only_small_numbers_are_withheld() -> None:
    yes, no = np.array([[4, 60, 64], [30, 40, 70], [34, 100, 134]]), np.full((3, 3), 100)
    no[2], no[:, 2], no[2, 2] = 200, 200, 400
    assert attack(yes, no, np.zeros((3, 3), bool), yes < 10) == pytest.approx(0)


def estimates(frame: pd.DataFrame) -> Estimates:
    share = frame["cases"] / frame["n"]
    half = 1.96 * np.sqrt(share * (1 - share) / frame["n"])
    numbers = {"estimate": share, "median": share, "low": share - half, "high": share + half, "sd": half / 2}
    direct = {
        "n": frame["n"],
        "n_effective": frame["n"],
        "direct": share,
        "direct_low": share - half,
        "direct_high": share + half,
    }
    table = frame.drop(columns=["n", "cases"]).assign(
        quantity="prevalence", unit="proportion", base="all asked", **numbers, **direct, note=""
    )
    return Estimates(table, np.zeros((1, 1, len(frame))), "prevalence", FINGERPRINT, PASSED, PASSED)


BY_GENDER = pd.DataFrame(
    {
        "country": ["Kenya"] * 2 + ["Uganda"] * 2,
        "gender": ["boy", "girl"] * 2,
        "n": [531, 617, 450, 470],
        "cases": [7, 61, 90, 70],
    }
)


def test_withheld_numbers_are_nowhere_in_what_leaves() -> None:
    cleared, ledger = clear(estimates(BY_GENDER), RULES, counts=BY_GENDER)
    assert cleared.table["estimate"].isna().tolist() == [True, False, False, False]
    data = pickle.dumps(cleared)
    for secret in (7 / 531, 7.0, 61 / 617, 617.0):
        for order in ("<", ">"):
            assert np.array(secret, f"{order}f8").tobytes() not in data
    assert b"0.0131" not in data and "0.0131" not in repr(cleared)
    assert not hasattr(cleared, "draws") and "sd" not in cleared.table
    assert next(entry.yes for entry in ledger.entries) is None


def test_a_later_table_cannot_undo_an_earlier_one() -> None:
    _, ledger = clear(estimates(BY_GENDER), RULES, counts=BY_GENDER)
    totals = BY_GENDER.groupby("country", as_index=False)[["n", "cases"]].sum()
    alone, _ = clear(estimates(totals), RULES, counts=totals)
    after, again = clear(estimates(totals), RULES, counts=totals, ledger=ledger)
    assert alone.table["estimate"].notna().all()
    assert after.table["estimate"].isna().tolist() == [True, False]
    third, _ = clear(estimates(BY_GENDER), RULES, counts=BY_GENDER, ledger=again)
    assert third.table["estimate"].isna().tolist() == [True, False, False, False]


def test_a_table_that_would_give_a_group_of_no_table_away_is_cut() -> None:
    girls = pd.DataFrame({"country": ["Kenya"], "gender": ["girl"], "n": [617], "cases": [61]})
    _, ledger = clear(estimates(girls), RULES, counts=girls)
    both = pd.DataFrame({"country": ["Kenya"], "n": [1148], "cases": [68]})
    cleared, _ = clear(estimates(both), RULES, counts=both, ledger=ledger)
    assert cleared.table["estimate"].isna().all()


def test_ledger_round_trip_and_damage(tmp_path: Path) -> None:
    _, ledger = clear(estimates(BY_GENDER), RULES, counts=BY_GENDER)
    path = tmp_path / "ledger.json"
    write_ledger(ledger, path)
    assert read_ledger(path) == ledger
    assert read_ledger(tmp_path / "none.json") == Ledger()
    assert " 7.0" not in path.read_text() and [p.name for p in tmp_path.iterdir()] == ["ledger.json"]
    path.write_text("{")
    with pytest.raises(InputError, match="E214"):
        read_ledger(path)


@pytest.mark.parametrize("preset", list(PRESETS))
def test_a_printed_base_and_share_fit_several_counts(preset: str) -> None:
    """Every n from 25 to 3,000: at least two numbers of cases print the same base and share."""
    rules = PRESETS[preset]
    for n in [*range(25, 400), 1999, 2000, 3000]:
        step, base = step_of_share(n, rules), nearest(n, 5)
        near = np.arange(base - 2, base + 3)
        near = near[[step_of_share(m, rules) == step for m in near]]
        for cases in range(10, n - 9, max(1, n // 50)):
            share = nearest(cases / n, step)
            fits = {c for m in near for c in range(cases - 8, cases + 9) if nearest(c / m, step) == share}
            assert len(fits) >= 2, (n, cases)


def test_rounding_and_limits() -> None:
    assert outward(0.12, 0.15, 0.01) == (0.12, 0.15)
    assert upper_limit(201, RULES) == upper_limit(199, RULES) or step_of_share(199, RULES) == 0.05
    assert upper_limit(400, RULES) == 0.04


def code_of(run: object) -> str:
    with pytest.raises(InputError) as caught:
        run()  # type: ignore[operator]
    return caught.value.problems[0].code


def test_every_refusal_has_its_code() -> None:
    made = estimates(BY_GENDER)
    assert code_of(lambda: clear(made, RULES)) == "E210"
    assert code_of(lambda: clear(made, RULES, counts=BY_GENDER.drop(columns="cases"))) == "E210"
    assert code_of(lambda: clear(made, RULES, counts=BY_GENDER.iloc[1:])) == "E211"
    assert code_of(lambda: clear(made, RULES, counts=BY_GENDER.assign(cases=900))) == "E211"
    assert code_of(lambda: release_rules("none")) == "E212"  # type: ignore[arg-type]
    assert code_of(lambda: release_rules(smallest_base=5)) == "E212"
    many = [group_of({f"f{k}": str(level) for k in range(4)}) for level in range(12)]
    assert code_of(lambda: atoms_of(many)) == "E213"
    other = replace(made, quantity="odds ratio")
    assert code_of(lambda: clear(other, RULES, counts=BY_GENDER)) == "E215"


def test_a_failed_check_needs_a_reason_that_is_printed() -> None:
    failed = replace(estimates(BY_GENDER), checks=(replace(PASSED[0], passed=False),))
    with pytest.raises(GateError):
        clear(failed, RULES, counts=BY_GENDER)
    cleared, _ = clear(failed, RULES, counts=BY_GENDER, override="teaching")
    assert "override: teaching" in cleared.decision
    assert cleared.table["estimate"].isna().any(), "no override lifts a disclosure rule"
