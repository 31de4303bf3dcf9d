"""Progress on the terminal while something takes time; a line per stage elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from riskmodels.fit.sampler import Progress as ProgressCallback

STAGES = {
    "exploring": "exploring and weighting",
    "compiling": "compiling the model (up to a minute the first time)",
    "sampling": "drawing from the posterior",
}


@contextmanager
def show_progress(console: Console) -> Iterator[ProgressCallback]:
    """Give a callback that draws a bar on a terminal and prints one line per stage elsewhere."""
    if not console.is_terminal:
        seen: set[str] = set()

        def say(stage: str, done: int, total: int) -> None:
            if stage not in seen:
                seen.add(stage)
                console.print(f"  {STAGES.get(stage, stage)} ...", highlight=False)

        yield say
        return
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    tasks = {}
    with bar:

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(STAGES.get(stage, stage), total=None if stage == "compiling" else total)
            if stage == "compiling" and done >= total:
                bar.update(tasks[stage], total=total, completed=done)
            else:
                bar.update(tasks[stage], completed=done)

        yield show
