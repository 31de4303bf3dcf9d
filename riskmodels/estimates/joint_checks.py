"""Do pairs and triples of risks occur together as often as a joint model says? Posterior predictive checks of margins.

Every pair and every triple, pooled and by country: the observed effective number of children who have all of them, among
those who answered all of them, beside what the model predicts for as many other children. Internal: observed counts may
be small, and are not cleared for release.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.design.joint_counts import UNKNOWN, JointCounts
from riskmodels.errors import InputError, Problem
from riskmodels.fit.cooccurrence_fit import CooccurrenceFit
from riskmodels.fit.weighting import systematic_resample
from riskmodels.models.joint_margins import has_risk
from riskmodels.vocabulary import ALL_LEVELS, COUNTRY

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

KINDS = {2: "pair", 3: "triple"}
#: Numbers held at a time while draws are gone through.
BATCH = 4_000_000


@dataclass(frozen=True, eq=False)
class MarginCheck:
    """Observed and predicted joint margins; internal, not cleared for release.

    Parameters
    ----------
    table
        One row per combination and domain: `kind` (pair, triple), `risks`, `country` (``"all"``: pooled), `children`
        (effective, who answered all of them), `observed` (effective, who have all of them), `expected`, `low`, `high`
        (predictive interval), `ratio` (observed over expected), `tail` (share of predictions at least as far out on the
        observed side, doubled; at least ``2 / (1 + draws)``), `outside`.
    probability
        Of the intervals.
    structure
        Of the model.
    passed
        Whether the fit passed its checks.
    synthetic
        Whether the children are made up.
    """

    table: pd.DataFrame
    probability: float
    structure: str
    passed: bool
    synthetic: bool

    @property
    def summary(self) -> pd.DataFrame:
        """How many lie outside, and how many would by chance.

        One row per kind, pooled and by country: `checked`, `outside`, `by_chance` (at most, on average, if the model
        were true: margins are not independent, and a model that was fitted to a margin is closer to it than chance),
        `more_than_by_chance`.
        """
        table = self.table.assign(domain=np.where(self.table["country"] == ALL_LEVELS, "pooled", "by country"))
        rows = []
        for (kind, domain), part in table.groupby(["kind", "domain"], sort=True):
            chance = (1 - self.probability) * len(part)
            outside = int(part["outside"].sum())
            rows.append(
                {
                    "kind": kind,
                    "domain": domain,
                    "checked": len(part),
                    "outside": outside,
                    "by_chance": chance,
                    "more_than_by_chance": bool(outside > chance + 2 * np.sqrt(chance * self.probability)),
                }
            )
        return pd.DataFrame(rows)

    def beyond(self, kind: str = "triple", country: str = ALL_LEVELS) -> pd.DataFrame:
        """Combinations that occur more often than the model says, the most surprising first.

        Parameters
        ----------
        kind
            ``"pair"`` or ``"triple"``.
        country
            A country, or ``"all"`` for children of all countries pooled.

        Returns
        -------
        pandas.DataFrame
            Rows of `table` whose ratio is above 1, ranked by `tail`, with `at_least_as_far_by_chance`: how many of all
            combinations checked in this domain would lie at least so far out on this side by chance. Below 0.05 a row
            stands out even though so many were looked at; around 1 or more it does not. Of a pairwise model, triples
            that stand out are what pairs do not explain.
        """
        part = self.table[(self.table["kind"] == kind) & (self.table["country"] == country)]
        found = part[part["ratio"] > 1].sort_values(["tail", "ratio"], ascending=[True, False], ignore_index=True)
        return found.assign(at_least_as_far_by_chance=found["tail"] / 2 * len(part))

    def __repr__(self) -> str:
        """Say what it is in a line."""
        brand = "SYNTHETIC, " if self.synthetic else ""
        words = "; ".join(
            f"{row.kind}s {row.domain}: {row.outside} of {row.checked} outside, {row.by_chance:.1f} by chance"
            for row in self.summary.itertuples()
        )
        verdict = "" if self.passed else "; THE FIT FAILED ITS CHECKS"
        return f"MarginCheck({brand}{self.structure}; {self.probability:.0%} intervals; {words}{verdict})"

    def _repr_html_(self) -> str:
        banner = "<p><strong>SYNTHETIC DATA</strong></p>" if self.synthetic else ""
        failed = "" if self.passed else "<p><strong>THE FIT FAILED ITS CHECKS</strong></p>"
        body = self.summary.to_html(index=False, float_format=lambda value: f"{value:.3g}")
        return f"{banner}{failed}<p>joint margins outside {self.probability:.0%} predictive intervals</p>{body}"


def check_margins(
    fit: CooccurrenceFit, *, probability: float = 0.9, draws: int = 2000, seed: int | None = None
) -> MarginCheck:
    """Compare every pair and triple of risks with what a joint model predicts for as many other children.

    Parameters
    ----------
    fit
        A fit of any structure.
    probability
        Of the predictive intervals.
    draws
        Predictions made, from as many draws of the posterior.
    seed
        Of the predictions; that of the fit where None.

    Returns
    -------
    MarginCheck
        Read `summary` first: how many margins lie outside, and how many would by chance; then `beyond()`.

    Notes
    -----
    A prediction draws the model's probability and the sampling noise of the *effective* number of children in every cell:
    a binomial of its whole part and, for the rest, a fraction of one more child. So the noise is that of a sample as
    informative as the survey, design effect included. Observed are effective children who answered every risk of the
    combination; the model's probability is that of all children of the cell, the same if answers are missing at random
    within the cell. A margin that the model was fitted to lies inside more often than `probability` says.

    Raises
    ------
    InputError
        E195 for a probability or number of draws that is impossible.

    References
    ----------
    Gelman, Meng & Stern 1996, Statistica Sinica 6, 733-807 (posterior predictive checks).
    """
    wrong = {"probability": not 0 < probability < 1, "draws": draws < 100}
    problems = [
        Problem("E195", "not a possible value", name, 1, "probability in (0, 1), 100 draws or more")
        for name, bad in wrong.items()
        if bad
    ]
    if problems:
        raise InputError(problems, "check_margins")
    counts = fit.counts
    rng = np.random.default_rng([fit.sampler.seed if seed is None else seed, 21])
    sets = [one for size in KINDS for one in combinations(range(len(counts.risks)), size)]
    asked, observed = _observed(counts, sets)
    taken = np.sort(systematic_resample(fit.draw_weights.ravel(), draws, rng))
    predicted = np.zeros((len(counts.factors[0]), len(sets), draws))
    expected = np.zeros(predicted.shape[:2])
    members = np.stack([has_risk(len(counts.risks))[:, list(one)].prod(axis=1) for one in sets], axis=1)
    step = max(1, BATCH // (len(counts) * 2 ** len(counts.risks)))
    for start in range(0, draws, step):
        which = np.arange(start, min(start + step, draws))
        p = np.clip(np.einsum("ckd,ks->csd", fit.probabilities(taken[which]), members), 0.0, 1.0)
        expected += _by_country(counts, asked[..., None] * p).sum(axis=2) / draws
        predicted[..., which] = _by_country(counts, _children(asked[..., None], p, rng))
    table = _table(counts, sets, asked, observed, predicted, expected, probability)
    return MarginCheck(table, probability, fit.spec.structure, fit.passed, counts.synthetic)


def _observed(counts: JointCounts, sets: list[tuple[int, ...]]) -> tuple[FloatArray, FloatArray]:
    """Effective children who answered all risks of a set, and who have all of them; shape (cells, sets)."""
    asked, observed = np.zeros((len(counts), len(sets))), np.zeros((len(counts), len(sets)))
    for place, one in enumerate(sets):
        own = counts.answers[:, list(one)]
        asked[:, place] = np.bincount(counts.cell, counts.count * (own != UNKNOWN).all(axis=1), len(counts))
        observed[:, place] = np.bincount(counts.cell, counts.count * (own == 1).all(axis=1), len(counts))
    return asked, observed


def _by_country(counts: JointCounts, values: FloatArray) -> FloatArray:
    """Sums of cells over each country, shape (countries, ...)."""
    found = np.zeros((len(counts.factors[0]), *values.shape[1:]))
    np.add.at(found, counts.position(COUNTRY), values)
    return found


def _children(number: FloatArray, p: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Predicted effective children with probability `p` among an effective number."""
    whole = np.floor(number + 1e-9)
    rest = np.maximum(number - whole, 0.0)
    made = rng.binomial(np.broadcast_to(whole, p.shape).astype(np.int64), p).astype(float)
    return np.asarray(made + rest * (rng.random(p.shape) < p))


