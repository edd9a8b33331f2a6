"""The log-likelihood given sampled quantities, a cluster at a time, and its gradient.

Some quantities of a cluster are sampled (C_j: latent means of slope predictors, slopes on factors,
factors that are multiplied with others), and some of a person (f_ij: within-level factors that are
multiplied with others, and missing values that a varying slope multiplies); given them everything
else is linear Gaussian and integrated out. With k_j = (z_j, C_j) known, b_j the other cluster effects
and varying slopes, x_j and x_ij covariates, and f_ij among the outcomes y_ij,

    (k_j, b_j) ~ N(Pi_j x_j, Sigma_Bj)                        between structure, a RAM
    e_ij = y_ij - u_j - Pi_ij x_ij - sum_r s_rj src_rij l_rij  ~ N(0, Sigma_ij)

where u_j and s_rj are elements of k_j or b_j, src_rij is a covariate or y_ij - u_j of another
variable with u_j in C_j, and l_rij the column of F (I - A_ij)^-1 that slope r enters by. The map from
e to y has unit Jacobian in recursive models. People of one cluster with the same structure form a
cell; all sums over them are linear in the cross-products of v = (1, y, x), kept by cell. b_j | k_j ~
N(m_j, T); with r_ij the residual at b_j = m_j, Z linear in v_ij, G = sum_i Z' Sigma_ij^-1 Z and
g = sum_i Z' Sigma_ij^-1 r,

    -2 log p_j = sum_i (p log 2 pi + log|Sigma_ij| + r' Sigma_ij^-1 r) + log|I + G T| - g' X g
                 - 2 log p(k_j)

with X = T (I + G T)^-1 the posterior covariance of b_j, X g its posterior mean less m_j (Lindley & Smith
1972, JRSS B 34, 1-41). The gradient takes expectations of the derivative of the joint density over b_j
(Fisher's identity; Louis 1982, JRSS B 44, 226-233).

Missing values are integrated out by leaving them out: what is missing of z_j is not among the known
rows, and Sigma_ij^-1 stands for the inverse over the observed outcomes of the person, with zeros
elsewhere (Little & Rubin 2002, Statistical analysis with missing data, section 11.2). Whatever stands
for a missing y_ij in v is multiplied by these zeros. A pattern of missing values is one more thing
that cells differ in.

Entries of A_B or A_W may be multiplied by a number of the cluster or the person, observed or sampled: a
coefficient of a product of two variables, or a slope on a factor (`bmsem.likelihood.modulation`).
"""

from __future__ import annotations

import numba
import numpy as np

from bmsem.likelihood.conditioning import condition, condition_gradient
from bmsem.likelihood.kernel import (
    LOG_2PI,
    level_gradient,
    level_moments,
    positive_definite,
    spd_inverse,
)
from bmsem.likelihood.modulation import (
    general_inverse,
    group_gradient,
    group_structure,
    modulated,
    modulated_gradient,
)

# Multiplications and additions may be fused; non-finite values must be seen, not assumed away. Nothing
# here is kept on disk by itself: a function loaded from there is not inlined where it is called.
_MATH = {"contract"}
_jit = numba.njit(nogil=True, fastmath=_MATH, error_model="numpy")


@numba.njit(inline="always")
def along(rows, k, i, position, offset):
    """Row i of cell k, a linear function of v, along v[position] - offset."""
    return rows[k, i, position] - offset * rows[k, i, 0]


@_jit
def times_products(products, people, cell, rows, out, k):
    """out[k] <- rows[k] C, with C the cell's cross-products, or v v' of a cell of one person."""
    n, d = rows.shape[1:]
    if people.shape[0]:
        for i in range(n):
            s = 0.0
            for a in range(d):
                s += people[cell, a] * rows[k, i, a]
            for a in range(d):
                out[k, i, a] = s * people[cell, a]
    else:
        for i in range(n):
            for a in range(d):
                s = 0.0
                for b in range(d):
                    s += rows[k, i, b] * products[cell, a, b]
                out[k, i, a] = s


