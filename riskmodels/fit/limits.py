"""Thresholds of the gate, each written once."""

from __future__ import annotations

#: Rank-normalised split R-hat must lie below (Vehtari et al. 2021, Bayesian Analysis 16, 667-718).
RHAT_BELOW = 1.01
#: Effective draws, bulk and tail, must reach.
ESS_AT_LEAST = 400.0
#: Divergent transitions allowed.
DIVERGENCES_AT_MOST = 0.0
#: Energy fraction of missing information must reach (Betancourt 2016, arXiv 1604.00695).
EBFMI_AT_LEAST = 0.3
#: Pareto k-hat of importance weights must lie below (Vehtari et al. 2024, JMLR 25).
PARETO_K_BELOW = 0.7
#: Effective draws of the hyperparameters that the Laplace engine aims at before it stops drawing more.
ENGINE_EFFECTIVE = 500.0
#: More hyperparameters than this are left to NUTS: importance weights over them degenerate.
LAPLACE_HYPERPARAMETERS_AT_MOST = 20
