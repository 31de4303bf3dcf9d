"""Coordinates and dimensions of a model's graph: the one place where they are named."""

from __future__ import annotations

from riskmodels.design.cells import Cells


def free_dim(name: str) -> str:
    """Name of the dimension of a zero-sum effect's free directions."""
    return f"{name}_direction"


def model_coords(cells: Cells) -> dict[str, list[str] | list[int]]:
    """Coordinates of every factor, its zero-sum directions and the cells themselves."""
    coords: dict[str, list[str] | list[int]] = {"cell": list(range(len(cells)))}
    for factor in cells.factors:
        coords[factor.name] = list(factor.levels)
        coords[f"{factor.name}_other"] = list(factor.levels)
        coords[free_dim(factor.name)] = list(range(len(factor) - 1))
    return coords
