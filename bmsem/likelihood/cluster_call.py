"""The likelihood given sampled quantities as a C function of packed vectors."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numba
import numpy as np

from bmsem.likelihood.cluster_kernel import cluster_log_likelihood
from bmsem.likelihood.disk_cache import forget_outdated
from bmsem.likelihood.kernel import C_SIGNATURE


@numba.njit(cache=True, nogil=True, error_model="numpy")
def unpack_cluster_log_likelihood(extended, data, integers, reals, mean, covariance, by_cluster):
    """`cluster_log_likelihood` with its arguments packed by `bmsem.likelihood.cluster_inputs`.

    ``extended`` is theta followed by the sampled quantities, cluster by cluster, and those of people;
    the gradient too.
    """
    (nw, p, kw, nb, q, kb, nz, nk, h, ns, clusters, m, n_data, groups, gb) = (
        integers[0], integers[1], integers[2], integers[3], integers[4], integers[5], integers[6],
        integers[7], integers[8], integers[9], integers[10], integers[11], integers[12],
        integers[13], integers[14],
    )  # fmt: skip
    w_rows, of_people, cells, own_rows = integers[26], integers[27], integers[28], integers[29]
    a = 32
    wai = integers[a : a + 3 * integers[16]].reshape(integers[16], 3)
    a += 3 * integers[16]
    wpi = integers[a : a + 3 * integers[17]].reshape(integers[17], 3)
    a += 3 * integers[17]
    wki = integers[a : a + 3 * integers[18]].reshape(integers[18], 3)
    a += 3 * integers[18]
    w_check = integers[a : a + integers[19]]
    a += integers[19]
    w_entries = integers[a : a + 6 * integers[20]].reshape(integers[20], 6)
    a += 6 * integers[20]
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
    b_group = integers[a : a + clusters]
    a += clusters
    b_first = integers[a : a + gb]
    a += gb
    b_order = integers[a : a + clusters]
    a += clusters
    cell_start = integers[a : a + clusters + 1]
    a += clusters + 1
    cell_group = integers[a : a + cells]
    a += cells
    group_cell = integers[a : a + groups]
    a += groups
    group_seen = integers[a : a + groups * p].reshape(groups, p)
    a += groups * p
    z_seen = integers[a : a + gb * nz].reshape(gb, nz)
    a += gb * nz
    member_places = integers[a : a + 2 * of_people].reshape(of_people, 2)

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
    z = data[a : a + clusters * nz].reshape(clusters, nz)
    a += clusters * nz
    xb = data[a : a + clusters * kb].reshape(clusters, kb)
    a += clusters * kb
    data_multipliers = data[a : a + clusters * n_data].reshape(clusters, n_data)
    a += clusters * n_data
    shift = data[a : a + q]
    a += q
    cell_size = data[a : a + cells]
    a += cells
    of_rows, of_products = (cells, 0) if own_rows else (0, cells)
    products = data[a : a + of_products * d * d].reshape(of_products, d, d)
    a += of_products * d * d
    rows = data[a : a + of_rows * d].reshape(of_rows, d)
    a += of_rows * d
    member_shift = data[a : a + of_people]
    at_people = extended.shape[0] - of_people
    at_sampled = at_people - clusters * m
    value, grad, grad_c, grad_f = cluster_log_likelihood(
        extended[:at_sampled], extended[at_sampled:at_people].reshape(clusters, m),
        extended[at_people:], member_places, member_shift,
        wa0, wai, wp0, wpi, wk0, wki, w_check, p, w_rows, w_entries, w_values,
        ba0, bai, bp0, bpi, bk0, bki, b_check, q, b_entries, b_values,
        nz, known, hidden, slopes, term,
        z, z_seen, xb, data_multipliers, b_group, b_first, b_order,
        cell_start, cell_size, cell_group, group_cell, group_seen, products, rows,
        shift,
        mean, covariance, by_cluster,
    )  # fmt: skip
    gradient = np.empty(extended.shape[0])
    gradient[:at_sampled] = grad
    gradient[at_sampled:at_people] = grad_c.ravel()
    gradient[at_people:] = grad_f
    return value, gradient


forget_outdated(unpack_cluster_log_likelihood)


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
