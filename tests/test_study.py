"""The study facade and its commands on the synthetic studies: four formats, one truth; a broken one, all faults."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import riskmodels as rm

INVENTED = Path(rm.__file__).parents[1] / "data" / "synthetic" / "invented"
ENDINGS = ("sav", "dta", "csv", "parquet")


def command(*words: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.argv = {['riskmodels', *words]!r}; from riskmodels.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def studies() -> dict[str, rm.Study]:
    return {ending: rm.load_study(INVENTED / "study.toml", data=INVENTED / f"study.{ending}") for ending in ENDINGS}


def test_four_formats_give_identical_cells_totals_and_checks(studies: dict[str, rm.Study]) -> None:
    arguments = (["comments", "images", "any_risk"], ["gender", "age_group"])
    hashes = {study.cells(*arguments).content_hash for study in studies.values()}
    assert len(hashes) == 1
    tables = [study.direct("any_risk", by=["country", "area"]) for study in studies.values()]
    for table in tables[1:]:
        pd.testing.assert_frame_equal(tables[0], table)
    codes = {ending: sorted(p.code for p in study.check() if p.code != "I171") for ending, study in studies.items()}
    assert len({tuple(found) for found in codes.values()}) == 1
    audits = [study.audit().bases for study in studies.values()]
    for audit in audits[1:]:
        pd.testing.assert_frame_equal(audits[0], audit)


def test_follow_ups_and_conditions_have_their_own_base(studies: dict[str, rm.Study]) -> None:
    study = studies["csv"]
    affected = study.direct("comments", by=["country"])
    told = study.direct("comments.told.nobody", by=["country"])
    assert (told["n"] < 0.3 * affected["n"]).all()
    frame = pd.read_csv(INVENTED / "study.csv")
    assert told["n"].sum() == frame["G_comments"].isin([2, 3, 4, 5]).sum()


def test_audit_names_the_dimension_that_is_missing(studies: dict[str, rm.Study]) -> None:
    audit = studies["sav"].audit()
    assert audit.missing == ("national origin",)
    small = audit.bases[audit.bases["speaks"] == "no"]
    assert (small["n"] == "under 25").all()
    assert small["share"].isna().all()
    # where a country has one small level, the next smallest is withheld: nothing follows by subtraction
    for _, group in audit.bases.groupby(["country", "variable"]):
        if (group["n"] == "under 25").sum() == 1:
            assert (group["n"] == "withheld").sum() == 1


def test_children_in_no_group_are_told(studies: dict[str, rm.Study]) -> None:
    notes = studies["csv"].cells("any_risk", by=["gender"]).warnings
    assert "W184" in {note.code for note in notes}
    assert "W184" not in {note.code for note in studies["csv"].cells("any_risk").warnings}


def test_numbers_of_children_are_printed_with_a_population() -> None:
    words = ("--indicator", "any_risk", "--by", "country,gender", "--population", str(INVENTED / "population.csv"))
    ended = command("fit", str(INVENTED / "study.toml"), "--data", str(INVENTED / "study.csv"), *words)
    assert ended.returncode == 0, ended.stderr
    assert "Children affected" in ended.stdout
    assert "all countries" in ended.stdout


def test_model_beside_direct(studies: dict[str, rm.Study]) -> None:
    result = studies["parquet"].prevalence(["comments", "threats"], by=["country", "gender"])
    assert result.fit.passed
    table = result.estimates(by=["country", "gender"]).table
    assert len(table) == 20
    assert np.isfinite(table[["direct", "estimate", "low", "high"]].to_numpy(float)).all()
    assert "SYNTHETIC" in result._repr_html_()
    figure = result.plot()
    assert any("not cleared" in text.get_text() for text in [figure._suptitle])


@pytest.mark.parametrize("ending", ENDINGS)
def test_commands_on_every_format(ending: str, tmp_path: Path) -> None:
    book, data = str(INVENTED / "study.toml"), str(INVENTED / f"study.{ending}")
    checked = command("check", book, "--data", data, "--json", str(tmp_path / "v.json"))
    assert checked.returncode == 0, checked.stderr
    assert json.loads((tmp_path / "v.json").read_text())["ready"] is True
    fitted = command("fit", book, "--data", data, "--indicator", "any_risk", "--by", "country,gender")
    assert fitted.returncode == 0, fitted.stderr
    assert "SYNTHETIC" in fitted.stdout
    assert "all checks passed" in fitted.stdout
    assert "national origin" in command("audit", book, "--data", data).stdout


def test_the_broken_study_gives_its_list_and_ends_with_2(tmp_path: Path) -> None:
    ended = command("check", str(INVENTED / "broken.toml"), "--html", str(tmp_path / "v.html"))
    assert ended.returncode == 2
    expected = {"E110", "E112", "E120", "E121", "E122", "E150", "E160", "E163", "E166", "E172", "E173", "W114", "W131"}
    assert {code for code in expected if code in ended.stdout} == expected
    assert "SYNTHETIC" in (tmp_path / "v.html").read_text()
    refused = command("fit", str(INVENTED / "broken.toml"), "--indicator", "images")
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr


def test_draft_of_a_csv_file_finds_the_design_and_the_numbers(tmp_path: Path) -> None:
    out = tmp_path / "draft.toml"
    ended = command("codebook", "draft", str(INVENTED / "study.csv"), "--out", str(out))
    assert ended.returncode == 0, ended.stderr
    text = out.read_text()
    assert 'weight = "wgt_scaled"' in text
    assert 'country = "cntry"' in text
    assert "left out" not in text.split("[variables.q1]")[1].split("\n\n")[0]
