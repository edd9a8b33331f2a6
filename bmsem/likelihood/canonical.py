"""A two-level likelihood in three factors, of which the unrestricted model's maximum is easy.

Outcomes are z (between-only), v (within-only) and y (both parts). The joint likelihood is

    p(z | x_b)                     a multivariate regression over clusters,
    p(v | x_w)                     a multivariate regression over people,
    p(y | 1, x_b, z; x_w, v)       y_ij = Gamma c_j + B x_ij + u_j + e_ij,  u ~ N(0, T), e ~ N(0, W)

with c = (1, x_b, z) and x = (x_w, v), because the regression of u_j on z_j is free and that of y_ij on
v_ij has the same coefficients within and between clusters (v has no between part). In an unrestricted
model the three have separate parameters, and the first two are ordinary regressions.

Everything broadcasts over leading axes: draws, or replicated data sets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmsem.data import BoundModel
from bmsem.likelihood.reduced import ReducedForm

Array = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True)
class Layout:
    """Which columns of the sufficient statistics are which.

    ``both`` and ``only`` are positions, among the p outcomes of the members, of those with both parts
    and of the within-only ones.
    """

    z: int
    both: Index
    only: Index
    between_covariates: int
    within_covariates: int

    @property
    def outcomes(self) -> int:
        """p: outcomes of the members."""
        return len(self.both) + len(self.only)

    @property
    def free_parameters(self) -> tuple[int, int]:
        """How many parameters the unrestricted model has within, and between.

        Covariances, and coefficients on the covariates; the constants of outcomes with both parts
        count between, those of within-only ones within.
        """
        p, v, z = self.outcomes, len(self.only), self.z
        q = z + len(self.both)
        within = p * (p + 1) // 2 + p * self.within_covariates + v
        return within, q * (q + 1) // 2 + q * (1 + self.between_covariates)


@dataclass(frozen=True)
class TwoLevelData:
    """Sufficient statistics of one data set, or of many along leading axes.

    Attributes
    ----------
    scatter : (..., p + k_w, p + k_w)
        Pooled within cross-products of (y, x_w).
    cross : (..., G, q + c, q + c)
        Cross-products of (z, ybar, 1, x_b, xbar_w) less the shift, by size of cluster.
    sizes, counts : (G,)
    """

    scatter: Array
    cross: Array
    sizes: Array
    counts: Array

    @property
    def clusters(self) -> float:
        return float(self.counts.sum())

    @property
    def rows(self) -> float:
        return float(self.sizes @ self.counts)

    def __getitem__(self, draws: Any) -> TwoLevelData:
        return TwoLevelData(
            self.scatter[draws],
            self.cross[draws],
            self.sizes,
            self.counts,
        )


@dataclass(frozen=True)
class RandomInterceptData:
    """Statistics of the third factor: ``scatter`` of (y, x), ``cross`` of (ybar, c, xbar) by size."""

    scatter: Array
    cross: Array
    sizes: Array
    counts: Array
    p: int
    kc: int

    @property
    def freedom(self) -> float:
        """N - J."""
        return float((self.sizes - 1.0) @ self.counts)

    def __getitem__(self, draws: Any) -> RandomInterceptData:
        return RandomInterceptData(
            self.scatter[draws],
            self.cross[draws],
            self.sizes,
            self.counts,
            self.p,
            self.kc,
        )


@dataclass(frozen=True)
class RandomIntercepts:
    """Parameters of the third factor: Gamma, B, T, W."""

    gamma: Array
    slopes: Array
    between: Array
    within: Array

    def __getitem__(self, draws: Any) -> RandomIntercepts:
        parts = (self.gamma, self.slopes, self.between, self.within)
        return RandomIntercepts(*(a[draws] for a in parts))


@dataclass(frozen=True)
class Regression:
    """Coefficients (..., m, k) and residual covariance (..., m, m) of a multivariate regression."""

    coefficients: Array
    covariance: Array

    def __getitem__(self, draws: Any) -> Regression:
        return Regression(self.coefficients[draws], self.covariance[draws])


@dataclass(frozen=True)
class Canonical:
    """A model's three factors."""

    z: Regression
    v: Regression
    y: RandomIntercepts

    def __getitem__(self, draws: Any) -> Canonical:
        return Canonical(self.z[draws], self.v[draws], self.y[draws])


