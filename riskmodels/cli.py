"""The same verbs from a shell; problems are listed and end with exit code 2, never with a traceback."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from riskmodels.vocabulary import Base

app = typer.Typer(
    help="Bayesian hierarchical estimates of children's online risks.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        import riskmodels

        typer.echo(f"riskmodels {riskmodels.__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and end.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Bayesian hierarchical estimates of children's online risks."""


@app.command()
def reproduce(
    pack: Annotated[str, typer.Argument(help="A shipped pack of published figures.")] = "disrupting-harm",
    table: Annotated[Path | None, typer.Option(help="Your own published table (CSV) instead of a pack.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for tables, figures and fits.")] = Path("out"),
    seed: Annotated[int, typer.Option(help="Same seed and machine: same tables.")] = 2026,
    engine: Annotated[
        str, typer.Option(help="auto (fast where its diagnostics pass, else NUTS), laplace or nuts.")
    ] = "auto",
    indicators: Annotated[
        str, typer.Option(help="Names or patterns of indicators, separated by commas (with --table).")
    ] = "",
    base: Annotated[str, typer.Option(help='"all asked" or "valid answers" (with --table).')] = "all asked",
    design_effect: Annotated[
        float | None, typer.Option(help="Design effect where the table prints no interval (with --table).")
    ] = None,
    population: Annotated[
        Path | None, typer.Option(help="CSV with country_iso3, total, internet_share_pct (with --table).")
    ] = None,
) -> None:
    """Recompute a pack's published numbers and add partially pooled estimates; or fit your own table."""
    from riskmodels.errors import InputError, Problem
    from riskmodels.vocabulary import BASES

    if base not in BASES:
        raise InputError([Problem("E195", "no such base", "--base", 1, f"choose {' or '.join(BASES)}")], "command line")
    from riskmodels.reproduction import run
    from riskmodels.survey.population import read_population

    if table is None:
        run.reproduce(pack, out, seed=seed, engine=engine)  # type: ignore[arg-type]
        return
    chosen = [name.strip() for name in indicators.split(",") if name.strip()] or None
    frame = read_population(population) if population is not None else None
    run.reproduce_table(
        table,
        out,
        seed=seed,
        engine=engine,  # type: ignore[arg-type]
        indicators=chosen,
        base=base,  # type: ignore[arg-type]
        design_effect=design_effect,
        population=frame,
    )


@app.command()
def doctor() -> None:
    """Show versions, cores, threads and whether temporary files are private."""
    from threadpoolctl import threadpool_info

    from riskmodels.provenance import installed_versions

    for name, version in installed_versions().items():
        typer.echo(f"{name:12} {version}")
    typer.echo(f"{'cores':12} {os.cpu_count()}")
    import numpy as np

    np.ones(1)
    for pool in threadpool_info():
        typer.echo(f"{'threads':12} {pool['num_threads']} ({pool['internal_api']})")
    with tempfile.TemporaryDirectory() as folder:
        mode = Path(folder).stat().st_mode & 0o777
        typer.echo(f"{'temp':12} {'private' if mode & 0o077 == 0 else 'READABLE BY OTHERS'}")


codebook_commands = typer.Typer(
    help="Draft a codebook from a data file, or write its schema for an editor.", no_args_is_help=True
)
app.add_typer(codebook_commands, name="codebook")

StudyFile = Annotated[Path, typer.Argument(help="The codebook, e.g. study.toml.")]
DataFile = Annotated[Path | None, typer.Option(help="Another data file than the codebook names.")]
By = Annotated[str, typer.Option(help="Country and variables of the codebook, separated by commas.")]
Indicators = Annotated[str, typer.Option("--indicator", help="Indicators of the codebook, separated by commas.")]
BaseOption = Annotated[str, typer.Option(help='"all asked" or "valid answers"; the indicator\'s own if omitted.')]


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _write(path: Path, text: str) -> None:
    from riskmodels.fit.store import write_atomically

    def fill(beside: Path) -> None:
        beside.write_text(text, encoding="utf-8")

    write_atomically(path, fill)


def _base(text: str) -> Base | None:
    from riskmodels.errors import InputError, Problem
    from riskmodels.vocabulary import BASES

    if not text:
        return None
    for base in BASES:
        if text == base:
            return base
    raise InputError([Problem("E195", "no such base", "--base", 1, f"choose {' or '.join(BASES)}")], "command line")


