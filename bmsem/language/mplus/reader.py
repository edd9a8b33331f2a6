"""An input file from top to bottom."""

from __future__ import annotations

from bmsem.errors import ModelSyntaxError, Place, did_you_mean
from bmsem.language.mplus.commands import Command, Word, option, split_commands
from bmsem.language.mplus.constraint import read_constraints, read_indirect, read_priors
from bmsem.language.mplus.input import Ignored, Indirect, MplusInput
from bmsem.language.mplus.model import ModelReader
from bmsem.language.mplus.variables import (
    Variables,
    defined_names,
    read_data_command,
    read_define,
    read_variable_command,
)
from bmsem.spec import Level, ModelSpec, StatementBuilder, complete

_ANALYSIS = (
    "TYPE", "ESTIMATOR", "BITERATIONS", "FBITERATIONS", "BCONVERGENCE", "CHAINS", "PROCESSORS",
    "POINT", "THIN", "BSEED", "ALGORITHM", "STVALUES", "PREDICTOR", "MODEL", "ITERATIONS",
    "CONVERGENCE", "H1ITERATIONS", "STARTS", "BOOTSTRAP", "INTEGRATION", "MITERATIONS",
    "MCONVERGENCE", "KOLMOGOROV", "PRIOR", "INTERACTIVE", "INFORMATION", "COVERAGE", "MATRIX",
    "LINK", "PARAMETERIZATION", "ROTATION", "DISTRIBUTION", "REPSE", "BASEHAZARD", "GIBBS",
)  # fmt: skip
_TYPES = ("GENERAL", "TWOLEVEL", "RANDOM", "BASIC", "COMPLEX")
_OUTPUT = (
    "SAMPSTAT", "CROSSTABS", "STANDARDIZED", "STDYX", "STDY", "STD", "RESIDUAL", "MODINDICES",
    "CINTERVAL", "SVALUES", "NOCHISQUARE", "NOSERROR", "H1SE", "H1TECH3", "H1MODEL", "PATTERNS",
    "FSCOEFFICIENT", "FSDETERMINACY", "FSCOMPARISON", "ENTROPY", "ALIGNMENT", "LOGRANK",
    *(f"TECH{i}" for i in range(1, 17)),
)  # fmt: skip
# Outputs that a fit answers; the others are listed as without effect.
_ANSWERED = (
    "SAMPSTAT", "STANDARDIZED", "STDYX", "STDY", "STD", "RESIDUAL", "CINTERVAL", "PATTERNS", "TECH1",
    "TECH4", "TECH8",
)  # fmt: skip
_NUTS = "the posterior is sampled by NUTS with the number of draws that is given when it is fitted"


def parse_mplus(text: str, source: str = "input") -> MplusInput:
    """Read a Mplus input file.

    Parameters
    ----------
    text
        The file's text.
    source
        What it is called in messages, its file name as a rule.

    Raises
    ------
    ModelSyntaxError
        With the line, a caret and what was expected, for anything that is misspelled, missing, or
        not supported. Nothing is silently skipped; see `MplusInput.ignored`.

    Examples
    --------
    >>> given = parse_mplus('''
    ... DATA: FILE IS x.dat;
    ... VARIABLE: NAMES ARE y x;
    ... MODEL: y ON x (b);
    ... ''')
    >>> given.spec.labels["b"][0].name
    'y ~ x'
    """
    commands = {}
    for command in split_commands(text, source):
        if command.name in commands and command.name != "DEFINE":
            raise ModelSyntaxError(f"the command {command.name} stands here twice", command.place)
        commands[command.name] = command
    variables = Variables()
    if "DATA" in commands:
        read_data_command(commands["DATA"], variables)
    if "VARIABLE" not in commands:
        place = Place(text, 0, max(1, len(text.split("\n")[0])), source)
        raise ModelSyntaxError(
            "there is no VARIABLE command", place, expected="VARIABLE: NAMES ARE …"
        )
    made = defined_names(commands["DEFINE"]) if "DEFINE" in commands else []
    read_variable_command(commands["VARIABLE"], variables, made)
    if "DEFINE" in commands:
        read_define(commands["DEFINE"], variables)
    analysis = _analysis(commands.get("ANALYSIS"), variables)
    types = analysis.get("TYPE", "GENERAL").split()
    if "TWOLEVEL" in types and variables.cluster is None:
        raise ModelSyntaxError(
            "TYPE = TWOLEVEL needs a cluster variable", commands["VARIABLE"].place,
            expected="CLUSTER IS name; in VARIABLE",
        )  # fmt: skip
    cluster = variables.cluster
    use = [n for n in (variables.use or variables.names) if n != cluster]
    spec, indirect = _model(commands, variables, types, use)
    outputs = _outputs(commands.get("OUTPUT"), variables)
    plots = _words(commands.get("PLOT"))
    for name in ("PLOT", "SAVEDATA"):
        if name in commands:
            for statement in commands[name].statements:
                variables.ignore(statement, "plots and files are asked of the fit")
    lists = {k: tuple(v) for k, v in variables.lists.items()}
    return MplusInput(
        title=" ".join(commands["TITLE"].body.split()).rstrip(" ;") if "TITLE" in commands else "",
        data_file=variables.data_file,
        names=tuple(variables.names),
        use_variables=tuple(use),
        cluster=cluster,
        missing=tuple(variables.missing),
        selection=variables.selection,
        within=lists.get("WITHIN", ()),
        between=lists.get("BETWEEN", ()),
        categorical=lists.get("CATEGORICAL", ()),
        count=lists.get("COUNT", ()),
        transforms=tuple(variables.transforms),
        analysis=analysis,
        spec=spec,
        indirect=indirect,
        outputs=outputs,
        plots=plots,
        ignored=tuple(variables.ignored),
    )


