"""Maximum likelihood of y_ij = Gamma c_j + B x_ij + u_j + e_ij with unrestricted T and W.

The third factor of `bmsem.likelihood.canonical`, for one data set or thousands side by side. With U
W U' = I and U T U' = diag(lambda) (one generalised eigenproblem), V_j = T + W / n_j becomes
diagonal for every cluster size at once, with elements lambda_a + 1 / n_j. In these coordinates

- generalised least squares for (Gamma, B) is one weighted regression a row;
- the expected information about (T, W) (Longford 1987, Biometrika 74, 817-827, in one dimension) falls
  into a 2 x 2 block for each pair (a, b) of rows, so that a Fisher-scoring step costs next to nothing.

T stays positive semi-definite: a step is projected onto the cone (in the metric of W), and for pairs of
a null direction a and another b the information gets the curvature -dL/dT_aa / lambda_b that moving
along matrices of one rank has. Steps that lower the likelihood are halved. On balanced data without
within covariates the starting point is the solution (Anderson, Anderson & Olkin 1986, Annals of
Statistics 14, 405-417, where T is on the boundary).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bmsem.errors import SamplingError
from bmsem.likelihood.canonical import (
    Canonical,
    Layout,
    RandomInterceptData,
    RandomIntercepts,
    TwoLevelData,
    regression,
    regression_log_likelihood,
    v_cross,
    y_data,
    z_cross,
)

Array = NDArray[np.float64]
Free = Literal["both", "within", "between"]


def random_intercept_log_likelihood(data: RandomInterceptData, at: RandomIntercepts) -> Array:
    """Log-likelihood of the third factor at given parameters; leading axes broadcast."""
    if not data.p:
        return np.zeros(np.broadcast_shapes(data.scatter.shape[:-2], at.within.shape[:-2]))
    basis = _basis(at.between, at.within)
    return _State(data, basis, _transform(basis, at)).value


@dataclass(frozen=True)
class Maximum:
    """Where a likelihood is largest.

    ``value`` (...) is the log-likelihood, ``parameters`` are in the units of the data, ``steps`` says
    how many scoring steps it took.
    """

    value: Array
    parameters: RandomIntercepts
    steps: int


def maximise(
    data: RandomInterceptData,
    *,
    free: Free = "both",
    fixed: RandomIntercepts | None = None,
    tolerance: float = 1e-9,
    max_steps: int = 500,
) -> Maximum:
    """Maximise the likelihood of the third factor over both levels, or over one level only.

    Parameters
    ----------
    data
        Statistics with one leading axis R (data sets).
    free
        ``"within"`` maximises over (B, W) with (Gamma, T) those of ``fixed``, ``"between"`` the other
        way round.
    fixed
        Parameters of the level that is not maximised over, with the same leading axis.
    tolerance
        On the expected gain of log-likelihood of the next step.

    Raises
    ------
    SamplingError
        If a within covariance matrix is singular, or the maximum is not reached.
    """
    count = data.scatter.shape[0] if fixed is None else fixed.within.shape[0]
    if data.scatter.shape[0] != count:
        data = RandomInterceptData(
            np.repeat(data.scatter, count, axis=0), np.repeat(data.cross, count, axis=0),
            data.sizes, data.counts, data.p, data.kc,
        )  # fmt: skip
    if not data.p:
        empty = np.zeros((count, 0, 0))
        kx = data.scatter.shape[-1] - data.p
        nothing = RandomIntercepts(
            np.zeros((count, 0, data.kc)), np.zeros((count, 0, kx)), empty, empty
        )
        return Maximum(np.zeros(count), nothing, 0)
    current = _start(data, free, fixed)
    active = np.arange(count)
    value = np.full(count, -np.inf)
    found = RandomIntercepts(
        *(a.copy() for a in (current.gamma, current.slopes, current.between, current.within))
    )
    state = _State.at(data, current, free)
    damping = np.ones(count)
    for step in range(max_steps):
        gain, between, within = state.step(free, damping[active])
        done = gain < tolerance
        if done.any() or step == max_steps - 1:
            ready = active[done]
            value[ready] = state.value[done]
            _store(found, ready, state.parameters(done))
        if done.all():
            return Maximum(value, found, step)
        keep = ~done
        active, data = active[keep], data[keep]
        state = state[keep]
        between, within = between[keep], within[keep]
        trial = RandomIntercepts(state.rows.gamma, state.rows.slopes, between, within)
        proposed = _State.at(data, state.basis.back(trial), free)
        worse = ~(proposed.value >= state.value - 1e-9)
        damping[active[worse]] *= 0.5
        damping[active[~worse]] = np.minimum(1.0, 2.0 * damping[active[~worse]])
        state = proposed.where(~worse, state)
    raise SamplingError(
        f"The unrestricted two-level model did not converge for {len(active)} data set(s) in "
        f"{max_steps} steps. A variable may have next to no variance inside or between clusters."
    )


@dataclass(frozen=True)
class _Basis:
    """Coordinates in which W is the identity and T diagonal: U (p, p), its inverse, lambda (p,)."""

    u: Array
    inverse: Array
    roots: Array

    def __getitem__(self, draws: Any) -> _Basis:
        parts = (self.u, self.inverse, self.roots)
        return _Basis(*(a[draws] for a in parts))

    def back(self, at: RandomIntercepts) -> RandomIntercepts:
        """From these coordinates to the units of the data."""
        inverse, across = self.inverse, np.swapaxes(self.inverse, -1, -2)
        return RandomIntercepts(
            inverse @ at.gamma,
            inverse @ at.slopes,
            inverse @ at.between @ across,
            inverse @ at.within @ across,
        )


def _basis(between: Array, within: Array) -> _Basis:
    try:
        factor = np.linalg.cholesky(within)
    except np.linalg.LinAlgError:
        raise SamplingError(
            "A within-cluster covariance matrix is not positive definite: a variable has no variance "
            "inside clusters, or is a linear function of others there."
        ) from None
    half = np.linalg.inv(factor)
    inner = half @ between @ np.swapaxes(half, -1, -2)
    roots, vectors = np.linalg.eigh(0.5 * (inner + np.swapaxes(inner, -1, -2)))
    return _Basis(np.swapaxes(vectors, -1, -2) @ half, factor @ vectors, np.maximum(roots, 0.0))


def _transform(basis: _Basis, at: RandomIntercepts) -> RandomIntercepts:
    return RandomIntercepts(basis.u @ at.gamma, basis.u @ at.slopes, at.between, at.within)


class _State:
    """A point in its own coordinates, with its likelihood and residual cross-products.

    ``rows`` holds Gamma and B in the coordinates of ``basis`` (its T and W are not used).
    """

    def __init__(self, data: RandomInterceptData, basis: _Basis, rows: RandomIntercepts):
        self.data, self.basis, self.rows = data, basis, rows
        p = data.p
        sizes, counts = data.sizes, data.counts
        # v_ga = lambda_a + 1 / n_g, shape (..., G, p)
        self.variances = basis.roots[..., None, :] + (1.0 / sizes)[:, None]
        left = np.concatenate([basis.u, -rows.gamma, -rows.slopes], axis=-1)
        across = left[..., None, :, :]
        self.residual = across @ data.cross @ np.swapaxes(across, -1, -2)
        inner = np.concatenate([basis.u, -rows.slopes], axis=-1)
        self.scatter = inner @ data.scatter @ np.swapaxes(inner, -1, -2)
        _, logdet_u = np.linalg.slogdet(basis.u)
        logdet = np.log(self.variances).sum(axis=-1)
        quadratic = np.diagonal(self.residual, axis1=-2, axis2=-1) / self.variances
        total = float(sizes @ counts)
        constant = total * p * np.log(2.0 * np.pi) + p * float(counts @ np.log(sizes))
        self.value: Array = -0.5 * (
            constant
            - 2.0 * total * logdet_u
            + np.trace(self.scatter, axis1=-2, axis2=-1)
            + (counts * logdet).sum(axis=-1)
            + quadratic.sum(axis=(-1, -2))
        )

    @classmethod
    def at(cls, data: RandomInterceptData, point: RandomIntercepts, free: Free) -> _State:
        """The state at T and W of ``point``, with the free coefficients at their best."""
        basis = _basis(point.between, point.within)
        rows = _coefficients(data, basis, _transform(basis, point), free)
        return cls(data, basis, rows)

    def __getitem__(self, draws: Any) -> _State:
        new = object.__new__(_State)
        new.data, new.basis, new.rows = self.data[draws], self.basis[draws], self.rows[draws]
        for name in ("variances", "residual", "scatter", "value"):
            setattr(new, name, getattr(self, name)[draws])
        return new

    def where(self, condition: NDArray[np.bool_], other: _State) -> _State:
        """This state where the condition holds, the other one elsewhere."""
        if condition.all():
            return self

        def choose(a: Array, b: Array) -> Array:
            return np.where(condition.reshape(-1, *([1] * (a.ndim - 1))), a, b)

        new = object.__new__(_State)
        new.data = self.data
        new.basis = _Basis(
            choose(self.basis.u, other.basis.u),
            choose(self.basis.inverse, other.basis.inverse),
            choose(self.basis.roots, other.basis.roots),
        )
        mine, theirs = self.rows, other.rows
        new.rows = RandomIntercepts(
            choose(mine.gamma, theirs.gamma), choose(mine.slopes, theirs.slopes),
            choose(mine.between, theirs.between), choose(mine.within, theirs.within),
        )  # fmt: skip
        for name in ("variances", "residual", "scatter", "value"):
            setattr(new, name, choose(getattr(self, name), getattr(other, name)))
        return new

    def parameters(self, draws: Any) -> RandomIntercepts:
        """The point in the units of the data."""
        rows, roots = self.rows[draws], self.basis.roots[draws]
        p = self.data.p
        diagonal = roots[..., None] * np.eye(p)
        eye = np.broadcast_to(np.eye(p), diagonal.shape)
        return self.basis[draws].back(RandomIntercepts(rows.gamma, rows.slopes, diagonal, eye))

    def step(self, free: Free, damping: Array) -> tuple[Array, Array, Array]:
        """Expected gain, and T and W after one scoring step, in these coordinates."""
        sizes, counts = self.data.sizes, self.data.counts
        p = self.data.p
        eye = np.eye(p)
        roots = self.basis.roots
        weight = 1.0 / self.variances
        pair = weight[..., :, None] * weight[..., None, :]  # (R, G, p, p)
        by_size = pair * self.residual - (counts[:, None] * weight)[..., None] * eye
        slope_t = 0.5 * by_size.sum(axis=1)
        slope_w = 0.5 * (
            self.scatter - self.data.freedom * eye + (by_size / sizes[:, None, None]).sum(axis=1)
        )
        info_tt = 0.5 * np.einsum("g,rgab->rab", counts, pair)
        info_tw = 0.5 * np.einsum("g,rgab->rab", counts / sizes, pair)
        info_ww = 0.5 * (self.data.freedom + np.einsum("g,rgab->rab", counts / sizes**2, pair))
        change_t = np.zeros_like(slope_t)
        if free != "within":
            # Only the part of dL/dT that a best change of W leaves decides what is pressed to zero.
            profile = slope_t if free == "between" else slope_t - info_tw / info_ww * slope_w
            info = info_tt if free == "between" else info_tt - info_tw**2 / info_ww
            null = roots < 1e-8 * (1.0 + roots.max(axis=-1, keepdims=True))
            press = np.where(null, np.maximum(-np.diagonal(profile, axis1=-2, axis2=-1), 0.0), 0.0)
            safe = np.where(roots > 0.0, roots, np.inf)
            curvature = press[..., :, None] / safe[..., None, :]
            curvature = np.where(null[..., :, None] & ~null[..., None, :], curvature, 0.0)
            info = info + curvature + np.swapaxes(curvature, -1, -2)
            change_t = profile / info
            target = roots[..., None] * eye + damping[:, None, None] * change_t
            values, vectors = np.linalg.eigh(target)
            target = (vectors * np.maximum(values, 0.0)[..., None, :]) @ np.swapaxes(
                vectors, -1, -2
            )
            change_t = target - roots[..., None] * eye
        change_w = np.zeros_like(slope_w)
        if free != "between":
            change_w = (damping[:, None, None] * slope_w - info_tw * change_t) / info_ww
            lowest = np.linalg.eigvalsh(change_w)[:, 0]
            change_w *= np.minimum(1.0, 0.8 / np.maximum(-lowest, 1e-300))[:, None, None]
        gain = (slope_t * change_t + slope_w * change_w).sum(axis=(-1, -2))
        gain -= 0.5 * (
            info_tt * change_t**2 + 2.0 * info_tw * change_t * change_w + info_ww * change_w**2
        ).sum(axis=(-1, -2))
        # A halved step gains less than a whole one would.
        return gain / damping, roots[..., None] * eye + change_t, eye + change_w


def _coefficients(
    data: RandomInterceptData, basis: _Basis, rows: RandomIntercepts, free: Free
) -> RandomIntercepts:
    """Generalised least squares for the free coefficients, row by row of the coordinates."""
    p, kc = data.p, data.kc
    kx = data.scatter.shape[-1] - p
    if free == "within" and not kx:
        return rows
    weight = 1.0 / (basis.roots[..., None, :] + (1.0 / data.sizes)[:, None])  # (R, G, p)
    means = data.cross[..., p:, p:]
    left = np.einsum("rga,rgcd->racd", weight, means, optimize=True)
    moments = basis.u[..., None, :, :] @ data.cross[..., :p, p:]
    right = np.einsum("rga,rgac->rac", weight, moments, optimize=True)
    if kx:
        left[..., kc:, kc:] += data.scatter[..., None, p:, p:]
        right[..., kc:] += basis.u @ data.scatter[..., :p, p:]
    if free == "both":
        solved = np.linalg.solve(left, right[..., None])[..., 0]
        return RandomIntercepts(solved[..., :kc], solved[..., kc:], rows.between, rows.within)
    if free == "within":
        right = right[..., kc:] - np.einsum("racd,rad->rac", left[..., kc:, :kc], rows.gamma)
        solved = np.linalg.solve(left[..., kc:, kc:], right[..., None])[..., 0]
        return RandomIntercepts(rows.gamma, solved, rows.between, rows.within)
    right = right[..., :kc] - np.einsum("racd,rad->rac", left[..., :kc, kc:], rows.slopes)
    solved = np.linalg.solve(left[..., :kc, :kc], right[..., None])[..., 0]
    return RandomIntercepts(solved, rows.slopes, rows.between, rows.within)


def _start(
    data: RandomInterceptData, free: Free, fixed: RandomIntercepts | None
) -> RandomIntercepts:
    """Moment estimates; exact on balanced data without within covariates."""
    p = data.p
    freedom, clusters = max(data.freedom, 1.0), float(data.counts.sum())
    inside = regression(data.scatter, p, freedom)
    cross = data.cross.sum(axis=-3)
    outside = regression(cross, p, clusters)
    n = clusters / float(data.counts @ (1.0 / data.sizes))
    means, within = outside.covariance, inside.covariance
    gamma, slopes = outside.coefficients[..., : data.kc], outside.coefficients[..., data.kc :]
    if slopes.shape[-1]:
        slopes = inside.coefficients
    if free == "within" and fixed is not None:
        return RandomIntercepts(fixed.gamma, slopes, fixed.between, within)
    if free == "between" and fixed is not None:
        within, slopes = fixed.within, fixed.slopes
    basis = _basis(means, within)
    # n times the roots of V in the metric of W: above 1 where T has variance.
    roots = n * basis.roots
    if free == "both":
        pooled = (freedom + clusters * roots) / (freedom + clusters)
        scale = np.where(roots < 1.0, pooled, 1.0)
        within = basis.inverse @ (scale[..., None] * np.swapaxes(basis.inverse, -1, -2))
    excess = np.maximum(roots - 1.0, 0.0) / n
    between = basis.inverse @ (excess[..., None] * np.swapaxes(basis.inverse, -1, -2))
    return RandomIntercepts(gamma, slopes, between, within)


def _store(target: RandomIntercepts, at: NDArray[np.intp], values: RandomIntercepts) -> None:
    target.gamma[at], target.slopes[at] = values.gamma, values.slopes
    target.between[at], target.within[at] = values.between, values.within


@dataclass(frozen=True)
class Unrestricted:
    """The unrestricted two-level model at its maximum.

    ``value`` (R,) is the log-likelihood, ``parts`` the three factors; `reduced_from` makes the
    covariance matrices of the levels of them.
    """

    value: Array
    parts: Canonical


def unrestricted(data: TwoLevelData, layout: Layout, tolerance: float = 1e-9) -> Unrestricted:
    """Fit the unrestricted two-level model to data sets with one leading axis."""
    zs, vs = z_cross(data, layout), v_cross(data, layout)
    z, v = regression(zs, layout.z, data.clusters), regression(vs, len(layout.only), data.rows)
    y = maximise(y_data(data, layout), tolerance=tolerance)
    value = (
        regression_log_likelihood(zs, layout.z, data.clusters)
        + regression_log_likelihood(vs, len(layout.only), data.rows)
        + y.value
    )
    return Unrestricted(value, Canonical(z, v, y.parameters))


def factor_log_likelihoods(
    data: TwoLevelData, layout: Layout, at: Canonical
) -> tuple[Array, Array, Array]:
    """Log-likelihoods of the three factors (z, v, y) at given parameters."""
    return (
        regression_log_likelihood(z_cross(data, layout), layout.z, data.clusters, at.z),
        regression_log_likelihood(v_cross(data, layout), len(layout.only), data.rows, at.v),
        random_intercept_log_likelihood(y_data(data, layout), at.y),
    )


def coordinates(at: RandomIntercepts) -> tuple[Array, Array]:
    """U and lambda with U W U' = I and U T U' = diag(lambda)."""
    basis = _basis(at.between, at.within)
    return basis.u, basis.roots
