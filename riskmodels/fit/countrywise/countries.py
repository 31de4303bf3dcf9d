"""Every country's own coefficients integrated out by importance, given what countries share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from riskmodels.fit.countrywise.conditional import LONGEST_STEP, Conditional
from riskmodels.fit.laplace.heavy_tails import log_heavy
from riskmodels.models.country_model import CountryModel

FloatArray = npt.NDArray[np.float64]

#: Share of heavy-tailed draws: normals of dozens of dimensions rarely need them, and they are rarely kept.
OWN_SHARE = 0.01
#: SDs from the mode at which the log density is read, and the most that a proposal leans.
READ_AT, LARGEST_LEAN = 1.5, 0.5


@dataclass(frozen=True, eq=False)
class Skew:
    """How every country's coefficients depart from normal along the axes of their approximation.

    Noise ``e`` becomes ``scale (e + lean sqrt(1 + e^2))``: for a lean of a third of the third derivative of the log
    density this repairs the normal's first fault, with tails ``1 + lean`` as long to the right and ``1 - lean`` to the left.

    Parameters
    ----------
    lean, scale
        Shape (C, B).
    """

    lean: FloatArray
    scale: FloatArray

    def move(self, noise: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Moved noise (..., C, B), and the log of the volume that it takes (..., C)."""
        root = np.sqrt(1 + noise**2)
        volume = np.log(np.prod(self.scale * (1 + self.lean * noise / root), axis=-1))
        return self.scale * (noise + self.lean * root), np.asarray(volume)


def no_skew(model: CountryModel) -> Skew:
    """Normal."""
    shape = (model.countries, len(model.own))
    return Skew(np.zeros(shape), np.ones(shape))


def measured_skew(model: CountryModel, at: Conditional) -> Skew:
    """Read the log density on both sides of the mode at one point of the hyperparameters, axis by axis."""
    width = len(model.own)
    if not width:
        return no_skew(model)
    noise = np.moveaxis(np.tile(READ_AT * np.eye(width)[:, :, None, None], (1, 1, 1, model.countries)), 1, -1)
    log_weights, _ = _weighted(at, model, no_skew(model), at.shared, noise)
    centre, _ = _weighted(at, model, no_skew(model), at.shared, np.zeros((1, *noise.shape[1:])))
    # the log weight is the log density plus the square of the distance, halved
    noise_density = log_heavy(np.array([READ_AT**2, 0.0]), width, OWN_SHARE)
    sides = (log_weights - centre[0] + noise_density[0] - noise_density[1])[:, 0]
    above, below = sides[0::2].T, sides[1::2].T
    lean = np.clip((above - below) / READ_AT**3, -LARGEST_LEAN, LARGEST_LEAN)
    scale = np.clip(READ_AT / np.sqrt(np.maximum(-(above + below), 0.1)), 1.0, 1.5)
    return Skew(lean, scale)


def _weighted(
    at: Conditional, model: CountryModel, skew: Skew, shared: FloatArray, noise: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Log weights (draws, points, C) of mirrored draws around the mode, and these coefficients (draws, points, C, B).

    The mode given shared coefficients is that of the normal approximation, one (not too long) Newton step on.

    Around the mode, what is odd in the log likelihood's departure from a quadratic cancels within a pair: proposals
    matched to mean and covariance were tried and did worse.
    """
    back = np.swapaxes(at.precision.own_inverse, -1, -2)
    step = (shared - at.shared)[:, None, :, None]
    centre = at.own - (back @ (at.precision.half @ step))[..., 0]
    score = model.likelihood.score(at.prior.coefficients(model, shared, centre))
    pull = at.prior.own.apply(score[..., model.own]) - centre
    newton = (back @ (at.precision.own_inverse @ pull[..., None]))[..., 0]
    longest = np.abs(at.prior.own.apply(newton)).max(axis=-1, keepdims=True, initial=0.0)
    centre = centre + newton * np.minimum(1.0, LONGEST_STEP / np.maximum(longest, 1e-300))
    constant = -0.5 * at.precision.log_determinant_own
    log_weights, drawn = [], []
    for one in noise:
        log_noise = log_heavy((one**2).sum(axis=-1), one.shape[-1], OWN_SHARE)
        for sign in (1.0, -1.0):
            place, volume = skew.move(sign * one)
            own = centre + (back @ place[..., None])[..., 0]
            likelihood = model.likelihood.log_density(at.prior.coefficients(model, shared, own))
            log_weights.append(likelihood - 0.5 * (own**2).sum(axis=-1) - log_noise + volume + constant)
            drawn.append(own)
    return np.stack(log_weights), np.stack(drawn)


def integrate_countries(
    at: Conditional, model: CountryModel, skew: Skew, shared: FloatArray, noise: FloatArray, uniform: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Log of an unbiased estimate of all countries' likelihoods given shared coefficients, and one draw of their own.

    Everything is standardised.

    Parameters
    ----------
    at, model, skew
        Normal approximations at some points of the hyperparameters, and how countries depart from them.
    shared
        (points, D).
    noise
        Standardised noise, (pairs, points, C, B); each is used with both signs.
    uniform
        Decides which draw is kept, (points, C).

    Returns
    -------
    tuple
        Sum of the logs over countries (points,); coefficients (points, C, B).
    """
    weights, every = _weighted(at, model, skew, shared, noise)
    top = weights.max(axis=0)
    relative = np.exp(weights - top)
    total = relative.sum(axis=0)
    kept = np.minimum((np.cumsum(relative, axis=0) < uniform * total).sum(axis=0), len(weights) - 1)
    chosen = np.take_along_axis(every, kept[None, ..., None], axis=0)[0]
    return (np.log(total / len(weights)) + top).sum(axis=1), chosen