def z_cross(data: TwoLevelData, layout: Layout) -> Array:
    """Cross-products of (z, 1, x_b) over clusters."""
    first = layout.z + layout.outcomes
    keep = [*range(layout.z), *range(first, first + 1 + layout.between_covariates)]
    total = data.cross.sum(axis=-3)
    return total[..., keep, :][..., keep]


def v_cross(data: TwoLevelData, layout: Layout) -> Array:
    """Cross-products of (v, 1, x_w) over people."""
    q = layout.z + layout.outcomes
    last = q + 1 + layout.between_covariates
    xs = list(range(layout.within_covariates))
    means = [*(layout.z + layout.only), q, *(last + i for i in xs)]
    total = np.einsum("g,...gab->...ab", data.sizes, data.cross[..., means, :][..., means])
    inner = [*layout.only, *(layout.outcomes + i for i in xs)]
    places = [*range(len(layout.only)), *(len(layout.only) + 1 + i for i in xs)]
    total[(..., *np.ix_(places, places))] += data.scatter[..., inner, :][..., inner]
    return total


def y_data(data: TwoLevelData, layout: Layout) -> RandomInterceptData:
    """Statistics of the third factor."""
    q = layout.z + layout.outcomes
    last = q + 1 + layout.between_covariates
    c = [q, *range(q + 1, last), *range(layout.z)]
    x = [*range(last, last + layout.within_covariates), *(layout.z + layout.only)]
    means = [*(layout.z + layout.both), *c, *x]
    p = layout.outcomes
    inner = [*layout.both, *range(p, p + layout.within_covariates), *layout.only]
    return RandomInterceptData(
        data.scatter[..., inner, :][..., inner],
        data.cross[..., means, :][..., means],
        data.sizes,
        data.counts,
        len(layout.both),
        len(c),
    )


def canonical(reduced: ReducedForm, layout: Layout) -> Canonical:
    """The three factors of a model's reduced form."""
    z = np.arange(layout.z)
    u = layout.z + layout.both
    v = layout.z + layout.only
    pi, b = reduced.between_coefficients, reduced.within_coefficients
    sb, sw = reduced.between_covariance, reduced.within_covariance
    s_zz = sb[..., z, :][..., z]
    k = np.swapaxes(np.linalg.solve(s_zz, sb[..., z, :][..., u]), -1, -2)
    pi_z, pi_u = pi[..., z, :], pi[..., u, :]
    gamma = np.concatenate([pi_u - k @ pi_z, k], axis=-1)
    t = sb[..., u, :][..., u] - k @ sb[..., z, :][..., u]
    both, only = layout.both, layout.only
    w_vv = sw[..., only, :][..., only]
    c = np.swapaxes(np.linalg.solve(w_vv, sw[..., only, :][..., both]), -1, -2)
    w = sw[..., both, :][..., both] - c @ sw[..., only, :][..., both]
    v_coefficients = np.concatenate([pi[..., v, :1], b[..., only, :]], axis=-1)
    gamma[..., :1] -= c @ pi[..., v, :1]
    slopes = np.concatenate([b[..., both, :] - c @ b[..., only, :], c], axis=-1)
    return Canonical(
        Regression(pi_z, s_zz),
        Regression(v_coefficients, w_vv),
        RandomIntercepts(gamma, slopes, t, w),
    )


