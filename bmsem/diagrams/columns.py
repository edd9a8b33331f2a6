"""From left to right: causes before effects, indicators beside each other under their factor."""

from __future__ import annotations

from collections.abc import Iterable

from bmsem.diagrams.elements import Drawing


def ordered_columns(drawn: Drawing) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Columns with a place of their own, and those that stand in the middle of others.

    Returns
    -------
    columns
        From left to right.
    over
        The columns that a factor without a place of its own measures.
    """
    column = {n.id: n.column for n in drawn.nodes}
    names = list(dict.fromkeys(n.column for n in drawn.nodes))
    measures: dict[str, list[str]] = {}
    for arrow in drawn.arrows:
        if arrow.kind == "loading":
            measures.setdefault(column[arrow.source], []).append(column[arrow.target])
    depth = _depths(
        names,
        [
            (column[a.source], column[a.target])
            for a in drawn.arrows
            if a.kind in ("path", "factor of product")
        ],
    )
    owner = _owners(measures, names)
    # What is measured stands where its factor stands.
    groups: dict[str, list[str]] = {}
    for name in names:
        if name in measures:
            continue
        groups.setdefault(owner.get(name, name), []).append(name)
    rank = {name: i for i, name in enumerate(names)}

    def place(group: str) -> tuple[float, int]:
        factors = {f for f, own in measures.items() if set(own) & set(groups[group])}
        return max(depth[f] for f in {group, *factors}), rank[groups[group][0]]

    columns = [name for group in sorted(groups, key=place) for name in groups[group]]
    slopes = {n.column: n.name for n in drawn.nodes if n.panel == "between"}
    columns = _slopes_between(columns, drawn, {v: k for k, v in slopes.items()})
    return tuple(columns), {f: tuple(dict.fromkeys(own)) for f, own in measures.items()}


def _owners(measures: dict[str, list[str]], names: list[str]) -> dict[str, str]:
    """The factor that an indicator stands under: of the level with most factors, the first."""
    owner: dict[str, str] = {}
    for factor in sorted(measures, key=lambda f: (not f.startswith("within "), names.index(f))):
        for name in measures[factor]:
            owner.setdefault(name, factor)
    # Factors measured by factors hand their indicators on.
    return {name: owner.get(factor, factor) for name, factor in owner.items()}


def _depths(names: list[str], edges: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Longest chain of causes before each column; an edge that would close a loop is left out."""
    after: dict[str, set[str]] = {n: set() for n in names}

    def reaches(start: str, end: str) -> bool:
        return start == end or any(reaches(n, end) for n in after[start])

    for cause, effect in edges:
        if not reaches(effect, cause):
            after[cause].add(effect)
    depth = dict.fromkeys(names, 0)
    for _ in names:
        for cause in names:
            for effect in after[cause]:
                depth[effect] = max(depth[effect], depth[cause] + 1)
    # A cause that nothing points at stands next to its first effect.
    for name in names:
        if after[name] and not any(name in ends for ends in after.values()):
            depth[name] = min(depth[e] for e in after[name]) - 1
    return depth


def _slopes_between(columns: list[str], drawn: Drawing, column_of: dict[str, str]) -> list[str]:
    """A slope that nothing predicts stands beside its outcome, not before every cause."""
    pointed = {a.target for a in drawn.arrows if a.kind == "path"}
    pointing = {a.source for a in drawn.arrows if a.kind == "path"}
    for arrow in drawn.arrows:
        own = column_of.get(arrow.varying)
        if not arrow.varying or own not in columns:
            continue
        node = next(n for n in drawn.nodes if n.column == own)
        outcome = drawn.node(arrow.target).column
        if node.id in pointed | pointing or outcome not in columns:
            continue
        columns.remove(own)
        columns.insert(columns.index(outcome), own)
    return columns
