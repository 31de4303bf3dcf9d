"""Co-occurrence compared: vulnerable children against others, countries against one another, draw by draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from riskmodels.errors import InputError, Problem
from riskmodels.estimates.cooccurrence_measures import Measured, measure
from riskmodels.estimates.cooccurrence_summaries import estimates_of
from riskmodels.estimates.estimates import Estimates
from riskmodels.estimates.joint_domains import position_of
from riskmodels.estimates.quantities import difference, ratio
from riskmodels.fit.cooccurrence_fit import CooccurrenceFit
from riskmodels.survey.population import PopulationFrame
from riskmodels.vocabulary import COUNTRY, DEFAULT_INTERVAL, DEFAULT_PROBABILITY, IntervalKind

ContrastKind = Literal["difference", "ratio"]
CONTRASTS = {"difference": difference, "ratio": ratio}


def _check_contrast(of: str, contrast: str) -> None:
    problems = []
    if contrast not in CONTRASTS:
        remedy = f"choose among {', '.join(CONTRASTS)}"
        problems.append(Problem("E195", "no such contrast", "contrast", 1, remedy))
    if of == "tetrachoric" and contrast == "ratio":
        problems.append(
            Problem("E195", "a ratio of correlations says nothing", "contrast", 1, 'ask for contrast="difference"')
        )
    if problems:
        raise InputError(problems, "contrast")


def _matched(found: Measured, factor: str, reference: int) -> list[tuple[int, int]]:
    """Pairs of domains that differ only in the factor: another level, and the reference."""
    domains = found.where.domains
    place = domains.by.index(factor)
    rest = np.delete(domains.index, place, axis=1)
    at = {
        (*map(int, own), int(level)): row
        for row, (own, level) in enumerate(zip(rest, domains.index[:, place], strict=True))
    }
    pairs = []
    for (*own, level), row in at.items():
        base = at.get((*own, reference))
        if level != reference and base is not None:
            pairs.append((row, base))
    return pairs


def contrast_cooccurrence(
    fit: CooccurrenceFit,
    factor: str = COUNTRY,
    *,
    reference: str,
    of: str = "ratio",
    contrast: ContrastKind = "difference",
    by: Sequence[str] = (),
    population: PopulationFrame | None = None,
    probability: float = DEFAULT_PROBABILITY,
    interval: IntervalKind = DEFAULT_INTERVAL,
) -> Estimates:
    """Any measure of co-occurrence in every level of a factor against a reference level.

    Parameters
    ----------
    fit
        A checked fit.
    factor
        Whose levels are compared: the country, or a factor such as a group of vulnerable children.
    reference
        Code or label of the level compared with.
    of
        A measure of pairs (``"both"``, ``"given"``, ``"ratio"``, ``"odds ratio"``, ``"tetrachoric"``), of how many risks
        (``"any"``, ``"at least"``, ``"exactly"``, ``"mean"``) or ``"prevalence"``.
    contrast
        ``"difference"`` or ``"ratio"``, computed draw by draw.
    by
        Further factors to keep apart: with ``["country"]`` groups are compared within each country.
    population, probability, interval
        As in `number_estimates`.

    Returns
    -------
    Estimates
        One row per other level and item; an interval that holds 0 (difference) or 1 (ratio) leaves the direction open.
        `n` is that of the other level, that of the reference stands in `note`; `direct` is the contrast of the direct
        figures, without an interval. Without `by`, each level is averaged over its own children: groups that live in
        other countries differ by that too.

    Raises
    ------
    InputError
        E195 for impossible choices, E145 for an unknown level or nothing to compare, E132 and E185 as in
        `joint_domains`.
    """
    _check_contrast(of, contrast)
    found = measure(fit, of, [factor, *by], population=population, probability=probability)
    named = found.where.cells.factor(factor)
    at = position_of(named, reference)
    pairs = _matched(found, factor, at)
    if not pairs:
        remedy = "choose a factor with two levels or more in the same groups"
        raise InputError([Problem("E145", "nothing to compare with the reference", factor, 1, remedy)], "contrast")
    compared = _contrasted(found, pairs, contrast, named.labels[at])
    return estimates_of(fit, compared, probability=probability, interval=interval)


def _contrasted(found: Measured, pairs: Sequence[tuple[int, int]], contrast: ContrastKind, label: str) -> Measured:
    """The measure of the other levels less, or over, that of the reference; one domain per other level."""
    others, bases = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    function, items = CONTRASTS[contrast], found.draws.shape[-1]
    rows = np.arange(len(found.labels)).reshape(-1, items)
    with np.errstate(all="ignore"):
        draws = function(found.draws[:, :, others], found.draws[:, :, bases])
        exists = found.exists[others] & found.exists[bases] & np.isfinite(draws).all(axis=(0, 1))
        of_direct = found.direct["direct"].to_numpy(float)
        direct = function(of_direct[rows[others]], of_direct[rows[bases]]).ravel()
    notes = np.empty(exists.shape, dtype=object)
    for at in np.ndindex(exists.shape):
        notes[at] = _note(found, others[at[0]], bases[at[0]], at[1], label)
    direct = np.where(np.isfinite(direct), direct, np.nan)
    columns = found.direct.iloc[rows[others].ravel()].reset_index(drop=True)
    return replace(
        found,
        labels=found.labels.iloc[rows[others].ravel()].reset_index(drop=True),
        draws=np.where(exists, draws, np.nan),
        exists=exists,
        notes=notes,
        direct=columns[["n"]].assign(direct=direct),
        quantity=f"{contrast} to {label}: {found.quantity}",
        unit=found.unit if contrast == "difference" else "ratio",
        none=0.0 if contrast == "difference" else 1.0,
    )


def _note(found: Measured, other: int, base: int, item: int, label: str) -> str:
    """The reference and its n, and what is said of either side."""
    own, reference = str(found.notes[other, item]), str(found.notes[base, item])
    parts = [f"compared with {label} (n {found.where.n[base]:,.0f})", own]
    parts += [f"{label}: {reference}"] if reference not in ("", own) else []
    return "; ".join(part for part in parts if part)