def reduced_from(parts: Canonical, layout: Layout) -> ReducedForm:
    """The reduced form of three factors: the inverse of `canonical`."""
    y = parts.y
    kz = layout.z
    lead = np.broadcast_shapes(y.gamma.shape[:-2], parts.z.covariance.shape[:-2])
    q, p = layout.z + layout.outcomes, layout.outcomes
    z, u, v = np.arange(kz), layout.z + layout.both, layout.z + layout.only
    both, only = layout.both, layout.only
    split = y.gamma.shape[-1] - kz
    k = y.gamma[..., split:]
    last = y.slopes.shape[-1] - len(only)
    c = y.slopes[..., last:]
    pi = np.zeros((*lead, q, 1 + layout.between_covariates))
    b = np.zeros((*lead, p, layout.within_covariates))
    sb, sw = np.zeros((*lead, q, q)), np.zeros((*lead, p, p))
    pi[..., z, :] = parts.z.coefficients
    pi[..., u, :] = y.gamma[..., :split] + k @ parts.z.coefficients
    pi[..., u, :1] += c @ parts.v.coefficients[..., :1]
    pi[..., v, :1] = parts.v.coefficients[..., :1]
    b[..., only, :] = parts.v.coefficients[..., 1:]
    b[..., both, :] = y.slopes[..., :last] + c @ parts.v.coefficients[..., 1:]

    def fill(target: Array, rows: Index, columns: Index, values: Array) -> None:
        target[(..., *np.ix_(rows, columns))] = values

    cross = k @ parts.z.covariance
    fill(sb, z, z, parts.z.covariance)
    fill(sb, u, z, cross)
    fill(sb, z, u, np.swapaxes(cross, -1, -2))
    fill(sb, u, u, y.between + cross @ np.swapaxes(k, -1, -2))
    cross = c @ parts.v.covariance
    fill(sw, only, only, parts.v.covariance)
    fill(sw, both, only, cross)
    fill(sw, only, both, np.swapaxes(cross, -1, -2))
    fill(sw, both, both, y.within + cross @ np.swapaxes(c, -1, -2))
    return ReducedForm(pi, b, sb, sw)


def regression(cross: Array, outcomes: int, count: float) -> Regression:
    """Least squares from cross-products of (outcomes, regressors); divisor ``count``."""
    m = outcomes
    inner = cross[..., m:, m:]
    coefficients = np.swapaxes(np.linalg.solve(inner, cross[..., m:, :m]), -1, -2)
    covariance = (cross[..., :m, :m] - coefficients @ cross[..., m:, :m]) / count
    return Regression(coefficients, 0.5 * (covariance + np.swapaxes(covariance, -1, -2)))


def regression_log_likelihood(
    cross: Array, outcomes: int, count: float, at: Regression | None = None
) -> Array:
    """Log-likelihood of a multivariate regression at ``at``, or its maximum.

    -1/2 [ count (m log 2 pi + log|Sigma|) + tr(Sigma^-1 E) ], E the residual cross-products.
    """
    m = outcomes
    if not m:
        return np.zeros(cross.shape[:-2])
    if at is None:
        covariance = regression(cross, m, count).covariance
        sign, logdet = np.linalg.slogdet(covariance)
        logdet = np.where(sign > 0, logdet, -np.inf)
        return -0.5 * count * (m * np.log(2.0 * np.pi) + logdet + m)
    eye = np.broadcast_to(np.eye(m), (*at.coefficients.shape[:-2], m, m))
    left = np.concatenate([eye, -at.coefficients], axis=-1)
    residual = left @ cross @ np.swapaxes(left, -1, -2)
    _, logdet = np.linalg.slogdet(at.covariance)
    trace = np.einsum("...ab,...ba->...", np.linalg.inv(at.covariance), residual)
    return -0.5 * (count * (m * np.log(2.0 * np.pi) + logdet) + trace)


def layout_of(bound: BoundModel) -> Layout:
    """The layout of a bound model's statistics."""
    structure = bound.structure
    within_only = set(bound.spec.within_only)
    only = [i for i, name in enumerate(structure.outcomes) if name in within_only]
    both = [i for i, name in enumerate(structure.outcomes) if name not in within_only]
    return Layout(
        len(structure.between_outcomes),
        np.array(both, dtype=np.intp),
        np.array(only, dtype=np.intp),
        len(structure.between_covariates),
        len(structure.within_covariates),
    )


def observed_data(bound: BoundModel) -> TwoLevelData:
    """A bound model's sufficient statistics, without leading axes."""
    pooled = bound.pooled
    return TwoLevelData(pooled.scatter, pooled.cross, pooled.sizes, pooled.counts)
