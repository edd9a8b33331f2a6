"""The log-likelihood of the random-intercept model and its gradient, compiled.

With n_j members, cluster means ybar_j, pooled within cross-products S, cluster-level outcomes z_j and
covariates c, and d_j = (z_j, ybar_j):

    log p = -1/2 [ (N - J) (p log 2 pi + log|Sigma_W|) + tr(Sigma_W^-1 S_res) ] - p/2 sum_j log n_j
            + sum_j log N( d_j ; Pi c_j , V_j ),      V_j = Sigma_B + blockdiag(0, Sigma_W / n_j)

(McDonald & Goldstein 1989, British Journal of Mathematical and Statistical Psychology 42, 215-232;
in this form Muthen 1990, UCLA Statistics Series 62.) Clusters of one size share V_j and enter through
their cross-products, so that the cost depends on the number of distinct sizes only.

Intercepts a with a normal or flat prior enter linearly, d_j = Pi c_j + H a + error. They are
integrated out: with P = D^-1 + H' (sum_j V_j^-1) H and a_hat = P^-1 (D^-1 m + H' sum_j V_j^-1 e_j),

    log int p(d | a) p(a) da = log p(d | a_hat) + log p(a_hat) + r/2 log 2 pi - 1/2 log|P|

(Lindley & Smith 1972, JRSS B 34, 1-41). The gradient uses that the derivative of an integrated
log-likelihood is the posterior expectation of the derivative of the joint one (Fisher's identity;
Louis 1982, JRSS B 44, equation 3.1): residual cross-products are replaced by their expectations
over a. What follows is plain reverse accumulation through T = F (I - A)^-1.

Loops are written out: the matrices are small, and calls into BLAS would cost more than the sums. All
compiled code is in this one file, because numba's cache on disk sees a change of the file that a
function stands in, but not of the files that it calls into. Matrices of one shape are planes of one
block: an allocation costs as much as the product of two small matrices.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numba
import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

# Multiplications and additions may be fused; non-finite values must be seen, not assumed away. Divisions
# by zero give them, as in NumPy, and no exceptions, for which every division would be tested.
_options = {"nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}
_jit = numba.njit(cache=True, **_options)
_inline = numba.njit(cache=True, inline="never", **_options)

LOG_2PI = math.log(2.0 * math.pi)


@_inline
def spd_inverse(matrix, inverse, factor):
    """Invert a symmetric positive-definite matrix; returns log-determinant, or nan if it is not.

    ``factor`` is scratch for the Cholesky factor's inverse; nothing is allocated.
    """
    n = matrix.shape[0]
    logdet = 0.0
    for j in range(n):
        s = matrix[j, j]
        for k in range(j):
            s -= factor[j, k] * factor[j, k]
        # A pivot that has lost all its digits means a singular matrix, whatever its sign.
        if not s > 1e-14 * abs(matrix[j, j]):
            return np.nan
        pivot = math.sqrt(s)
        factor[j, j] = pivot
        logdet += 2.0 * math.log(pivot)
        for i in range(j + 1, n):
            s = matrix[i, j]
            for k in range(j):
                s -= factor[i, k] * factor[j, k]
            factor[i, j] = s / pivot
    # factor <- inverse of the triangle
    for j in range(n):
        factor[j, j] = 1.0 / factor[j, j]
        for i in range(j + 1, n):
            s = 0.0
            for k in range(j, i):
                s -= factor[i, k] * factor[k, j]
            factor[i, j] = s / factor[i, i]
    for i in range(n):
        for j in range(i + 1):
            s = 0.0
            for k in range(i, n):
                s += factor[k, i] * factor[k, j]
            inverse[i, j] = s
            inverse[j, i] = s
    return logdet


@_inline
def positive_definite(matrix, rows):
    """Whether the submatrix of some rows and columns is positive definite."""
    n = rows.shape[0]
    if n == 0:
        return True
    block = np.empty((3, n, n))
    part = block[0]
    for i in range(n):
        for j in range(n):
            part[i, j] = matrix[rows[i], rows[j]]
    return np.isfinite(spd_inverse(part, block[1], block[2]))


@_inline
def structural_inverse(paths, total, work):
    """total <- (I - paths)^-1 by Gauss-Jordan with partial pivoting; False if singular."""
    n = paths.shape[0]
    for i in range(n):
        for j in range(n):
            work[i, j] = -paths[i, j]
            total[i, j] = 0.0
        work[i, i] += 1.0
        total[i, i] = 1.0
    for c in range(n):
        best = c
        for i in range(c + 1, n):
            if abs(work[i, c]) > abs(work[best, c]):
                best = i
        if not abs(work[best, c]) > 1e-300:
            return False
        if best != c:
            for j in range(n):
                work[c, j], work[best, j] = work[best, j], work[c, j]
                total[c, j], total[best, j] = total[best, j], total[c, j]
        pivot = 1.0 / work[c, c]
        if pivot != 1.0:
            for j in range(n):
                work[c, j] *= pivot
                total[c, j] *= pivot
        for i in range(n):
            if i != c:
                f = work[i, c]
                if f != 0.0:
                    for j in range(n):
                        work[i, j] -= f * work[c, j]
                        total[i, j] -= f * total[c, j]
    return True


@_inline
def level_moments(theta, a0, ai, p0, pi, k0, ki, n_observed, total, psi, sigma, coefs):
    """Fill Psi, M = (I - A)^-1, and the observed rows' Sigma = T Psi T' and T K; False if singular.

    ``psi`` and ``coefs`` hold Psi and K on return, ``sigma`` (q, q); the reduced form is computed
    by the caller from ``total`` and ``coefs``.
    """
    n = a0.shape[0]
    block = np.empty((2, n, n))
    a = block[0]
    for i in range(n):
        for j in range(n):
            a[i, j] = a0[i, j]
            psi[i, j] = p0[i, j]
        for j in range(k0.shape[1]):
            coefs[i, j] = k0[i, j]
    for e in range(ai.shape[0]):
        a[ai[e, 0], ai[e, 1]] = theta[ai[e, 2]]
    for e in range(pi.shape[0]):
        psi[pi[e, 0], pi[e, 1]] = theta[pi[e, 2]]
        psi[pi[e, 1], pi[e, 0]] = theta[pi[e, 2]]
    for e in range(ki.shape[0]):
        coefs[ki[e, 0], ki[e, 1]] = theta[ki[e, 2]]
    if not structural_inverse(a, total, block[1]):
        return False
    row = a[0]  # paths are not needed any more
    for i in range(n_observed):
        for j in range(n):
            s = 0.0
            for k in range(n):
                s += total[i, k] * psi[k, j]
            row[j] = s
        for j in range(i + 1):
            s = 0.0
            for k in range(n):
                s += row[k] * total[j, k]
            sigma[i, j] = s
            sigma[j, i] = s
    return True


@_inline
def level_gradient(grad, ai, pi, ki, n_observed, total, psi, coefs, d_sigma, d_reduced, d_t):
    """Add a level's part of the gradient.

    ``d_sigma`` (q, q, symmetric) and ``d_reduced`` (q, k) are derivatives with respect to Sigma and
    to the reduced form T K; ``d_t`` (q, n) is what is already known of the derivative by T.
    """
    n = psi.shape[0]
    q = n_observed
    k = coefs.shape[1]
    # T' G, used twice: dPsi = T' G T and dT += 2 G T Psi.
    tg = np.empty((n, q))
    for i in range(n):
        for j in range(q):
            s = 0.0
            for m in range(q):
                s += total[m, i] * d_sigma[m, j]
            tg[i, j] = s
    for e in range(pi.shape[0]):
        i, j = pi[e, 0], pi[e, 1]
        s = 0.0
        for m in range(q):
            s += tg[i, m] * total[m, j]
        grad[pi[e, 2]] += s if i == j else 2.0 * s
    for e in range(ki.shape[0]):
        s = 0.0
        for m in range(q):
            s += total[m, ki[e, 0]] * d_reduced[m, ki[e, 1]]
        grad[ki[e, 2]] += s
    if ai.shape[0] == 0:
        return
    for i in range(q):
        for j in range(n):
            s = 0.0
            for m in range(n):
                s += tg[m, i] * psi[m, j]
            s *= 2.0
            for m in range(k):
                s += d_reduced[i, m] * coefs[j, m]
            d_t[i, j] += s
    # dA = T' dT M'
    for e in range(ai.shape[0]):
        i, j = ai[e, 0], ai[e, 1]
        outer = 0.0
        for m in range(q):
            s = 0.0
            for k in range(n):
                s += d_t[m, k] * total[j, k]
            outer += total[m, i] * s
        grad[ai[e, 2]] += outer


@_jit
def log_likelihood(
    theta,
    wa0, wai, wp0, wpi, wk0, wki, w_check, w_observed,
    ba0, bai, bp0, bpi, bk0, bki, b_check, b_observed,
    intercept_side, intercept_row, intercept_mean, intercept_precision,
    scatter, freedom, sizes, counts, cross, shift, constant,
    estimate, covariance,
):  # fmt: skip
    """Log-likelihood, intercepts integrated out, and its gradient.

    Parameters
    ----------
    theta : (P,)
        Free parameters. Those of integrated intercepts are read as offsets and are zero as a rule.
    wa0 .. b_observed
        Structure of the within and between level, as in `bmsem.structure.LevelStructure`;
        ``w_check`` and ``b_check`` are the rows of Psi whose covariances are not positive definite
        by construction.
    intercept_side, intercept_row : (r, m)
        Where integrated intercept ``i`` stands: side 0 within, 1 between, -1 unused; one row each
        for every place that its label stands at.
    intercept_mean, intercept_precision : (r,)
        Its normal prior; precision zero is a flat prior.
    scatter : (p + k_w, p + k_w)
        Pooled within cross-products of (y, x_within) about the cluster means.
    freedom : ()
        N - J.
    sizes, counts : (G,)
        Distinct cluster sizes, and how many clusters have them.
    cross : (G, q + c, q + c)
        Cross-products of (z, ybar, 1, x_between, xbar_within), all but the 1 shifted by ``shift``.
    shift : (q + c,)
        What was subtracted, zero at the 1, so that no digits are lost to large means.
    constant : ()
        Terms that do not depend on theta.
    estimate, covariance : (r,), (r, r)
        Written: posterior mean and covariance of the integrated intercepts given theta.

    Returns
    -------
    value, gradient
        ``-inf`` and zeros where a covariance matrix is not positive definite.
    """
    grad = np.zeros(theta.shape[0])
    p, nw, nb, q = w_observed, wa0.shape[0], ba0.shape[0], b_observed
    kw, kb = wk0.shape[1], bk0.shape[1]
    nz = q - p  # cluster-level outcomes come first
    width = kb + kw - 1  # covariates of the between level: 1, x_between, xbar_within
    value = constant

    groups = sizes.shape[0]
    r = intercept_mean.shape[0]
    w_block, b_block = np.empty((2, nw, nw)), np.empty((2, nb, nb))
    w_total, w_psi = w_block[0], w_block[1]
    b_total, b_psi = b_block[0], b_block[1]
    p_block = np.empty((5, p, p))
    w_sigma, inverse_w, residual, left, d_sigma_w = (
        p_block[0], p_block[1], p_block[2], p_block[3], p_block[4],
    )  # fmt: skip
    q_block = np.zeros((8 + groups, q, q))
    b_sigma, scratch, v, sum_inverse, spread, d_sigma_b, expected, left_b = (
        q_block[0], q_block[1], q_block[2], q_block[3],
        q_block[4], q_block[5], q_block[6], q_block[7],
    )  # fmt: skip
    inverses = q_block[8:]
    w_coefs = np.empty((nw, kw))
    b_coefs = np.empty((nb, kb))
    if not level_moments(theta, wa0, wai, wp0, wpi, wk0, wki, p, w_total, w_psi, w_sigma, w_coefs):
        return -np.inf, grad
    if not level_moments(theta, ba0, bai, bp0, bpi, bk0, bki, q, b_total, b_psi, b_sigma, b_coefs):
        return -np.inf, grad

    if not (positive_definite(w_psi, w_check) and positive_definite(b_psi, b_check)):
        return -np.inf, grad

    # Reduced forms: B (p, kw) within; Pi (q, width) of the cluster means on all covariates.
    k_block = np.zeros((2, p, kw))
    reduced_w, d_reduced_w = k_block[0], k_block[1]
    for i in range(p):
        for j in range(kw):
            s = 0.0
            for m in range(nw):
                s += w_total[i, m] * w_coefs[m, j]
            reduced_w[i, j] = s
    c_block = np.zeros((3, q, width))
    reduced, d_reduced = c_block[0], c_block[1]
    cross_residual = c_block[2]  # sum_j e_j c_j'
    for i in range(q):
        for j in range(kb):
            s = 0.0
            for m in range(nb):
                s += b_total[i, m] * b_coefs[m, j]
            reduced[i, j] = s
    for i in range(p):
        reduced[nz + i, 0] += reduced_w[i, 0]
        for j in range(1, kw):
            reduced[nz + i, kb + j - 1] = reduced_w[i, j]
    # The shift of the data is absorbed by the constant.
    for i in range(q):
        s = -shift[i]
        for j in range(1, width):
            s += reduced[i, j] * shift[q + j]
        reduced[i, 0] += s

    d_sigma_w[:] = 0.0

    # Members about their cluster's mean.
    if p > 0:
        logdet = spd_inverse(w_sigma, inverse_w, scratch)
        if not np.isfinite(logdet):
            return -np.inf, grad
        half = np.empty((p, kw - 1))  # S_yx - B S_xx
        for i in range(p):
            for j in range(kw - 1):
                s = scatter[i, p + j]
                for m in range(kw - 1):
                    s -= reduced_w[i, m + 1] * scatter[p + m, p + j]
                half[i, j] = s
        for i in range(p):
            for j in range(p):
                s = scatter[i, j]
                for m in range(kw - 1):
                    s -= half[i, m] * reduced_w[j, m + 1] + reduced_w[i, m + 1] * scatter[p + m, j]
                residual[i, j] = s
        trace = 0.0
        for i in range(p):
            for j in range(p):
                s = 0.0
                for m in range(p):
                    s += inverse_w[i, m] * residual[m, j]
                left[i, j] = s
            trace += left[i, i]
        value -= 0.5 * (freedom * logdet + trace)
        for i in range(p):
            for j in range(p):
                s = 0.0
                for m in range(p):
                    s += left[i, m] * inverse_w[m, j]
                d_sigma_w[i, j] = 0.5 * (s - freedom * inverse_w[i, j])
            for j in range(kw - 1):
                s = 0.0
                for m in range(p):
                    s += inverse_w[i, m] * half[m, j]
                d_reduced_w[i, j + 1] = s

    # Clusters, by size.
    h_block = np.zeros((3, q, r))
    design, product, d_design = h_block[0], h_block[1], h_block[2]  # design: H
    for a in range(r):
        for b in range(intercept_side.shape[1]):
            if intercept_side[a, b] == 1:
                for i in range(q):
                    design[i, a] += b_total[i, intercept_row[a, b]]
            elif intercept_side[a, b] == 0:
                for i in range(p):
                    design[nz + i, a] += w_total[i, intercept_row[a, b]]
    r_block = np.empty((2, r, r))
    precision = r_block[0]
    weighted = np.zeros(r)
    sum_residual = np.zeros(q)  # sum_j V_j^-1 e_j
    for g in range(groups):
        for i in range(q):
            for j in range(q):
                v[i, j] = b_sigma[i, j]
        for i in range(p):
            for j in range(p):
                v[nz + i, nz + j] += w_sigma[i, j] / sizes[g]
        inverse = inverses[g]
        logdet = spd_inverse(v, inverse, scratch)
        if not np.isfinite(logdet):
            return -np.inf, grad
        value -= 0.5 * counts[g] * logdet
        if r > 0:
            for j in range(q):
                s = cross[g, j, q]
                for m in range(width):
                    s -= reduced[j, m] * cross[g, q + m, q]
                for i in range(q):
                    sum_inverse[i, j] += counts[g] * inverse[i, j]
                    sum_residual[i] += inverse[i, j] * s

    # First S H, then H Cov(a): written out, sums over four indices would cost the fourth power of q.
    # ``spread`` becomes H Cov(a) H'.
    if r > 0:
        for b in range(r):
            for i in range(q):
                s = 0.0
                for j in range(q):
                    s += sum_inverse[i, j] * design[j, b]
                product[i, b] = s
        for a in range(r):
            for b in range(r):
                s = 0.0
                for i in range(q):
                    s += design[i, a] * product[i, b]
                precision[a, b] = s
            precision[a, a] += intercept_precision[a]
            s = intercept_precision[a] * intercept_mean[a]
            for i in range(q):
                s += design[i, a] * sum_residual[i]
            weighted[a] = s
        logdet = spd_inverse(precision, covariance, r_block[1])
        if not np.isfinite(logdet):
            return -np.inf, grad
        value += 0.5 * (r * LOG_2PI - logdet)
        for a in range(r):
            s = 0.0
            for b in range(r):
                s += covariance[a, b] * weighted[b]
            estimate[a] = s
        for a in range(r):
            if intercept_precision[a] > 0.0:
                off = estimate[a] - intercept_mean[a]
                value += 0.5 * (
                    math.log(intercept_precision[a]) - LOG_2PI - intercept_precision[a] * off * off
                )
        # From here on residuals are about H a_hat: about zero, they would be as large as the data's
        # means, and their squares would lose the digits that matter.
        for i in range(q):
            for a in range(r):
                reduced[i, 0] += design[i, a] * estimate[a]
        for i in range(q):
            for b in range(r):
                s = 0.0
                for a in range(r):
                    s += design[i, a] * covariance[a, b]
                product[i, b] = s
        for i in range(q):
            for j in range(q):
                s = 0.0
                for b in range(r):
                    s += product[i, b] * design[j, b]
                spread[i, j] = s

    for g in range(groups):
        inverse = inverses[g]
        for i in range(q):
            for j in range(width):
                s = cross[g, i, q + j]
                for m in range(width):
                    s -= reduced[i, m] * cross[g, q + m, q + j]
                cross_residual[i, j] = s
        # E[sum_j e_j e_j'] over the posterior of the intercepts.
        trace = 0.0
        for i in range(q):
            for j in range(q):
                s = cross[g, i, j]
                for m in range(width):
                    s -= cross_residual[i, m] * reduced[j, m]
                    s -= reduced[i, m] * cross[g, q + m, j]
                expected[i, j] = s
                trace += inverse[i, j] * s
        value -= 0.5 * trace
        for i in range(q):
            for j in range(q):
                expected[i, j] += counts[g] * spread[i, j]
        for i in range(q):
            for j in range(q):
                s = 0.0
                for m in range(q):
                    s += inverse[i, m] * expected[m, j]
                left_b[i, j] = s
        for i in range(q):
            for j in range(i + 1):
                s = 0.0
                for m in range(q):
                    s += left_b[i, m] * inverse[m, j]
                s = 0.5 * (s - counts[g] * inverse[i, j])
                d_sigma_b[i, j] += s
                if i != j:
                    d_sigma_b[j, i] += s
                if i >= nz and j >= nz:
                    d_sigma_w[i - nz, j - nz] += s / sizes[g]
                    if i != j:
                        d_sigma_w[j - nz, i - nz] += s / sizes[g]
        for i in range(q):
            for j in range(width):
                s = 0.0
                for m in range(q):
                    s += inverse[i, m] * cross_residual[m, j]
                d_reduced[i, j] += s
    if r > 0:
        # sum_j E[V_j^-1 (e_j a' - H a a')], e_j about zero, is sum_j V_j^-1 (e_j a_hat' - H Cov(a))
        # with e_j about H a_hat.
        for i in range(q):
            for a in range(r):
                s = d_reduced[i, 0] * estimate[a]
                for j in range(q):
                    s -= sum_inverse[i, j] * product[j, a]
                d_design[i, a] = s

    # Back to the reduced forms of each level.
    d_reduced_b = np.empty((q, kb))
    for i in range(q):
        d_reduced_b[i, 0] = d_reduced[i, 0]
        for j in range(1, kb):
            d_reduced_b[i, j] = d_reduced[i, j] + d_reduced[i, 0] * shift[q + j]
    for i in range(p):
        d_reduced_w[i, 0] += d_reduced[nz + i, 0]
        for j in range(1, kw):
            d_reduced_w[i, j] += (
                d_reduced[nz + i, kb + j - 1] + d_reduced[nz + i, 0] * shift[q + kb + j - 1]
            )
    d_t_b = np.zeros((q, nb))
    d_t_w = np.zeros((p, nw))
    for a in range(r):
        for b in range(intercept_side.shape[1]):
            if intercept_side[a, b] == 1:
                for i in range(q):
                    d_t_b[i, intercept_row[a, b]] += d_design[i, a]
            elif intercept_side[a, b] == 0:
                for i in range(p):
                    d_t_w[i, intercept_row[a, b]] += d_design[nz + i, a]
    level_gradient(grad, wai, wpi, wki, p, w_total, w_psi, w_coefs, d_sigma_w, d_reduced_w, d_t_w)
    level_gradient(grad, bai, bpi, bki, q, b_total, b_psi, b_coefs, d_sigma_b, d_reduced_b, d_t_b)
    return value, grad


@intrinsic
def _pointer(typing, address):
    """An address as a pointer."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(address), generate


