"""The published record recomputed, and the command line around it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import riskmodels as rm
from riskmodels.reproduction.compare import AGREES, CANNOT, DIFFERS, Target, agreement_table, judge
from riskmodels.reproduction.disrupting_harm import all_targets
from tests.conftest import write_table


@pytest.fixture(scope="module")
def agreement() -> pd.DataFrame:
    return agreement_table(all_targets(rm.load_pack("disrupting-harm")))


def test_table_1(agreement: pd.DataFrame) -> None:
    table = agreement[agreement["family"] == "Nature Table 1"]
    counts = table[table["quantity"] == "number of children"]
    assert len(counts) == 12
    off = (counts["recomputed"] / counts["published"] - 1).abs()
    assert (off < 0.005).sum() >= 11
    assert off.max() < 0.01
    total = table[table["quantity"] == "number of children, total"].iloc[0]
    assert abs(total["recomputed"] / 10_713_632 - 1) < 0.003
    ends = np.maximum(
        (counts["recomputed_low"] / counts["published_low"] - 1).abs(),
        (counts["recomputed_high"] / counts["published_high"] - 1).abs(),
    )
    assert (ends < 0.03).sum() >= 11


def test_items_under_both_denominators(agreement: pd.DataFrame) -> None:
    items = agreement[agreement["family"] == "Nine items, both denominators"]
    assert items["base"].value_counts().to_dict() == {"all asked": 108, "valid answers": 108}
    assert (items["verdict"] == AGREES).all()


def test_every_target_has_a_verdict_a_reason_and_a_source(agreement: pd.DataFrame) -> None:
    assert set(agreement["verdict"]) <= {AGREES, DIFFERS, CANNOT}
    assert (agreement["reason"] != "").all()
    assert (agreement["source_title"] != "").all()


def test_judge_needs_a_number_and_a_tolerance() -> None:
    base = {
        "family": "f",
        "indicator": "i",
        "country": "c",
        "quantity": "q",
        "base": "b",
        "unit": "u",
        "published": 10.0,
    }
    assert judge(Target(**base))[0] == CANNOT
    assert judge(Target(**base, recomputed=10.0))[0] == DIFFERS
    assert judge(Target(**base, recomputed=10.04, tolerance=0.05))[0] == AGREES
    assert judge(Target(**base, recomputed=10.06, tolerance=0.05))[0] == DIFFERS


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from riskmodels.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )


def test_three_planted_faults_end_with_exit_code_2(tmp_path: Path, good_rows: list[str]) -> None:
    rows = [
        *good_rows,
        "THA,Thailand,threatened,500,10.0,8.0,12.0,777",
        "PHL,Philippines,threatened,500,10.0,12.0,14.0,50",
        "XXX,Nowhere,threatened,500,10.0,,,50",
    ]
    write_table(tmp_path / "t.csv", rows)
    ended = run("reproduce", "--table", "t.csv", cwd=tmp_path)
    assert ended.returncode == 2
    assert all(code in ended.stderr for code in ("E180", "E181", "E172"))
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "out").exists()


def test_unknown_pack_version_and_doctor(tmp_path: Path) -> None:
    assert run("reproduce", "nothing", cwd=tmp_path).returncode == 2
    assert rm.__version__ in run("--version", cwd=tmp_path).stdout
    assert "private" in run("doctor", cwd=tmp_path).stdout
