"""The log-likelihood given sampled cluster quantities, a cluster at a time, and its gradient.

Some quantities of a cluster are sampled (C_j: latent means of slope predictors, slopes on factors,
factors that are multiplied with others); given them everything else is linear Gaussian and
integrated out. With k_j = (z_j, C_j) known, b_j the other cluster effects and varying slopes, x_j
and x_ij covariates,

    (k_j, b_j) ~ N(Pi_j x_j, Sigma_Bj)                        between structure, a RAM
    e_ij = y_ij - u_j - B x_ij - sum_r s_rj src_rij l_r       ~ N(0, Sigma_Wj)

where u_j and s_rj are elements of k_j or b_j, src_rij is a covariate or y_ij - u_j of another
variable with u_j in C_j, and l_r the column of F (I - A)^-1 that slope r enters by. The map from e
to y has unit Jacobian in recursive models. b_j | k_j ~ N(m_j, T); with r_ij the residual at b_j =
m_j, Z linear in v_ij = (1, y_ij, x_ij), G = sum_i Z' Sigma_W^-1 Z and g = sum_i Z' Sigma_W^-1 r,

    -2 log p_j = n (p log 2 pi + log|Sigma_W|) + sum_i r' Sigma_W^-1 r + log|I + G T| - g' X g
                 - 2 log p(k_j)

with X = T (I + G T)^-1 the posterior covariance of b_j, X g its posterior mean less m_j (Lindley & Smith
1972, JRSS B 34, 1-41). All sums over people are linear in the cross-products of v, kept by cluster. The
gradient takes expectations of the derivative of the joint density over b_j (Fisher's identity; Louis
1982, JRSS B 44, 226-233).

Entries of A_B or A_W may be multiplied by a number of the cluster, observed or sampled: a coefficient
of a product of two variables, or a slope on a factor.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numba
import numpy as np

from bmsem.likelihood.kernel import (
    C_SIGNATURE,
    LOG_2PI,
    level_gradient,
    level_moments,
    positive_definite,
    spd_inverse,
)

_jit = numba.njit(cache=True, nogil=True)
_inline = numba.njit(cache=True, nogil=True, inline="never")


@_inline
def general_inverse(matrix, inverse):
    """Invert by Gauss-Jordan with partial pivoting; returns log|det|, or nan if singular."""
    n = matrix.shape[0]
    logdet = 0.0
    work = matrix.copy()
    for i in range(n):
        for j in range(n):
            inverse[i, j] = 1.0 if i == j else 0.0
    for c in range(n):
        best = c
        for i in range(c + 1, n):
            if abs(work[i, c]) > abs(work[best, c]):
                best = i
        if not abs(work[best, c]) > 1e-300:
            return np.nan
        if best != c:
            for j in range(n):
                work[c, j], work[best, j] = work[best, j], work[c, j]
                inverse[c, j], inverse[best, j] = inverse[best, j], inverse[c, j]
        logdet += math.log(abs(work[c, c]))
        pivot = 1.0 / work[c, c]
        for j in range(n):
            work[c, j] *= pivot
            inverse[c, j] *= pivot
        for i in range(n):
            if i != c:
                f = work[i, c]
                if f != 0.0:
                    for j in range(n):
                        work[i, j] -= f * work[c, j]
                        inverse[i, j] -= f * inverse[c, j]
    return logdet


@_inline
def modulated(theta, entries, values, multipliers, base, extended):
    """Values of the modulated entries behind the parameters: coefficient times multiplier.

    What stands in the same place otherwise is added: another entry, or the fixed value in ``base``.
    """
    size = theta.shape[0]
    for i in range(size):
        extended[i] = theta[i]
    for e in range(entries.shape[0]):
        coefficient = theta[entries[e, 2]] if entries[e, 2] >= 0 else values[e]
        other = entries[e, 4]
        before = extended[other] if other >= 0 else base[entries[e, 0], entries[e, 1]]
        extended[size + e] = before + coefficient * multipliers[entries[e, 3]]


@_inline
def modulated_gradient(theta, entries, values, multipliers, extended, gradient, to_multipliers):
    """Take the gradient by the modulated entries back to coefficients and multipliers."""
    size = theta.shape[0]
    for i in range(size):
        gradient[i] += extended[i]
    for e in range(entries.shape[0]):
        slope = extended[size + e]
        m = entries[e, 3]
        if entries[e, 2] >= 0:
            gradient[entries[e, 2]] += slope * multipliers[m]
            to_multipliers[m] += slope * theta[entries[e, 2]]
        else:
            to_multipliers[m] += slope * values[e]


@_jit
def cluster_log_likelihood(
    theta, sampled,
    wa0, wai, wp0, wpi, wk0, wki, w_check, p, w_entries, w_values,
    ba0, bai, bp0, bpi, bk0, bki, b_check, q, b_entries, b_values,
    nz, known, hidden, slopes, term,
    sizes, z, xb, products, data_multipliers, w_group, w_first, b_group, b_first, b_order,
    shift,
    posterior_mean, posterior_covariance, by_cluster,
):  # fmt: skip
    """Log-likelihood given the sampled quantities, and its gradient.

    Parameters
    ----------
    theta : (P,)
    sampled : (J, m)
        C_j, in the units of the data.
    wa0 .. b_values
        Structure of the levels as in `bmsem.likelihood.kernel`, with the indices of modulated
        entries in ``wai`` and ``bai`` counted from P on; ``entries`` (e, 5): row, column,
        coefficient (-1 for the fixed ``values``), multiplier, what else stands there (or -1).
    nz, known, hidden
        Number of between-only outcomes; rows of the between level (of its first q) that are known, z
        first and then the sampled ones in order, and those that are integrated out.
    slopes : (s, 5)
        Row of the slope, target row at the within level, kind of the source (0 covariate, 1
        outcome), its position, and the row of the source's between part (-1 if it has none).
    term : (q,)
        How a row enters people's residuals: 0 .. p-1 the cluster part of that outcome, p + s slope
        s, -1 not.
    sizes, z, xb, products : (J,), (J, nz), (J, k_b), (J, d, d)
        Members, between-only outcomes, (1, x_j), cross-products of (1, y, x).
    data_multipliers : (J, ·)
        Observed multipliers; sampled ones follow them.
    w_group, b_group, w_first, b_first, b_order
        Groups of clusters with the same within or between structure, one member of each, and clusters in
        order of ``b_group``.
    shift : (q,)
        What was subtracted from z and y.
    posterior_mean, posterior_covariance, by_cluster : (J, h), (J, h, h), (J, 2)
        Written: posterior of the hidden rows; each cluster's log-density, and the expectation of
        -2 log p(y | u, s) over the cluster effects and slopes.

    Returns
    -------
    value, gradient by theta (P,), gradient by the sampled quantities (J, m)
    """
    n_theta = theta.shape[0]
    clusters, m = sampled.shape
    grad = np.zeros(n_theta)
    grad_c = np.zeros((clusters, m))
    nw, nb = wa0.shape[0], ba0.shape[0]
    kw, kb = wk0.shape[1], bk0.shape[1]
    d = 1 + p + kw - 1
    nk, h, ns = known.shape[0], hidden.shape[0], slopes.shape[0]
    n_data = data_multipliers.shape[1]
    multipliers = np.empty((clusters, n_data + m))
    for j in range(clusters):
        for i in range(n_data):
            multipliers[j, i] = data_multipliers[j, i]
        for i in range(m):
            multipliers[j, n_data + i] = sampled[j, i]
    to_multipliers = np.zeros((clusters, n_data + m))

    # Within structures, one a group.
    gw = w_first.shape[0]
    w_theta = np.empty((gw, n_theta + w_entries.shape[0]))
    w_total = np.empty((gw, nw, nw))
    w_psi = np.empty((gw, nw, nw))
    w_sigma = np.empty((gw, p, p))
    w_coefs = np.empty((gw, nw, kw))
    w_inverse = np.empty((gw, p, p))
    w_logdet = np.empty(gw)
    w_reduced = np.zeros((gw, p, kw))
    scratch_p = np.empty((p, p))
    for g in range(gw):
        modulated(theta, w_entries, w_values, multipliers[w_first[g]], wa0, w_theta[g])
        if not level_moments(
            w_theta[g],
            wa0,
            wai,
            wp0,
            wpi,
            wk0,
            wki,
            p,
            w_total[g],
            w_psi[g],
            w_sigma[g],
            w_coefs[g],
        ):
            return -np.inf, grad, grad_c
        if not positive_definite(w_psi[g], w_check):
            return -np.inf, grad, grad_c
        w_logdet[g] = spd_inverse(w_sigma[g], w_inverse[g], scratch_p)
        if not np.isfinite(w_logdet[g]):
            return -np.inf, grad, grad_c
        for i in range(p):
            for j in range(kw):
                s = 0.0
                for a in range(nw):
                    s += w_total[g, i, a] * w_coefs[g, a, j]
                w_reduced[g, i, j] = s
    d_w_sigma = np.zeros((gw, p, p))
    d_w_reduced = np.zeros((gw, p, kw))
    d_w_t = np.zeros((gw, p, nw))

    # Scratch of a cluster.
    values = np.empty(q)
    d_values = np.empty(q)
    residual = np.empty((p, d))
    moment = np.empty((p, d))  # residual times cross-products
    weighted = np.empty((p, d))
    w = np.zeros((ns, d))
    cw = np.empty((ns, d))
    hw = np.empty((h, d))  # C w_c of the hidden terms
    t = np.empty((h, h))
    sl = np.empty((h, p))  # Sigma^-1 l_c
    load = np.empty((h, p))  # l_c
    gram = np.empty((h, h))
    slope = np.empty(h)
    inner = np.empty((h, h))
    inverse = np.empty((h, h))
    x = np.empty((h, h))
    shrunk = np.empty((h, h))  # (I + G T)^-1 G
    logdet = 0.0
    best = np.empty(h)
    left = np.empty(h)
    expected = np.empty((p, p))
    offset = np.empty(nk)
    d_known = np.empty(nk)
    d_mean = np.empty(h)

    sigma = np.empty((q, q))
    b_total = np.empty((nb, nb))
    b_psi = np.empty((nb, nb))
    b_coefs = np.empty((nb, kb))
    b_theta = np.empty(n_theta + b_entries.shape[0])
    reduced = np.empty((q, kb))
    s_kk = np.empty((nk, nk))
    p_kk = np.empty((nk, nk))
    scratch_k = np.empty((nk, nk))
    gain = np.zeros((h, nk))
    cov_t = np.empty((h, h))

    value = 0.0
    at = 0
    for g in range(b_first.shape[0]):
        modulated(theta, b_entries, b_values, multipliers[b_first[g]], ba0, b_theta)
        if not level_moments(
            b_theta, ba0, bai, bp0, bpi, bk0, bki, q, b_total, b_psi, sigma, b_coefs
        ):
            return -np.inf, grad, grad_c
        if not positive_definite(b_psi, b_check):
            return -np.inf, grad, grad_c
        for i in range(q):
            for j in range(kb):
                s = 0.0
                for a in range(nb):
                    s += b_total[i, a] * b_coefs[a, j]
                reduced[i, j] = s
            reduced[i, 0] -= shift[i]
        logdet_k = 0.0
        if nk > 0:
            for i in range(nk):
                for j in range(nk):
                    s_kk[i, j] = sigma[known[i], known[j]]
            logdet_k = spd_inverse(s_kk, p_kk, scratch_k)
            if not np.isfinite(logdet_k):
                return -np.inf, grad, grad_c
        for c in range(h):
            for i in range(nk):
                s = 0.0
                for a in range(nk):
                    s += sigma[hidden[c], known[a]] * p_kk[a, i]
                gain[c, i] = s
        for c in range(h):
            for e in range(h):
                s = sigma[hidden[c], hidden[e]]
                for i in range(nk):
                    s -= gain[c, i] * sigma[known[i], hidden[e]]
                cov_t[c, e] = s
        # Sums over the group's clusters of what the gradient by Sigma_B and Pi needs.
        count = 0.0
        sum_t = np.zeros((h, h))
        sum_mk = np.zeros((h, nk))
        sum_kk = np.zeros((nk, nk))
        d_reduced = np.zeros((q, kb))

        last_n, last_g = -1.0, -1
        while at < clusters and b_group[b_order[at]] == g:
            j = b_order[at]
            at += 1
            count += 1.0
            gwj = w_group[j]
            n = sizes[j]
            # Without slopes on observed things the posterior covariance depends on the size only.
            same = ns == 0 and n == last_n and gwj == last_g
            last_n, last_g = n, gwj
            c_j = products[j]
            # Known rows, and the mean of the hidden ones.
            for i in range(nk):
                r = known[i]
                v = z[j, i] if i < nz else sampled[j, i - nz] - shift[r]
                values[r] = v
                s = v
                for a in range(kb):
                    s -= reduced[r, a] * xb[j, a]
                offset[i] = s
            own = -0.5 * (nk * LOG_2PI + logdet_k)
            for i in range(nk):
                s = 0.0
                for a in range(nk):
                    s += p_kk[i, a] * offset[a]
                own -= 0.5 * offset[i] * s
                d_known[i] = -s
            for c in range(h):
                r = hidden[c]
                s = 0.0
                for a in range(kb):
                    s += reduced[r, a] * xb[j, a]
                for i in range(nk):
                    s += gain[c, i] * offset[i]
                values[r] = s
            # Residuals as linear functions of (1, y, x).
            for i in range(p):
                for a in range(d):
                    residual[i, a] = 0.0
                residual[i, 0] = -w_reduced[gwj, i, 0]
                residual[i, 1 + i] = 1.0
                for a in range(1, kw):
                    residual[i, p + a] = -w_reduced[gwj, i, a]
            for s_ in range(ns):
                for a in range(d):
                    w[s_, a] = 0.0
                if slopes[s_, 2] == 0:
                    w[s_, p + slopes[s_, 3]] = 1.0
                else:
                    w[s_, 1 + slopes[s_, 3]] = 1.0
                    if slopes[s_, 4] >= 0:
                        w[s_, 0] = -values[slopes[s_, 4]]
                for a in range(d):
                    s = 0.0
                    for b in range(d):
                        s += c_j[a, b] * w[s_, b]
                    cw[s_, a] = s
            for r in range(q):
                if term[r] < 0:
                    continue
                if term[r] < p:
                    residual[term[r], 0] -= values[r]
                else:
                    s_ = term[r] - p
                    for i in range(p):
                        f = values[r] * w_total[gwj, i, slopes[s_, 1]]
                        if f != 0.0:
                            for a in range(d):
                                residual[i, a] -= f * w[s_, a]
            for i in range(p):
                for a in range(d):
                    s = 0.0
                    for b in range(d):
                        s += residual[i, b] * c_j[b, a]
                    moment[i, a] = s
            # The hidden terms' design.
            for c in range(h):
                kind = term[hidden[c]]
                if same and kind < p:
                    # Loads and Sigma^-1 loads are those of the cluster before.
                    for a in range(d):
                        hw[c, a] = c_j[a, 0] if kind >= 0 else 0.0
                    continue
                for i in range(p):
                    load[c, i] = 0.0
                    sl[c, i] = 0.0
                if kind < 0:
                    for a in range(d):
                        hw[c, a] = 0.0
                    continue
                if kind < p:
                    load[c, kind] = 1.0
                    for a in range(d):
                        hw[c, a] = c_j[a, 0]
                else:
                    s_ = kind - p
                    for i in range(p):
                        load[c, i] = w_total[gwj, i, slopes[s_, 1]]
                    for a in range(d):
                        hw[c, a] = cw[s_, a]
                for i in range(p):
                    s = 0.0
                    for a in range(p):
                        s += w_inverse[gwj, i, a] * load[c, a]
                    sl[c, i] = s
            for c in range(h):
                kind = term[hidden[c]]
                for e in range(0 if same else h):
                    other = term[hidden[e]]
                    s = 0.0
                    if kind >= 0 and other >= 0:
                        if kind < p:
                            s = hw[e, 0]
                        else:
                            for a in range(d):
                                s += w[kind - p, a] * hw[e, a]
                    t[c, e] = s
                    s = 0.0
                    if kind >= 0 and other >= 0:
                        for i in range(p):
                            s += load[c, i] * sl[e, i]
                    gram[c, e] = s * t[c, e]
                s = 0.0
                if kind >= 0:
                    for i in range(p):
                        f = 0.0
                        if kind < p:
                            f = moment[i, 0]
                        else:
                            for a in range(d):
                                f += moment[i, a] * w[kind - p, a]
                        s += sl[c, i] * f
                slope[c] = s
            if not same:
                for c in range(h):
                    for e in range(h):
                        s = 1.0 if c == e else 0.0
                        for a in range(h):
                            s += gram[c, a] * cov_t[a, e]
                        inner[c, e] = s
                logdet = general_inverse(inner, inverse)
                if not np.isfinite(logdet):
                    return -np.inf, grad, grad_c
                for c in range(h):
                    for e in range(h):
                        s = 0.0
                        for a in range(h):
                            s += cov_t[c, a] * inverse[a, e]
                        x[c, e] = s
                        s = 0.0
                        for a in range(h):
                            s += inverse[c, a] * gram[a, e]
                        shrunk[c, e] = s
            quadratic = 0.0
            for c in range(h):
                s = 0.0
                for e in range(h):
                    s += x[c, e] * slope[e]
                best[c] = s
                quadratic += s * slope[c]
            trace = 0.0
            for i in range(p):
                for k in range(p):
                    s = 0.0
                    for a in range(d):
                        s += moment[i, a] * residual[k, a]
                    expected[i, k] = s
                    trace += w_inverse[gwj, i, k] * s
            own -= 0.5 * (n * (p * LOG_2PI + w_logdet[gwj]) + trace + logdet - quadratic)
            by_cluster[j, 0] = own
            value += own
            for c in range(h):
                posterior_mean[j, c] = values[hidden[c]] + best[c] + shift[hidden[c]]
                for e in range(h):
                    posterior_covariance[j, c, e] = x[c, e]

            # Gradient. ``moment`` becomes residual at the posterior mean times cross-products.
            for c in range(h):
                if best[c] != 0.0:
                    for i in range(p):
                        f = best[c] * load[c, i]
                        if f != 0.0:
                            for a in range(d):
                                moment[i, a] -= f * hw[c, a]
            # E[sum e e'] = S - l b (R C w)' - ... + (X + b b') t l l', gathered by symmetry.
            for c in range(h):
                kind = term[hidden[c]]
                if kind < 0:
                    continue
                for i in range(p):
                    if load[c, i] == 0.0:
                        continue
                    for k in range(p):
                        # (R_hat C w_c)_k: what is left after the posterior mean
                        f = 0.0
                        if kind < p:
                            f = moment[k, 0]
                        else:
                            for a in range(d):
                                f += moment[k, a] * w[kind - p, a]
                        expected[i, k] -= best[c] * load[c, i] * f
                        expected[k, i] -= best[c] * load[c, i] * f
                for e in range(h):
                    f = (x[c, e] - best[c] * best[e]) * t[c, e]
                    if f == 0.0:
                        continue
                    if kind < p and term[hidden[e]] < p:
                        expected[kind, term[hidden[e]]] += f
                        continue
                    for i in range(p):
                        if load[c, i] != 0.0:
                            for k in range(p):
                                expected[i, k] += f * load[c, i] * load[e, k]
            deviance = n * (p * LOG_2PI + w_logdet[gwj])
            for i in range(p):
                for k in range(p):
                    d_w_sigma[gwj, i, k] += expected[i, k]
                    deviance += w_inverse[gwj, i, k] * expected[i, k]
            by_cluster[j, 1] = deviance
            for i in range(p):
                for a in range(d):
                    s = 0.0
                    for k in range(p):
                        s += w_inverse[gwj, i, k] * moment[k, a]
                    weighted[i, a] = s
                for a in range(kw):
                    d_w_reduced[gwj, i, a] += weighted[i, 0] if a == 0 else weighted[i, p + a]
            for r in range(q):
                d_values[r] = 0.0
                if term[r] < 0:
                    continue
                if term[r] < p:
                    d_values[r] = weighted[term[r], 0]
                else:
                    s_ = term[r] - p
                    s = 0.0
                    for i in range(p):
                        f = 0.0
                        for a in range(d):
                            f += weighted[i, a] * w[s_, a]
                        s += w_total[gwj, i, slopes[s_, 1]] * f
                    d_values[r] = s
            # By the slopes' loadings l_r, and by the sources' between parts.
            for s_ in range(ns):
                r = slopes[s_, 0]
                place = -1
                for c in range(h):
                    if hidden[c] == r:
                        place = c
                b_s = values[r] + (best[place] if place >= 0 else 0.0)
                source = slopes[s_, 4] if slopes[s_, 2] == 1 else -1
                dw = 0.0
                for i in range(p):
                    f = 0.0
                    for a in range(d):
                        f += weighted[i, a] * w[s_, a]
                    d_w_t[gwj, i, slopes[s_, 1]] += b_s * f
                    dw += b_s * w_total[gwj, i, slopes[s_, 1]] * weighted[i, 0]
                if place >= 0:
                    for e in range(h):
                        kind = term[hidden[e]]
                        if kind < 0:
                            continue
                        f = x[place, e] * t[place, e]
                        for i in range(p):
                            d_w_t[gwj, i, slopes[s_, 1]] -= f * sl[e, i]
                        f = 0.0
                        for i in range(p):
                            f += load[place, i] * sl[e, i]
                        dw -= x[place, e] * f * hw[e, 0]
                if source >= 0:
                    d_values[source] -= dw
            # To the between structure.
            for c in range(h):
                d_mean[c] = d_values[hidden[c]]
                s = slope[c]
                for e in range(h):
                    s -= gram[c, e] * best[e]
                left[c] = s
            for c in range(h):
                for e in range(h):
                    sum_t[c, e] -= 0.5 * (shrunk[c, e] - left[c] * left[e])
            for i in range(nk):
                s = d_known[i]
                for c in range(h):
                    s += gain[c, i] * d_mean[c]
                d_known[i] = s
                for a in range(kb):
                    d_reduced[known[i], a] -= s * xb[j, a]
                if i >= nz:
                    grad_c[j, i - nz] += s + d_values[known[i]]
                for c in range(h):
                    sum_mk[c, i] += d_mean[c] * offset[i]
                for a in range(nk):
                    sum_kk[i, a] += offset[i] * offset[a]
            for c in range(h):
                for a in range(kb):
                    d_reduced[hidden[c], a] += d_mean[c] * xb[j, a]

        # Back through the conditional normal to Sigma_B of the group.
        d_sigma = np.zeros((q, q))
        for c in range(h):
            for e in range(h):
                d_sigma[hidden[c], hidden[e]] += 0.5 * (sum_t[c, e] + sum_t[e, c])
        for c in range(h):
            for i in range(nk):
                s = 0.0
                for a in range(nk):
                    s += sum_mk[c, a] * p_kk[a, i]
                for e in range(h):
                    s -= (sum_t[c, e] + sum_t[e, c]) * gain[e, i]
                d_sigma[hidden[c], known[i]] += 0.5 * s
                d_sigma[known[i], hidden[c]] += 0.5 * s
        for i in range(nk):
            for a in range(nk):
                s = -0.5 * count * p_kk[i, a]
                for b in range(nk):
                    for e in range(nk):
                        s += 0.5 * p_kk[i, b] * sum_kk[b, e] * p_kk[e, a]
                for c in range(h):
                    f = 0.0
                    for b in range(nk):
                        f += sum_mk[c, b] * p_kk[b, a]
                    s -= 0.5 * gain[c, i] * f
                    f = 0.0
                    for b in range(nk):
                        f += sum_mk[c, b] * p_kk[b, i]
                    s -= 0.5 * gain[c, a] * f
                    for e in range(h):
                        s += 0.5 * gain[c, i] * (sum_t[c, e] + sum_t[e, c]) * gain[e, a]
                d_sigma[known[i], known[a]] += s
        extended = np.zeros(n_theta + b_entries.shape[0])
        level_gradient(
            extended, bai, bpi, bki, q, b_total, b_psi, b_coefs, d_sigma, d_reduced,
            np.zeros((q, nb)),
        )  # fmt: skip
        modulated_gradient(
            theta, b_entries, b_values, multipliers[b_first[g]], extended, grad,
            to_multipliers[b_first[g]],
        )  # fmt: skip

    counts = np.zeros(gw)
    for j in range(clusters):
        counts[w_group[j]] += sizes[j]
    for g in range(gw):
        d_sigma_w = np.empty((p, p))
        for i in range(p):
            for k in range(p):
                s = -counts[g] * w_inverse[g, i, k]
                for a in range(p):
                    for b in range(p):
                        s += w_inverse[g, i, a] * d_w_sigma[g, a, b] * w_inverse[g, b, k]
                d_sigma_w[i, k] = 0.5 * s
        extended_w = np.zeros(n_theta + w_entries.shape[0])
        level_gradient(
            extended_w, wai, wpi, wki, p, w_total[g], w_psi[g], w_coefs[g], d_sigma_w,
            d_w_reduced[g], d_w_t[g],
        )  # fmt: skip
        modulated_gradient(
            theta, w_entries, w_values, multipliers[w_first[g]], extended_w, grad,
            to_multipliers[w_first[g]],
        )  # fmt: skip
    for j in range(clusters):
        for i in range(m):
            grad_c[j, i] += to_multipliers[j, n_data + i]
    return value, grad, grad_c


@_jit
def unpack_cluster_log_likelihood(extended, data, integers, reals, mean, covariance, by_cluster):
    """`cluster_log_likelihood` with its arguments packed by `bmsem.likelihood.cluster_inputs`.

    ``extended`` is theta followed by the sampled quantities, cluster by cluster; the gradient too.
    """
    (nw, p, kw, nb, q, kb, nz, nk, h, ns, clusters, m, n_data, gw, gb) = (
        integers[0], integers[1], integers[2], integers[3], integers[4], integers[5], integers[6],
        integers[7], integers[8], integers[9], integers[10], integers[11], integers[12],
        integers[13], integers[14],
    )  # fmt: skip
    n_theta = extended.shape[0] - clusters * m
    a = 32
    wai = integers[a : a + 3 * integers[16]].reshape(integers[16], 3)
    a += 3 * integers[16]
    wpi = integers[a : a + 3 * integers[17]].reshape(integers[17], 3)
    a += 3 * integers[17]
    wki = integers[a : a + 3 * integers[18]].reshape(integers[18], 3)
    a += 3 * integers[18]
    w_check = integers[a : a + integers[19]]
    a += integers[19]
    w_entries = integers[a : a + 5 * integers[20]].reshape(integers[20], 5)
    a += 5 * integers[20]
    bai = integers[a : a + 3 * integers[21]].reshape(integers[21], 3)
    a += 3 * integers[21]
    bpi = integers[a : a + 3 * integers[22]].reshape(integers[22], 3)
    a += 3 * integers[22]
    bki = integers[a : a + 3 * integers[23]].reshape(integers[23], 3)
    a += 3 * integers[23]
    b_check = integers[a : a + integers[24]]
    a += integers[24]
    b_entries = integers[a : a + 5 * integers[25]].reshape(integers[25], 5)
    a += 5 * integers[25]
    known = integers[a : a + nk]
    a += nk
    hidden = integers[a : a + h]
    a += h
    slopes = integers[a : a + 5 * ns].reshape(ns, 5)
    a += 5 * ns
    term = integers[a : a + q]
    a += q
    w_group = integers[a : a + clusters]
    a += clusters
    w_first = integers[a : a + gw]
    a += gw
    b_group = integers[a : a + clusters]
    a += clusters
    b_first = integers[a : a + gb]
    a += gb
    b_order = integers[a : a + clusters]

    a = 0
    wa0 = reals[a : a + nw * nw].reshape(nw, nw)
    a += nw * nw
    wp0 = reals[a : a + nw * nw].reshape(nw, nw)
    a += nw * nw
    wk0 = reals[a : a + nw * kw].reshape(nw, kw)
    a += nw * kw
    ba0 = reals[a : a + nb * nb].reshape(nb, nb)
    a += nb * nb
    bp0 = reals[a : a + nb * nb].reshape(nb, nb)
    a += nb * nb
    bk0 = reals[a : a + nb * kb].reshape(nb, kb)
    a += nb * kb
    w_values = reals[a : a + integers[20]]
    a += integers[20]
    b_values = reals[a : a + integers[25]]

    d = p + kw
    a = 0
    sizes = data[a : a + clusters]
    a += clusters
    z = data[a : a + clusters * nz].reshape(clusters, nz)
    a += clusters * nz
    xb = data[a : a + clusters * kb].reshape(clusters, kb)
    a += clusters * kb
    products = data[a : a + clusters * d * d].reshape(clusters, d, d)
    a += clusters * d * d
    data_multipliers = data[a : a + clusters * n_data].reshape(clusters, n_data)
    a += clusters * n_data
    shift = data[a : a + q]
    theta = extended[:n_theta]
    sampled = extended[n_theta:].reshape(clusters, m)
    value, grad, grad_c = cluster_log_likelihood(
        theta, sampled,
        wa0, wai, wp0, wpi, wk0, wki, w_check, p, w_entries, w_values,
        ba0, bai, bp0, bpi, bk0, bki, b_check, q, b_entries, b_values,
        nz, known, hidden, slopes, term,
        sizes, z, xb, products, data_multipliers, w_group, w_first, b_group, b_first, b_order,
        shift,
        mean, covariance, by_cluster,
    )  # fmt: skip
    gradient = np.empty(extended.shape[0])
    gradient[:n_theta] = grad
    gradient[n_theta:] = grad_c.ravel()
    return value, gradient


def _c_cluster_log_likelihood(
    theta, n_theta, data, n_data, integers, n_integers, reals, n_reals, gradient
):
    """`unpack_cluster_log_likelihood` on C arrays: returns the value, writes the gradient."""
    index = numba.carray(integers, (n_integers,))
    clusters, h = index[10], index[8]
    value, found = unpack_cluster_log_likelihood(
        numba.carray(theta, (n_theta,)),
        numba.carray(data, (n_data,)),
        index,
        numba.carray(reals, (n_reals,)),
        np.empty((clusters, h)),
        np.empty((clusters, h, h)),
        np.empty((clusters, 2)),
    )
    for i in range(n_theta):
        gradient[i] = found[i]
    return value


@cache
def c_cluster_log_likelihood():
    """The kernel as a C function with an ``address``; compiled or loaded at the first call."""
    return numba.cfunc(C_SIGNATURE, cache=True)(_c_cluster_log_likelihood)


def is_cached() -> bool:
    """Whether the kernel was compiled before on this machine: compiling takes half a minute."""
    folder = Path(unpack_cluster_log_likelihood.stats.cache_path)
    return any(folder.glob("*_c_cluster_log_likelihood*.nbc"))
