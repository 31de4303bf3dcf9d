"""Draws of a latent Gaussian model under the names and dimensions that the sampler's graph gives them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import special

from riskmodels.design.cells import Cells
from riskmodels.design.coords import model_coords
from riskmodels.models.blocks import country_columns
from riskmodels.models.hyperparameters import hyper_values
from riskmodels.models.latent import Effect, LatentGaussian, own_root, shared_scale
from riskmodels.models.specs import PrevalenceSpec, Term
from riskmodels.vocabulary import COUNTRY, COUNTRY_COLUMN

FloatArray = npt.NDArray[np.float64]
Named = dict[str, tuple[tuple[str, ...], FloatArray]]


def named_draws(
    latent: LatentGaussian, cells: Cells, spec: PrevalenceSpec, zeta: FloatArray, h: FloatArray, v: FloatArray
) -> xr.Dataset:
    """Name draws of hyperparameters, shared effects and country effects; a pair of mirrored draws is two chains.

    Parameters
    ----------
    latent, cells, spec
        The model, as `latent_prevalence_model` made it.
    zeta, h, v
        Shapes (dimension, draws), (G, chains, draws), (B, countries, chains, draws).

    Returns
    -------
    xarray.Dataset
        The variables of a sampled fit, `prevalence` among them, dims (chain, draw, ...).
    """
    chains, pairs = h.shape[-2:]
    zeta = np.tile(zeta, chains)
    h, v = h.reshape(len(h), chains * pairs), v.reshape(*v.shape[:2], chains * pairs)
    values = hyper_values(latent.hypers, zeta)
    mean, scale = shared_scale(latent, values, zeta.shape[-1])
    shared = mean[:, None] + scale * h
    own = np.einsum("bks,kcs->bcs", own_root(latent, values, zeta.shape[-1]), v)
    terms = {term.name: term for term in spec.terms_for(cells).terms}
    named: Named = _named_hypers(latent, values)
    for effect in latent.effects:
        part = (own if effect.per_country else shared)[effect.start : effect.start + effect.size]
        dims, array = _named_effect(effect, part, terms.get(effect.name), cells)
        named[effect.name if not dims else f"{effect.name}_effect"] = (dims, array)
    eta = latent.plain_shared @ shared + (latent.plain_own @ own.transpose(1, 0, 2) if len(own) else 0.0)
    named["prevalence"] = (("cell",), special.expit(eta.reshape(-1, eta.shape[-1])[latent.place]))
    coords: dict[str, list[str] | list[int]] = dict(model_coords(cells))
    if COUNTRY in terms and terms[COUNTRY].kind == "correlated":
        columns = country_columns(terms[COUNTRY], cells)
        coords |= {COUNTRY_COLUMN: columns, f"{COUNTRY_COLUMN}_other": columns}
    used = {dim for dims, _ in named.values() for dim in dims}
    data = {
        name: (("chain", "draw", *dims), np.moveaxis(array, -1, 0).reshape(chains, pairs, *array.shape[:-1]))
        for name, (dims, array) in named.items()
    }
    return xr.Dataset(data, coords={name: levels for name, levels in coords.items() if name in used})


def _named_hypers(latent: LatentGaussian, values: list[FloatArray]) -> Named:
    named: Named = {}
    columns = [value for hyper, value in zip(latent.hypers, values, strict=True) if "[" in hyper.name]
    if columns:
        named["country_sd"] = ((COUNTRY_COLUMN,), np.stack(columns))
    for hyper, value in zip(latent.hypers, values, strict=True):
        if hyper.kind == "correlation":
            named[hyper.name] = ((COUNTRY_COLUMN, f"{COUNTRY_COLUMN}_other"), np.einsum("iks,jks->ijs", value, value))
        elif hyper.kind == "sd" and "[" not in hyper.name:
            named[hyper.name] = ((), value)
    return named


def _named_effect(
    effect: Effect, part: FloatArray, term: Term | None, cells: Cells
) -> tuple[tuple[str, ...], FloatArray]:
    """Levels' effects from their free columns: (columns, draws) or (columns, countries, draws)."""
    if effect.basis is None or term is None:
        return (), part[0]
    if not effect.per_country:
        spread = effect.basis @ part
        if len(term.factors) == 1:
            return term.factors, spread
        return term.factors, spread.reshape(*(len(cells.factor(name)) for name in term.factors), part.shape[-1])
    spread = np.einsum("lb,bcs->cls", effect.basis, part)
    if term.kind == "pool":
        return (COUNTRY,), spread[:, 0]
    if term.kind == "correlated":
        return (COUNTRY, COUNTRY_COLUMN), spread
    other = next(name for name in term.factors if name != COUNTRY)
    return ((COUNTRY, other), spread) if term.factors[0] == COUNTRY else ((other, COUNTRY), spread.transpose(1, 0, 2))
