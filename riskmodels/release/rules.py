"""ReleaseRules: what may leave a study, every threshold in one frozen record, with its source."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from riskmodels.errors import InputError, Problem

Preset = Literal["strict", "dhs", "acro", "ons", "custom"]


@dataclass(frozen=True)
class ReleaseRules:
    """Thresholds of the two tests, precision and disclosure, and of rounding.

    Parameters
    ----------
    name
        Preset, or ``"custom"``.
    source
        Where the thresholds come from.
    smallest_base
        Disclosure: no figure of a group with fewer children than this, unweighted.
    smallest_count
        Disclosure: no figure where fewer children than this said yes, or fewer said no.
    narrowest_interval
        Disclosure: nothing withheld may be narrowed down, from all tables of the study together, to a range of counts
        shorter than this.
    upper_limit_from
        Where few said yes and the base is at least this, "less than x %" is printed; x depends on the base alone.
    round_base_to
        Bases are printed to the nearest multiple.
    whole_points_from, tenths_from
        Bases from which per cents are printed to whole points and to tenths; to five points below.
    bracket_below
        Precision: bases below this are flagged, to be printed in brackets.
    smallest_effective_n, widest_interval, always_precise, widest_relative
        Precision: withheld below this effective n, or with an interval at least `widest_interval` wide, or wider than
        `widest_relative` times the estimate unless it is at most `always_precise` wide. None: no such test.
    """

    name: Preset = "strict"
    source: str = "design of riskmodels for sensitive studies: DHS bases, ONS counts, NCHS precision"
    smallest_base: int = 25
    smallest_count: int = 10
    narrowest_interval: int = 10
    upper_limit_from: int | None = 200
    round_base_to: int = 5
    whole_points_from: int = 200
    tenths_from: int = 2000
    bracket_below: int = 50
    smallest_effective_n: float | None = 30.0
    widest_interval: float | None = 0.30
    always_precise: float = 0.05
    widest_relative: float | None = 1.30

    def __post_init__(self) -> None:
        """Refuse thresholds that cannot be meant (E212)."""
        wrong = {
            "smallest_base below smallest_count": self.smallest_base < self.smallest_count,
            "a threshold below 1": min(
                self.smallest_base, self.smallest_count, self.narrowest_interval, self.round_base_to
            )
            < 1,
            "tenths_from below whole_points_from": self.tenths_from < self.whole_points_from,
            "bracket_below below smallest_base": self.bracket_below < self.smallest_base,
        }
        problems = [
            Problem("E212", what, "release rules", 1, "start from a preset and change one threshold at a time")
            for what, bad in wrong.items()
            if bad
        ]
        if problems:
            raise InputError(problems, "release rules")


_NO_PRECISION = {"smallest_effective_n": None, "widest_interval": None, "widest_relative": None}
PRESETS: dict[str, ReleaseRules] = {
    "strict": ReleaseRules(),
    "dhs": replace(
        ReleaseRules(**_NO_PRECISION),  # type: ignore[arg-type]
        name="dhs",
        source="DHS: fewer than 25 unweighted cases withheld, 25-49 in brackets; counts and differencing as in strict",
        upper_limit_from=None,
    ),
    "acro": replace(
        ReleaseRules(**_NO_PRECISION),  # type: ignore[arg-type]
        name="acro",
        source="ACRO defaults: cell count 10, zeros are disclosive, round to 5",
        smallest_base=10,
        bracket_below=10,
        upper_limit_from=None,
    ),
    "ons": replace(
        ReleaseRules(**_NO_PRECISION),  # type: ignore[arg-type]
        name="ons",
        source="ONS: counts below 10 withheld, the rest rounded to 5",
        smallest_base=10,
        bracket_below=10,
        upper_limit_from=None,
    ),
}


def release_rules(preset: Preset = "strict", **changed: float | None) -> ReleaseRules:
    """Rules of a preset, or your own.

    Parameters
    ----------
    preset
        ``"strict"``, ``"dhs"``, ``"acro"``, ``"ons"``; ``"custom"`` starts from strict.
    changed
        Thresholds that differ; any makes the rules custom, and says so wherever they are printed.

    Examples
    --------
    >>> release_rules("dhs").bracket_below
    50
    >>> release_rules("strict", smallest_base=50, bracket_below=100).name
    'custom'
    """
    if preset != "custom" and preset not in PRESETS:
        raise InputError(
            [Problem("E212", "no such preset", str(preset), 1, f"choose {', '.join(PRESETS)} or custom")],
            "release rules",
        )
    start = PRESETS["strict" if preset == "custom" else preset]
    unknown = sorted(set(changed) - (set(ReleaseRules.__dataclass_fields__) - {"name", "source"}))
    if unknown:
        raise InputError(
            [Problem("E212", "no such threshold", ", ".join(unknown), len(unknown), "see ReleaseRules")],
            "release rules",
        )
    if preset == "custom" or changed:
        words = ", ".join(f"{name} = {value}" for name, value in sorted(changed.items())) or "nothing changed"
        start = replace(start, name="custom", source=f"custom, from {start.name}: {words}", **changed)  # type: ignore[arg-type]
    return start
