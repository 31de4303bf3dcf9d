"""Posterior of the skill pathway: unconstrained parameters, priors, deviations of countries, and the log density.

Unconstrained parameters are of three kinds: those shared by all countries; deviations of countries, which sum to zero
and stand as coordinates of that plane, normal with the SD of their class; and one coordinate per SD, standard normal a
priori, as in `hyperparameters`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg

from riskmodels.models.hyperparameters import Hyper, hyper_values
from riskmodels.models.priors import Prior
from riskmodels.models.skill_arrays import SkillArrays
from riskmodels.models.skill_kernel import SkillKernel, SkillPoint
from riskmodels.models.skill_spec import SkillPathwaySpec

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Block:
    """Consecutive unconstrained parameters of one meaning, shared by all countries."""

    name: str
    start: int
    shape: tuple[int, ...]
    prior: Prior

    @property
    def stop(self) -> int:
        """Place after the last."""
        return self.start + int(np.prod(self.shape))


@dataclass(frozen=True)
class Natural:
    """Parameters in the terms of the model, one draw.

    Parameters
    ----------
    shared
        Name of the block -> values; thresholds in their order.
    deviation
        Deviations of countries, shape (kinds, countries); kinds in the order of `SkillPosterior.kinds`.
    """

    shared: dict[str, FloatArray]
    deviation: FloatArray


def _ordered(raw: FloatArray, firsts: IntArray) -> FloatArray:
    """Thresholds from first ones and logs of steps, one run per place of `firsts`."""
    return np.concatenate(
        [np.cumsum(np.concatenate([part[:1], np.exp(part[1:])])) for part in np.split(raw, firsts[1:])]
    )


def _ordered_back(raw: FloatArray, pull: FloatArray, firsts: IntArray) -> FloatArray:
    """Derivative in the raw values, from that in the thresholds."""
    parts = []
    for part, own in zip(np.split(raw, firsts[1:]), np.split(pull, firsts[1:]), strict=True):
        tails = np.cumsum(own[::-1])[::-1]
        parts.append(np.concatenate([tails[:1], tails[1:] * np.exp(part[1:])]))
    return np.concatenate(parts)


class SkillPosterior:
    """Log posterior density with its gradient.

    Parameters
    ----------
    arrays, spec
        Data and model.
    """

    def __init__(self, arrays: SkillArrays, spec: SkillPathwaySpec) -> None:
        self.arrays, self.spec, self.kernel = arrays, spec, SkillKernel(arrays, spec.nodes, spec.rho)
        self.outcomes = arrays.strategies + 2
        priors, latent = spec.priors, self.kernel.latent
        columns, steps = len(arrays.columns), np.array(arrays.levels) - 1
        shapes: list[tuple[str, tuple[int, ...], Prior]] = []
        if latent:
            shapes += [("log_discrimination", (len(steps),), priors.log_discrimination)]
            shapes += [("item_threshold", (int(steps.sum()),), priors.item_threshold)]
            shapes += [("skill_covariate", (columns,), priors.skill_covariate)]
        shapes += [("exposure", (1,), priors.exposure), ("coping", (arrays.strategies,), priors.coping)]
        shapes += [("slope", (self.outcomes,), priors.slope), ("covariate", (columns, self.outcomes), priors.slope)]
        shapes += [("distress_threshold", (arrays.distress_levels - 1,), priors.distress_threshold)]
        shapes += [(name, (arrays.mediators,), priors.slope) for name in ("on_coping", "on_product")]
        self.blocks: dict[str, Block] = {}
        start = 0
        for name, shape, prior in shapes:
            self.blocks[name] = Block(name, start, shape, prior)
            start = self.blocks[name].stop
        self.shared = start
        self.firsts = {
            "item_threshold": np.concatenate([[0], np.cumsum(steps)[:-1]]),
            "distress_threshold": np.array([0]),
        }
        self._lay_out_countries(latent)

    def _lay_out_countries(self, latent: bool) -> None:
        """Which deviations there are, in which class of SD each is."""
        priors, countries = self.spec.priors, self.arrays.countries
        names = ["exposure", *["coping"] * self.arrays.strategies, "distress"]
        kinds: list[tuple[str, Prior]] = []
        if countries > 1:
            kinds += [("skill", priors.skill_sd)] if latent else []
            kinds += [(f"{name} level", priors.level_sd) for name in names]
            kinds += [(f"{name} slope", priors.slope_sd) for name in names]
            kinds += [("item shift", priors.shift_sd)] * len(self.arrays.shifted)
        self.kinds = tuple(name for name, _ in kinds)
        classes = dict(kinds)
        self.classes = tuple(classes)
        self.hypers = [Hyper(name, "sd", prior, place, 1) for place, (name, prior) in enumerate(classes.items())]
        self.basis = linalg.null_space(np.ones((1, countries))) if countries > 1 else np.zeros((1, 0))
        free = countries - 1
        self.class_of = np.repeat([self.classes.index(name) for name in self.kinds], free).astype(np.int64)
        self.per_class = np.bincount(self.class_of, minlength=len(self.classes)).astype(float)
        self.deviations = len(self.class_of)
        self.size = self.shared + self.deviations

    def sds(self, zeta: FloatArray) -> FloatArray:
        """SD of every class at coordinates of shape (classes, draws)."""
        return np.stack(hyper_values(self.hypers, zeta)) if self.hypers else np.zeros((0, zeta.shape[1]))

    def log_sd_slopes(self, zeta: FloatArray, sd: FloatArray) -> FloatArray:
        """Derivative of every log SD in its coordinate, shape (classes,)."""
        log_normal = -0.5 * zeta**2 - 0.5 * np.log(2 * np.pi)
        density = np.array([float(h.prior.log_density(np.array(s))) for h, s in zip(self.hypers, sd, strict=True)])
        return np.exp(log_normal - density) / sd if self.hypers else np.zeros(0)

    def natural(self, x: FloatArray) -> Natural:
        """Parameters in the model's terms, from shared ones and coordinates of deviations, shape (size,)."""
        shared = {name: x[b.start : b.stop].reshape(b.shape) for name, b in self.blocks.items()}
        for name, firsts in self.firsts.items():
            if name in shared:
                shared[name] = _ordered(shared[name], firsts)
        return Natural(shared, x[self.shared :].reshape(len(self.kinds), self.arrays.countries - 1) @ self.basis.T)

    def point(self, natural: Natural) -> SkillPoint:
        """What the likelihood sees."""
        arrays, shared, country = self.arrays, natural.shared, self.arrays.cell_country
        cells, count = len(country), self.outcomes
        mean, shift = np.zeros(cells), np.zeros((len(arrays.shifted), arrays.countries))
        level = np.concatenate([shared["exposure"], shared["coping"], [0.0]]) + arrays.design @ shared["covariate"]
        slope = np.broadcast_to(shared["slope"], (cells, count))
        latent = self.kernel.latent
        if latent:
            mean = arrays.design @ shared["skill_covariate"]
        if self.kinds:
            deviation = natural.deviation
            start = int(latent)
            mean = mean + deviation[0][country] if latent else mean
            level = level + deviation[start : start + count].T[country]
            slope = slope + deviation[start + count : start + 2 * count].T[country]
            shift = deviation[start + 2 * count :]
        return SkillPoint(
            discrimination=np.exp(shared["log_discrimination"]) if latent else np.zeros(0),
            item_threshold=shared["item_threshold"] if latent else np.zeros(0),
            shift=shift,
            mean=mean,
            level=level,
            slope=slope,
            distress_threshold=shared["distress_threshold"],
            on_coping=shared["on_coping"],
            on_product=shared["on_product"],
        )

    def _prior(self, x: FloatArray, natural: Natural) -> tuple[float, FloatArray]:
        """Log prior of the shared parameters and its gradient, with the Jacobian of the thresholds' steps."""
        total, gradient = 0.0, np.zeros(self.shared)
        for name, block in self.blocks.items():
            location, scale = float(block.prior.location or 0.0), float(block.prior.scale or 1.0)
            raw, z = x[block.start : block.stop], (natural.shared[name].ravel() - location) / scale
            total -= 0.5 * float(z @ z)
            pull = -z / scale
            if name in self.firsts:
                pull = _ordered_back(raw, pull, self.firsts[name])
                steps = np.ones(len(raw), dtype=bool)
                steps[self.firsts[name]] = False
                total += float(raw[steps].sum())
                pull = pull + steps
            gradient[block.start : block.stop] = pull
        return total, gradient

    def value(self, x: FloatArray) -> float:
        """Log likelihood and log prior of the shared parameters."""
        natural = self.natural(x)
        return self.kernel.value(self.point(natural)) + self._prior(x, natural)[0]

    def with_country_gradient(self, x: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """`value`, its gradient in the shared parameters, and in every country's deviations, shape (kinds, countries)."""
        return self._gradient(x, self.natural(x))

    def _gradient(self, x: FloatArray, natural: Natural) -> tuple[float, FloatArray, FloatArray]:
        arrays, country = self.arrays, self.arrays.cell_country
        total, pull = self.kernel.value_and_gradient(self.point(natural))
        prior, gradient = self._prior(x, natural)
        into = {
            "exposure": pull.level.sum(axis=0)[:1],
            "coping": pull.level.sum(axis=0)[1:-1],
            "slope": pull.slope.sum(axis=0),
            "covariate": (arrays.design.T @ pull.level).ravel(),
            "distress_threshold": pull.distress_threshold,
            "on_coping": pull.on_coping,
            "on_product": pull.on_product,
        }
        if self.kernel.latent:
            into["log_discrimination"] = pull.discrimination * np.exp(natural.shared["log_discrimination"])
            into["item_threshold"] = pull.item_threshold
            into["skill_covariate"] = arrays.design.T @ pull.mean
        for name, values in into.items():
            block = self.blocks[name]
            if name in self.firsts:
                values = _ordered_back(x[block.start : block.stop], values, self.firsts[name])
            gradient[block.start : block.stop] += values
        own = np.zeros((0, arrays.countries))
        if self.kinds:
            per_cell = np.column_stack([pull.mean[:, None][:, : int(self.kernel.latent)], pull.level, pull.slope])
            own = np.zeros((arrays.countries, per_cell.shape[1]))
            np.add.at(own, country, per_cell)
            own = np.concatenate([own.T, pull.shift])
        return total + prior, gradient, own

    def value_and_gradient(self, x: FloatArray) -> tuple[float, FloatArray]:
        """`value` and its gradient, shape (size,)."""
        total, gradient, own = self.with_country_gradient(x)
        return total, np.concatenate([gradient, (own @ self.basis).ravel()])

    def information(self, x: FloatArray, step: float = 1e-4) -> FloatArray:
        """Minus the second derivatives of `value`, shape (size, size).

        Given what they share, countries do not depend on each other: all are moved at once, by differences of the
        gradient, and the cost is that of the parameters of one country.
        """
        natural = self.natural(x)
        kinds, countries = natural.deviation.shape
        hessian = np.zeros((self.size, self.size))
        for place in range(self.shared):
            move = np.zeros(self.size)
            move[place] = step
            hessian[place] = (self.value_and_gradient(x + move)[1] - self.value_and_gradient(x - move)[1]) / (2 * step)
        own = np.zeros((countries, kinds, kinds))
        for kind in range(kinds):
            found = []
            for sign in (step, -step):
                deviation = natural.deviation.copy()
                deviation[kind] += sign
                found.append(self._gradient(x, Natural(natural.shared, deviation))[2])
            own[:, kind] = ((found[0] - found[1]) / (2 * step)).T
        first = self.shared
        hessian[first:, :first] = hessian[:first, first:].T
        spread = np.einsum("cab,ci,cj->aibj", own, self.basis, self.basis)
        hessian[first:, first:] = spread.reshape(self.deviations, self.deviations)
        return -0.5 * (hessian + hessian.T)

    def start(self) -> FloatArray:
        """Where a search begins: prior means, thresholds a step apart around zero."""
        x = np.zeros(self.size)
        for block in self.blocks.values():
            x[block.start : block.stop] = float(block.prior.location or 0.0)
        sizes = {
            "distress_threshold": [self.arrays.distress_levels - 1],
            "item_threshold": [k - 1 for k in self.arrays.levels],
        }
        for name, counts in sizes.items():
            if name in self.blocks:
                block = self.blocks[name]
                x[block.start : block.stop] = np.concatenate(
                    [[-0.75 * (k - 1), *[np.log(1.5)] * (k - 1)] for k in counts]
                )
        return x

    def log_deviations(self, d: FloatArray, sd: FloatArray) -> FloatArray:
        """Log prior of coordinates of deviations (deviations, draws) given SDs (classes, draws), up to a constant."""
        return np.asarray(-0.5 * ((d / sd[self.class_of]) ** 2).sum(axis=0) - self.per_class @ np.log(sd))
