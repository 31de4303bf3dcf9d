"""Survey: a codebook and the data it describes, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from riskmodels.errors import Problem, raise_if_stopping
from riskmodels.survey.checks import check_survey, profile_source
from riskmodels.survey.checks.profile.records import Profile
from riskmodels.survey.checks.replicates import check_replicate_weights
from riskmodels.survey.codebook.read import read_codebook
from riskmodels.survey.codebook.records import Codebook
from riskmodels.survey.readers import read_source, reading, source_from_frame
from riskmodels.survey.source import SourceTable


@dataclass(frozen=True, eq=False)
class Survey:
    """A study's codebook and data.

    Parameters
    ----------
    codebook
        What the codes mean.
    source
        Raw values of the declared columns; never shown, never stored.
    profile
        Counts per column and country, from which the checks were made.
    problems
        Everything found wrong or worth knowing, errors first.
    """

    codebook: Codebook
    source: SourceTable
    profile: Profile
    problems: tuple[Problem, ...] = field(default=())

    @property
    def usable(self) -> bool:
        """Whether nothing found forbids going on."""
        return not any(problem.stops for problem in self.problems)

    def require_usable(self) -> None:
        """Raise `InputError` with all problems if any of them stops."""
        raise_if_stopping(self.problems, self.codebook.file)

    def __repr__(self) -> str:
        """Say what it is, never what is in it."""
        verdict = "usable" if self.usable else "not usable as it is"
        return (
            f"Survey({self.codebook.study_id}: {self.source.path.name}, {len(self.source.columns)} columns, {verdict})"
        )


def read_survey(path: str | Path, *, data: str | Path | None = None) -> Survey:
    """Read a codebook and the declared columns of its data file, and check both.

    Parameters
    ----------
    path
        The codebook (TOML).
    data
        Another data file than the codebook names, e.g. the same study in another format.

    Returns
    -------
    Survey
        Problems are kept in it, not raised; `survey.require_usable()` raises them. A codebook that cannot be read or
        a file that cannot be opened is raised at once.
    """
    codebook = read_codebook(path)
    file = Path(data) if data is not None else Path(codebook.folder) / codebook.file
    return _checked(codebook, read_source(file, codebook.columns()))


def survey_from_frame(frame: pd.DataFrame, codebook: Codebook) -> Survey:
    """Make a survey of a frame in memory; the frame is not changed."""
    return _checked(codebook, source_from_frame(frame[_present(frame, codebook.columns())]))


def _present(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    absent = [name for name in columns if name not in frame]
    problems = [
        Problem("E132", "a declared column is absent", name, 1, "rename the column, or correct the codebook")
        for name in absent
    ]
    raise_if_stopping(problems, "frame")
    return list(columns)


def _checked(codebook: Codebook, source: SourceTable) -> Survey:
    with reading(source):
        profile = profile_source(source, codebook)
    problems = [
        *source.notes,
        *check_survey(profile, codebook, source),
        *check_replicate_weights(source, codebook),
    ]
    order = {"E": 0, "W": 1, "I": 2}
    unique = dict.fromkeys(sorted(problems, key=lambda problem: order.get(problem.code[:1], 3)))
    return Survey(codebook, source, profile, tuple(unique))
