"""Words for the coefficients of a regression: labels of the codebook, and what each level is compared with."""

from __future__ import annotations

from itertools import product

from riskmodels.fit.regression import RegressionFit


def _reference(fit: RegressionFit, name: str) -> int:
    factor = fit.rows.factors[name]
    wanted = fit.spec.references.get(name, factor.levels[0])
    return next(place for place, pair in enumerate(zip(factor.levels, factor.labels, strict=True)) if wanted in pair)


def _parts(fit: RegressionFit, name: str) -> list[tuple[str, str]]:
    """Name and words of every column of one predictor."""
    label = fit.rows.labels.get(name, name)
    factor = fit.rows.factors.get(name)
    if factor is None:
        _, scale = fit.spec.numbers.get(name, (0.0, 1.0))
        return [(name, f"{label}, per {'unit' if scale == 1 else f'{scale:g}'}")]
    reference = _reference(fit, name)
    return [
        (f"{name}: {level}", f"{label}: {level} against {factor.labels[reference]}")
        for place, level in enumerate(factor.labels)
        if place != reference
    ]


def _where(fit: RegressionFit, name: str) -> str:
    """Where the other parts of its interactions stand when a main effect is read: at their centre or reference."""
    others = dict.fromkeys(other for term in fit.spec.terms if name in term for other in term if other != name)
    places = []
    for other in others:
        label = fit.rows.labels.get(other, other)
        if other in fit.rows.factors:
            places.append(f"{label}: {fit.rows.factors[other].labels[_reference(fit, other)]}")
        else:
            places.append(f"{label} {fit.spec.numbers.get(other, (0.0, 1.0))[0]:g}")
    return f" (at {'; '.join(places)})" if places else ""


def coefficient_words(fit: RegressionFit) -> dict[str, str]:
    """Name of every coefficient -> words that say what is compared with what.

    Parameters
    ----------
    fit
        A fit; its rows hold the labels of the codebook.

    Returns
    -------
    dict
        E.g. ``"gender: Girls"`` -> ``"Gender: Girls against Boys (at Age in years 14.5)"``: with an interaction in the
        model a main effect holds at the other's centre or reference level only. An interaction says how much the one
        comparison changes with the other.
    """
    found = {"Intercept": "Intercept"}
    for term in fit.spec.terms:
        for parts in product(*(_parts(fit, name) for name in term)):
            words = " x ".join(text for _, text in parts)
            known = " x ".join(name for name, _ in parts)
            found[known] = f"Interaction: {words}" if len(term) > 1 else f"{words}{_where(fit, term[0])}"
    return found


def contrast_words(fit: RegressionFit, contrast: str) -> str:
    """Words of a contrast of `marginal_effects`: the predictor's label in the place of its name."""
    name, colon, rest = contrast.partition(": ")
    return f"{fit.rows.labels.get(name, name)}{colon}{rest}"