def _console(synthetic: bool) -> Console:
    from rich.console import Console

    console = Console()
    if synthetic:
        console.print("SYNTHETIC DATA: these children are made up", style="bold yellow")
    return console


@app.command()
def check(
    study: StudyFile,
    data: DataFile = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the verdict as JSON.")] = None,
    html_file: Annotated[Path | None, typer.Option("--html", help="Write the verdict as a page.")] = None,
) -> None:
    """Check a codebook and its data file; lists everything at once and ends with 2 if anything must be mended."""
    from riskmodels.report.verdict import Checked, render_html, render_json, render_text
    from riskmodels.survey.survey import read_survey

    survey = read_survey(study, data=data)
    book, counted = survey.codebook, survey.profile
    checked = Checked(book.title, survey.source.path.name, counted.rows, counted.eligible, book.synthetic)
    typer.echo(render_text(survey.problems, checked))
    for path, render in ((json_file, render_json), (html_file, render_html)):
        if path is not None:
            _write(path, render(survey.problems, checked))
    if not survey.usable:
        raise typer.Exit(2)


@app.command()
def audit(study: StudyFile, data: DataFile = None) -> None:
    """Show which groups of children a study can speak of (General Comment No. 25), and which it cannot."""
    from riskmodels.report.tables import audit_tables
    from riskmodels.study import load_study

    found = load_study(study, data=data).audit()
    console = _console(found.synthetic)
    for table in audit_tables(found.dimensions, found.bases):
        console.print(table)


@app.command()
def direct(
    study: StudyFile, indicator: Indicators, by: By = "country", data: DataFile = None, base: BaseOption = ""
) -> None:
    """Design-based estimates, without any model."""
    from riskmodels.report.tables import groups_table
    from riskmodels.study import load_study

    loaded = load_study(study, data=data)
    table = loaded.direct(_names(indicator), _names(by), base=_base(base))
    console = _console(loaded.survey.codebook.synthetic)
    console.print(groups_table(table, "Direct estimates", direct_only=True))
    for note in dict.fromkeys(str(text) for text in table["note"] if text):
        console.print(f"note  {note}", highlight=False)


