"""`riskmodels fit --model` and `--formula`: tables, files, stored fits; faults listed, exit code 2, nothing half-written."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

import riskmodels as rm
from riskmodels.cli import main
from riskmodels.cli_regression import RegressionCall, check_call, write_family
from riskmodels.families.family import RegressionFamily
from tests.test_study import command

INVENTED = Path(rm.__file__).parents[1] / "data" / "synthetic" / "invented"
BOOK = (str(INVENTED / "study.toml"), "--data", str(INVENTED / "study.csv"))


def test_a_family_is_printed_written_and_stored(tmp_path: Path) -> None:
    words = (
        "--model",
        "harm",
        "--predictors",
        "gender + age",
        "--out",
        str(tmp_path / "o"),
        "--store",
        str(tmp_path / "s"),
    )
    ended = command("fit", *BOOK, *words)
    assert ended.returncode == 0, ended.stderr
    for word in (
        "SYNTHETIC",
        "[risk]",
        "[harm]",
        "Odds ratios",
        "percentage points",
        "all checks passed",
        "E147",
        "14.5",
    ):
        assert word in ended.stdout, word
    files = sorted(path.name for path in (tmp_path / "o").iterdir())
    names = (
        "harm.json",
        "harm.png",
        "harm.svg",
        "harm_marginal_effects.csv",
        "harm_odds_ratios.csv",
        "harm_shares.csv",
    )
    assert files == sorted(names)
    about = json.loads((tmp_path / "o" / "harm.json").read_text())
    assert about["synthetic"] is True
    assert [one["concept"] for one in about["outcomes"]] == ["risk", "harm", "harm", "harm"]
    assert about["left_out"][0]["code"] == "E147"
    table = pd.read_csv(tmp_path / "o" / "harm_odds_ratios.csv")
    study = rm.load_study(BOOK[0], data=BOOK[2])
    again = study.harm(predictors="gender + age").table
    assert table["median"].to_list() == pytest.approx(again["median"].to_list())
    assert set(table["release"]) == {"not cleared for release"}
    stored = [path.name for path in (tmp_path / "s").iterdir()]
    assert sorted(stored) == sorted(one["fit"] for one in about["outcomes"])


def test_a_formula_is_the_regression_of_that_formula() -> None:
    ended = command("fit", *BOOK, "--formula", "any_risk ~ gender + (1 | country)")
    assert ended.returncode == 0, ended.stderr
    fit = rm.load_study(BOOK[0], data=BOOK[2]).regression("any_risk ~ gender + (1 | country)")
    ratio = rm.coefficient_estimates(fit, odds_ratios=True).table["median"].iloc[0]
    assert f"{ratio:.2f}" in ended.stdout
    assert "Gender: Girls against Boys" in ended.stdout
    bare = command("fit", *BOOK, "--formula", "any_risk ~ 1 + (1 | country)")
    assert bare.returncode == 0, bare.stderr
    assert "Shares affected" in bare.stdout
    assert "Odds ratios" not in bare.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "exactly one"),
        (("--model", "harm", "--indicator", "comments"), "exactly one"),
        (("--model", "nosuch"), "exposure, harm, disclosure, consequences"),
        (("--model", "exposure", "--by", "country,gender", "--base", "all asked"), "--by, --base"),
        (("--indicator", "comments", "--predictors", "gender"), "options of a regression"),
        (("--formula", "any_risk ~ nosuch"), "E132"),
        (("--formula", "any_risk ~ log(age)"), "E195"),
        (("--formula", "nosuch ~ gender"), "E132"),
        (("--model", "consequences"), "well-being"),
        (("--model", "disclosure", "--outcome", "images"), "E132"),
        (("--model", "exposure", "--weights", "some"), "E195"),
    ],
)
def test_faults_end_with_2(
    words: tuple[str, ...],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = () if "--indicator" in words else ("--out", str(tmp_path / "o"))
    monkeypatch.setattr(sys, "argv", ["riskmodels", "fit", *BOOK, *words, *out])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert says in told
    assert "Traceback" not in told
    assert list(tmp_path.iterdir()) == []


def test_everything_wrong_with_a_call_is_told_at_once() -> None:
    with pytest.raises(rm.InputError) as caught:
        check_call(RegressionCall(model="x", formula="y ~ a", predictors="a"), [], ["--population"])
    assert len(caught.value.problems) == 4
    check_call(RegressionCall(), ["comments"], ["--by"])
    check_call(RegressionCall(model="harm"), [], [])


def test_an_error_while_writing_leaves_the_folder_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    family: RegressionFamily = rm.load_study(BOOK[0], data=BOOK[2]).exposure(["any_risk"], "gender")
    out = tmp_path / "o"
    out.mkdir()
    (out / "exposure.json").write_text("before")

    def fails(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("riskmodels.report.figures.save_figure", fails)
    with pytest.raises(OSError, match="disk full"):
        write_family(family, out)
    assert [path.name for path in tmp_path.iterdir()] == ["o"]
    assert (out / "exposure.json").read_text() == "before"
    assert len(list(out.iterdir())) == 1
