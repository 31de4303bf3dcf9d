"""Tables of co-occurrence on paper: units, guarded bases, notes."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from riskmodels.estimates.cooccurrence import number_estimates, pair_estimates
from riskmodels.estimates.cooccurrence_contrasts import contrast_cooccurrence
from riskmodels.estimates.cooccurrence_measures import MEASURES, measure
from riskmodels.estimates.cooccurrence_summaries import estimates_of
from riskmodels.report.tables_cooccurrence import cooccurrence_file, cooccurrence_table
from tests.cooccurrence.made_fits import counts_of, fit_of, made_fit, noisy, truth_of


def printed(table: pd.DataFrame) -> str:
    console = Console(width=200, file=io.StringIO())
    console.print(cooccurrence_table(table, "Title"))
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_prints(name: str) -> None:
    fit = made_fit(3)
    found = estimates_of(
        fit, measure(fit, name, ["country"], probability=0.95), probability=0.95, interval="equal-tailed"
    )
    said = printed(found.table)
    row = found.table.iloc[0]
    shown = f"{100 * row['median']:.1f}" if row["unit"] == "proportion" else f"{row['median']:.2f}"
    assert shown in said
    assert "Kenya" in said
    assert "KEN" not in said
    assert ("1 or more" in said) == (name == "at least")
    assert "not cleared for release" in " ".join(said.lower().split())


def test_contrasts_and_impossible_pairs_print() -> None:
    fit = made_fit(3, impossible=((0, 1),))
    said = printed(contrast_cooccurrence(fit, "group", reference="others", of="odds ratio", contrast="ratio").table)
    assert "declared impossible" in said
    assert "[1]" in said


def test_small_bases_are_not_printed_nor_written() -> None:
    truth = truth_of(6, 3)
    fit = fit_of(counts_of(truth, 3, children=[500, 500, 12, 10, 20, 20]), noisy(truth))
    table = number_estimates(fit, "any").table
    said = printed(table)
    namibia = next(line for line in said.splitlines() if "Namibia" in line)
    assert namibia.count("*") == 5
    assert not any(character.isdigit() for character in namibia)
    assert "(40)" in said
    written = cooccurrence_file(table, synthetic=True)
    assert written.loc[1, ["n", "estimate", "direct", "low", "high"]].isna().all()
    assert written.loc[0, ["n", "estimate", "direct", "low", "high"]].notna().all()
    assert written["synthetic"].str.contains("SYNTHETIC").all()


def test_shares_among_few_children_are_not_written() -> None:
    """120 children in Kenya, about 20 with a risk: their shares are not said, the shares of all 120 are."""
    truth = truth_of(6, 3)
    fit = fit_of(counts_of(truth, 3, children=60), noisy(truth))
    given = pair_estimates(fit, "given", ["country"]).table
    few = given["n_effective"].to_numpy() < 25
    assert few.any()
    written = cooccurrence_file(given, synthetic=False)
    np.testing.assert_array_equal(written["estimate"].isna(), few)
    np.testing.assert_array_equal(written["n"].isna(), few)
    assert cooccurrence_file(pair_estimates(fit, "both", ["country"]).table, synthetic=False)["estimate"].notna().all()
