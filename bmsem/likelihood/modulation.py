"""Structures that differ between clusters or people by coefficients times numbers of theirs.

With A_g = A + U D_g V', where column e of U picks the row that entry e of A leads to, V the column that
it stands in, and D_g = diag(coefficient x number), everything that the likelihood needs of the within
level is a correction of low rank to what holds without the entries (Woodbury 1950; Henderson & Searle
1981, SIAM Review 23, equation 3):

    (I - A_g)^-1 = M + M U C_g V'M,    M = (I - A)^-1,  C_g = D_g (I - W D_g)^-1,  W = V'M U
    Sigma_g      = S + t Q_g' + Q_g t',  t = F M U,  Q_g = w C_g' + t C_g v C_g' / 2
    Pi_g         = Pi + t C_g V'M K

with S, w and v the blocks of M Psi M' at the known rows and at the columns of the entries. A person's
structure then costs products of p x p matrices, not an inverse of the whole level.
"""

from __future__ import annotations

import math

import numba
import numpy as np

_inline = numba.njit(nogil=True, fastmath={"contract"}, error_model="numpy")


@_inline
def general_inverse(matrix, work, inverse):
    """Invert by Gauss-Jordan with partial pivoting; returns log|det|, or nan if singular."""
    n = matrix.shape[0]
    logdet = 0.0
    for i in range(n):
        for j in range(n):
            work[i, j] = matrix[i, j]
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


@_inline
def group_structure(entries, delta, total, big, big_reduced, targets, c, n_inverse, q, sigma,
                    reduced, loads):  # fmt: skip
    """Fill a group's C, (I - W D)^-1, Q, Sigma, Pi and the slopes' loads; False if singular.

    Parameters
    ----------
    entries : (E, ·)
        Row and column of A first.
    delta : (E,)
        Coefficient times number.
    total, big, big_reduced : (n, n), (P, P), (P, k)
        M, M Psi M' and M K without the entries, of the first P rows.
    targets : (s,)
        Rows that slopes lead to.
    c, n_inverse, q, sigma, reduced, loads : (E, E), (E, E), (p, E), (p, p), (p, k), (p, s)
        Written.
    """
    size, p, k, ns = delta.shape[0], sigma.shape[0], reduced.shape[1], targets.shape[0]
    if size == 1:
        pivot = 1.0 - total[entries[0, 1], entries[0, 0]] * delta[0]
        if not abs(pivot) > 1e-300:
            return False
        n_inverse[0, 0] = 1.0 / pivot
        c[0, 0] = delta[0] / pivot
    elif size > 1:
        inner, work = np.empty((size, size)), np.empty((size, size))
        for e in range(size):
            for f in range(size):
                inner[e, f] = -total[entries[e, 1], entries[f, 0]] * delta[f]
            inner[e, e] += 1.0
        if not np.isfinite(general_inverse(inner, work, n_inverse)):
            return False
        for e in range(size):
            for f in range(size):
                c[e, f] = delta[e] * n_inverse[e, f]
    for i in range(p):
        for e in range(size):
            s = 0.0
            for f in range(size):
                s += big[i, entries[f, 1]] * c[e, f]
            q[i, e] = s
    for e in range(size):
        for f in range(size):
            half = 0.0  # C v C' / 2
            for a in range(size):
                for b in range(size):
                    half += c[e, a] * big[entries[a, 1], entries[b, 1]] * c[f, b]
            half *= 0.5
            for i in range(p):
                q[i, f] += total[i, entries[e, 0]] * half
    for i in range(p):
        for j in range(i + 1):
            s = big[i, j]
            for e in range(size):
                s += total[i, entries[e, 0]] * q[j, e] + q[i, e] * total[j, entries[e, 0]]
            sigma[i, j] = s
            sigma[j, i] = s
        for a in range(k):
            reduced[i, a] = big_reduced[i, a]
        for s_ in range(ns):
            loads[i, s_] = total[i, targets[s_]]
    for e in range(size):
        for f in range(size):
            if c[e, f] == 0.0:
                continue
            for i in range(p):
                x = total[i, entries[e, 0]] * c[e, f]
                for a in range(k):
                    reduced[i, a] += x * big_reduced[entries[f, 1], a]
                for s_ in range(ns):
                    loads[i, s_] += x * total[entries[f, 1], targets[s_]]
    return True


