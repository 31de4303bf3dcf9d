"""No child's value ever leaves: every identifier, free text, weight and stray code of a file is a unique canary.

Every command and every public step is run on it, whole and broken in many ways; everything written or printed is
searched, stored fits and archives opened.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyreadstat
import pytest

import riskmodels as rm
from riskmodels.design.direct import direct_proportion
from riskmodels.errors import RiskModelsError
from riskmodels.fit.store import save_fit

CANARY = re.compile(r"CANARY|0\.9137\d{6}|91377700\d\d|9137666\d{4}")

TOML = """
[study]
id = "canary"
title = "A study"
population = "children"
file = "study.{ending}"
synthetic = true
[design]
country = "cntry"
countries = {{ 1 = "KEN", 2 = "NAM" }}
weight = "wgt"
stratum = "strat"
psu = "ea"
child_id = "id"
[variables.gender]
column = "g"
levels = {{ boy = [1], girl = [2] }}
[variables.age]
column = "age"
low = 12
high = 17
[indicators.item]
column = "a"
yes = [2]
no = [1]
missing = {{ prefer_not_to_say = [888] }}
[indicators.other]
column = "b"
yes = [2]
no = [1]
"""


def canary_frame(children: int = 240) -> pd.DataFrame:
    """Every value that could name a child is a canary."""
    rng = np.random.default_rng(1)
    number = np.arange(children)
    return pd.DataFrame(
        {
            "id": [f"CANARYID{k:04d}" for k in number],
            "name": [f"CANARYTEXT{k:04d}" for k in number],
            "cntry": 1.0 + number % 2,
            "strat": [f"CANARYSTRAT{k % 2}{(k // 2) % 2}" for k in number],
            "ea": [f"CANARYEA{k % 40:02d}" for k in number],
            "wgt": 0.91370001 + number * 1e-8,
            "g": rng.choice([1.0, 2.0], children),
            "age": np.where(number % 17 == 3, np.nan, rng.integers(12, 18, children).astype(float)),
            "a": rng.choice([1.0, 2.0, 888.0], children, p=[0.7, 0.25, 0.05]),
            "b": rng.choice([1.0, 2.0], children, p=[0.8, 0.2]),
            "secret": 91376660000.0 + number,
        }
    )


def write(frame: pd.DataFrame, home: Path, ending: str) -> Path:
    """Write the study and its codebook; the input lies in a folder of its own."""
    home.mkdir(parents=True, exist_ok=True)
    path = home / f"study.{ending}"
    labels = {"secret": {91376660000.0: "CANARYLABEL"}}
    if ending == "sav":
        pyreadstat.write_sav(frame, str(path), variable_value_labels=labels)
    elif ending == "dta":
        pyreadstat.write_dta(frame, str(path), variable_value_labels={"secret": {2000000001: "CANARYLABEL"}})
    elif ending == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    (home / "study.toml").write_text(TOML.format(ending=ending))
    return home / "study.toml"


def broken_frames() -> dict[str, pd.DataFrame]:
    """Faults that make canaries tempting to quote."""
    frame = canary_frame()
    found = {"whole": frame, "no rows": frame.head(0), "one row": frame.head(1)}
    changes: dict[str, tuple[str, object, int]] = {
        "undeclared codes": ("a", [9137770000.0 + k for k in range(12)], 12),
        "negative weights": ("wgt", [-0.91370001 - k * 1e-8 for k in range(5)], 5),
        "unknown country": ("cntry", [9137770001.0] * 3, 3),
        "age out of range": ("age", [9137770011.0] * 4, 4),
        "text in numbers": ("b", ["CANARYTEXT"] * 4, 4),
        "text in weights": ("wgt", ["CANARYTEXT"] * 4, 4),
        "stray PSU": ("ea", ["CANARYEA99"], 1),
        "PSU in two strata": ("strat", ["CANARYSTRAT99"] * 3, 3),
        "identifiers twice": ("id", ["CANARYID0001"] * 3, 3),
        "missing weights": ("wgt", [np.nan] * 3, 3),
    }
    for name, (column, values, rows) in changes.items():
        bad = frame.copy()
        if isinstance(values[0], str) and bad[column].dtype != object:  # type: ignore[index]
            bad[column] = bad[column].astype(object)
        bad.loc[: rows - 1, column] = values  # type: ignore[call-overload]
        found[name] = bad
    found["absent column"] = frame.drop(columns="b")
    return found


def everything(study: rm.Study, out: Path) -> None:
    """Run all public steps of a study, and keep what can be kept."""
    print(repr(study), repr(study.survey), [str(problem) for problem in study.check()])
    for run in (
        lambda: print(study.audit()._repr_html_(), study.audit()),
        lambda: print(study.direct(["item", "other"], by=["country", "gender"]).to_string()),
        lambda: print(study.patterns(["item", "other"], by=["gender"])),
        lambda: print(study.cells(["item"], by=["gender"])._repr_html_()),
        lambda: fit_and_store(study, out),
        *(regressions(study, out) if study.survey.source.path.suffix == ".csv" else ()),
    ):
        with contextlib.suppress(RiskModelsError):
            run()


def fit_and_store(study: rm.Study, out: Path) -> None:
    result = study.prevalence(
        ["item", "other"], by=["country", "gender"], sampler=rm.SamplerSpec(engine="laplace", weighted_draws=500)
    )
    save_fit(result.fit, out)
    print(result._repr_html_(), result.table.to_string(), result.fit.notes)
    result.plot().savefig(out / "figure.svg")


def regressions(study: rm.Study, out: Path) -> list[Callable[[], None]]:
    """Every way to fit, adjust, impute, compare, draw and keep a regression."""
    formula, few = "item ~ gender + age + (1 | country)", rm.SamplerSpec(engine="laplace", weighted_draws=500)
    spec = rm.regression_formula(formula, weights="pseudo")

    def one() -> None:
        fit = study.regression(spec, design_adjust=True, sampler=few)
        save_fit(fit, out)
        effects = rm.marginal_effects(fit, "gender", by=["country"])
        print(fit, fit._repr_html_(), fit.notes, fit.rows, effects._repr_html_(), rm.coefficient_estimates(fit).table)
        rm.plot_coefficients(fit).savefig(out / "forest.svg")
        rm.plot_curves(fit, "age", "gender").savefig(out / "curves.svg")
        print(rm.regression_clusters(study.survey.codebook, study.survey.source, "item", fit.rows))

    def filled() -> None:
        pooled = study.imputed_regression(formula, imputations=2, sampler=few)
        print(pooled, pooled._repr_html_(), pooled.notes, pooled.missing, rm.imputed_coefficients(pooled).table)
        print(study.rows_lost(formula))

    def compared() -> None:
        print(study.compare({"a": formula, "b": "item ~ gender + (1 | country)"}, sampler=few)._repr_html_())

    def family() -> None:
        found = study.exposure(["item", "other"], "gender", sampler=few)
        print(found, found._repr_html_(), found.shares(by=["country"]), found.left_out, found.notes)
        found.plot().savefig(out / "family.svg")

    return [one, filled, compared, family]


def numbers_in(path: Path) -> list[str]:
    """Names and attributes of a stored fit, and any canary among its numbers."""
    frame = canary_frame()
    canaries = np.concatenate([frame["wgt"], frame["secret"], -frame["wgt"]])
    texts: list[str] = []

    def look(name: str, item: object) -> None:
        texts.append(f"{name} {dict(item.attrs)}")  # type: ignore[attr-defined]
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiu":
            values = np.unique(np.asarray(item[()], dtype=float))
            near = np.abs(values[:, None] - canaries[None, :120]).min(axis=0, initial=1.0)
            texts.extend(["CANARY number"] * int((near < 1e-11).sum() > 2))
        elif isinstance(item, h5py.Dataset):
            texts.append(str(item[()]))

    with h5py.File(path) as stored:
        stored.visititems(look)
    return texts


def searched(folder: Path, skip: Path) -> list[str]:
    """Files below a folder in which a canary stands."""
    hits = []
    for path in folder.rglob("*"):
        if not path.is_file() or skip in path.parents:
            continue
        if path.suffix == ".nc":
            texts = numbers_in(path)
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                texts = [archive.read(name).decode("latin-1") for name in archive.namelist()]
        else:
            texts = [path.read_bytes().decode("latin-1")]
        hits += [str(path)] * any(CANARY.search(text) for text in texts)
    return hits


@pytest.mark.parametrize("ending", ["sav", "dta", "csv", "parquet"])
def test_nothing_of_a_child_leaves(ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, temporary = tmp_path / "out", tmp_path / "tmp"
    out.mkdir()
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    said = io.StringIO()
    reached = 0
    frames = broken_frames()
    for number, (name, frame) in enumerate(frames.items()):
        try:
            book = write(frame, tmp_path / "in" / str(number), ending)
        except (ValueError, TypeError, pyreadstat.PyreadstatError, OSError, Exception) as error:  # noqa: BLE001 - the writer refuses mixed columns
            assert name in ("text in numbers", "text in weights", "no rows"), error
            continue
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                study = rm.load_study(book)
                everything(study, out)
                reached += 1
            except RiskModelsError as error:
                print(error, repr(error), error.__cause__, error.__context__)
    assert reached >= len(frames) - 5
    text = said.getvalue()
    assert "E160" in text
    assert "E110" in text
    assert CANARY.search(text) is None, CANARY.search(text)
    if ending == "csv":
        assert {"forest.svg", "curves.svg", "family.svg"} <= {path.name for path in out.iterdir()}
        assert "PooledRegressionFit" in text
        assert "leaving one child out" in text
    assert searched(out, tmp_path / "in") == []
    assert searched(temporary, tmp_path / "in") == []
    assert list(temporary.iterdir()) == []


def test_the_command_line_keeps_silent_too(tmp_path: Path) -> None:
    frames = broken_frames()
    environment = {**os.environ, "TMPDIR": str(tmp_path), "COLUMNS": "200"}
    for name in ("whole", "undeclared codes", "text in weights"):
        book = write(frames[name], tmp_path / "in" / name.replace(" ", "_"), "csv")
        for command in (
            ["check", str(book), "--json", str(tmp_path / "verdict.json"), "--html", str(tmp_path / "verdict.html")],
            ["audit", str(book)],
            ["fit", str(book), "--indicator", "item", "--by", "country,gender", "--store", str(tmp_path / "fits")],
            ["direct", str(book), "--indicator", "item,nosuch"],
            [
                "fit",
                str(book),
                "--formula",
                "item ~ gender + age + (1 | country)",
                "--out",
                str(tmp_path / "regression"),
            ],
            ["codebook", "draft", str(book.with_suffix(".csv"))],
        ):
            code = f"import sys; sys.argv = {['riskmodels', *command]!r}; from riskmodels.cli import main; main()"
            ended = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment
            )
            assert ended.returncode in (0, 2), ended.stderr
            assert "Traceback" not in ended.stderr
            assert CANARY.search(ended.stdout + ended.stderr) is None, command
    assert searched(tmp_path, tmp_path / "in") == []


@pytest.mark.parametrize("line", ["CANARYTEXT,CANARYTEXT\n", "x" + ",CANARYTEXT" * 30 + "\n", '"CANARYTEXT,1,2\n'])
def test_a_broken_line_is_not_quoted(line: str, tmp_path: Path) -> None:
    """What a database says of a line it stumbles over quotes the line; nobody gets to see it."""
    book = write(canary_frame(), tmp_path, "csv")
    with book.with_suffix(".csv").open("a") as file:
        file.write(line)
    with pytest.raises(RiskModelsError) as error:
        study = rm.load_study(book)
        study.survey.require_usable()
        study.direct("item")
    assert CANARY.search(f"{error.value} {error.value!r} {error.value.__cause__}") is None
    assert error.value.__suppress_context__ or error.value.__context__ is None


def test_direct_estimates_of_rows_quote_nothing() -> None:
    frame = canary_frame()
    yes = (frame["a"] == 2).astype(float)
    for y, weight in ((yes, frame["name"]), (frame["secret"], frame["wgt"]), (frame["name"], frame["wgt"])):
        with pytest.raises(RiskModelsError) as error:
            direct_proportion(y, weight)
        assert CANARY.search(str(error.value)) is None
    with pytest.raises(RiskModelsError) as error:
        direct_proportion(yes, frame["wgt"], stratum=frame["name"], psu=frame["ea"])
    # strata may be named (they are places of the design), PSUs and children never
    assert "CANARYEA" not in str(error.value)


def test_a_record_shows_no_row() -> None:
    frame = canary_frame()
    from riskmodels.survey.readers import source_from_frame

    source = source_from_frame(frame)
    assert CANARY.search(repr(replace(source))) is None