@_jit
def observed_inverse(sigma, seen, inverse):
    """The inverse over the observed rows, with zeros elsewhere; returns its log-determinant, or nan."""
    p = sigma.shape[0]
    n = 0
    at = np.empty(p, dtype=np.int64)
    for i in range(p):
        if seen[i]:
            at[n] = i
            n += 1
    block = np.empty((3, n, n))
    part, found = block[0], block[1]
    for i in range(n):
        for j in range(n):
            part[i, j] = sigma[at[i], at[j]]
    logdet = spd_inverse(part, found, block[2])
    for i in range(p):
        for j in range(p):
            inverse[i, j] = 0.0
    for i in range(n):
        for j in range(n):
            inverse[at[i], at[j]] = found[i, j]
    return logdet


@_jit
def cluster_log_likelihood(
    theta, sampled, members, member_places, member_shift,
    wa0, wai, wp0, wpi, wk0, wki, w_check, p, w_rows, w_entries, w_values,
    ba0, bai, bp0, bpi, bk0, bki, b_check, q, b_entries, b_values,
    nz, known, hidden, slopes, term,
    z, z_seen, xb, data_multipliers, b_group, b_first, b_order,
    cell_start, cell_size, cell_group, group_cell, group_seen, products, rows,
    shift,
    posterior_mean, posterior_covariance, by_cluster,
):  # fmt: skip
    """Log-likelihood given the sampled quantities, and its gradient.

    Parameters
    ----------
    theta : (P,)
    sampled : (J, m)
        Quantities of clusters, in the units of the data.
    members, member_places, member_shift : (n,), (n, 2), (n,)
        Quantities of people: where they stand in ``rows`` (row and column), and what is subtracted from
        them there. Scores of factors are the last of the p outcomes.
    wa0 .. b_values
        Structure of the levels as in `bmsem.likelihood.kernel`, with the indices of modulated
        between entries in ``bai`` counted from P on. ``b_entries`` (e, 5): row, column, coefficient
        (-1 for the fixed ``values``), multiplier, what else stands there (or -1). ``w_entries``
        (e, 6): row, column, coefficient, multiplier of the cluster (or -1), else position in v, and
        the sampled quantity that is subtracted from it (or -1). ``w_rows``: how many rows of the
        level, from the first, are known or columns of entries.
    nz, known, hidden
        Number of between-only outcomes; rows of the between level (of its first q) that are known, z
        first and then the sampled ones in order, and those that are integrated out.
    slopes : (s, 5)
        Row of the slope, target row at the within level, kind of the source (0 covariate, 1
        outcome), its position, and the row of the source's between part (-1 if it has none).
    term : (q,)
        How a row enters people's residuals: 0 .. p-1 the cluster part of that outcome, p + s slope
        s, -1 not.
    z, z_seen, xb : (J, nz), (groups of clusters, nz), (J, k_b)
        Between-only outcomes, which of them are observed, (1, x_j).
    data_multipliers : (J, ·)
        Observed multipliers; sampled ones follow them.
    b_group, b_first, b_order
        Groups of clusters with the same between structure and pattern of z, one member of each, and
        clusters in order of ``b_group``.
    cell_start, cell_size, cell_group : (J + 1,), (cells,), (cells,)
        Cells of each cluster, their people, and the group of cells with the same within structure.
    group_cell, group_seen : (groups,), (groups, p)
        One cell of each group, and which outcomes are observed in it.
    products, rows : (cells, d, d), (cells, d)
        Cross-products of v; or v itself, if every cell is one person. The other one is empty.
    shift : (q,)
        What was subtracted from z and y.
    posterior_mean, posterior_covariance, by_cluster : (J, h), (J, h, h), (J, 2)
        Written: posterior of the hidden rows; each cluster's log-density, and the expectation of
        -2 log p(y | u, s) over the cluster effects and slopes.

    Returns
    -------
    value, gradient by theta (P,), by the sampled quantities (J, m), and by those of people (n,)
    """
    n_theta = theta.shape[0]
    clusters, m = sampled.shape
    grad = np.zeros(n_theta)
    grad_c = np.zeros((clusters, m))
    grad_f = np.zeros(members.shape[0])
    nw, nb = wa0.shape[0], ba0.shape[0]
    kw, kb = wk0.shape[1], bk0.shape[1]
    d = p + kw
    nk, h, ns = known.shape[0], hidden.shape[0], slopes.shape[0]
    own_rows = rows.shape[0] > 0
    people = rows.copy()
    for i in range(members.shape[0]):
        people[member_places[i, 0], member_places[i, 1]] = members[i] - member_shift[i]
    by_people = np.zeros(people.shape if members.shape[0] else (0, d))
    n_data = data_multipliers.shape[1]
    multipliers = np.empty((clusters, n_data + m))
    for j in range(clusters):
        for i in range(n_data):
            multipliers[j, i] = data_multipliers[j, i]
        for i in range(m):
            multipliers[j, n_data + i] = sampled[j, i]
    to_multipliers = np.zeros((clusters, n_data + m))
    cells = cell_size.shape[0]
    cluster_of = np.empty(cells, dtype=np.int64)
    for j in range(clusters):
        for c in range(cell_start[j], cell_start[j + 1]):
            cluster_of[c] = j

    # Within structures, one a group.
    w_total, w_psi = np.empty((nw, nw)), np.empty((nw, nw))
    w_big = np.empty((w_rows, w_rows))
    w_coefs = np.empty((nw, kw))
    if not level_moments(
        theta, wa0, wai, wp0, wpi, wk0, wki, w_rows, w_total, w_psi, w_big, w_coefs
    ):
        return -np.inf, grad, grad_c, grad_f
    if not positive_definite(w_psi, w_check):
        return -np.inf, grad, grad_c, grad_f
    w_big_reduced = np.zeros((w_rows, kw))
    for i in range(w_rows):
        for a in range(nw):
            for j in range(kw):
                w_big_reduced[i, j] += w_total[i, a] * w_coefs[a, j]
    groups, ne = group_cell.shape[0], w_entries.shape[0]
    delta = np.empty((groups, ne))
    w_c, w_n = np.empty((groups, ne, ne)), np.empty((groups, ne, ne))
    w_q = np.empty((groups, p, ne))
    w_inverse = np.empty((groups, p, p))
    w_logdet = np.empty(groups)
    n_seen = np.empty(groups, dtype=np.int64)
    w_reduced = np.empty((groups, p, kw))
    w_loads = np.empty((groups, p, ns))
    targets = slopes[:, 1].copy()
    sigma_g, scratch_p = np.empty((p, p)), np.empty((p, p))
    for g in range(groups):
        cell = group_cell[g]
        j = cluster_of[cell]
        for e in range(ne):
            if w_entries[e, 3] >= 0:
                number = multipliers[j, w_entries[e, 3]]
            else:
                a = w_entries[e, 4]
                number = people[cell, a] if own_rows else (
                    products[cell, 0, a] / products[cell, 0, 0]
                )  # fmt: skip
                if w_entries[e, 5] >= 0:
                    r = known[nz + w_entries[e, 5]]
                    number -= sampled[j, w_entries[e, 5]] - shift[r]
            coefficient = theta[w_entries[e, 2]] if w_entries[e, 2] >= 0 else w_values[e]
            delta[g, e] = coefficient * number
        if not group_structure(
            w_entries, delta[g], w_total, w_big, w_big_reduced, targets,
            w_c[g], w_n[g], w_q[g], sigma_g, w_reduced[g], w_loads[g],
        ):  # fmt: skip
            return -np.inf, grad, grad_c, grad_f
        n_seen[g] = group_seen[g].sum()
        if n_seen[g] == p:
            w_logdet[g] = spd_inverse(sigma_g, w_inverse[g], scratch_p)
        else:
            w_logdet[g] = observed_inverse(sigma_g, group_seen[g], w_inverse[g])
        if not np.isfinite(w_logdet[g]):
            return -np.inf, grad, grad_c, grad_f
    d_w_sigma = np.zeros((groups, p, p))
    d_w_reduced = np.zeros((groups, p, kw))
    d_w_loads = np.zeros((groups, p, ns))
    group_count = np.zeros(groups)

    # Scratch of a cluster: by cell where the second pass needs it again.
    most = 0
    for j in range(clusters):
        most = max(most, cell_start[j + 1] - cell_start[j])
    values = np.empty(q)
    d_values = np.empty(q)
    residual = np.empty((most, p, d))
    moment = np.empty((most, p, d))  # residual times cross-products
    weighted = np.empty((most, p, d))  # Sigma^-1 moment
    hw = np.empty((most, h, d))  # C w_c of the hidden terms
    sl = np.empty((most, h, p))  # Sigma^-1 l_c
    t = np.empty((most, h, h))  # w_c' C w_e
    # Row r of the between level multiplies v[pos[r]] - off[r]: 1, or what its slope is on.
    pos, off = np.zeros(q, dtype=np.int64), np.zeros(q)
    for s_ in range(ns):
        first = p if slopes[s_, 2] == 0 else 1
        pos[slopes[s_, 0]] = first + slopes[s_, 3]
    load = np.empty((h, p))  # l_c
    gram = np.zeros((h, h))
    slope = np.empty(h)
    inner, inverse, scratch_h = np.empty((h, h)), np.empty((h, h)), np.empty((h, h))
    x = np.zeros((h, h))
    shrunk = np.zeros((h, h))  # (I + G T)^-1 G
    logdet = 0.0
    best = np.empty(h)
    left = np.empty(h)
    expected = np.empty((p, p))
    part = np.empty(p)
    offset = np.empty(nk)
    d_known = np.empty(nk)
    here = np.empty(nk, dtype=np.int64)  # rows of the known ones that are observed in a group
    place = np.empty(nk, dtype=np.int64)  # and their places among all known ones
    d_mean = np.empty(h)

    sigma = np.empty((q, q))
    b_total = np.empty((nb, nb))
    b_psi = np.empty((nb, nb))
    b_coefs = np.empty((nb, kb))
    b_theta = np.empty(n_theta + b_entries.shape[0])
    reduced = np.empty((q, kb))
    p_kk = np.empty((nk, nk))
    gain = np.zeros((h, nk))
    cov_t = np.empty((h, h))

    value = 0.0
    at = 0
    for g_b in range(b_first.shape[0]):
        modulated(theta, b_entries, b_values, multipliers[b_first[g_b]], ba0, b_theta)
        if not level_moments(
            b_theta, ba0, bai, bp0, bpi, bk0, bki, q, b_total, b_psi, sigma, b_coefs
        ):
            return -np.inf, grad, grad_c, grad_f
        if not positive_definite(b_psi, b_check):
            return -np.inf, grad, grad_c, grad_f
        for i in range(q):
            for j in range(kb):
                s = 0.0
                for a in range(nb):
                    s += b_total[i, a] * b_coefs[a, j]
                reduced[i, j] = s
            reduced[i, 0] -= shift[i]
        nh = 0
        for i in range(nk):
            if i >= nz or z_seen[g_b, i]:
                here[nh], place[nh] = known[i], i
                nh += 1
        if nh != p_kk.shape[0]:
            p_kk, gain = np.empty((nh, nh)), np.zeros((h, nh))
        logdet_k = condition(sigma, here[:nh], hidden, p_kk, gain, cov_t)
        if not np.isfinite(logdet_k):
            return -np.inf, grad, grad_c, grad_f
        # Sums over the group's clusters of what the gradient by Sigma_B and Pi needs.
        count = 0.0
        sum_t = np.zeros((h, h))
        sum_mk = np.zeros((h, nh))
        sum_kk = np.zeros((nh, nh))
        d_reduced = np.zeros((q, kb))

        last_n, last_g = -1.0, -1
        while at < clusters and b_group[b_order[at]] == g_b:
            j = b_order[at]
            at += 1
            count += 1.0
            start = cell_start[j]
            n_cells = cell_start[j + 1] - start
            # Without slopes on observed things the posterior covariance depends on the size only.
            same = False
            if n_cells == 1:
                n, g = cell_size[start], cell_group[start]
                same = ns == 0 and n == last_n and g == last_g
                last_n, last_g = n, g
            else:
                last_n = -1.0
            # Known rows, and the mean of the hidden ones.
            for i in range(nh):
                r, at_z = here[i], place[i]
                v = z[j, at_z] if at_z < nz else sampled[j, at_z - nz] - shift[r]
                values[r] = v
                s = v
                for a in range(kb):
                    s -= reduced[r, a] * xb[j, a]
                offset[i] = s
            own = -0.5 * (nh * LOG_2PI + logdet_k)
            for i in range(nh):
                s = 0.0
                for a in range(nh):
                    s += p_kk[i, a] * offset[a]
                own -= 0.5 * offset[i] * s
                d_known[i] = -s
            for c in range(h):
                r = hidden[c]
                s = 0.0
                for a in range(kb):
                    s += reduced[r, a] * xb[j, a]
                for i in range(nh):
                    s += gain[c, i] * offset[i]
                values[r] = s
            for s_ in range(ns):
                if slopes[s_, 4] >= 0:
                    off[slopes[s_, 0]] = values[slopes[s_, 4]]
            for c in range(h):
                slope[c] = 0.0
                if not same:
                    for e in range(h):
                        gram[c, e] = 0.0
            for k in range(n_cells):
                cell = start + k
                g = cell_group[cell]
                group_count[g] += cell_size[cell]
                # Residuals as linear functions of (1, y, x).
                for i in range(p):
                    for a in range(d):
                        residual[k, i, a] = 0.0
                    residual[k, i, 0] = -w_reduced[g, i, 0]
                    residual[k, i, 1 + i] = 1.0
                    for a in range(1, kw):
                        residual[k, i, p + a] = -w_reduced[g, i, a]
                for r in range(q):
                    if term[r] < 0:
                        continue
                    if term[r] < p:
                        residual[k, term[r], 0] -= values[r]
                    else:
                        s_ = term[r] - p
                        for i in range(p):
                            f = values[r] * w_loads[g, i, s_]
                            residual[k, i, pos[r]] -= f
                            residual[k, i, 0] += f * off[r]
                trace = 0.0
                times_products(products, people, cell, residual, moment, k)
                for i in range(p):
                    for a in range(d):
                        s = 0.0
                        for o in range(p):
                            s += w_inverse[g, i, o] * moment[k, o, a]
                        weighted[k, i, a] = s
                        trace += s * residual[k, i, a]
                own -= 0.5 * (cell_size[cell] * (n_seen[g] * LOG_2PI + w_logdet[g]) + trace)
                # The hidden terms' design.
                for c in range(h):
                    kind = term[hidden[c]]
                    if kind < 0:
                        continue
                    r = hidden[c]
                    if own_rows:
                        f = people[cell, pos[r]] - off[r]
                        for a in range(d):
                            hw[k, c, a] = f * people[cell, a]
                    else:
                        for a in range(d):
                            hw[k, c, a] = products[cell, pos[r], a] - off[r] * products[cell, 0, a]
                    if kind < p:
                        slope[c] += weighted[k, kind, 0]
                        if not same:
                            for i in range(p):
                                load[c, i] = 0.0
                                sl[k, c, i] = w_inverse[g, i, kind]
                            load[c, kind] = 1.0
                    else:
                        for i in range(p):
                            load[c, i] = w_loads[g, i, kind - p]
                            slope[c] += load[c, i] * along(weighted, k, i, pos[r], off[r])
                        for i in range(p):
                            s = 0.0
                            for a in range(p):
                                s += w_inverse[g, i, a] * load[c, a]
                            sl[k, c, i] = s
                if same:
                    continue
                for c in range(h):
                    kind = term[hidden[c]]
                    for e in range(c + 1):
                        other = term[hidden[e]]
                        t[k, c, e] = 0.0
                        if kind >= 0 and other >= 0:
                            t[k, c, e] = along(hw, k, e, pos[hidden[c]], off[hidden[c]])
                            if kind < p:
                                s = sl[k, e, kind]
                            else:
                                s = 0.0
                                for i in range(p):
                                    s += load[c, i] * sl[k, e, i]
                            gram[c, e] += s * t[k, c, e]
                        t[k, e, c] = t[k, c, e]
            if not same:
                for c in range(h):
                    for e in range(c):
                        gram[e, c] = gram[c, e]
                for c in range(h):
                    for e in range(h):
                        s = 1.0 if c == e else 0.0
                        for a in range(h):
                            s += gram[c, a] * cov_t[a, e]
                        inner[c, e] = s
                logdet = general_inverse(inner, scratch_h, inverse)
                if not np.isfinite(logdet):
                    return -np.inf, grad, grad_c, grad_f
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
            own -= 0.5 * (logdet - quadratic)
            by_cluster[j, 0] = own
            value += own
            for c in range(h):
                posterior_mean[j, c] = values[hidden[c]] + best[c] + shift[hidden[c]]
                for e in range(h):
                    posterior_covariance[j, c, e] = x[c, e]

            # Gradient, from the residual at the posterior mean.
            deviance = 0.0
            for r in range(q):
                d_values[r] = 0.0
            for k in range(n_cells):
                cell = start + k
                g = cell_group[cell]
                for c in range(h):
                    kind = term[hidden[c]]
                    if kind < 0 or best[c] == 0.0:
                        continue
                    if kind < p:
                        residual[k, kind, 0] -= best[c]
                        for a in range(d):
                            moment[k, kind, a] -= best[c] * hw[k, c, a]
                    for i in range(p):
                        f = best[c] * sl[k, c, i]
                        for a in range(d):
                            weighted[k, i, a] -= f * hw[k, c, a]
                        if kind >= p:
                            f = best[c] * w_loads[g, i, kind - p]
                            residual[k, i, pos[hidden[c]]] -= f
                            residual[k, i, 0] += f * off[hidden[c]]
                            for a in range(d):
                                moment[k, i, a] -= f * hw[k, c, a]
                # E[sum e e']: at the posterior mean, and what b varies about it.
                for i in range(p):
                    for o in range(i + 1):
                        s = 0.0
                        for a in range(d):
                            s += moment[k, i, a] * residual[k, o, a]
                        expected[i, o] = s
                        expected[o, i] = s
                for e in range(h):
                    other = term[hidden[e]]
                    if other < 0:
                        continue
                    for i in range(p):
                        part[i] = 0.0
                    for c in range(h):
                        kind = term[hidden[c]]
                        f = x[c, e] * t[k, c, e]
                        if kind >= p:
                            for i in range(p):
                                part[i] += f * w_loads[g, i, kind - p]
                        elif kind >= 0:
                            part[kind] += f
                    if other < p:
                        for i in range(p):
                            expected[i, other] += part[i]
                    else:
                        for i in range(p):
                            for o in range(p):
                                expected[i, o] += part[i] * w_loads[g, o, other - p]
                deviance += cell_size[cell] * (n_seen[g] * LOG_2PI + w_logdet[g])
                for i in range(p):
                    for o in range(p):
                        d_w_sigma[g, i, o] += expected[i, o]
                        deviance += w_inverse[g, i, o] * expected[i, o]
                    d_w_reduced[g, i, 0] += weighted[k, i, 0]
                    for a in range(1, kw):
                        d_w_reduced[g, i, a] += weighted[k, i, p + a]
                for r in range(q):
                    if term[r] >= p:
                        s_ = term[r] - p
                        for i in range(p):
                            f = along(weighted, k, i, pos[r], off[r])
                            d_values[r] += w_loads[g, i, s_] * f
                    elif term[r] >= 0:
                        d_values[r] += weighted[k, term[r], 0]
                if by_people.shape[0]:
                    for i in range(p):
                        by_people[cell, 1 + i] -= weighted[k, i, 0]
                # By the slopes' loads, and by the parts of what they multiply.
                for s_ in range(ns):
                    r = slopes[s_, 0]
                    spot = -1
                    for c in range(h):
                        if hidden[c] == r:
                            spot = c
                    b_s = values[r] + (best[spot] if spot >= 0 else 0.0)
                    dw = 0.0
                    for i in range(p):
                        f = along(weighted, k, i, pos[r], off[r])
                        d_w_loads[g, i, s_] += b_s * f
                        dw += b_s * w_loads[g, i, s_] * weighted[k, i, 0]
                    if spot >= 0:
                        for e in range(h):
                            if term[hidden[e]] < 0:
                                continue
                            f = x[spot, e] * t[k, spot, e]
                            s = 0.0
                            for i in range(p):
                                d_w_loads[g, i, s_] -= f * sl[k, e, i]
                                s += w_loads[g, i, s_] * sl[k, e, i]
                            dw -= x[spot, e] * s * hw[k, e, 0]
                    if slopes[s_, 2] == 1:
                        if slopes[s_, 4] >= 0:
                            d_values[slopes[s_, 4]] -= dw
                        if by_people.shape[0]:
                            by_people[cell, 1 + slopes[s_, 3]] += dw
            by_cluster[j, 1] = deviance
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
            for i in range(nh):
                s = d_known[i]
                for c in range(h):
                    s += gain[c, i] * d_mean[c]
                d_known[i] = s
                for a in range(kb):
                    d_reduced[here[i], a] -= s * xb[j, a]
                if place[i] >= nz:
                    grad_c[j, place[i] - nz] += s + d_values[here[i]]
                for c in range(h):
                    sum_mk[c, i] += d_mean[c] * offset[i]
                for a in range(nh):
                    sum_kk[i, a] += offset[i] * offset[a]
            for c in range(h):
                for a in range(kb):
                    d_reduced[hidden[c], a] += d_mean[c] * xb[j, a]

        condition_gradient(here[:nh], hidden, p_kk, gain, count, sum_t, sum_mk, sum_kk, sigma)
        extended = np.zeros(n_theta + b_entries.shape[0])
        level_gradient(
            extended, bai, bpi, bki, q, b_total, b_psi, b_coefs, sigma, d_reduced,
            np.zeros((q, nb)),
        )  # fmt: skip
        modulated_gradient(
            theta, b_entries, b_values, multipliers[b_first[g_b]], extended, grad,
            to_multipliers[b_first[g_b]],
        )  # fmt: skip

    d_big = np.zeros((w_rows, w_rows))
    d_big_reduced = np.zeros((w_rows, kw))
    d_total = np.zeros((w_rows, nw))
    d_delta = np.empty(ne)
    for g in range(groups):
        # (P E P - n P) / 2
        for i in range(p):
            for o in range(p):
                s = 0.0
                for a in range(p):
                    s += w_inverse[g, i, a] * d_w_sigma[g, a, o]
                scratch_p[i, o] = s
        for i in range(p):
            for o in range(i + 1):
                s = -group_count[g] * w_inverse[g, i, o]
                for a in range(p):
                    s += scratch_p[i, a] * w_inverse[g, a, o]
                sigma_g[i, o] = 0.5 * s
                sigma_g[o, i] = 0.5 * s
        group_gradient(
            w_entries, delta[g], w_total, w_big, w_big_reduced, targets, w_c[g], w_n[g], w_q[g],
            sigma_g, d_w_reduced[g], d_w_loads[g], d_big, d_big_reduced, d_total, d_delta,
        )  # fmt: skip
        cell = group_cell[g]
        j = cluster_of[cell]
        for e in range(ne):
            coefficient = theta[w_entries[e, 2]] if w_entries[e, 2] >= 0 else w_values[e]
            by_number = d_delta[e] * coefficient
            if w_entries[e, 3] >= 0:
                number = multipliers[j, w_entries[e, 3]]
                to_multipliers[j, w_entries[e, 3]] += by_number
            else:
                a = w_entries[e, 4]
                number = people[cell, a] if own_rows else (
                    products[cell, 0, a] / products[cell, 0, 0]
                )  # fmt: skip
                if w_entries[e, 5] >= 0:
                    r = known[nz + w_entries[e, 5]]
                    number -= sampled[j, w_entries[e, 5]] - shift[r]
                    grad_c[j, w_entries[e, 5]] -= by_number
                if by_people.shape[0]:
                    by_people[cell, a] += by_number
            if w_entries[e, 2] >= 0:
                grad[w_entries[e, 2]] += d_delta[e] * number
    level_gradient(
        grad, wai, wpi, wki, w_rows, w_total, w_psi, w_coefs, d_big, d_big_reduced, d_total
    )
    for j in range(clusters):
        for i in range(m):
            grad_c[j, i] += to_multipliers[j, n_data + i]
    for i in range(members.shape[0]):
        grad_f[i] = by_people[member_places[i, 0], member_places[i, 1]]
    return value, grad, grad_c, grad_f