@_inline
def group_gradient(entries, delta, total, big, big_reduced, targets, c, n_inverse, q, d_sigma,
                   d_reduced, d_loads, d_big, d_big_reduced, d_total, d_delta):  # fmt: skip
    """Take a group's gradient back to what it is made of.

    ``d_sigma`` (symmetric), ``d_reduced`` and ``d_loads`` are given; ``d_big`` (symmetric),
    ``d_big_reduced`` and ``d_total`` (P, n) are added to, ``d_delta`` is written.
    """
    size, p, k, ns = delta.shape[0], d_sigma.shape[0], d_reduced.shape[1], targets.shape[0]
    for i in range(p):
        for j in range(p):
            d_big[i, j] += d_sigma[i, j]
        for a in range(k):
            d_big_reduced[i, a] += d_reduced[i, a]
        for s_ in range(ns):
            d_total[i, targets[s_]] += d_loads[i, s_]
    if size == 0:
        return
    d_q = np.empty((p, size))
    d_c = np.zeros((size, size))
    d_half = np.empty((size, size))  # by B = C v C', where Q holds t B / 2
    inner = np.empty((size, size))
    for e in range(size):
        for i in range(p):
            s, r = 0.0, 0.0
            for j in range(p):
                s += d_sigma[i, j] * total[j, entries[e, 0]]
                r += d_sigma[i, j] * q[j, e]
            d_q[i, e] = 2.0 * s
            d_total[i, entries[e, 0]] += 2.0 * r
    for e in range(size):
        for f in range(size):
            s = 0.0
            for i in range(p):
                s += total[i, entries[e, 0]] * d_q[i, f]
            d_half[e, f] = 0.5 * s
    # Q = w C' + t B / 2
    for e in range(size):
        for f in range(size):
            s = 0.0
            for i in range(p):
                s += d_q[i, e] * big[i, entries[f, 1]]
            d_c[e, f] += s
            b = 0.0
            for a in range(size):
                for g in range(size):
                    b += c[e, a] * big[entries[a, 1], entries[g, 1]] * c[f, g]
            for i in range(p):
                d_total[i, entries[e, 0]] += 0.5 * b * d_q[i, f]
                w = 0.5 * d_q[i, e] * c[e, f]
                d_big[i, entries[f, 1]] += w
                d_big[entries[f, 1], i] += w
    # B = C v C'
    for e in range(size):
        for f in range(size):
            inner[e, f] = d_half[e, f] + d_half[f, e]
    for e in range(size):
        for f in range(size):
            for a in range(size):
                s = 0.0
                for b in range(size):
                    s += c[a, b] * big[entries[b, 1], entries[f, 1]]
                d_c[e, f] += inner[e, a] * s
    for e in range(size):
        for f in range(size):
            s = 0.0
            for a in range(size):
                for b in range(size):
                    s += c[a, e] * inner[a, b] * c[b, f]
            d_big[entries[e, 1], entries[f, 1]] += 0.5 * s
    # Pi and the slopes' loads
    for e in range(size):
        for f in range(size):
            s = 0.0
            for i in range(p):
                x = total[i, entries[e, 0]]
                for a in range(k):
                    y = d_reduced[i, a] * big_reduced[entries[f, 1], a]
                    s += x * y
                    d_total[i, entries[e, 0]] += c[e, f] * y
                    d_big_reduced[entries[f, 1], a] += c[e, f] * x * d_reduced[i, a]
                for s_ in range(ns):
                    y = d_loads[i, s_] * total[entries[f, 1], targets[s_]]
                    s += x * y
                    d_total[i, entries[e, 0]] += c[e, f] * y
                    d_total[entries[f, 1], targets[s_]] += c[e, f] * x * d_loads[i, s_]
            d_c[e, f] += s
    # C = D (I - W D)^-1
    for e in range(size):
        for f in range(size):
            s = 0.0
            for a in range(size):
                for b in range(size):
                    s += c[a, e] * d_c[a, b] * c[f, b]
            d_total[entries[e, 1], entries[f, 0]] += s
    for e in range(size):
        s = 0.0
        for a in range(size):
            x = 1.0 if a == e else 0.0
            for b in range(size):
                x += c[a, b] * total[entries[b, 1], entries[e, 0]]
            for b in range(size):
                s += x * d_c[a, b] * n_inverse[e, b]
        d_delta[e] = s
