"""Priors of whole matrices, LKJ and inverse-Wishart, put together from what their elements were given.

Mplus gives an inverse-Wishart prior element by element: ``v1 ~ IW(1, 4); c12 ~ IW(0, 4);`` has S = 1 on
the diagonal, 0 off it, and 4 degrees of freedom (Mplus User's Guide, MODEL PRIORS; density as in
Asparouhov & Muthen 2010, *Bayesian analysis using Mplus*, section 3).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bmsem.errors import ModelError
from bmsem.priors.blocks import CovarianceBlock, Wishart
from bmsem.priors.presets import PRESETS
from bmsem.priors.table import PriorTable
from bmsem.spec import Prior
from bmsem.structure import FreeParameter


def matrix_priors(
    blocks: tuple[CovarianceBlock, ...],
    parameters: tuple[FreeParameter, ...],
    given: dict[int, Prior],
    apart: frozenset[int] = frozenset(),
) -> tuple[tuple[CovarianceBlock, ...], dict[int, Prior]]:
    """Blocks with the priors that their elements were given, and priors of variances that stand alone.

    Parameters
    ----------
    given
        The LKJ and inverse-Wishart priors by parameter index.
    apart
        Covariances that are sampled on their own.

    Returns
    -------
    The blocks; and, by parameter index, the priors that variances have instead: an inverse-Wishart of
    one variance is an inverse-gamma.

    Raises
    ------
    ModelError
        If elements of one matrix have priors that do not go together, or the prior is no distribution.
    """
    for index, prior in given.items():
        p = parameters[index]
        if prior.distribution == "LKJ" and p.kind != "covariance":
            raise ModelError(
                f"{p.name} is a {p.kind}, and LKJ({prior.arguments[0][1]:g}) is a prior of "
                f"correlations only. Give it to 'correlations' or to single covariances, and "
                f"{p.name} a prior of its own."
            )
    variances = {(r.level, r.lhs): p for p in parameters for r in p.rows if r.is_variance}
    left = dict(given)
    instead: dict[int, Prior] = {}
    found = []
    for block in blocks:
        own = [variances.get((block.level, v)) for v in block.variables]
        pairs = {index for _, _, index in block.pairs}
        inside = pairs | {p.index for p in own if p is not None}
        told = {i: left.pop(i) for i in sorted(inside & set(left))}
        families = {p.distribution for p in told.values()}
        where = f"the {block.level + ' ' if block.level else ''}covariance matrix of " + ", ".join(
            block.variables
        )
        if len(families) > 1:
            raise ModelError(f"Elements of {where} have LKJ and inverse-Wishart priors. Keep one.")
        if families == {"LKJ"}:
            found.append(_lkj(block, told, pairs - apart, parameters, where))
        elif families == {"InverseWishart"}:
            made, flat = _wishart(block, told, own, parameters, where)
            found.append(made)
            instead |= {i: Prior("HalfFlat") for i in inside - pairs} if flat else {}
        else:
            found.append(block)
    for index, prior in left.items():
        instead[index] = _alone(parameters[index], prior)
    return tuple(found), instead


def matrix_elements(table: PriorTable) -> dict[int, Prior]:
    """The priors of matrices by parameter index, as `matrix_priors` takes them apart from presets'."""
    preset = PRESETS[table.preset]
    found: dict[int, Prior] = {}
    for block in table.blocks:
        pairs = [index for _, _, index in block.pairs if table.rows[index].prior is None]
        if block.wishart is not None:
            freedom = block.wishart.freedom
            for index, element in block.scale_elements.items():
                found[index] = Prior("InverseWishart", (("S", element), ("d", freedom)))
        elif block.flat and not preset.flat_covariances:
            freedom = float(-block.size - 1)
            variances = {
                (r.parameter.rows[0].level, r.parameter.rows[0].lhs): r.parameter.index
                for r in table.rows
                if r.parameter.kind == "variance"
            }
            own = [variances[block.level, name] for name in block.variables]
            for index in (*own, *pairs):
                found[index] = Prior("InverseWishart", (("S", 0.0), ("d", freedom)))
        elif not block.flat and (preset.flat_covariances or block.lkj != preset.lkj):
            for index in pairs:
                found[index] = Prior("LKJ", (("eta", block.lkj),), "correlation")
    return found


