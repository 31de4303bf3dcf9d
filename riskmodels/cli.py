"""The same verbs from a shell; problems are listed and end with exit code 2, never with a traceback."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

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
