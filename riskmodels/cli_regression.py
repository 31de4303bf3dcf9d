"""`riskmodels fit --model` and `--formula`: regressions from a shell, printed and written to files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from rich.console import Console

    from riskmodels.families.family import RegressionFamily
    from riskmodels.fit.sampler import Progress, SamplerSpec
    from riskmodels.study import Study

Model = Literal["exposure", "harm", "disclosure", "consequences"]
MODELS: tuple[Model, ...] = get_args(Model)


@dataclass(frozen=True)
class RegressionCall:
    """What a person asked for on the command line.

    Parameters
    ----------
    model, formula
        A family, or one formula; the other is empty.
    outcomes
        Outcomes of the family; its own choice if empty. For disclosure: the indicators that were followed.
    predictors, varying
        Right side of a family's formula; its defaults if empty.
    weights
        As in `RegressionSpec`.
    out, store
        Folder of tables and figures; folder of stored fits.
    """

    model: str = ""
    formula: str = ""
    outcomes: tuple[str, ...] = ()
    predictors: str = ""
    varying: str = "1 | country"
    weights: str = "effective"
    out: Path | None = None
    store: Path | None = None


def check_call(call: RegressionCall, indicators: Sequence[str], others: Sequence[str]) -> None:
    """Refuse calls that ask for several things, or for none; everything wrong at once.

    Parameters
    ----------
    call
        The regression asked for.
    indicators
        Indicators of a prevalence model.
    others
        Options that were given and do not belong to regressions.

    Raises
    ------
    InputError
        E195.
    """
    from riskmodels.errors import Problem, raise_if_stopping

    problems = []
    asked = [
        name
        for name, given in (("--indicator", indicators), ("--model", call.model), ("--formula", call.formula))
        if given
    ]
    if len(asked) != 1:
        what = "one of --indicator, --model and --formula is needed"
        problems.append(Problem("E195", what, ", ".join(asked) or "none given", len(asked), "give exactly one"))
    if call.model and call.model not in MODELS:
        problems.append(Problem("E195", "no such model", "--model", 1, f"choose among {', '.join(MODELS)}"))
    if not indicators and others:
        what = "options of a prevalence model"
        problems.append(Problem("E195", what, ", ".join(others), len(others), "leave them out of a regression"))
    if indicators and (call.predictors or call.outcomes or call.out):
        what, remedy = "options of a regression", "use --model or --formula with --predictors, --outcome and --out"
        problems.append(Problem("E195", what, "--indicator", 1, remedy))
    if call.formula and (call.predictors or call.outcomes):
        remedy = "write them into the formula"
        problems.append(Problem("E195", "a formula names its outcome and predictors", "--formula", 1, remedy))
    raise_if_stopping(problems, "command line")


def fit_call(study: Study, call: RegressionCall, sampler: SamplerSpec, progress: Progress) -> RegressionFamily:
    """Fit what was asked for: a family, or the one outcome of a formula (an ordered one as a whole)."""
    from riskmodels.families.family import FamilySettings, fit_family
    from riskmodels.families.outcomes import Outcomes, named_outcomes, with_indicators
    from riskmodels.families.words import OptionWords
    from riskmodels.models.regression_spec import regression_formula

    settings = FamilySettings(weights=call.weights)  # type: ignore[arg-type]
    right = call.predictors or None
    outcomes = list(call.outcomes) or None
    if call.model == "exposure":
        return study.exposure(outcomes, right, call.varying, settings=settings, sampler=sampler, progress=progress)
    if call.model == "harm":
        return study.harm(outcomes, right, call.varying, settings=settings, sampler=sampler, progress=progress)
    if call.model == "disclosure":
        return study.disclosure(outcomes, right, call.varying, settings=settings, sampler=sampler, progress=progress)
    if call.model == "consequences":
        return study.consequences(outcomes, right, call.varying, settings=settings, sampler=sampler, progress=progress)
    study.survey.require_usable()
    book = study.survey.codebook
    spec = regression_formula(call.formula)
    found, made = named_outcomes(book, [spec.outcome], OptionWords(), "risk")
    shared, _, own = spec.formula.split(" ~ ", 1)[1].partition(" + (")
    if found[0].family == "ordinal":  # one regression was asked for, not its steps
        found = found[:1]
    whole = Outcomes(with_indicators(book, made), tuple(found))
    return fit_family(
        "regression", whole, study.survey.source, shared, own.removesuffix(")"), settings, sampler, progress
    )


def show_family(console: Console, family: RegressionFamily) -> None:
    """Print the tables, what was left out, and the verdict."""
    from riskmodels.report.tables_regression import left_out_tables, regression_table

    console.print(f"{family.name} ~ {family.formula}", highlight=False)
    constants = [f"{name} counted from {centre:g}, per {scale:g}" for name, (centre, scale) in family.numbers.items()]
    for note in (*constants, *family.notes):
        console.print(f"note  {note}", highlight=False, markup=False)
    for warning in dict.fromkeys(str(note) for fit in family.fits.values() for note in fit.notes):
        console.print(f"note  {warning}", highlight=False, markup=False)
    console.print(regression_table(family.shares(), "Shares affected"))
    if family.predictors:
        console.print(regression_table(family.table, "Odds ratios (1: no difference)"))
        title = "Average marginal effects: difference of the share, percentage points"
        console.print(regression_table(family.marginal_effects(), title))
    for table in left_out_tables(family.left_out):
        console.print(table)
    verdict = "all checks passed" if family.passed else "CHECKS FAILED: not to be used"
    seconds = sum(fit.seconds for fit in family.fits.values())
    engines = ", ".join(dict.fromkeys(fit.engine for fit in family.fits.values()))
    console.print(f"outcomes fitted: {len(family.outcomes)}; {engines}, {seconds:.1f} s, {verdict}", highlight=False)
    for outcome in family.outcomes:
        for failed in (check for check in family.fits[outcome.name].checks if not check.passed):
            console.print(f"{outcome.label}: {failed}", highlight=False, markup=False)


def write_family(family: RegressionFamily, out: Path) -> list[str]:
    """Write tables (CSV), what they are (JSON) and the forest (PNG, SVG) into a folder, all or nothing.

    Returns
    -------
    list of str
        Names of the files. Bases under 25 are blanked in all of them.
    """
    from riskmodels.report.export import staged_folder, write_csv, write_json
    from riskmodels.report.figures import save_figure
    from riskmodels.report.tables_regression import INTERNAL, file_table

    tables = {f"{family.name}_shares": family.shares()}
    if family.predictors:
        tables[f"{family.name}_odds_ratios"] = family.table
        tables[f"{family.name}_marginal_effects"] = family.marginal_effects()
    about = {
        "model": family.name,
        "formula": family.formula,
        "numbers": {name: list(pair) for name, pair in family.numbers.items()},
        "synthetic": family.synthetic,
        "release": INTERNAL,
        "passed": family.passed,
        "notes": list(family.notes),
        "outcomes": [
            {
                "outcome": one.label,
                "concept": one.concept,
                "perpetrator": one.perpetrator,
                "asked": one.asked,
                "made_of": list(one.made_of),
                "fit": family.fits[one.name].fingerprint.id,
                "engine": family.fits[one.name].engine,
                "weights": family.fits[one.name].spec.weights,
                "passed": family.fits[one.name].passed,
            }
            for one in family.outcomes
        ],
        "left_out": family.left_out.to_dict("records"),
        "versions": dict(next(iter(family.fits.values())).fingerprint.versions),
    }
    with staged_folder(out) as folder:
        for name, table in tables.items():
            write_csv(file_table(table, synthetic=family.synthetic), folder / f"{name}.csv")
        write_json(about, folder / f"{family.name}.json")
        if family.predictors:
            save_figure(family.plot(), folder / family.name)
        return sorted(path.name for path in folder.iterdir())


def run_regression(
    study_file: Path,
    data: Path | None,
    call: RegressionCall,
    sampler: SamplerSpec,
    console_of: Callable[[bool], Console],
) -> None:
    """Fit, print, write and store what was asked for."""
    from riskmodels.fit.progress import show_progress
    from riskmodels.fit.store import save_fit
    from riskmodels.study import load_study

    study = load_study(study_file, data=data)
    console = console_of(study.survey.codebook.synthetic)
    with show_progress(console) as progress:
        family = fit_call(study, call, sampler, progress)
    show_family(console, family)
    if call.out is not None:
        written = write_family(family, call.out)
        console.print(f"written to {call.out}: {', '.join(written)} (not cleared for release)", highlight=False)
    if call.store is not None:
        for fit in family.fits.values():
            console.print(f"stored (confidential): {save_fit(fit, call.store)}", highlight=False)