@numba.njit(inline="always")
def matrix(vector, start, rows, columns):
    """A part of an argument as a matrix, which must not live longer than the argument.

    Slicing and reshaping would count references, which takes longer than most of what follows.
    """
    address = vector.ctypes.data + start * vector.itemsize
    return numba.carray(_pointer(address), (rows, columns), vector.dtype)


@_jit
def packed_log_likelihood(theta, data, integers, reals, estimate, covariance):
    """`log_likelihood` with its arguments packed as `bmsem.likelihood.inputs.pack` does it.

    One vector of data makes a graph with one shared variable, which compiles faster than ten; it
    also is what is swapped when the same model is run on other data.
    """
    nw, p, kw, nb, q, kb, r, width = (
        integers[0], integers[1], integers[2], integers[3],
        integers[4], integers[5], integers[6], integers[7],
    )  # fmt: skip
    at = 16
    ends = np.empty(8, dtype=np.int64)
    for i in range(8):
        at_next = at + integers[8 + i] * (1 if i % 4 == 3 else 3)
        ends[i] = at_next
        at = at_next
    wai = matrix(integers, 16, integers[8], 3)
    wpi = matrix(integers, ends[0], integers[9], 3)
    wki = matrix(integers, ends[1], integers[10], 3)
    w_check = integers[ends[2] : ends[3]]
    bai = matrix(integers, ends[3], integers[12], 3)
    bpi = matrix(integers, ends[4], integers[13], 3)
    bki = matrix(integers, ends[5], integers[14], 3)
    b_check = integers[ends[6] : ends[7]]
    a = ends[7]
    side = matrix(integers, a, r, width)
    row = matrix(integers, a + r * width, r, width)

    a = 0
    wa0 = matrix(reals, a, nw, nw)
    a += nw * nw
    wp0 = matrix(reals, a, nw, nw)
    a += nw * nw
    wk0 = matrix(reals, a, nw, kw)
    a += nw * kw
    ba0 = matrix(reals, a, nb, nb)
    a += nb * nb
    bp0 = matrix(reals, a, nb, nb)
    a += nb * nb
    bk0 = matrix(reals, a, nb, kb)

    groups = int(data[0])
    freedom = data[1]
    constant = data[2]
    a = 3
    mean = data[a : a + r]
    a += r
    precision = data[a : a + r]
    a += r
    d = p + kw - 1
    scatter = matrix(data, a, d, d)
    a += d * d
    sizes = data[a : a + groups]
    a += groups
    counts = data[a : a + groups]
    a += groups
    c = q + kb + kw - 1
    cross = data[a : a + groups * c * c].reshape(groups, c, c)
    a += groups * c * c
    shift = data[a : a + c]
    return log_likelihood(
        theta,
        wa0, wai, wp0, wpi, wk0, wki, w_check, p,
        ba0, bai, bp0, bpi, bk0, bki, b_check, q,
        side, row, mean, precision,
        scatter, freedom, sizes, counts, cross, shift, constant,
        estimate, covariance,
    )  # fmt: skip


