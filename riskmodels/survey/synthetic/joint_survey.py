"""A whole labelled survey of children with several risks and known truth: PSUs, weights, answers missing by kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.errors import Problem, raise_if_stopping
from riskmodels.survey.codebook.records import Answers, Codebook, DesignColumns, Indicator, Variable
from riskmodels.survey.synthetic.joint_truths import JointTruth

FloatArray = npt.NDArray[np.float64]

NO, YES, PREFER_NOT_TO_SAY, DONT_KNOW = 1.0, 2.0, 888.0, 999.0


@dataclass(frozen=True)
class JointSurveyDesign:
    """How the children of a truth are sampled and asked.

    Parameters
    ----------
    children, psus
        Children in all, and PSUs per country, in two strata.
    psu_sd
        SD of what children of one PSU share in the liability of every risk.
    informative
        How much likelier PSUs with high liabilities are to be drawn, per unit of their effect; weights undo it.
    weight_spread
        SD of the log of weights that have nothing to do with answers.
    prefer_not_to_say, dont_know, empty
        Shares of answers of each kind, whatever the true answer is.
    not_fielded
        Risk -> countries that did not ask about it.
    """

    children: int = 13_000
    psus: int = 20
    psu_sd: float = 0.2
    informative: float = 1.0
    weight_spread: float = 0.25
    prefer_not_to_say: float = 0.02
    dont_know: float = 0.02
    empty: float = 0.01
    not_fielded: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class JointSurvey:
    """A made-up survey, what its codes mean, and what is true.

    Parameters
    ----------
    frame
        One row per child: `cntry`, `strat`, `ea`, `wgt`, a column per factor of subgroups and per risk.
    codebook
        Risks have the base ``"valid answers"``, to which the truth refers.
    truth
        What is true of the population that the weights stand for.
    """

    frame: pd.DataFrame
    codebook: Codebook
    truth: JointTruth


def _codebook(truth: JointTruth) -> Codebook:
    missing = {"prefer_not_to_say": (888,), "dont_know": (999,)}
    codes = {str(number + 1): code for number, code in enumerate(truth.countries)}
    variables = {
        name: Variable(
            name, name.replace("_", " ").capitalize(), Answers(name, {one: (k + 1,) for k, one in enumerate(levels)})
        )
        for name, levels in truth.subgroups
    }
    indicators = {
        name: Indicator(
            name,
            name.replace("_", " ").capitalize(),
            Answers(name, {"no": (1,), "yes": (2,)}, missing),  # type: ignore[arg-type]
            base="valid answers",
        )
        for name in truth.names
    }
    design = DesignColumns(country="cntry", countries=codes, weight="wgt", stratum="strat", psu="ea")
    return Codebook(
        study_id="joint-synthetic",
        title=f"SYNTHETIC: risks that come together, {truth.kind}",
        population="made-up children",
        file="joint.parquet",
        synthetic=True,
        design=design,
        variables=variables,
        indicators=indicators,
    )


def _risks_of(
    truth: JointTruth, cell: npt.NDArray[np.int64], shared: FloatArray, psu_sd: float, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Who has which risk, shape (children, risks); `shared` is what a child's PSU adds."""
    country = truth.index[cell, 0]
    own = np.empty((len(cell), truth.risks))
    for number, correlation in enumerate(truth.correlation):
        at = country == number
        values, vectors = np.linalg.eigh(correlation - psu_sd**2)
        raise_if_stopping(
            [
                Problem(
                    "E195",
                    "children of one PSU cannot share more than the risks of one child do",
                    "psu_sd",
                    1,
                    "use a smaller psu_sd",
                )
            ]
            if values[0] < -1e-9
            else [],
            "JointSurveyDesign",
        )
        own[at] = rng.normal(size=(int(at.sum()), truth.risks)) @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
    return truth.liability[cell] + shared[:, None] + own > 0


def _answers(affected: npt.NDArray[np.bool_], design: JointSurveyDesign, rng: np.random.Generator) -> FloatArray:
    draw = rng.uniform(size=affected.shape)
    ends = np.cumsum([design.prefer_not_to_say, design.dont_know, design.empty])
    codes = np.array([PREFER_NOT_TO_SAY, DONT_KNOW, np.nan])
    place = np.searchsorted(ends, draw, side="right")
    said = np.where(affected, YES, NO)
    return np.where(place < len(codes), codes[np.minimum(place, len(codes) - 1)], said)


def simulate_joint_survey(truth: JointTruth, seed: int = 1, *, design: JointSurveyDesign | None = None) -> JointSurvey:
    """Simulate a clustered, weighted survey of a truth, with answers missing by kind.

    Parameters
    ----------
    truth
        What is true.
    seed
        Same seed, same children.
    design
        How they are sampled and asked.

    Returns
    -------
    JointSurvey
        Unweighted shares are too high on purpose; weighted shares of valid answers come out at the truth.

    Raises
    ------
    InputError
        E195 where children of a PSU would share more than correlations allow.

    Examples
    --------
    >>> from riskmodels.survey.synthetic.joint_truths import two_factor_truth
    >>> survey = simulate_joint_survey(two_factor_truth(risks=3, countries=2), design=JointSurveyDesign(children=800))
    >>> len(survey.frame), list(survey.codebook.indicators)
    (800, ['risk_1', 'risk_2', 'risk_3'])
    """
    design = design or JointSurveyDesign()
    rng = np.random.default_rng([seed, 20_262])
    countries, per_country = len(truth.countries), design.children // len(truth.countries)
    country = np.repeat(np.arange(countries), per_country)
    cells = len(truth.share) // countries
    within = [rng.choice(cells, per_country, p=part / part.sum()) for part in truth.share.reshape(countries, cells)]
    cell = np.concatenate(within) + cells * country
    psu = np.sort(rng.integers(0, design.psus, (countries, per_country)), axis=1).ravel()
    effect = rng.normal(design.informative * design.psu_sd**2, design.psu_sd, (countries, design.psus))[country, psu]
    weight = np.exp(-design.informative * effect + design.weight_spread * rng.normal(size=len(cell)))
    answers = _answers(_risks_of(truth, cell, effect, design.psu_sd, rng), design, rng)
    columns = {name: truth.index[cell, place + 1] + 1.0 for place, (name, _) in enumerate(truth.subgroups)}
    for place, name in enumerate(truth.names):
        absent = np.isin(country, [truth.countries.index(code) for code in design.not_fielded.get(name, ())])
        columns[name] = np.where(absent, np.nan, answers[:, place])
    frame = pd.DataFrame(
        {
            "cntry": country + 1.0,
            "strat": psu % 2 + 1.0 + 10 * (country + 1.0),
            "ea": psu + 1.0,
            "wgt": weight * (per_country / np.bincount(country, weight))[country],
            **columns,
        }
    )
    return JointSurvey(frame, _codebook(truth), truth)
