"""Clearance of estimates: published aggregates pass once their checks passed; anything else is refused for now."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from riskmodels.errors import GateError
from riskmodels.estimates.estimates import Estimates
from riskmodels.provenance import Fingerprint

PUBLIC_SOURCES = ("published aggregates",)


@dataclass(frozen=True, eq=False)
class ClearedEstimates:
    """Estimates that may leave: the only type that `report` accepts.

    Parameters
    ----------
    table
        Cleared rows, unrounded (published aggregates need no rounding by n).
    quantity
        What is estimated.
    fingerprint
        Identity of the fit behind it.
    decision
        Why it was cleared, and any override, to be printed with the table.
    """

    table: pd.DataFrame
    quantity: str
    fingerprint: Fingerprint
    decision: str


def clear_published(estimates: Estimates, *, override: str = "") -> ClearedEstimates:
    """Clear estimates made from published aggregates.

    Parameters
    ----------
    estimates
        Estimates whose fit and quantities passed the gate.
    override
        Reason for releasing although a check failed; recorded and printed.

    Raises
    ------
    GateError
        If a check failed and no override is given, or the estimates come from microdata, for which suppression and
        rounding are needed first.
    """
    if estimates.fingerprint.source not in PUBLIC_SOURCES:
        raise GateError(
            f"{estimates.quantity}: made from {estimates.fingerprint.source}; only published aggregates can be exported by this version"
        )
    if not estimates.passed and not override:
        estimates.require_passed()
    decision = (
        "published aggregates; all checks passed"
        if estimates.passed
        else f"CHECKS FAILED, released by override: {override}"
    )
    return ClearedEstimates(
        table=estimates.table.copy(), quantity=estimates.quantity, fingerprint=estimates.fingerprint, decision=decision
    )
