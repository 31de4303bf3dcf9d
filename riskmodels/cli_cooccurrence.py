"""`riskmodels fit --model cooccurrence`: which risks come together, printed and written to files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from riskmodels.cooccurrence_result import CooccurrenceResult
    from riskmodels.fit.checks import CheckResult
    from riskmodels.fit.sampler import SamplerSpec
    from riskmodels.study_cooccurrence import JointQuestion
    from riskmodels.vocabulary import Base

MODEL = "cooccurrence"
#: Measures of pairs, as they stand in the files.
PAIR_MEASURES = ("both", "given", "ratio", "odds ratio", "tetrachoric")
FIGURES = ("matrix", "upset", "network", "curve")


@dataclass(frozen=True)
class CooccurrenceCall:
    """What a person asked for on the command line.

    Parameters
    ----------
    risks
        Indicators, or one question with several answers (``comments.told``).
    by
        Country and variables.
    base
        Denominator; that of the risks where None.
    impossible
        Pairs that no child can have together, each written ``a+b``; ``a+*``: a with any other.
    structure
        As in `CooccurrenceSpec`.
    population
        CSV of children per country or group.
    out
        Folder of tables and figures.
    """

    risks: tuple[str, ...] = ()
    by: tuple[str, ...] = ("country",)
    base: Base | None = None
    impossible: tuple[str, ...] = ()
    structure: str = "pairwise"
    population: Path | None = None
    out: Path | None = None


def check_call(call: CooccurrenceCall, others: Sequence[str]) -> None:
    """Refuse calls without risks, with options of other models, with pairs that are none; all at once (E195).

    Parameters
    ----------
    call
        What was asked for.
    others
        Options that were given and belong to other models.
    """
    from riskmodels.errors import Problem, raise_if_stopping
    from riskmodels.models.cooccurrence_spec import STRUCTURES

    problems = []
    if not call.risks:
        remedy = "give indicators separated by commas, or one question with several answers"
        problems.append(Problem("E195", "a model of risks together needs them named", "--risks", 1, remedy))
    if others:
        what = "options of other models than of risks together"
        problems.append(Problem("E195", what, ", ".join(others), len(others), "leave them out"))
    wrong = [pair for pair in call.impossible if len(pair.split("+")) != 2]
    if wrong:
        remedy = "write each as a+b (or a+* for all others), separated by commas"
        problems.append(Problem("E195", "pairs that cannot be read", "--impossible", len(wrong), remedy))
    if call.structure not in STRUCTURES:
        problems.append(Problem("E195", "no such structure", "--structure", 1, f"choose among {', '.join(STRUCTURES)}"))
    raise_if_stopping(problems, "command line")


def refuse_options_of_risks(risks: str, impossible: str, structure: str) -> None:
    """Refuse options of this model with another (E195)."""
    from riskmodels.errors import Problem, raise_if_stopping

    given = (("--risks", risks), ("--impossible", impossible), ("--structure", structure != "pairwise"))
    names = [name for name, one in given if one]
    what, remedy = "options of --model cooccurrence", "give --model cooccurrence, or leave them out"
    problems = [Problem("E195", what, ", ".join(names), len(names), remedy)] if names else []
    raise_if_stopping(problems, "command line")


def question_of(call: CooccurrenceCall, questions: Mapping[str, Sequence[str]]) -> JointQuestion:
    """Turn the call into a question.

    Parameters
    ----------
    call
        What was asked for.
    questions
        Questions with several answers and their options: one such name stands for its options. In ``impossible``,
        ``a+*`` is a with every other.
    """
    from riskmodels.design.joint_answers import excluding
    from riskmodels.study_cooccurrence import JointQuestion

    options = len(call.risks) == 1 and call.risks[0] in questions
    names = questions[call.risks[0]] if options else call.risks
    pairs: list[tuple[str, str]] = []
    for written in call.impossible:
        one, other = (part.strip() for part in written.split("+"))
        pairs += excluding(one, names) if other == "*" else [(one, other)]
    return JointQuestion(call.risks[0] if options else call.risks, call.by, call.base, pairs)


def show_result(console: Console, result: CooccurrenceResult, by: Sequence[str]) -> None:
    """Print what was noticed, how many risks, every two of them, and the verdict."""
    from riskmodels.report.tables_cooccurrence import number_table, pairs_table

    counts, fit = result.fit.counts, result.fit
    for note in dict.fromkeys(str(problem) for problem in (*counts.warnings, *fit.notes)):
        console.print(f"note  {note}", highlight=False, markup=False)
    number, both, ratio = result.estimates(by), result.pairs("both", ()), result.pairs("ratio", ())
    console.print(number_table(number.table, f"How many of {len(counts.risks)} risks; base: {counts.base}"))
    console.print(pairs_table(both.table, ratio.table, "Every two risks, all children together (chance: 1)"))
    failed = [check for found in (number, both, ratio) for check in found.checks if not check.passed]
    failed = [*(check for check in fit.checks if not check.passed), *failed]
    verdict = "CHECKS FAILED: not to be used" if failed or not fit.passed else "all checks passed"
    console.print(f"{fit.spec.structure}, {fit.engine}, {fit.seconds:.1f} s, {verdict}", highlight=False)
    for one in dict.fromkeys(map(str, failed)):
        console.print(one, highlight=False, markup=False)


def write_result(result: CooccurrenceResult, by: Sequence[str], out: Path) -> list[str]:
    """Write tables (CSV), what they are (JSON) and figures (PNG, SVG) into a folder, all or nothing.

    Parameters
    ----------
    result
        The fitted model.
    by
        Factors of the tables by group.
    out
        Folder.

    Returns
    -------
    list of str
        Names of the files. Bases under 25 are blanked in all of them, and direct figures of fewer than 10 children; what
        can be computed from several files, or by subtracting groups, is not protected: nothing here is cleared for release.
    """
    import pandas as pd

    from riskmodels.errors import GateError
    from riskmodels.report.export import staged_folder, write_csv, write_json
    from riskmodels.report.figures import save_figure
    from riskmodels.report.tables_cooccurrence import mean_file, pair_file, share_file
    from riskmodels.report.tables_regression import INTERNAL

    synthetic = result.fit.counts.synthetic
    number, mean, single = result.estimates(by), result.mean(by), result.prevalence(by)
    estimates, left_out = [], []
    tables = {
        "how_many_risks": share_file(number.table, synthetic=synthetic),
        "mean_number_of_risks": mean_file(mean.table, synthetic=synthetic),
        "prevalence": share_file(single.table, synthetic=synthetic),
    }
    try:
        exact = result.combinations()
    except GateError as error:
        left_out.append(f"combinations: {error}")
    else:
        tables["combinations"] = share_file(exact.table, synthetic=synthetic)
        estimates.append(exact)
    for name, groups in (("pairs", ()), ("pairs_by_group", tuple(by))):
        found = [result.pairs(measure, groups) for measure in PAIR_MEASURES]  # type: ignore[arg-type]
        both, given = (found[list(PAIR_MEASURES).index(measure)].table for measure in ("both", "given"))
        files = [pair_file(one.table, both, given, synthetic=synthetic) for one in found]
        tables[name] = pd.concat(files, ignore_index=True)
        estimates += found
    checks = [check for one in (number, mean, single, *estimates) for check in one.checks]
    with staged_folder(out) as folder:
        for name, table in tables.items():
            write_csv(table, folder / f"{MODEL}_{name}.csv")
        for kind in FIGURES:
            try:
                save_figure(result.plot(kind, show_failed=True), folder / f"{MODEL}_{kind}")
            except GateError as error:
                left_out.append(f"{kind}: {error}")
        write_json({**about(result, checks), "left_out": left_out, "release": INTERNAL}, folder / f"{MODEL}.json")
        return sorted(path.name for path in folder.iterdir())


def about(result: CooccurrenceResult, checks: Sequence[CheckResult]) -> dict[str, object]:
    """What the files hold: model, base, notes, verdicts on the fit and on every table; no figure of a child."""
    fit, counts = result.fit, result.fit.counts
    failed = [str(check) for check in (*fit.checks, *checks) if not check.passed]
    return {
        "model": MODEL,
        "structure": fit.spec.structure,
        **({"associations_by": list(fit.spec.associations_by)} if fit.spec.structure == "pairwise" else {}),
        "risks": dict(zip(counts.risks.levels, counts.risks.labels, strict=True)),
        "impossible": [[counts.risks.levels[one], counts.risks.levels[other]] for one, other in counts.impossible],
        "base": counts.base,
        "cells": len(counts),
        "synthetic": counts.synthetic,
        "passed": fit.passed and not failed,
        "checks_failed": list(dict.fromkeys(failed)),
        "notes": list(dict.fromkeys(str(note) for note in (*counts.warnings, *fit.notes))),
        "engine": fit.engine,
        "fit": fit.fingerprint.id,
        "versions": dict(fit.fingerprint.versions),
    }


def run_cooccurrence(
    study_file: Path,
    data: Path | None,
    call: CooccurrenceCall,
    sampler: SamplerSpec,
    console_of: Callable[[bool], Console],
) -> None:
    """Fit, print and write what was asked for."""
    from riskmodels.fit.progress import show_progress
    from riskmodels.study import load_study
    from riskmodels.study_cooccurrence import cooccurrence_of, default_spec
    from riskmodels.survey.population import read_population_table

    study = load_study(study_file, data=data)
    study.survey.require_usable()
    book = study.survey.codebook
    population = study.population
    if call.population is not None:
        invented = tuple(book.design.countries.values()) if book.synthetic else ()
        population = read_population_table(call.population, countries=invented)
    question = question_of(call, book.response_sets)
    spec = replace(default_spec(book, question.by), structure=call.structure)  # type: ignore[arg-type]
    console = console_of(book.synthetic)
    with show_progress(console) as progress:
        result = cooccurrence_of(
            study.survey, question, population=population, spec=spec, sampler=sampler, progress=progress
        )
    by = [factor.name for factor in result.fit.counts.factors if factor.name in ("country", *call.by)]
    show_result(console, result, by)
    if call.out is not None:
        written = write_result(result, by, call.out)
        console.print(f"written to {call.out}: {', '.join(written)} (not cleared for release)", highlight=False)