@app.command()
def fit(
    study: StudyFile,
    indicator: Indicators = "",
    by: By = "country",
    data: DataFile = None,
    base: BaseOption = "",
    engine: Annotated[str, typer.Option(help="auto, laplace or nuts.")] = "auto",
    seed: Annotated[int, typer.Option(help="Same seed and machine: same numbers.")] = 2026,
    population: Annotated[
        Path | None, typer.Option(help="CSV of children per country, or per group (then with a column per factor).")
    ] = None,
    store: Annotated[Path | None, typer.Option(help="Folder for the stored fit (confidential).")] = None,
    model: Annotated[
        str,
        typer.Option(help="A family of regressions (exposure, harm, disclosure, consequences), or cooccurrence."),
    ] = "",
    formula: Annotated[str, typer.Option(help='One regression, e.g. "any_risk ~ gender * age + (1 | country)".')] = "",
    outcome: Annotated[
        str, typer.Option(help="Outcomes of --model (disclosure: the indicators followed), separated by commas.")
    ] = "",
    predictors: Annotated[str, typer.Option(help='Predictors of --model, e.g. "gender * age".')] = "",
    varying: Annotated[str, typer.Option(help="What varies by country, with --model.")] = "1 | country",
    weights: Annotated[str, typer.Option(help="effective, pseudo or none, with --model or --formula.")] = "effective",
    out: Annotated[Path | None, typer.Option(help="Folder for tables and figures, with --model or --formula.")] = None,
    risks: Annotated[
        str, typer.Option(help="Risks of --model cooccurrence, or one question with several answers (comments.told).")
    ] = "",
    impossible: Annotated[
        str,
        typer.Option(help="Pairs of --risks that no child can have: a+b (a+*: with any other), separated by commas."),
    ] = "",
    structure: Annotated[
        str, typer.Option(help="pairwise, factor or classes, with --model cooccurrence.")
    ] = "pairwise",
) -> None:
    """Fit a prevalence model (--indicator), a family (--model), one regression (--formula) or risks together."""
    from riskmodels.cli_cooccurrence import refuse_options_of_risks
    from riskmodels.cli_regression import RegressionCall, check_call, run_regression
    from riskmodels.estimates.prevalence import burden_estimates
    from riskmodels.fit.progress import show_progress
    from riskmodels.fit.sampler import SamplerSpec
    from riskmodels.fit.store import save_fit
    from riskmodels.report.tables import children_table, groups_table
    from riskmodels.study import load_study
    from riskmodels.survey.population import read_population_table

    sampler = SamplerSpec(engine=engine, seed=seed)  # type: ignore[arg-type]
    if model == "cooccurrence":
        from riskmodels import cli_cooccurrence as together

        asked = together.CooccurrenceCall(
            risks=tuple(_names(risks)),
            by=tuple(_names(by)),
            base=_base(base),
            impossible=tuple(_names(impossible)),
            structure=structure,
            population=population,
            out=out,
        )
        given = {
            "--indicator": bool(indicator),
            "--formula": bool(formula),
            "--outcome": bool(outcome),
            "--store": store is not None,
            "--predictors": bool(predictors),
            "--varying": varying != "1 | country",
            "--weights": weights != "effective",
        }
        together.check_call(asked, [name for name, one in given.items() if one])
        together.run_cooccurrence(study, data, asked, sampler, _console)
        return
    call = RegressionCall(model, formula, tuple(_names(outcome)), predictors, varying, weights, out, store)
    strange = [
        *(["--population"] if population is not None else []),
        *(["--by"] if by != "country" else []),
        *(["--base"] if base else []),
    ]
    check_call(call, _names(indicator), strange)
    refuse_options_of_risks(risks, impossible, structure)
    if not indicator:
        run_regression(study, data, call, sampler, _console)
        return
    loaded = load_study(study, data=data)
    if population is not None:
        invented = tuple(loaded.survey.codebook.design.countries.values()) if loaded.survey.codebook.synthetic else ()
        loaded = replace(loaded, population=read_population_table(population, countries=invented))
    console = _console(loaded.survey.codebook.synthetic)
    with show_progress(console) as progress:
        result = loaded.prevalence(_names(indicator), _names(by), base=_base(base), sampler=sampler, progress=progress)
    estimates = result.estimates([name for name in _names(by) if name in result.fit.cells.names])
    for note in result.fit.notes:
        console.print(f"note  {note}", highlight=False)
    console.print(groups_table(estimates.table, f"Prevalence; base: {result.fit.cells.base}"))
    if result.population is not None and "country" in result.fit.cells.names:
        console.print(children_table(burden_estimates(result.fit, result.population).table))
    verdict = "all checks passed" if estimates.passed else "CHECKS FAILED: not to be used"
    console.print(f"{result.fit.engine}, {result.fit.seconds:.1f} s, {verdict}", highlight=False)
    for failed in (c for c in (*estimates.fit_checks, *estimates.checks) if not c.passed):
        console.print(str(failed), highlight=False)
    if store is not None:
        console.print(f"stored (confidential): {save_fit(result.fit, store)}", highlight=False)


@codebook_commands.command("draft")
def codebook_draft(
    data: Annotated[Path, typer.Argument(help="Data file (.sav, .zsav, .dta, .csv, .parquet).")],
    out: Annotated[Path | None, typer.Option(help="Where to write it; the screen if omitted.")] = None,
) -> None:
    """Write a first codebook from a file's own labels, for you to finish."""
    from riskmodels.survey.codebook.draft import draft_codebook
    from riskmodels.survey.readers import list_columns, with_numbers_told

    text = draft_codebook(with_numbers_told(list_columns(data)))
    if out is None:
        typer.echo(text)
        return
    _write(out, text)
    typer.echo(f"written to {out}: finish the lines marked TODO, then run riskmodels check {out}")


@codebook_commands.command("schema")
def codebook_schema_file(
    out: Annotated[Path | None, typer.Option(help="Where to write it; the screen if omitted.")] = None,
) -> None:
    """Write the JSON schema of codebooks, with which an editor checks and completes."""
    import json

    from riskmodels.survey.codebook.schema import codebook_schema

    text = json.dumps(codebook_schema(), indent=1, ensure_ascii=False)
    if out is None:
        typer.echo(text)
    else:
        _write(out, text)


def main() -> None:
    """Run the command line; every expected error becomes a message and exit code 2."""
    from riskmodels.errors import RiskModelsError

    try:
        app()
    except RiskModelsError as error:
        typer.echo(str(error), err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("stopped; nothing half-written was left", err=True)
        sys.exit(130)