def _analysis(command: Command | None, variables: Variables) -> dict[str, str]:
    found: dict[str, str] = {}
    for statement in command.statements if command else ():
        name, value = option(statement, _ANALYSIS, "ANALYSIS")
        words = [w.upper for w in value]
        match name:
            case "TYPE":
                found[name] = " ".join(_type(w) for w in value)
            case "ESTIMATOR":
                found[name] = " ".join(words)
                if words != ["BAYES"]:
                    variables.ignore(statement, "bmsem always estimates the posterior (Bayes)")
            case "POINT":
                found[name] = " ".join(words)
                if words != ["MEDIAN"]:
                    variables.ignore(
                        statement, "the estimate is the median; the mean stands beside it in JSON"
                    )
            case "ALGORITHM" | "INTEGRATION" | "LINK" | "ROTATION" | "MODEL" | "REPSE":
                raise ModelSyntaxError(
                    f"{name} is not supported: {statement.text}", statement.place
                )
            case _:
                found[name] = " ".join(words)
                variables.ignore(statement, _NUTS)
    return found


def _type(word: Word) -> str:
    given = word.upper
    for name in _TYPES:
        if given == name or (len(given) >= 4 and name.startswith(given)):
            return name
    known = {"THREELEVEL", "MIXTURE", "EFA", "CROSSCLASSIFIED", "MEANSTRUCTURE", "IMPUTATION"}
    if given in known:
        raise ModelSyntaxError(f"TYPE = {given} is not supported", word.place)
    raise ModelSyntaxError(
        f"unknown TYPE '{word.value}'", word.place, hint=did_you_mean(given, _TYPES)
    )


def _model(
    commands: dict[str, Command], variables: Variables, types: list[str], use: list[str]
) -> tuple[ModelSpec | None, tuple[Indirect, ...]]:
    if "MODEL" not in commands:
        if "BASIC" not in types:
            raise ModelSyntaxError(
                "there is no MODEL command", commands["VARIABLE"].place,
                hint="Add MODEL:, or TYPE = TWOLEVEL BASIC for descriptive statistics.",
            )  # fmt: skip
        return None, ()
    twolevel = "TWOLEVEL" in types
    builder = StatementBuilder(
        known=tuple(dict.fromkeys([*use, *variables.auxiliary])),
        split_by_default=True,
        # With TYPE = COMPLEX clusters are no level of the model.
        cluster=variables.cluster if twolevel else None,
    )
    if twolevel:
        levels: tuple[Level, ...] = ("within", "between")
        for level in levels:
            builder.level(level)
            names = [n for n in variables.lists.get(str(level).upper(), []) if n in use]
            builder.declare(level, names)
    for transform in variables.transforms:
        builder.transform(transform)
        listed = [*variables.lists.get("WITHIN", []), *variables.lists.get("BETWEEN", [])]
        made = transform.function == "cluster_mean" and transform.name in use
        if twolevel and made and transform.name not in listed:
            raise ModelSyntaxError(
                f"'{transform.name}' is a cluster mean, but is not listed under BETWEEN",
                commands["VARIABLE"].place, expected=f"BETWEEN IS … {transform.name}; in VARIABLE",
            )  # fmt: skip
    builder.auxiliary(variables.auxiliary)
    reader = ModelReader(builder, list(use), twolevel)
    reader.read(commands["MODEL"])
    labels = dict(reader.labels)
    if "MODEL CONSTRAINT" in commands:
        read_constraints(commands["MODEL CONSTRAINT"], builder, labels)
    if "MODEL PRIORS" in commands:
        read_priors(commands["MODEL PRIORS"], builder, labels)
    indirect: tuple[Indirect, ...] = ()
    if "MODEL INDIRECT" in commands:
        indirect = read_indirect(commands["MODEL INDIRECT"], reader.names)
    return complete(builder.build()), indirect


def _outputs(
    command: Command | None, variables: Variables
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found: list[tuple[str, tuple[str, ...]]] = []
    words = [w for s in (command.statements if command else ()) for w in s.words]
    i = 0
    while i < len(words):
        word = words[i]
        name = next(
            (
                o
                for o in _OUTPUT
                if word.upper == o
                or (len(word.value) >= (3 if o == "MODINDICES" else 4) and o.startswith(word.upper))
            ),
            None,
        )
        if name is None:
            raise ModelSyntaxError(
                f"unknown output '{word.value}'", word.place, hint=did_you_mean(word.upper, _OUTPUT)
            )
        arguments: list[str] = []
        if i + 1 < len(words) and words[i + 1].is_op("("):
            i += 2
            while i < len(words) and not words[i].is_op(")"):
                arguments.append(words[i].upper)
                i += 1
            if i == len(words):
                raise ModelSyntaxError("'(' is not closed", word.place, expected="')'")
        found.append((name, tuple(arguments)))
        if name not in _ANSWERED:
            reason = "bmsem has no such output"
            variables.ignored.append(Ignored(word.place.line, name, reason))
        i += 1
    return tuple(found)


def _words(command: Command | None) -> tuple[str, ...]:
    return tuple(s.text for s in command.statements) if command else ()