def _table(
    counts: JointCounts,
    sets: list[tuple[int, ...]],
    asked: FloatArray,
    observed: FloatArray,
    predicted: FloatArray,
    expected: FloatArray,
    probability: float,
) -> pd.DataFrame:
    """Rows of every domain, pooled first."""
    names = [" & ".join(counts.risks.labels[j] for j in one) for one in sets]
    kinds = [KINDS[len(one)] for one in sets]
    countries = counts.factors[0]
    children_of, seen_of = _by_country(counts, asked), _by_country(counts, observed)
    domains = [(ALL_LEVELS, children_of.sum(axis=0), seen_of.sum(axis=0), predicted.sum(axis=0), expected.sum(axis=0))]
    if len(countries) > 1:
        found = zip(countries.levels, children_of, seen_of, predicted, expected, strict=True)
        domains += list(found)
    parts = []
    for domain, children, seen, made, mean in domains:
        low, high = np.quantile(made, [(1 - probability) / 2, (1 + probability) / 2], axis=1)
        above = (1 + (made >= seen[:, None] - 1e-9).sum(axis=1)) / (1 + made.shape[1])
        under = (1 + (made <= seen[:, None] + 1e-9).sum(axis=1)) / (1 + made.shape[1])
        part = pd.DataFrame({"kind": kinds, "risks": names, "country": domain, "children": children, "observed": seen})
        part = part.assign(expected=mean, low=low, high=high, ratio=seen / np.maximum(mean, 1e-12))
        tail = np.minimum(1.0, 2 * np.minimum(above, under))
        parts.append(
            part.assign(tail=tail, outside=(seen < low - 1e-9) | (seen > high + 1e-9))[(children > 0) & (mean > 0)]
        )
    return pd.concat(parts, ignore_index=True)
