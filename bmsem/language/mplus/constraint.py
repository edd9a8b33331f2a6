"""MODEL CONSTRAINT, MODEL PRIORS and MODEL INDIRECT."""

from __future__ import annotations

import math

from bmsem.errors import ModelSyntaxError, did_you_mean
from bmsem.expressions import Expression, parse_expression
from bmsem.language.mplus.commands import Command, Statement, Word, expand
from bmsem.language.mplus.input import Indirect
from bmsem.spec import Constraint, Prior, StatementBuilder, Target


def read_constraints(command: Command, builder: StatementBuilder, labels: dict[str, str]) -> None:
    """``NEW`` parameters become definitions, everything else constraints.

    ``labels`` are those of MODEL by lower case. Definitions are put into an order in which each uses
    what stands before it.
    """
    new: dict[str, str] = {}
    written: list[tuple[str, Expression, Word]] = []
    for statement in command.statements:
        words = statement.words
        if words[0].upper == "NEW":
            new |= _new_names(words)
            continue
        if words[0].upper in ("DO", "PLOT", "LOOP", "IF"):
            raise ModelSyntaxError(
                f"{words[0].upper} is not supported in MODEL CONSTRAINT: {statement.text}",
                words[0].place,
            )
        at = [i for i, w in enumerate(words) if w.is_op("=", "<", ">", "==")]
        if not at:
            raise ModelSyntaxError(
                "this is not a constraint", words[0].place, expected="name = expression",
                hint="New parameters are named first, in NEW(…).",
            )  # fmt: skip
        if len(at) > 1:
            wrong = words[at[1] - 1]
            raise ModelSyntaxError(
                f"'{wrong.value}' starts another statement before this one has ended", wrong.place,
                expected=f"';' at the end of line {words[at[1] - 2].place.line}",
                hint="Every statement ends with a semicolon.",
            )  # fmt: skip
        i = at[0]
        known = labels | new
        left, right = words[:i], words[i + 1 :]
        if not left or not right:
            raise ModelSyntaxError("one side of the constraint is empty", words[i].place)
        value = expression_of(right, known)
        single = len(left) == 1 and left[0].kind == "name"
        if words[i].is_op("=") and single and left[0].value.lower() in new:
            written.append((new[left[0].value.lower()], value, left[0]))
            continue
        relation = "==" if words[i].is_op("=", "==") else words[i].value
        builder.constrain(Constraint(expression_of(left, known), relation, value))  # type: ignore[arg-type]
    _define(builder, written, set(labels.values()))
    missing = set(new.values()) - {name for name, _, _ in written}
    if missing:
        raise ModelSyntaxError(
            f"{', '.join(sorted(missing))} named in NEW but never given a value", command.place,
            expected=f"{min(missing)} = expression;",
        )  # fmt: skip


def _new_names(words: tuple[Word, ...]) -> dict[str, str]:
    if len(words) < 3 or not words[1].is_op("(") or not words[-1].is_op(")"):
        raise ModelSyntaxError("NEW takes names in brackets", words[0].place, expected="NEW(a b c)")
    inside: list[Word] = []
    skip = False
    for word in words[2:-1]:
        # A starting value, NEW(a*0.5), means nothing for a parameter that is computed.
        if word.is_op("*"):
            skip = True
            continue
        if skip and (word.kind == "number" or word.is_op("-")):
            skip = word.is_op("-")
            continue
        inside.append(word)
    return {name.lower(): name for name, _ in expand(tuple(inside))}


def expression_of(words: tuple[Word, ...], known: dict[str, str]) -> Expression:
    """An expression over names that ignore case."""
    first, last = words[0].place, words[-1].place
    text = list(" " * (last.end - first.start))
    for word in words:
        at = word.place.start - first.start
        text[at : at + len(word.value)] = word.value
    place = type(first)(first.text, first.start, last.end, first.source)
    expression = parse_expression("".join(text), place)
    return expression.renamed({n: known.get(n.lower(), n) for n in expression.names()})


def _define(
    builder: StatementBuilder, written: list[tuple[str, Expression, Word]], labels: set[str]
) -> None:
    names = {name for name, _, _ in written}
    done: set[str] = set()
    left = list(written)
    while left:
        ready = next((w for w in left if not (w[1].names() & names) - done), None)
        if ready is None:
            name, _, word = left[0]
            raise ModelSyntaxError(f"'{name}' is defined by itself, through others", word.place)
        left.remove(ready)
        name, expression, word = ready
        done.add(name)
        for used in sorted(expression.names() - names - labels):
            raise ModelSyntaxError(
                f"'{name}' uses '{used}', which is not a label", word.place,
                hint=did_you_mean(used, labels | names),
            )  # fmt: skip
        builder.define(name, expression, word.place)


