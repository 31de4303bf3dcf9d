"""Child and caregiver files put together by an identifier, never many to many."""

from __future__ import annotations

import pandas as pd

from riskmodels.errors import Problem, raise_if_stopping


def merge_caregivers(children: pd.DataFrame, caregivers: pd.DataFrame, key: str) -> pd.DataFrame:
    """Give every child the answers of its caregiver.

    Parameters
    ----------
    children
        One row per child; siblings may share a household.
    caregivers
        One row per household or child.
    key
        Identifier in both files: of the household, or of the child.

    Returns
    -------
    pandas.DataFrame
        As many rows as `children`, in their order; columns of a name that both have get the suffix ``_caregiver``.
        Children without a caregiver's row have empty fields.

    Raises
    ------
    InputError
        E132 for an absent key, E151 where a key stands on several caregiver rows, so that a child would be counted more
        than once: with the number of rows that the merge would give.

    Examples
    --------
    >>> import pandas as pd
    >>> children = pd.DataFrame({"household": [1, 1, 2], "age": [13, 15, 12]})
    >>> caregivers = pd.DataFrame({"household": [1, 2], "age": [41, 38]})
    >>> merge_caregivers(children, caregivers, "household")["age_caregiver"].tolist()
    [41, 41, 38]
    """
    absent = [name for name, frame in (("children", children), ("caregivers", caregivers)) if key not in frame]
    raise_if_stopping(
        [
            Problem("E132", "the key is not a column", f"{key} in {name}", 1, "name a column of both files")
            for name in absent
        ],
        "merge",
    )
    known = caregivers[caregivers[key].notna()]
    counts = known[key].value_counts()
    several = int((counts > 1).sum())
    if several:
        rows = int(children[key].map(counts).fillna(1).sum())
        what = f"a key stands on several caregiver rows: {len(children)} children would become {rows} rows"
        remedy = "keep one caregiver per key, or merge by the child's identifier"
        raise_if_stopping([Problem("E151", what, key, several, remedy)], "merge")
    return children.merge(known, how="left", on=key, suffixes=("", "_caregiver"), validate="many_to_one")
