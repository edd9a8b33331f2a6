"""What will be sampled, what is integrated out, and what a log-density costs, in words."""

from __future__ import annotations

import numpy as np

from bmsem.data import BoundModel
from bmsem.priors import PriorTable
from bmsem.spec import Level
from bmsem.structure import Structure
from bmsem.structure.sampled import SampledQuantities
from bmsem.version import __version__


def plan_text(bound: BoundModel, table: PriorTable) -> str:
    """How a bound model will be estimated."""
    sampled = table.role("sampled")
    lines = [f"Plan (bmsem {__version__}, priors {table.preset})"]
    counts: dict[str, int] = {}
    for row in sampled:
        counts[row.parameter.kind] = counts.get(row.parameter.kind, 0) + 1
    kinds = ", ".join(f"{n} {kind}{'s' if n > 1 else ''}" for kind, n in counts.items())
    lines.append(f"  sampled by NUTS:        {len(sampled)} parameters ({kinds or 'none'})")
    integrated = table.role("integrated")
    if integrated:
        names = ", ".join(r.parameter.rows[0].lhs for r in integrated)
        lines.append(
            f"  integrated out exactly: {len(integrated)} intercept"
            f"{'s' if len(integrated) > 1 else ''} ({names}); drawn afterwards"
        )
    structure = bound.structure
    plan = bound.plan
    for reason in plan.reasons:
        lines.append(
            f"                          {bound.clusters:,} numbers, one a cluster: {reason}"
        )
    for reason in plan.score_reasons:
        lines.append(f"                          {bound.rows:,} numbers, one a person: {reason}")
    lines += _missing(bound, plan)
    inside = [n for i, n in enumerate(structure.outcomes) if _row(structure, i) not in plan.rows]
    inside += [s.name for s in structure.slopes if s.row not in plan.rows]
    if bound.spec.multilevel and inside:
        lines.append(
            f"  integrated out exactly: {bound.clusters:,} cluster effects of each of "
            f"{', '.join(inside)}"
        )
    apart: set[tuple[Level, str]] = {("between", structure.between.variables[r]) for r in plan.rows}
    people = structure.within if bound.spec.multilevel else structure.between
    people_level: Level = "within" if bound.spec.multilevel else None
    apart |= {(people_level, people.variables[r]) for r in plan.scores}
    slopes = {s.name for s in structure.slopes}
    for level, name in bound.spec.latent:
        if (level, name) in apart or name in slopes:
            continue
        count = bound.rows if level != "between" else bound.clusters
        lines.append(f"                          {count:,} scores of the factor {name}")
    by = list(dict.fromkeys(m.observed for m in plan.modulations if m.observed))
    if by:
        # Not at the top: it brings the compiler with it.
        from bmsem.likelihood.cluster_inputs import observed_number

        count = len(np.unique(np.column_stack([observed_number(bound, n) for n in by]), axis=0))
        lines.append(
            f"  groups of clusters:     {count:,}, by the value of {', '.join(by)}, each with paths of "
            f"its own"
        )
    determined = table.role("determined")
    if determined:
        shown = ", ".join(f"{r.parameter.name} = {r.expression}" for r in determined)
        lines.append(f"  determined:             {shown}")
    lines.append(f"  a log-density costs:    {_cost(bound, plan)}")
    lines += [f"  note: {note}" for note in bound.notes]
    return "\n".join(lines)


def _missing(bound: BoundModel, plan: SampledQuantities) -> list[str]:
    """What becomes of missing values: integrated out, or sampled if something multiplies them."""
    if bound.gaps is None:
        return []
    # Not at the top: it brings the compiler with it.
    from bmsem.likelihood.cells import sampled_values

    absent = ~bound.gaps.observed
    filled = list(sampled_values(bound, plan))
    names = bound.structure.outcomes or bound.structure.between_outcomes
    lines = []
    if filled:
        what = ", ".join(names[i] for i in filled)
        lines.append(
            f"                          {int(absent[:, filled].sum()):,} missing values of {what}, "
            f"which a varying slope or a product multiplies"
        )
        absent[:, filled] = False
    count = int(absent.sum()) + int((~bound.gaps.between).sum())
    if count:
        lines.append(
            f"  integrated out exactly: {count:,} missing values, at "
            f"{len(bound.gaps.patterns):,} patterns"
        )
    return lines


def _row(structure: Structure, outcome: int) -> int:
    return len(structure.between_outcomes) + outcome


def _cost(bound: BoundModel, plan: SampledQuantities) -> str:
    """What an evaluation of the likelihood factorises, in words."""
    q, p = bound.structure.between.observed, bound.structure.within.observed
    whatever = f", whatever the number of rows ({bound.rows:,})"
    if bound.by_cell:
        # Not at the top: it brings the compiler with it.
        from bmsem.likelihood.cells import model_cells

        hidden = plan.size - len(plan.rows) - len(bound.structure.between_outcomes)
        of_clusters = f"{bound.clusters:,} factorisations of {hidden} x {hidden}, one a cluster"
        if bound.gaps is not None and not plan.by_person:
            cells = model_cells(bound, plan, joined=True)
            kinds = len(cells.group_cell)
            size = f"{p or q} x {p or q}, one a pattern of missing values"
            found = f"{of_clusters}, and {kinds:,} of {size}"
            if not bound.spec.multilevel:
                found = f"{kinds:,} factorisations of {size}"
            few = f", not over {bound.rows:,} rows" if len(cells.sizes) < bound.rows else ""
            return f"{found}; sums over {len(cells.sizes):,} cells{few}"
        if not plan.by_person:
            return of_clusters + whatever
        known = (p if bound.spec.multilevel else q) + len(plan.scores)
        kinds = len(model_cells(bound, plan).group_cell)
        each = "one a person" if kinds == bound.rows else "one a value of what is multiplied"
        of_people = f"{kinds:,} of {known} x {known}, {each}"
        return f"{of_clusters}, and {of_people}" if bound.spec.multilevel else of_people
    if not bound.spec.multilevel:
        return f"one factorisation of {q} x {q}{whatever}"
    groups = len(bound.pooled.sizes)
    several = "s" if groups > 1 else ""
    within = f" and one of {p} x {p}" if p else ""
    return f"{groups} factorisation{several} of {q} x {q} (one a cluster size){within}{whatever}"