def read_priors(command: Command, builder: StatementBuilder, labels: dict[str, str]) -> None:
    """``p1-p3 ~ N(0, 1);``: Mplus's normal has a variance, PyMC's a standard deviation.

    IW(S, d) is given to every variance and covariance of a matrix, with its element of the scale
    matrix; LKJ, which Mplus has not, to every covariance. D(a, b), Mplus's prior of the proportions
    of two classes, is Beta(a, b): the parameter must lie between 0 and 1.
    """
    for statement in command.statements:
        words = statement.words
        at = next((i for i, w in enumerate(words) if w.is_op("~")), None)
        if at is None or at == 0:
            raise ModelSyntaxError(
                "this is not a prior", words[0].place, expected="label ~ N(mean, variance)"
            )
        prior = _prior(words[at + 1 :], statement)
        for name, word in expand(words[:at]):
            label = labels.get(name.lower())
            if label is None:
                raise ModelSyntaxError(
                    f"a prior is given to '{name}', which is not a label of MODEL", word.place,
                    hint=did_you_mean(name, labels.values()),
                )  # fmt: skip
            builder.prior(Target(name=label), prior, word.place)


def _prior(words: tuple[Word, ...], statement: Statement) -> Prior:
    if len(words) < 4 or not words[1].is_op("(") or not words[-1].is_op(")"):
        raise ModelSyntaxError(
            "a prior is a name with two numbers", statement.place, expected="N(0, 1)"
        )
    values: list[float] = []
    sign = 1.0
    for word in words[2:-1]:
        if word.is_op("-"):
            sign = -1.0
        elif word.kind == "number" or word.upper in ("INFINITY", "INF"):
            number = (
                math.inf if word.kind == "name" else float(word.value.lower().replace("d", "e"))
            )
            values.append(sign * number)
            sign = 1.0
        elif not word.is_op(","):
            raise ModelSyntaxError(f"unexpected '{word.value}' in a prior", word.place)
    name = words[0].upper
    if name == "LKJ" and len(values) == 1 and 0 < values[0] < math.inf:
        return Prior("LKJ", (("eta", values[0]),), "correlation")
    if len(values) != 2 or name not in ("N", "LN", "IG", "G", "U", "IW", "D"):
        raise ModelSyntaxError(
            f"unknown prior: {statement.text}", words[0].place,
            expected="N, LN, IG, G, U, IW or D with two numbers, or LKJ with one above zero",
        )  # fmt: skip
    a, b = values
    if name == "N" and math.isinf(b):
        return Prior("Flat")
    if name == "IG" and (a, b) == (-1.0, 0.0):
        return Prior("HalfFlat")
    if name == "U" and math.isinf(a) and math.isinf(b):
        return Prior("Flat")
    if name == "IW" and math.isfinite(a) and math.isfinite(b):
        # What a matrix of its size makes of it is checked when the matrix is known.
        return Prior("InverseWishart", (("S", a), ("d", b)))
    proper = {
        "N": b > 0, "LN": b > 0, "IG": a > 0 and b > 0, "G": a > 0 and b > 0, "U": a < b,
        "IW": False, "D": a > 0 and b > 0,
    }[name] and math.isfinite(a) and math.isfinite(b)  # fmt: skip
    if not proper:
        raise ModelSyntaxError(
            f"this prior is not a probability distribution: {statement.text}", words[0].place,
            hint="Improper priors that can be used are N(0, infinity) and IG(-1, 0).",
        )  # fmt: skip
    match name:
        case "N":
            return Prior("Normal", (("mu", a), ("sigma", math.sqrt(b))))
        case "LN":
            return Prior("LogNormal", (("mu", a), ("sigma", math.sqrt(b))))
        case "IG":
            return Prior("InverseGamma", (("alpha", a), ("beta", b)))
        case "G":
            return Prior("Gamma", (("alpha", a), ("beta", b)))
        case "D":
            # Of two proportions that sum to one.
            return Prior("Beta", (("alpha", a), ("beta", b)))
        case _:
            return Prior("Uniform", (("lower", a), ("upper", b)))


def read_indirect(command: Command, names: dict[str, str]) -> tuple[Indirect, ...]:
    """``y IND x;``, ``y IND m x;``, ``y VIA m x;``."""
    found = []
    for statement in command.statements:
        words = statement.words
        if len(words) < 3 or words[1].upper not in ("IND", "VIA"):
            raise ModelSyntaxError(
                f"this is not a request for an indirect effect: {statement.text}", words[0].place,
                expected="outcome IND predictor, or outcome VIA mediator predictor",
            )  # fmt: skip
        variables = []
        for word in (words[0], *words[2:]):
            if word.value.lower() not in names:
                raise ModelSyntaxError(
                    f"unknown variable '{word.value}' in MODEL INDIRECT", word.place,
                    hint=did_you_mean(word.value, names.values()),
                )  # fmt: skip
            variables.append(names[word.value.lower()])
        found.append(Indirect(variables[0], words[1].upper, tuple(variables[1:])))
    return tuple(found)
