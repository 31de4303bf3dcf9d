"""`riskmodels fit --model cooccurrence` and the study's call, the engine replaced by a stand-in: what is passed on, what is
refused before anything is fitted, what the files hide."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import riskmodels as rm
from riskmodels.cli import main
from riskmodels.cli_cooccurrence import CooccurrenceCall, question_of
from riskmodels.errors import InputError, Problem
from riskmodels.models.cooccurrence_spec import CooccurrenceSpec
from riskmodels.report.tables_cooccurrence import mean_file, number_table, pair_file, pairs_table, share_file
from riskmodels.study_cooccurrence import (
    CooccurrenceVerbs,
    JointQuestion,
    cooccurrence_of,
    count_question,
    default_spec,
)

INVENTED = Path(rm.__file__).parents[1] / "data" / "synthetic" / "invented"
STUDY = INVENTED / "study.toml"
FOUR = ["comments", "images", "requests", "threats"]


@pytest.fixture(scope="module")
def study() -> rm.Study:
    return rm.load_study(STUDY, data=INVENTED / "study.parquet")


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[SimpleNamespace]]:
    """Every call that reaches the engine."""
    calls: list[SimpleNamespace] = []

    def fit_cooccurrence(counts: object, spec: object, sampler: object, *, progress: object) -> SimpleNamespace:
        calls.append(SimpleNamespace(counts=counts, spec=spec, sampler=sampler, progress=progress))
        return calls[-1]

    def joint_domains(counts: object, by: object, population: object) -> None:
        if population == "of other countries":
            raise InputError([Problem("E185", "other countries", "country", 1, "map them")], "population")

    stand_ins = {
        "riskmodels.fit.cooccurrence": {"fit_cooccurrence": fit_cooccurrence},
        "riskmodels.estimates.joint_domains": {"joint_domains": joint_domains},
        "riskmodels.cooccurrence_result": {
            "CooccurrenceResult": lambda fit, people: SimpleNamespace(fit=fit, p=people)
        },
    }
    for name, members in stand_ins.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    return calls


def test_what_a_study_asks_reaches_the_engine(study: rm.Study, fitted: list[SimpleNamespace]) -> None:
    sampler = rm.SamplerSpec(seed=5)
    question = JointQuestion(FOUR, ["country", "age_group", "gender"], "valid answers")
    found = cooccurrence_of(study.survey, question, sampler=sampler)
    (call,) = fitted
    assert found.fit is call
    assert call.sampler == sampler
    assert call.counts.base == "valid answers"
    assert [factor.name for factor in call.counts.factors] == ["country", "age_group", "gender"]
    assert call.spec == CooccurrenceSpec(ordered=("age_group",))
    assert call.counts.content_hash == count_question(study.survey, question).content_hash


def test_the_verb_of_a_study_is_the_same_call(study: rm.Study, fitted: list[SimpleNamespace]) -> None:
    verbs = CooccurrenceVerbs(study.survey, "of these countries")  # type: ignore[arg-type]
    pairs = [("comments", "images")]
    with pytest.raises(InputError, match="E158"):
        verbs.cooccurrence(FOUR, impossible=pairs)
    found = verbs.cooccurrence(FOUR, ["country", "gender"], base="all asked")
    question = JointQuestion(FOUR, ["country", "gender"], "all asked")
    assert fitted[0].counts.content_hash == count_question(study.survey, question).content_hash
    assert found.p == "of these countries"


def test_a_question_with_several_answers_stands_for_its_options(study: rm.Study) -> None:
    counts = count_question(study.survey, JointQuestion("comments.channel"))
    assert counts.risks.levels == study.survey.codebook.response_sets["comments.channel"]


def test_everything_cheap_is_refused_before_a_fit(study: rm.Study, fitted: list[SimpleNamespace]) -> None:
    two = JointQuestion(FOUR[:2])
    with pytest.raises(InputError, match="E155"):
        cooccurrence_of(study.survey, JointQuestion(FOUR[:1]))
    with pytest.raises(InputError, match="associations_by names factors") as error:
        cooccurrence_of(study.survey, two, spec=CooccurrenceSpec(associations_by=("country", "sex"), ordered=("age",)))
    assert len(error.value.problems) == 2
    with pytest.raises(InputError, match="E185"):
        cooccurrence_of(study.survey, two, population="of other countries")  # type: ignore[arg-type]
    assert fitted == []


def test_a_call_becomes_a_question() -> None:
    call = CooccurrenceCall(("a", "b", "c"), ("country", "gender"), "all asked", ("a+b", "c + *"))
    question = question_of(call, {"q": ("q.x", "q.y")})
    assert question.impossible == [("a", "b"), ("c", "a"), ("c", "b")]
    assert (question.risks, question.by, question.base) == (("a", "b", "c"), ("country", "gender"), "all asked")
    of_options = question_of(CooccurrenceCall(("q",), impossible=("q.x+*",)), {"q": ("q.x", "q.y")})
    assert (of_options.risks, of_options.impossible) == ("q", [("q.x", "q.y")])


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    monkeypatch.setattr(sys, "argv", ["riskmodels", "fit", str(STUDY), *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_the_command_line_refuses_all_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    together = ("--model", "cooccurrence")
    said = run(monkeypatch, capsys, *together, "--indicator", "a", "--impossible", "x", "--structure", "tree")
    for word in ("--risks", "--indicator", "--impossible", "--structure"):
        assert word in said
    assert said.count("E195") == 4
    assert "--risks" in run(monkeypatch, capsys, "--indicator", "comments", "--risks", "a,b")
    assert "E132" in run(monkeypatch, capsys, *together, "--risks", "comments,nosuch")
    assert "E154" in run(monkeypatch, capsys, *together, "--risks", "comments,any_risk")


def table(**columns: object) -> pd.DataFrame:
    """Rows as the estimates room makes them."""
    rows = pd.DataFrame(columns)
    figures = {"median": 0.2, "sd": 0.01, "low": 0.1, "high": 0.3, "probability": 0.95}
    front = {"quantity": "share", "unit": "proportion", "base": "all asked"}
    return rows.assign(**{name: value for name, value in (front | figures).items() if name not in rows})[
        [*(name for name in rows if name in ("country", "risk", "other_risk", "how_many")), *front, *figures]
        + [name for name in rows if name in ("n", "n_effective", "direct", "direct_low", "note")]
    ]


def test_files_hide_what_rests_on_few_children() -> None:
    both = table(
        country=["A", "A", "B", "B"],
        risk=["x", "x", "x", "x"],
        other_risk=["y", "z", "y", "z"],
        n=[1000.0, 1000.0, 300.0, 20.0],
        n_effective=[600.0, 600.0, 200.0, 20.0],
        direct=[0.05, 0.01, 0.1, 0.5],
        direct_low=[0.04, 0.0, 0.05, 0.2],
        note=["", "nobody here was seen with both", "declared impossible: no child", ""],
    )
    many = both.assign(direct=0.5, note="")  # of the children with one risk, half have the other
    written = pair_file(both, both, many, synthetic=True)
    assert written["direct"].notna().tolist() == [True, False, True, False]
    assert written["median"].notna().tolist() == [True, True, True, False]
    assert not written["note"].str.contains("nobody").any()
    assert written["note"].tolist()[2:] == ["declared impossible: no child", "base under 25: not shown"]
    assert written["synthetic"].str.contains("SYNTHETIC").all()
    given = both.assign(risk=both["other_risk"], other_risk=both["risk"], direct=0.5, note="")
    assert pair_file(given, both, given, synthetic=False)["direct"].notna().tolist() == [True, False, True, False]
    # 18 children with x, one of them without y: neither the share nor what subtraction gives
    nearly = both.assign(n_effective=[18.0, 600.0, 200.0, 20.0], direct=[17 / 18, 0.5, 0.5, 0.5], note="")
    assert pair_file(both, both, nearly, synthetic=False)["direct"].notna().tolist() == [False, False, True, False]
    assert pair_file(nearly, both, nearly, synthetic=False)["median"].isna().tolist() == [True, False, False, True]
    # what must be read stays
    said = both.assign(note="all countries as one; nobody here was seen with both, though it is possible: model")
    kept = pair_file(said, both, many, synthetic=False)["note"]
    assert kept.iloc[1].startswith("all countries as one; direct figure not shown")
    # 17 children with two or more and 16 with three or more are one child with two
    steps = table(how_many=[1, 2, 3, 4], n=500.0, n_effective=500.0, direct=[0.2, 0.034, 0.032, 0.03], note="")
    assert share_file(steps, synthetic=False)["direct"].notna().tolist() == [True, True, False, False]
    # nearly all children, too, are few without
    assert share_file(both.assign(direct=0.999), synthetic=False)["direct"].isna().all()
    means = mean_file(both.assign(direct=[0.005, 0.01, 1.4, 1.0], n=[3000, 500, 300, 20]), synthetic=False)
    assert means["direct"].notna().tolist() == [False, False, True, False]
    assert not share_file(both.assign(direct=np.nan), synthetic=False)["note"].str.contains("nobody").any()


def test_the_terminal_guards_small_bases_and_puts_the_surest_pair_first() -> None:
    from rich.console import Console

    number = table(country=["A", "A", "B", "B"], how_many=[1, 2, 1, 2], n=[500.0, 500.0, 20.0, 20.0])
    pairs = table(risk=["x", "x", "y"], other_risk=["y", "z", "z"], n=[520.0] * 3)
    ratio = pairs.assign(median=[5.0, 2.0, np.nan], low=[0.1, 1.5, np.nan], high=[20.0, 3.0, np.nan])
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(number_table(number, "How many"))
    console.print(pairs_table(pairs, ratio, "Pairs"))
    text = console.export_text()
    (small,) = [line for line in text.splitlines() if "│ B " in line]
    assert "20" not in small.replace("│", "") and small.count("*") == 3
    order = [line.split("│")[1:3] for line in text.splitlines() if line.startswith(("│ x", "│ y"))]
    assert [(one.strip(), other.strip()) for one, other in order] == [("x", "z"), ("x", "y"), ("y", "z")]


def test_variables_in_order_are_trends(study: rm.Study) -> None:
    assert default_spec(study.survey.codebook, ["country", "gender", "ses", "age"]).ordered == ("ses", "age")
