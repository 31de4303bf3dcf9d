"""Families of outcomes: which outcomes belong together, their common right-hand side, one fit each."""