def _lkj(
    block: CovarianceBlock,
    told: dict[int, Prior],
    pairs: set[int],
    parameters: tuple[FreeParameter, ...],
    where: str,
) -> CovarianceBlock:
    shapes = {p.arguments[0][1] for p in told.values()}
    missing = [parameters[i].name for i in sorted(pairs - set(told))]
    if missing:
        raise ModelError(
            f"LKJ is a prior of a whole correlation matrix: {where}. Give it to "
            f"{', '.join(missing)} too, or to 'correlations'."
        )
    if len(shapes) > 1:
        raise ModelError(f"The correlations of {where} have several LKJ priors. Keep one.")
    return replace(block, lkj=shapes.pop(), flat=False)


def _wishart(
    block: CovarianceBlock,
    told: dict[int, Prior],
    own: list[FreeParameter | None],
    parameters: tuple[FreeParameter, ...],
    where: str,
) -> tuple[CovarianceBlock, bool]:
    """The block with its inverse-Wishart prior, and whether that is the flat one."""
    size = block.size
    if not block.full or any(p is None for p in own):
        raise ModelError(
            f"An inverse-Wishart prior needs every variance and covariance of {where} to be free and "
            f"none of them to share its label; LKJ and priors of single correlations do not."
        )
    diagonal = tuple(p.index for p in own if p is not None)
    missing = [
        parameters[i].name for i in sorted({*diagonal, *(i for _, _, i in block.pairs)} - set(told))
    ]
    if missing:
        raise ModelError(
            f"An inverse-Wishart prior is one of the whole of {where}. Give it to "
            f"{', '.join(missing)} too."
        )
    freedoms = {dict(p.arguments)["d"] for p in told.values()}
    if len(freedoms) > 1:
        raise ModelError(
            f"The inverse-Wishart prior of {where} has several degrees of freedom: "
            f"{', '.join(f'{d:g}' for d in sorted(freedoms))}. Give every element the same."
        )
    freedom = freedoms.pop()
    scale = np.zeros((size, size))
    for i, index in enumerate(diagonal):
        scale[i, i] = dict(told[index].arguments)["S"]
    for i, j, index in block.pairs:
        scale[i, j] = scale[j, i] = dict(told[index].arguments)["S"]
    if not scale.any() and freedom == -size - 1:
        return replace(block, lkj=1.0, flat=True), True
    if not freedom > size - 1 or np.linalg.eigvalsh(scale)[0] <= 0:
        raise ModelError(
            f"IW(S, {freedom:g}) with S = {scale.tolist()} is no probability distribution for {where}: "
            f"S must be positive definite and d above {size - 1}. The improper prior that can be used "
            f"is IW(0, {-size - 1})."
        )
    matrix = tuple(tuple(float(v) for v in row) for row in scale)
    return replace(block, flat=False, wishart=Wishart(matrix, freedom, diagonal)), False


def _alone(parameter: FreeParameter, prior: Prior) -> Prior:
    """The prior of a variance that is in no matrix: IW(s, d) is IG(d / 2, s / 2)."""
    if parameter.kind != "variance":
        raise ModelError(
            f"{parameter.name} is a {parameter.kind}, and {prior} is a prior of covariance matrices "
            f"only. Give it to 'matrices', and {parameter.name} a prior of its own."
        )
    values = dict(prior.arguments)
    if values["S"] == 0.0 and values["d"] == -2.0:
        return Prior("HalfFlat")
    if not (values["S"] > 0 and values["d"] > 0):
        raise ModelError(
            f"{prior} of {parameter.name} is no probability distribution: S and d must be above zero. "
            f"The improper prior that can be used is IW(0, -2)."
        )
    return Prior("InverseGamma", (("alpha", values["d"] / 2), ("beta", values["S"] / 2)))
