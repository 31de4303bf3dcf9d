"""Bayesian hierarchical estimates of children's online risks; heavy libraries load when first used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Audit": "design.audit",
    "Codebook": "survey.codebook.records",
    "Patterns": "design.patterns",
    "Study": "study",
    "Survey": "survey.survey",
    "load_study": "study",
    "read_codebook": "survey.codebook.read",
    "study_from_frame": "study",
    "Cells": "design.cells",
    "Estimates": "estimates.estimates",
    "Fit": "fit.fit",
    "InputError": "errors",
    "PopulationFrame": "survey.population",
    "map_levels": "survey.population",
    "merge_caregivers": "survey.merging",
    "rake_population": "survey.population",
    "read_margins": "survey.population",
    "read_population_table": "survey.population",
    "with_share_online": "survey.population",
    "population_from_weights": "survey.population",
    "country_code": "survey.countries",
    "direct_proportion": "design.direct",
    "direct_mean": "design.direct",
    "direct_total": "design.direct",
    "direct_ratio": "design.direct",
    "codebook_schema": "survey.codebook.schema",
    "draft_codebook": "survey.codebook.draft",
    "read_survey": "survey.survey",
    "simulate_survey": "survey.synthetic",
    "PrevalenceSpec": "models.specs",
    "Prior": "models.priors",
    "Priors": "models.priors",
    "RiskModelsError": "errors",
    "SamplerSpec": "fit.sampler",
    "ahead_counts": "estimates.claims",
    "benchmarked": "estimates.benchmarking",
    "build_prevalence_model": "models.prevalence",
    "burden_estimates": "estimates.prevalence",
    "cells_from_frame": "design.cells",
    "clear_published": "release.gate",
    "contrast_estimates": "estimates.claims",
    "example_cells": "reproduction.pack",
    "exceedance_estimates": "estimates.claims",
    "fit_many": "fit.fit",
    "fit_model": "fit.fit",
    "load_fit": "fit.store",
    "load_or_fit": "fit.store",
    "load_or_fit_regression": "fit.store",
    "load_regression": "fit.store",
    "load_pack": "reproduction.pack",
    "new_country_estimates": "estimates.new_country",
    "pack_path": "reproduction.pack",
    "plot_coefficients": "report.figures_forest",
    "plot_country_slopes": "report.figures_regression",
    "plot_curves": "report.figures_regression",
    "plot_forest": "report.figures_forest",
    "plot_missing": "report.figures_regression",
    "plot_prevalence": "report.figures",
    "predictor_loss": "design.predictor_loss",
    "prevalence_estimates": "estimates.prevalence",
    "prior_preset": "models.priors",
    "prior_sensitivity": "sensitivity.priors",
    "probability_that": "estimates.claims",
    "FamilySettings": "families.family",
    "OptionWords": "families.words",
    "RegressionFamily": "families.family",
    "RegressionSpec": "models.regression_spec",
    "share_estimates": "estimates.regression_shares",
    "coefficient_estimates": "estimates.regression",
    "compare_models": "estimates.comparison",
    "design_adjusted": "fit.design_adjustment",
    "grouped_cross_validation": "estimates.comparison",
    "imputed_coefficients": "estimates.imputed",
    "leave_one_out": "estimates.comparison",
    "pooled_estimates": "estimates.imputed",
    "regression_clusters": "design.regression_clusters",
    "screen_slopes": "estimates.comparison",
    "fit_regression": "fit.regression",
    "marginal_effects": "estimates.regression",
    "prediction_estimates": "estimates.regression",
    "regression_formula": "models.regression_spec",
    "regression_rows": "design.regression_rows",
    "rank_estimates": "estimates.claims",
    "read_population": "survey.population",
    "read_published": "design.published",
    "reproduce": "reproduction.run",
    "save_fit": "fit.store",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Load a public name from its room on first use."""
    if name not in _HOME:
        raise AttributeError(f"module 'riskmodels' has no attribute {name!r}")
    return getattr(import_module(f"riskmodels.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    """List the public names."""
    return [*__all__, "__version__"]
