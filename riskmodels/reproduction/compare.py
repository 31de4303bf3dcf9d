"""Published against recomputed: one row per target, with a verdict and its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

AGREES, DIFFERS, CANNOT = "agrees", "differs", "cannot be compared"
NAN = float("nan")


@dataclass(frozen=True)
class Target:
    """One published number and what recomputation gives for it.

    Parameters
    ----------
    family
        Table or section of the source.
    indicator, country, quantity, base, unit
        What the number is.
    published, published_low, published_high
        As printed; NaN where not printed.
    recomputed, recomputed_low, recomputed_high
        From other published rows; NaN where impossible.
    tolerance, interval_tolerance
        Largest deviation that counts as agreement, in units of the number: of the value, and of each interval end.
    because
        Why the tolerance is what it is, or why nothing can be recomputed.
    source_title, source_page, confidence
        Where it is printed, and how sure the transcription is.
    """

    family: str
    indicator: str
    country: str
    quantity: str
    base: str
    unit: str
    published: float
    published_low: float = NAN
    published_high: float = NAN
    recomputed: float = NAN
    recomputed_low: float = NAN
    recomputed_high: float = NAN
    tolerance: float = NAN
    interval_tolerance: float = NAN
    because: str = ""
    source_title: str = ""
    source_page: str = ""
    confidence: str = ""


def judge(target: Target) -> tuple[str, str]:
    """Verdict and reason; a missing recomputation or tolerance is never agreement."""
    if np.isnan(target.recomputed):
        return CANNOT, target.because or "no published input gives this number"
    parts = []
    if not abs(target.recomputed - target.published) <= target.tolerance + 1e-9:
        parts.append(f"value off by {target.recomputed - target.published:+.4g}, tolerance {target.tolerance:.3g}")
    for name, printed, ours in (
        ("lower end", target.published_low, target.recomputed_low),
        ("upper end", target.published_high, target.recomputed_high),
    ):
        if not np.isnan(printed) and not np.isnan(ours) and not abs(ours - printed) <= target.interval_tolerance + 1e-9:
            parts.append(f"{name} off by {ours - printed:+.4g}, tolerance {target.interval_tolerance:.3g}")
    return (DIFFERS, "; ".join(parts)) if parts else (AGREES, target.because)


def agreement_table(targets: Sequence[Target]) -> pd.DataFrame:
    """One row per target with verdict, reason and relative deviation in per cent."""
    table = pd.DataFrame([asdict(target) for target in targets])
    verdicts = [judge(target) for target in targets]
    with np.errstate(all="ignore"):
        table["deviation_percent"] = 100 * (table["recomputed"] / table["published"].replace(0, np.nan) - 1)
    table["verdict"] = [verdict for verdict, _ in verdicts]
    table["reason"] = [reason for _, reason in verdicts]
    order = [
        "family",
        "indicator",
        "country",
        "quantity",
        "base",
        "unit",
        "published",
        "published_low",
        "published_high",
        "recomputed",
        "recomputed_low",
        "recomputed_high",
        "deviation_percent",
        "verdict",
        "reason",
        "tolerance",
        "interval_tolerance",
        "source_title",
        "source_page",
        "confidence",
    ]
    return table[order]


def verdict_counts(table: pd.DataFrame) -> pd.DataFrame:
    """Number of targets per family and verdict."""
    counts = pd.crosstab(table["family"], table["verdict"]).reindex(columns=[AGREES, DIFFERS, CANNOT], fill_value=0)
    return counts.loc[list(dict.fromkeys(table["family"]))].reset_index()
