"""clear: estimates of microdata become numbers that may leave; what is withheld is nowhere in the result."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.errors import InputError, Problem
from riskmodels.estimates.estimates import Estimates
from riskmodels.release.audit import Group, group_of
from riskmodels.release.gate import PUBLIC_SOURCES, ClearedEstimates, clear_published
from riskmodels.release.ledger import Ledger, Released, plain
from riskmodels.release.rounding import nearest, outward, step_of_share
from riskmodels.release.rules import ReleaseRules
from riskmodels.release.suppress import Suppression, suppress
from riskmodels.vocabulary import COUNTRY, ESTIMATE_COLUMNS, INDICATOR

FloatArray = npt.NDArray[np.float64]
PLACES = ("estimate", "median", "direct")
ENDS = (("low", "high"), ("direct_low", "direct_high"))
ALL_COUNTRIES = "all countries"


def _factors(table: pd.DataFrame) -> list[str]:
    return [name for name in table.columns if name not in ESTIMATE_COLUMNS and not name.endswith("_code")]


def _counts(table: pd.DataFrame, counts: pd.DataFrame, factors: list[str]) -> pd.DataFrame:
    """Unweighted n and cases of every row of the table, in its order (E210, E211)."""
    lacking = [name for name in (*factors, "n", "cases") if name not in counts]
    if lacking:
        raise InputError(
            [
                Problem(
                    "E210",
                    "counts lack columns",
                    ", ".join(lacking),
                    len(lacking),
                    "give the table's factors, n and cases, unweighted",
                )
            ],
            "release",
        )
    problems = []
    if factors and counts.duplicated(factors).any():
        problems.append(
            Problem(
                "E211", "groups counted twice", "counts", int(counts.duplicated(factors).sum()), "give each group once"
            )
        )
    keyed = (
        table[factors].merge(counts[[*factors, "n", "cases"]].drop_duplicates(factors or None), on=factors, how="left")
        if factors
        else counts[["n", "cases"]].iloc[[0] * len(table)]
    )
    n, cases = keyed["n"].to_numpy(float), keyed["cases"].to_numpy(float)
    bad = ~(
        np.isfinite(n)
        & np.isfinite(cases)
        & (cases >= 0)
        & (cases <= n)
        & (n == np.round(n))
        & (cases == np.round(cases))
    )
    if bad.any():
        problems.append(
            Problem(
                "E211",
                "groups without counts, or with impossible ones",
                "counts",
                int(bad.sum()),
                "count every group of the table, unweighted",
            )
        )
    if problems:
        raise InputError(problems, "release")
    return keyed.reset_index(drop=True)


def _precise(row: Mapping[Hashable, Any], rules: ReleaseRules) -> str:
    """Why a figure is not reliable enough to be printed; empty if it is (NCHS: on the effective n and the interval)."""
    effective = float(row.get("n_effective", np.nan))
    width, estimate = float(row["high"] - row["low"]), float(row["estimate"])
    if rules.smallest_effective_n is not None and effective < rules.smallest_effective_n:
        return "imprecise: effective number of children too small"
    if rules.widest_interval is None or width <= rules.always_precise:
        return ""
    if width >= rules.widest_interval:
        return "imprecise: interval too wide"
    if rules.widest_relative is not None and width > rules.widest_relative * min(estimate, 1 - estimate):
        return "imprecise: interval wide beside the estimate"
    return ""


def _decide(
    keys: list[tuple[str, Group]], n: FloatArray, cases: FloatArray, rules: ReleaseRules, ledger: Ledger
) -> tuple[dict[int, tuple[bool, bool, bool]], list[Released]]:
    """Per row whether base and estimate are withheld and whether for its own counts; and what the ledger has to keep."""
    found: dict[int, tuple[bool, bool, bool]] = {}
    entries: list[Released] = []
    for outcome in dict.fromkeys(name for name, _ in keys):
        rows = [place for place, (name, _) in enumerate(keys) if name == outcome]
        before = ledger.of(outcome)
        known = {entry.group: entry for entry in before}
        fresh = [place for place in rows if keys[place][1] not in known]
        groups = [entry.group for entry in before] + [keys[place][1] for place in fresh]
        new = np.array([n[place] for place in fresh]), np.array([cases[place] for place in fresh])
        was = np.array([[entry.n, entry.yes] for entry in before], dtype=float).reshape(-1, 2)
        hidden = np.isnan(was)
        pad = np.zeros(len(fresh), bool)
        result: Suppression = suppress(
            groups,
            np.concatenate([was[:, 0], new[0]]),
            np.concatenate([was[:, 1], new[1]]),
            rules,
            earlier=np.arange(len(groups)) < len(before),
            earlier_hidden=np.concatenate([hidden[:, 0], pad, hidden[:, 1], pad]),
        )
        at = {group: place for place, group in enumerate(groups)}
        for row in rows:
            k = at[keys[row][1]]
            own = n[row] < rules.smallest_base or min(cases[row], n[row] - cases[row]) < rules.smallest_count
            hide_yes = bool(result.hide_yes[k]) or own
            found[row] = (bool(result.hide_n[k]) or n[row] < rules.smallest_base, hide_yes, own)
            entries.append(Released(outcome, keys[row][1], plain(n[row], found[row][0]), plain(cases[row], hide_yes)))
    unseen = {
        keys[row][1] for row, (hide_n, _, _) in found.items() if hide_n
    }  # a base shown beside one outcome is known
    found = {row: (one[0] or keys[row][1] in unseen, *one[1:]) for row, one in found.items()}
    return found, [replace(entry, n=None) if entry.group in unseen else entry for entry in entries]


def clear(
    estimates: Estimates,
    rules: ReleaseRules,
    *,
    counts: pd.DataFrame | None = None,
    ledger: Ledger | None = None,
    override: str = "",
) -> tuple[ClearedEstimates, Ledger]:
    """Clear a table of shares: withhold, round, and record why.

    Parameters
    ----------
    estimates
        Shares by groups (prevalence, predicted shares). Other quantities of microdata are refused (E215).
    rules
        Thresholds, e.g. ``release_rules("strict")``.
    counts
        Unweighted `n` and `cases` per group, under the table's own factor columns. Not for published aggregates.
    ledger
        What the study released so far; write the one that is returned.
    override
        Reason for releasing although a check of the fit failed; recorded and printed. Never lifts a disclosure rule.

    Returns
    -------
    ClearedEstimates, Ledger
        `release` says per row in words what was done; withheld numbers are empty. The ledger has this table in it.
    """
    before = ledger or Ledger()
    if estimates.fingerprint.source in PUBLIC_SOURCES:
        return clear_published(estimates, override=override), before
    if not estimates.passed and not override:
        estimates.require_passed()
    table = estimates.table.reset_index(drop=True)
    factors = _factors(table)
    if not (table["unit"] == "proportion").all() or estimates.quantity not in ("prevalence", "predicted share"):
        raise InputError(
            [
                Problem(
                    "E215",
                    "no rule clears this quantity yet",
                    estimates.quantity,
                    len(table),
                    "release the shares behind it",
                )
            ],
            "release",
        )
    if counts is None or "level" in factors or any(name.startswith("at ") for name in factors):
        raise InputError(
            [
                Problem(
                    "E210",
                    "no counts of the children behind each row",
                    estimates.quantity,
                    len(table),
                    "give counts= with n and cases; predictions at values and ordered outcomes cannot be cleared yet",
                )
            ],
            "release",
        )
    own = _counts(table, counts, factors)
    keys = []
    for _, row in table.iterrows():
        levels = {
            name: str(row[name])
            for name in factors
            if name != INDICATOR and not (name == COUNTRY and row[name] == ALL_COUNTRIES)
        }
        keys.append((f"{row.get(INDICATOR, '')} | {row['base']}", group_of(levels)))
    n, cases = own["n"].to_numpy(float), own["cases"].to_numpy(float)
    hidden, entries = _decide(keys, n, cases, rules, before)
    columns = [
        *[name for name in table.columns if name not in ESTIMATE_COLUMNS],
        "quantity",
        "unit",
        "base",
        "n",
        "estimate",
        "low",
        "high",
        "direct",
        "direct_low",
        "direct_high",
        "interval_kind",
        "probability",
        "note",
    ]
    shown = pd.DataFrame([_row(row, n[k], hidden[k], rules) for k, row in enumerate(table.to_dict("records"))])
    verdict = "all checks passed" if estimates.passed else f"CHECKS FAILED, released by override: {override}"
    cleared = ClearedEstimates(
        table=shown[[name for name in columns if name in shown] + ["release"]],
        quantity=estimates.quantity,
        fingerprint=estimates.fingerprint,
        decision=f"rules {rules.name} ({rules.source}); {verdict}; {int(shown['release'].str.startswith('withheld').sum())} of {len(shown)} rows withheld",
    )
    return cleared, before.with_entries(entries)


def _row(
    row: Mapping[Hashable, Any], n: float, hidden: tuple[bool, bool, bool], rules: ReleaseRules
) -> dict[str, object]:
    """One row as it may leave. Own and protecting suppressions read alike, or the mark itself would tell them apart."""
    hide_n, hide_yes, _ = hidden
    numbers = {"n", *PLACES, *(end for pair in ENDS for end in pair)}
    out: dict[str, object] = {
        str(name): value
        for name, value in row.items()
        if name not in numbers and name not in ("sd", "mcse", "rhat", "pareto_k", "ess_bulk", "ess_tail", "n_effective")
    }
    out["n"] = np.nan if hide_n else nearest(n, rules.round_base_to)
    out |= {name: np.nan for name in numbers - {"n"} if name in row}
    if hide_yes:
        return {**out, "release": "withheld: small numbers of children, here or in a group that this one would reveal"}
    if reason := _precise(row, rules):
        return {**out, "release": f"withheld: {reason}"}
    step = step_of_share(n, rules)
    out |= {name: nearest(float(row[name]), step) for name in PLACES if name in row}
    for low, high in ENDS:
        if low in row:
            out[low], out[high] = outward(float(row[low]), float(row[high]), step)
    return {
        **out,
        "release": f"shown in brackets: base under {rules.bracket_below}" if n < rules.bracket_below else "shown",
    }
