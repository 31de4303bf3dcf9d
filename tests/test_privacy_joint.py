"""Joint answers keep silent about children: canaries in files of four formats, and no count of one to nine."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pyreadstat
import pytest

import riskmodels as rm
from riskmodels.cli import main
from riskmodels.design.joint_counts import JointCounts
from riskmodels.errors import InputError, Problem, RiskModelsError
from riskmodels.study_cooccurrence import JointQuestion, cooccurrence_of, count_question
from tests.design.test_joint_checks import book, children, count, problems
from tests.test_privacy import CANARY, broken_frames, searched, write

QUESTIONS = (
    JointQuestion(["item", "other"], ["gender"]),
    JointQuestion(["item", "other"], ["gender", "age"], "valid answers"),
    JointQuestion(["item", "other"], (), "all asked", [("item", "other")]),
    JointQuestion(["item", "other", "nosuch"]),
    JointQuestion("nosuch"),
    JointQuestion(["item", "item"]),
)


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be fitted is looked at instead."""

    def fit_cooccurrence(counts: JointCounts, *_: object, **__: object) -> SimpleNamespace:
        raise RiskModelsError(f"{counts!r} {counts.content_hash} {[str(one) for one in counts.warnings]}")

    for name, members in (
        ("riskmodels.fit.cooccurrence", {"fit_cooccurrence": fit_cooccurrence}),
        ("riskmodels.estimates.joint_domains", {"joint_domains": None}),
        ("riskmodels.cooccurrence_result", {"CooccurrenceResult": None}),
    ):
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.parametrize("ending", ["sav", "dta", "csv", "parquet"])
@pytest.mark.usefixtures("no_engine")
def test_nothing_of_a_child_leaves(ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, temporary = tmp_path / "out", tmp_path / "tmp"
    out.mkdir()
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    said, counted = io.StringIO(), 0
    for number, (name, frame) in enumerate(broken_frames().items()):
        try:
            toml = write(frame, tmp_path / "in" / str(number), ending)
        except (ValueError, TypeError, pyreadstat.PyreadstatError, OSError, Exception) as error:  # noqa: BLE001 - the writer refuses mixed columns
            assert name in ("text in numbers", "text in weights", "no rows"), error
            continue
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                survey = rm.load_study(toml).survey
            except RiskModelsError as error:
                print(error, repr(error), error.__cause__, error.__context__)
                continue
            for question in QUESTIONS if survey.usable else QUESTIONS[:1]:
                try:
                    counts = count_question(survey, question)
                    counted += 1
                    print(counts, repr(counts), [str(one) for one in counts.warnings], counts.risks, counts.factors)
                    cooccurrence_of(survey, question)
                except RiskModelsError as error:
                    print(error, repr(error), error.__cause__, error.__context__)
            if name in ("whole", "undeclared codes"):
                words = ("--model", "cooccurrence", "--risks", "item,other", "--by", "gender", "--out", str(out))
                monkeypatch.setattr(sys, "argv", ["riskmodels", "fit", str(toml), *words])
                with contextlib.suppress(SystemExit):
                    main()
    text = said.getvalue()
    assert counted >= 2
    for word in ("JointCounts(SYNTHETIC", "E132", "E154", "E158", "E160"):
        assert word in text, word
    assert CANARY.search(text) is None, CANARY.search(text)
    assert "Traceback" not in text
    assert searched(out, tmp_path / "in") == []
    assert searched(temporary, tmp_path / "in") == []
    assert list(temporary.iterdir()) == []


def told(found: list[Problem]) -> list[Problem]:
    """What this path alone says."""
    return [one for one in found if one.code[1:] in {str(number) for number in range(152, 160)}]


@pytest.mark.parametrize("which", ["both", "unknown", "without", "empty", "pair declared"])
@pytest.mark.parametrize("base", ["all asked", "valid answers"])
def test_one_child_to_nine_cannot_be_told_apart(which: str, base: str) -> None:
    """Whatever is said is said in the same words of one child and of nine."""

    def said(count: int) -> list[str]:
        frame = children()
        first = np.arange(len(frame)) < count
        declared: list[tuple[str, str]] = []
        if which in ("both", "pair declared"):
            frame.loc[frame["q_a"] == 1, "q_b"] = 0.0
            frame.loc[first, ["q_a", "q_b"]] = 1.0
            declared = [("a", "b")] if which == "pair declared" else []
        elif which == "unknown":
            frame.loc[first, "q_a"] = 999.0
        elif which == "empty":
            frame.loc[first, [f"q_{name}" for name in "abcd"]] = np.nan
        else:
            frame["q_b"] = np.maximum(frame["q_a"], frame["q_b"])
            frame.loc[frame.index[frame["q_a"] == 1][:count], "q_b"] = 0.0
        return [str(one) for one in told(problems(frame, book(), base=base, impossible=declared))]

    expected = said(5)
    assert said(1) == said(9) == expected
    assert expected or (which, base) == ("unknown", "all asked")
    for text in expected:
        assert not re.search(r"\b[1-9] (child|children|rows)\b", text)


def test_the_error_of_a_declared_pair_says_how_many_pairs_not_how_many_children() -> None:
    frame = children()
    with pytest.raises(InputError) as error:
        count(frame, book(), impossible=[("a", "b"), ("a", "c")])
    (one,) = error.value.problems
    assert one.count == 2
    assert not re.search(r"\d{2,}", one.what + one.where)
