"""A normal vector of which some elements are known: the distribution of the others, and back.

With Sigma partitioned into known rows k and hidden rows h (Anderson 2003, An introduction to
multivariate statistical analysis, theorem 2.5.1):

    h | k ~ N(mu_h + B (k - mu_k), T),  B = Sigma_hk Sigma_kk^-1,  T = Sigma_hh - B Sigma_kh
"""

from __future__ import annotations

import numba
import numpy as np

from bmsem.likelihood.kernel import spd_inverse

_inline = numba.njit(nogil=True, fastmath={"contract"}, error_model="numpy")


@_inline
def condition(sigma, known, hidden, precision, gain, rest):
    """Fill Sigma_kk^-1, B and T; returns log|Sigma_kk|, nan if it is not positive definite."""
    nk, h = known.shape[0], hidden.shape[0]
    logdet = 0.0
    if nk > 0:
        part, scratch = np.empty((nk, nk)), np.empty((nk, nk))
        for i in range(nk):
            for j in range(nk):
                part[i, j] = sigma[known[i], known[j]]
        logdet = spd_inverse(part, precision, scratch)
        if not np.isfinite(logdet):
            return np.nan
    for c in range(h):
        for i in range(nk):
            s = 0.0
            for a in range(nk):
                s += sigma[hidden[c], known[a]] * precision[a, i]
            gain[c, i] = s
    for c in range(h):
        for e in range(h):
            s = sigma[hidden[c], hidden[e]]
            for i in range(nk):
                s -= gain[c, i] * sigma[known[i], hidden[e]]
            rest[c, e] = s
    return logdet


@_inline
def condition_gradient(known, hidden, precision, gain, count, sum_t, sum_mk, sum_kk, d_sigma):
    """Derivative by Sigma of sum_j [log N(k_j) + a function of the hidden rows' mean and T].

    ``count`` is the number of terms, ``sum_t`` the derivative by T, ``sum_mk`` (h, nk) the sum of
    (derivative by the hidden mean) (k_j - mu_k)', ``sum_kk`` that of (k_j - mu_k)(k_j - mu_k)'.
    ``d_sigma`` (symmetric) is written.
    """
    nk, h = known.shape[0], hidden.shape[0]
    d_sigma[:] = 0.0
    for c in range(h):
        for e in range(h):
            d_sigma[hidden[c], hidden[e]] += 0.5 * (sum_t[c, e] + sum_t[e, c])
    for c in range(h):
        for i in range(nk):
            s = 0.0
            for a in range(nk):
                s += sum_mk[c, a] * precision[a, i]
            for e in range(h):
                s -= (sum_t[c, e] + sum_t[e, c]) * gain[e, i]
            d_sigma[hidden[c], known[i]] += 0.5 * s
            d_sigma[known[i], hidden[c]] += 0.5 * s
    for i in range(nk):
        for a in range(nk):
            s = -0.5 * count * precision[i, a]
            for b in range(nk):
                for e in range(nk):
                    s += 0.5 * precision[i, b] * sum_kk[b, e] * precision[e, a]
            for c in range(h):
                f = 0.0
                for b in range(nk):
                    f += sum_mk[c, b] * precision[b, a]
                s -= 0.5 * gain[c, i] * f
                f = 0.0
                for b in range(nk):
                    f += sum_mk[c, b] * precision[b, i]
                s -= 0.5 * gain[c, a] * f
                for e in range(h):
                    s += 0.5 * gain[c, i] * (sum_t[c, e] + sum_t[e, c]) * gain[e, a]
            d_sigma[known[i], known[a]] += s
