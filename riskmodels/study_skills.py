"""The question of `Study` about digital skills: more exposure, better coping, less distress, and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from riskmodels.fit.sampler import Progress, SamplerSpec, no_progress
from riskmodels.survey.survey import Survey

if TYPE_CHECKING:
    from riskmodels.fit.skill_fit import SkillFit
    from riskmodels.models.skill_spec import Measurement


@dataclass(frozen=True, eq=False)
class SkillVerbs:
    """What `Study` can ask about digital skills.

    Parameters
    ----------
    survey
        The checked survey.
    """

    survey: Survey

    def skills(
        self,
        skill_items: Sequence[str],
        exposure: str,
        coping: Sequence[str],
        distress: str,
        covariates: Sequence[str] = (),
        *,
        dif: Sequence[str] = (),
        measurement: Measurement = "latent",
        sampler: SamplerSpec | None = None,
        progress: Progress = no_progress,
    ) -> SkillFit:
        """How skill moves exposure, coping and distress, skill measured with error by its items.

        Parameters
        ----------
        skill_items
            Ordered questions, more being more skilful; at least three.
        exposure, coping, distress
            The risk; what exposed children did about it; how upset they were (ordered, asked of the exposed).
        covariates
            Variables that are held fixed; numbers count from the middle of their declared range.
        dif
            Items that may be harder in one country than in another.
        measurement
            ``"latent"``; ``"score"`` or ``"eap"`` to see what two steps would have said.
        sampler, progress
            As in `prevalence`.

        Returns
        -------
        SkillFit
            For `skill_curves`, `skill_slopes`, `skill_moderation`, `coping_paths`, `skill_what_if` (docs/skills.md). Read
            `.passed` and `.notes` first.
        """
        from riskmodels.design.skill_survey import skill_rows
        from riskmodels.families.predictors import number_constants
        from riskmodels.fit.skill_fit import fit_skills
        from riskmodels.models.skill_spec import SkillPathwaySpec

        self.survey.require_usable()
        codebook = self.survey.codebook
        spec = SkillPathwaySpec(
            tuple(skill_items),
            exposure,
            tuple(coping),
            distress,
            tuple(covariates),
            numbers=number_constants(codebook, covariates),
            dif=tuple(dif),
            measurement=measurement,
        )
        rows = skill_rows(codebook, self.survey.source, skill_items, exposure, coping, distress, covariates)
        return fit_skills(rows, spec, sampler, progress=progress)
