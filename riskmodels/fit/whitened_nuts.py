"""NUTS on a posterior whose density and gradient are plain functions, whitened at its mode.

Where a likelihood is cheap but not log-concave, most of the cost of sampling is adaptation and long trajectories. The
mode and the curvature there are found first (differences of the gradient, so that nothing has to be derived twice), and
parameters are written as ``mode + root z``: NUTS then sees a posterior close to a standard normal, needs few steps a
draw, and stays exact whatever the curvature was.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize
from threadpoolctl import threadpool_limits

from riskmodels.errors import FitError
from riskmodels.fit.sampler import Progress, SamplerSpec

FloatArray = npt.NDArray[np.float64]
Density = Callable[[FloatArray], tuple[float, FloatArray]]

#: Smallest curvature that is believed, where 1 is that of a standard normal prior.
LEAST_CURVATURE = 0.2
#: Step of the differences of the gradient.
DIFFERENCE = 1e-4
#: Modes whose log densities differ by less are the same.
SAME_MODE = 0.05
#: Modes lower than the highest by more are not looked at.
FAR_BELOW = 20.0


@dataclass(frozen=True, eq=False)
class Mode:
    """A mode of a posterior density and its neighbourhood.

    Parameters
    ----------
    place
        Parameters there.
    log_density
        Of the posterior, up to a constant.
    root
        ``root root' = `` inverse of minus the curvature.
    log_mass
        Laplace's approximation of the log of the mass around it, up to a constant.
    """

    place: FloatArray
    log_density: float
    root: FloatArray
    log_mass: float


@dataclass(frozen=True, eq=False)
class WhitenedDraws:
    """Draws of the parameters, shape (chain, draw, size), and what `check_sampler` judges, shape (chain, draw)."""

    draws: FloatArray
    diverging: npt.NDArray[np.bool_]
    energy: FloatArray
    steps: FloatArray


def climb(density: Density, start: FloatArray) -> tuple[FloatArray, float]:
    """Climb from a start to a mode; give it and the log density there."""

    def downhill(x: FloatArray) -> tuple[float, FloatArray]:
        value, slope = density(x)
        return (-value, -slope) if np.isfinite(value) else (1e12, np.zeros_like(x))

    options = {"maxiter": 2000, "maxfun": 4000, "maxcor": 30, "ftol": 1e-13, "gtol": 1e-5}
    found = optimize.minimize(downhill, start, jac=True, method="L-BFGS-B", options=options)
    return np.asarray(found.x), -float(found.fun)


def neighbourhood(density: Density, place: FloatArray, value: float) -> Mode:
    """Measure the curvature at a mode; directions in which it is flat or turns the wrong way get the prior's."""
    size = len(place)
    curvature = np.empty((size, size))
    for k in range(size):
        step = np.zeros(size)
        step[k] = DIFFERENCE
        curvature[k] = (density(place - step)[1] - density(place + step)[1]) / (2 * DIFFERENCE)
    if not np.isfinite(curvature).all():
        raise FitError("the posterior has no finite curvature at its mode; check cells and priors")
    values, vectors = np.linalg.eigh((curvature + curvature.T) / 2)
    values = np.maximum(values, LEAST_CURVATURE)
    mass = value - 0.5 * float(np.log(values).sum())
    return Mode(place, value, np.ascontiguousarray(vectors / np.sqrt(values)), mass)


def frozen(density: Density, coordinates: int) -> Density:
    """The same density with the first coordinates held where they are."""

    def held(x: FloatArray) -> tuple[float, FloatArray]:
        value, slope = density(x)
        slope = slope.copy()
        slope[:coordinates] = 0.0
        return value, slope

    return held


def own_curvatures(density: Density, place: FloatArray, coordinates: range) -> FloatArray:
    """Minus the second derivative of a density by each of some coordinates."""
    found = np.empty(len(coordinates))
    step = np.zeros(len(place))
    for k, at in enumerate(coordinates):
        step[at] = DIFFERENCE
        found[k] = (density(place - step)[1][at] - density(place + step)[1][at]) / (2 * DIFFERENCE)
        step[at] = 0.0
    return found


def distinct_tops(
    density: Density, starts: list[FloatArray], unlabelled: Callable[[FloatArray], FloatArray]
) -> list[tuple[FloatArray, float]]:
    """Climb from several starts; the highest place first, then others that are really others and not far below.

    Parameters
    ----------
    density
        Log density and gradient.
    starts
        Where to climb from.
    unlabelled
        What does not depend on labels, by which two places are told apart.
    """
    tops = sorted((climb(density, start) for start in starts), key=lambda one: -one[1])
    different: list[tuple[FloatArray, float]] = []
    for place, value in tops:
        known = (
            abs(value - other) < SAME_MODE and np.allclose(unlabelled(place), unlabelled(there), atol=0.05)
            for there, other in different
        )
        if value > tops[0][1] - FAR_BELOW and not any(known):
            different.append((place, value))
    return different


def sample_whitened(
    density: Density, mode: Mode, sampler: SamplerSpec, draws: int, tune: int, progress: Progress
) -> WhitenedDraws:
    """Draw from a posterior by NUTS in coordinates whitened at a mode.

    Parameters
    ----------
    density
        Log density and gradient.
    mode
        From `neighbourhood`.
    sampler
        Chains, seed, target acceptance.
    draws, tune
        Per chain.
    progress
        As in `fit_model`.

    Raises
    ------
    FitError
        If any draw is not finite.
    """
    import nutpie
    from nutpie.compiled_pyfunc import from_pyfunc

    size, root, place = len(mode.place), mode.root, mode.place

    def make_density() -> Density:
        def whitened(z: FloatArray) -> tuple[float, FloatArray]:
            value, slope = density(place + root @ z)
            return value, slope @ root

        return whitened

    def make_expand(*_: object) -> Callable[[FloatArray], dict[str, FloatArray]]:
        return lambda z: {"z": np.array(z)}

    def start(seed: int) -> FloatArray:
        return 0.5 * np.random.default_rng(seed).standard_normal(size)

    total = sampler.chains * (draws + tune)

    def report(chains: list[object]) -> None:
        progress("sampling", sum(chain.finished_draws for chain in chains), total)  # type: ignore[attr-defined]

    compiled = from_pyfunc(
        size, make_density, make_expand, [np.dtype(np.float64)], [(size,)], ["z"], make_initial_point_fn=start
    )
    with threadpool_limits(limits=1):
        running = nutpie.sample(
            compiled,
            draws=draws,
            tune=tune,
            chains=sampler.chains,
            cores=min(sampler.chains, os.cpu_count() or 1),
            seed=sampler.seed,
            target_accept=sampler.target_accept,
            progress_bar=False,
            progress_callback=report,
            progress_rate=200,
            save_warmup=False,
            blocking=False,
        )
        try:
            tree = running.wait()
        except KeyboardInterrupt:
            running.cancel()
            raise
    z = tree["posterior"]["z"].to_numpy()
    if z.shape != (sampler.chains, draws, size) or not np.isfinite(z).all():
        raise FitError("the sampler gave draws that are missing or not finite; check cells and priors")
    statistics = tree["sample_stats"]
    return WhitenedDraws(
        place + z @ root.T,
        statistics["diverging"].to_numpy(),
        statistics["energy"].to_numpy(),
        statistics["n_steps"].to_numpy(),
    )
