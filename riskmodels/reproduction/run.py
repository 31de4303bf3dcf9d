"""One command: a published table in, agreement, checked posteriors, tables and figures out."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from rich.console import Console

from riskmodels.design.cells import Cells
from riskmodels.design.published import read_published
from riskmodels.errors import Problem
from riskmodels.estimates.claims import rank_estimates
from riskmodels.estimates.estimates import Estimates
from riskmodels.estimates.prevalence import burden_estimates, prevalence_estimates
from riskmodels.fit.fit import Fit
from riskmodels.fit.progress import show_progress
from riskmodels.fit.sampler import Engine, SamplerSpec
from riskmodels.fit.store import load_or_fit
from riskmodels.models.specs import PrevalenceSpec
from riskmodels.provenance import hash_file, installed_versions
from riskmodels.release.gate import ClearedEstimates, clear_published
from riskmodels.report import export, tables
from riskmodels.report.figures import plot_agreement, plot_prevalence, save_figure
from riskmodels.reproduction.compare import DIFFERS, agreement_table, verdict_counts
from riskmodels.reproduction.disrupting_harm import ANY_ONLINE, all_targets
from riskmodels.reproduction.pack import load_pack
from riskmodels.sensitivity.priors import prior_sensitivity
from riskmodels.survey.population import PopulationFrame
from riskmodels.vocabulary import COUNTRY, Base


def default_console() -> Console:
    """Terminal as wide as it is; 120 columns where output is redirected."""
    console = Console()
    return console if console.is_terminal else Console(width=120)


@dataclass(frozen=True, eq=False)
class Reproduction:
    """Everything that one run made.

    Parameters
    ----------
    folder
        Where the files are.
    agreement
        One row per published number; None for a user's own table.
    fits
        Name and fit.
    estimates
        The long table of all cleared estimates.
    loaded
        Names of the fits that were loaded instead of sampled.
    """

    folder: Path
    agreement: pd.DataFrame | None
    fits: dict[str, Fit]
    estimates: pd.DataFrame
    loaded: tuple[str, ...] = field(default=())


def _fit_all(
    named: dict[str, Cells], folder: Path, sampler: SamplerSpec, console: Console
) -> tuple[dict[str, Fit], tuple[str, ...]]:
    """Fit every set of cells or load it, and refuse fits that fail the gate."""
    fits, loaded = {}, []
    for name, cells in named.items():
        console.print(f"[bold]{name}[/bold]: {len(cells)} cells, base: {cells.base}", highlight=False)
        with show_progress(console) as progress:
            fits[name], was_loaded = load_or_fit(folder / "fits", cells, PrevalenceSpec(), sampler, progress=progress)
        if was_loaded:
            loaded.append(name)
        verb = "loaded" if was_loaded else f"fitted in {fits[name].seconds:.1f} s"
        worst = "all checks passed" if fits[name].passed else "CHECKS FAILED"
        console.print(
            f"  {verb} by {fits[name].engine} ({fits[name].engine_reason}); {worst} ({len(fits[name].checks)} checks; fingerprint {fits[name].fingerprint.id})",
            highlight=False,
        )
        fits[name].require_passed()
    return fits, tuple(loaded)


def _summaries(fit: Fit, population: PopulationFrame | None) -> list[Estimates]:
    found = [prevalence_estimates(fit, [COUNTRY], population=population)]
    if len(fit.cells.factor(COUNTRY)) > 1:
        found += [prevalence_estimates(fit, [], population=population), rank_estimates(fit, COUNTRY)]
    if population is not None:
        found.append(burden_estimates(fit, population))
    return found


def _write(
    folder: Path,
    cleared: list[ClearedEstimates],
    agreement: pd.DataFrame | None,
    fits: dict[str, Fit],
    figures: dict[str, ClearedEstimates],
    seed: int,
    extra: dict[str, pd.DataFrame],
    source: str,
) -> pd.DataFrame:
    table = export.combined_table(cleared)
    synthetic = any(item.fingerprint.synthetic for item in cleared)
    about = [
        "riskmodels: hierarchical re-analysis of published aggregates",
        f"Source: {source}",
        *([export.SYNTHETIC_BANNER] if synthetic else []),
        "Intervals: 95 % equal-tailed posterior intervals unless the columns say otherwise; proportions run from 0 to 1.",
        "The direct column is each domain's own answers alone; the estimate column is partially pooled.",
        *sorted({f"{item.quantity}: {item.decision}" for item in cleared}),
    ]
    with export.staged_folder(folder) as staging:
        sheets = {"Estimates": table, **extra}
        if agreement is not None:
            sheets = {"Agreement": agreement, **sheets}
            export.write_csv(agreement, staging / "agreement.csv")
        export.write_csv(table, staging / "estimates.csv")
        export.write_parquet(table, staging / "estimates.parquet")
        for name, frame in extra.items():
            export.write_csv(frame, staging / f"{name.lower().replace(' ', '_')}.csv")
        export.write_workbook(sheets, staging / "estimates.xlsx", about=about, synthetic=synthetic)
        (staging / "figures").mkdir()
        for stem, item in figures.items():
            save_figure(plot_prevalence(item, note=f"Source: {source}"), staging / "figures" / stem)
        if agreement is not None:
            save_figure(plot_agreement(agreement), staging / "figures" / "agreement")
        files = {
            str(path.relative_to(staging)): hash_file(path) for path in sorted(staging.rglob("*")) if path.is_file()
        }
        manifest = {
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "seed": seed,
            "source": source,
            "synthetic": synthetic,
            "machine": platform.machine(),
            "versions": installed_versions(),
            "sha256": files,
            "fits": {
                name: {"fingerprint": fit.fingerprint.id, "seconds": round(fit.seconds, 2), "passed": fit.passed}
                for name, fit in fits.items()
            },
        }
        export.write_json(manifest, staging / "manifest.json")
    return table


def reproduce(
    pack: str = "disrupting-harm",
    out: str | Path = "out",
    *,
    seed: int = 2026,
    engine: Engine = "auto",
    console: Console | None = None,
) -> Reproduction:
    """Recompute every published number of a pack, then add partially pooled estimates.

    Parameters
    ----------
    pack
        Name of a shipped pack.
    out
        Folder for tables, figures and fits; a fit with the same fingerprint is loaded instead of sampled.
    seed
        Same seed and machine, same tables.
    engine
        ``"auto"``, ``"laplace"`` or ``"nuts"``.
    console
        Where to print; standard output if omitted.

    Returns
    -------
    Reproduction
        The agreement table, the fits and the estimates, also written to `out`.
    """
    console, folder, opened = console or default_console(), Path(out), load_pack(pack)
    sampler = SamplerSpec(seed=seed, engine=engine)
    population = opened.population()
    named = {
        "any abuse online": opened.cells(indicators=[ANY_ONLINE]),
        "nine items": opened.cells(),
        "nine items, valid answers": opened.cells(base="valid answers"),
    }
    agreement = agreement_table(all_targets(opened))
    fits, loaded = _fit_all(named, folder, sampler, console)
    cleared = {name: [clear_published(item) for item in _summaries(fit, population)] for name, fit in fits.items()}
    figures = {"forest_any_online": cleared["any abuse online"][0], "forest_nine_items": cleared["nine items"][0]}
    source = "Ghai et al. 2026, Nature, doi:10.1038/s41586-026-10525-4"
    table = _write(
        folder, [item for group in cleared.values() for item in group], agreement, fits, figures, seed, {}, source
    )
    _print_pack(console, agreement, {name: [item.table for item in group] for name, group in cleared.items()}, folder)
    return Reproduction(folder=folder, agreement=agreement, fits=fits, estimates=table, loaded=loaded)


def _print_pack(console: Console, agreement: pd.DataFrame, found: dict[str, list[pd.DataFrame]], folder: Path) -> None:
    prevalence, _, ranks, burden = found["any abuse online"]
    console.print(
        tables.prevalence_table(prevalence, "Technology-facilitated abuse, past year: children online (of all asked)")
    )
    console.print(tables.burden_table(burden, ranks, "How many children, and how sure the order of countries is"))
    console.print(
        tables.targets_table(
            agreement[agreement["family"] == "Nature Table 1"], "Nature Table 1 recomputed from printed inputs"
        )
    )
    console.print(tables.differing_table(agreement[agreement["verdict"] == DIFFERS]))
    console.print(tables.counts_table(verdict_counts(agreement)))
    console.print(
        f"written to {folder}/: agreement.csv, estimates.csv .parquet .xlsx, figures/, fits/, manifest.json",
        highlight=False,
    )


def reproduce_table(
    path: str | Path,
    out: str | Path = "out",
    *,
    seed: int = 2026,
    engine: Engine = "auto",
    indicators: Sequence[str] | None = None,
    base: Base = "all asked",
    design_effect: float | None = None,
    population: PopulationFrame | None = None,
    console: Console | None = None,
) -> Reproduction:
    """Fit a user's own published table.

    Parameters
    ----------
    path
        CSV as `riskmodels.read_published` takes it.
    out, seed, engine, console
        As in `reproduce`.
    indicators, base, design_effect
        As in `riskmodels.read_published`.
    population
        Children and share online per country, for the burden.

    Returns
    -------
    Reproduction
        With fewer than five countries a prior sensitivity table is added by itself.
    """
    console, folder = console or default_console(), Path(out)
    sampler = SamplerSpec(seed=seed, engine=engine)
    cells = read_published(path, indicators=indicators, base=base, design_effect=design_effect)
    if population is not None:
        population.aligned(cells.factor(COUNTRY).levels)
    notes: tuple[Problem, ...] = (*cells.warnings, *PrevalenceSpec().terms_for(cells).notes)
    for note in notes:
        console.print(str(note), highlight=False, markup=False)
    name = Path(path).name
    fits, loaded = _fit_all({name: cells}, folder, sampler, console)
    cleared = [clear_published(item) for item in _summaries(fits[name], population)]
    extra = {"Prior sensitivity": prior_sensitivity(fits[name])} if len(cells.factor(COUNTRY)) < 5 else {}
    table = _write(folder, cleared, None, fits, {"forest": cleared[0]}, seed, extra, name)
    console.print(tables.prevalence_table(cleared[0].table, f"Prevalence, base: {cells.base}"))
    for title, frame in extra.items():
        worst = frame["shift_in_sd"].abs().max()
        console.print(
            f"{title}: under tight and wide priors estimates move by at most {worst:.2f} posterior SD; reliable: {bool(frame['reliable'].all())}",
            highlight=False,
        )
    console.print(
        f"written to {folder}/: estimates.csv .parquet .xlsx, figures/, fits/, manifest.json", highlight=False
    )
    return Reproduction(folder=folder, agreement=None, fits=fits, estimates=table, loaded=loaded)