@_jit
def intercept_posterior(thetas, data, integers, reals):
    """Posterior of the integrated intercepts at each of many thetas (D, P).

    Returns means (D, r) and covariances (D, r, r), and the log-likelihoods (D,).
    """
    draws, r = thetas.shape[0], integers[6]
    means = np.empty((draws, r))
    covariances = np.empty((draws, r, r))
    values = np.empty(draws)
    for i in range(draws):
        values[i] = packed_log_likelihood(
            thetas[i], data, integers, reals, means[i], covariances[i]
        )[0]
    return means, covariances, values


# The kernel as a C function: called through its address, it is compiled once for every model, and
# never again optimised together with the code that calls it.
C_SIGNATURE = types.float64(
    types.CPointer(types.float64),  # theta
    types.intp,
    types.CPointer(types.float64),  # data
    types.intp,
    types.CPointer(types.int64),  # integers
    types.intp,
    types.CPointer(types.float64),  # reals
    types.intp,
    types.CPointer(types.float64),  # gradient, written
)


def _c_log_likelihood(theta, n_theta, data, n_data, integers, n_integers, reals, n_reals, gradient):
    """`packed_log_likelihood` on C arrays: returns the value, writes the gradient."""
    index = numba.carray(integers, (n_integers,))
    r = index[6]
    value, found = packed_log_likelihood(
        numba.carray(theta, (n_theta,)),
        numba.carray(data, (n_data,)),
        index,
        numba.carray(reals, (n_reals,)),
        np.empty(r),
        np.empty((r, r)),
    )
    for i in range(n_theta):
        gradient[i] = found[i]
    return value


@cache
def c_log_likelihood():
    """The kernel as a C function with an ``address``; compiled or loaded at the first call."""
    return numba.cfunc(C_SIGNATURE, cache=True)(_c_log_likelihood)


def is_cached() -> bool:
    """Whether the kernel was compiled before on this machine: compiling takes half a minute."""
    folder = Path(packed_log_likelihood.stats.cache_path)
    return any(folder.glob("*_c_log_likelihood*.nbc"))
