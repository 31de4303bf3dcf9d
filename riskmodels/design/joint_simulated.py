"""Made-up children with a known truth as JointCounts, without a file: for studies of hundreds of replicates."""

from __future__ import annotations

import numpy as np

from riskmodels.design.joint_counts import JointCounts
from riskmodels.survey.factors import Factor
from riskmodels.survey.synthetic.joint_truths import JointSample
from riskmodels.vocabulary import COUNTRY, INDICATOR


def counts_of_sample(sample: JointSample) -> JointCounts:
    """Take made-up children, each drawn by itself, as joint counts.

    Parameters
    ----------
    sample
        What `simulate_joint` drew.

    Returns
    -------
    JointCounts
        Cells in the order of the truth (cells that nobody was drawn from are left out); effective numbers are n.

    Examples
    --------
    >>> from riskmodels.survey.synthetic.joint_truths import independent_truth, simulate_joint
    >>> counts_of_sample(simulate_joint(independent_truth(risks=3, countries=2), children=1000))
    JointCounts(SYNTHETIC, 12 cells, 3 risks, 1,000 children)
    """
    truth = sample.truth
    present, cell = np.unique(sample.cell, return_inverse=True)
    n = np.bincount(cell.reshape(-1), sample.n)
    return JointCounts(
        factors=(Factor(COUNTRY, truth.countries), *(Factor(name, levels) for name, levels in truth.subgroups)),
        risks=Factor(INDICATOR, truth.names),
        index=truth.index[present],
        n=n,
        weight=n,
        n_effective=n,
        cell=cell.reshape(-1),
        answers=sample.answers,
        count=sample.n,
        base="all asked",
        synthetic=True,
        source=f"made up: {truth.kind}",
    )
