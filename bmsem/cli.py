"""The command line: ``bmsem run``, ``bmsem check``, ``bmsem diagram``, ``bmsem demo``.

Exit codes: 0; 1 when the fit did not converge (it is printed all the same); 2 for an error in the
input, with one message.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bmsem.data import MISSING
from bmsem.errors import (
    BmsemError,
    DataError,
    DataWarning,
    ModelError,
    ModelWarning,
    did_you_mean,
)
from bmsem.files import write_whole
from bmsem.version import __version__

if TYPE_CHECKING:
    from bmsem.api import Model
    from bmsem.fit import Fit


OUTPUTS = (
    "stdyx", "stdy", "std", "residual", "sampstat", "tech1", "tech4", "tech8", "indices", "icc",
    "patterns",
    "effects", "indirect", "standards",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 2
    warnings.simplefilter("always", DataWarning)
    warnings.simplefilter("always", ModelWarning)
    warnings.showwarning = _show_warning
    try:
        return options.run(options)
    except BmsemError as error:
        print(f"bmsem: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bmsem: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output has gone; that is no error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _show_warning(message: Warning | str, *args: Any, **kwargs: Any) -> None:
    print(f"bmsem: warning: {message}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bmsem", description="Bayesian multilevel structural equation models."
    )
    parser.add_argument("--version", action="version", version=f"bmsem {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    run = commands.add_parser(
        "run", help="fit a model and print the estimates", description="Fit a model."
    )
    _model_options(run)
    _sampling_options(run)
    run.set_defaults(run=_run)
    check = commands.add_parser(
        "check",
        help="print the model, the variables' roles, the priors and the plan; sample nothing",
        description="Print what would be done.",
    )
    _model_options(check)
    check.add_argument("--priors", choices=("weak", "mplus", "blavaan"))
    check.set_defaults(run=_check)
    diagram = commands.add_parser(
        "diagram",
        help="draw the path diagram of a model, or of a saved fit with its estimates",
        description="Draw the path diagram of a model, or of a fit that was saved as .nc.",
    )
    diagram.add_argument(
        "file", type=Path, help="an input file, formula text, or a saved fit (.nc)"
    )
    diagram.add_argument(
        "-o", "--out", type=Path, required=True, metavar="OUT.svg", help=".svg, .png, .pdf or .gv"
    )
    diagram.add_argument("--standardized", choices=("stdyx", "stdy", "std"))
    diagram.add_argument("--no-intervals", action="store_true", help="estimates alone")
    diagram.add_argument("--variances", action="store_true", help="draw (residual) variances too")
    diagram.add_argument("--level", choices=("within", "between"), help="only this level")
    diagram.set_defaults(run=_diagram)
    demo = commands.add_parser(
        "demo",
        help="fit the model of Table 25.3 to the trial of physical activity in schools",
        description="Fit the trial of physical activity in 50 schools.",
    )
    _sampling_options(demo)
    demo.set_defaults(run=_demo)
    return parser


def _model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="a Mplus input file (.inp), or formula text")
    parser.add_argument("--data", type=Path, help="CSV file with the data")
    parser.add_argument("--cluster", help="column that tells the clusters apart")
    parser.add_argument(
        "--missing", choices=MISSING, default="likelihood",
        help="missing values: all that is observed (default), covariates modelled too, or list-wise",
    )  # fmt: skip
    parser.add_argument(
        "--auxiliary", nargs="+", default=[], metavar="NAME",
        help="variables that tell about missing values only",
    )  # fmt: skip


def _sampling_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--chains", type=int, default=4, help="default: 4")
    parser.add_argument("--draws", type=int, default=1000, help="kept draws a chain, default: 1000")
    parser.add_argument("--tune", type=int, default=1000, help="warm-up draws, default: 1000")
    parser.add_argument("--seed", type=int, default=None, help="the same seed gives the same draws")
    parser.add_argument(
        "--priors", choices=("weak", "mplus", "blavaan"),
        help="default: mplus for an input file, weak for formula text",
    )  # fmt: skip
    parser.add_argument(
        "--until", metavar="CONDITIONS",
        help="go on until they are met, for example 'psr<1.01, ess>400'",
    )  # fmt: skip
    parser.add_argument(
        "--max-draws", type=int, default=20_000, help="limit of --until a chain, default: 20000"
    )
    parser.add_argument(
        "--output", nargs="+", choices=OUTPUTS, default=None, metavar="NAME",
        help=f"further output: {', '.join(OUTPUTS)}; default: what an input file's OUTPUT asks for",
    )  # fmt: skip
    parser.add_argument("--sampler", choices=("nutpie", "pymc"), default="nutpie")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all results as JSON")
    parser.add_argument("--save", type=Path, metavar="OUT.nc", help="write the draws as NetCDF")
    parser.add_argument(
        "--report", type=Path, metavar="OUT.html",
        help="write a report of the trial, as .html or .md; needs --treatment and --outcome if the "
             "model leaves a choice",
    )  # fmt: skip
    parser.add_argument("--treatment", metavar="NAME", help="of the report")
    parser.add_argument("--outcome", metavar="NAME", help="of the report")


def _load(options: argparse.Namespace) -> tuple[Model, Any]:
    """The model of a file, and its data."""
    from bmsem.api import model, read_mplus
    from bmsem.data import read_data

    path: Path = options.file
    if not path.is_file():
        raise ModelError(f"There is no file '{path}'.")
    data = read_data(options.data) if options.data else None
    if path.suffix.lower() == ".inp":
        return read_mplus(path), data
    loaded = model(path, title=path.stem)
    if data is None and loaded.default_data is None:
        raise DataError(f"'{path.name}' is formula text and names no data: add --data FILE.csv.")
    return loaded, data


def _run(options: argparse.Namespace) -> int:
    if options.file.suffix.lower() == ".inp" and options.file.is_file():
        from bmsem.language.mplus import parse_mplus

        text = options.file.read_text(encoding="utf-8-sig", errors="replace")
        given = parse_mplus(text, source=options.file.name)
        if given.basic:
            return _describe(options)
    loaded, data = _load(options)
    return _fit(loaded, data, _binding(options), options)


def _describe(options: argparse.Namespace) -> int:
    """TYPE = TWOLEVEL BASIC: descriptive statistics, nothing is sampled."""
    from bmsem.descriptives import describe

    if options.save is not None:
        raise ModelError("TYPE = TWOLEVEL BASIC makes no draws: leave --save out.")
    if options.data is not None or options.cluster is not None:
        raise ModelError(
            "TYPE = TWOLEVEL BASIC takes its data and clusters from the input file: leave --data and "
            "--cluster out, or call bmsem.describe(data, cluster) in Python."
        )
    found = describe(options.file)
    print(found)
    if options.json is not None:
        _write_json({"bmsem": __version__, "descriptives": found.to_json()}, options.json)
        print(f"Results: {options.json}")
    return 0


def _check(options: argparse.Namespace) -> int:
    from bmsem.plan import plan_text
    from bmsem.priors import prior_table

    loaded, data = _load(options)
    print(loaded)
    bound = loaded.bind(data, **_binding(options))
    table = prior_table(bound, options.priors or loaded.default_priors)
    gaps = f"{bound.missing()}\n\n" if bound.gaps is not None else ""
    print(f"\n{bound}\n\n{gaps}{table}\n\n{plan_text(bound, table)}")
    return 0


def _diagram(options: argparse.Namespace) -> int:
    from bmsem.api import load, model, read_mplus

    path: Path = options.file
    if not path.is_file():
        raise ModelError(f"There is no file '{path}'.")
    drawn = {"variances": options.variances, "level": options.level}
    match path.suffix.lower():
        case ".nc":
            made = load(path).diagram(
                standardized=options.standardized, intervals=not options.no_intervals, **drawn
            )
        case suffix:
            if options.standardized or options.no_intervals:
                raise ModelError(
                    f"'{path.name}' is a model without estimates: leave --standardized and "
                    f"--no-intervals out, or draw a fit saved by 'bmsem run … --save fit.nc'."
                )
            made = (read_mplus(path) if suffix == ".inp" else model(path)).diagram(**drawn)
    print(f"Diagram: {made.save(options.out)}")
    return 0


def _demo(options: argparse.Namespace) -> int:
    from bmsem import examples
    from bmsem.api import read_mplus

    path = examples.path("mvpa", "table_25_3.inp")
    print(f"{path.name}:\n\n{path.read_text()}")
    if options.seed is None:
        options.seed = 1
    return _fit(read_mplus(path), None, {}, options)


def _binding(options: argparse.Namespace) -> dict[str, Any]:
    """How the model is joined with the data."""
    names = ("cluster", "missing", "auxiliary")
    return {name: getattr(options, name) for name in names}


def _fit(loaded: Model, data: Any, binding: dict[str, Any], options: argparse.Namespace) -> int:
    for target in (options.json, options.save, options.report):
        if target is not None and not target.absolute().parent.is_dir():
            raise DataError(f"The folder of '{target}' does not exist; nothing was sampled.")
    trial = _trial(loaded, options)
    for note in loaded.notes:
        print(f"note: {note}")
    fit = loaded.fit(
        data,
        **binding,
        priors=options.priors,
        draws=options.draws,
        tune=options.tune,
        chains=options.chains,
        seed=options.seed,
        sampler=options.sampler,
        until=options.until,
        max_draws=options.max_draws,
        progress=_progress,
    )
    for note in fit.bound.notes:
        print(f"note: {note}")
    print(_report(fit))
    for section in sections(fit, _wanted(loaded, options.output)):
        print(f"\n{section}")
    if options.save is not None:
        print(f"Draws: {fit.save(options.save)}")
    if options.json is not None:
        _write_json(fit.to_json(), options.json)
        print(f"Results: {options.json}")
    if trial is not None:
        made = fit.report(*trial)
        print(f"\n{made}\n\nReport: {made.save(options.report)}")
    return 0 if fit.converged else 1


def _trial(loaded: Model, options: argparse.Namespace) -> tuple[str, str] | None:
    """Treatment and outcome of the report that is asked for, before anything is sampled.

    What is not named is found where the paths leave no choice: a cause without causes, an outcome
    without effects.
    """
    if options.report is None:
        if options.treatment or options.outcome:
            raise ModelError(
                "--treatment and --outcome are those of a report: add --report OUT.html."
            )
        return None
    if options.report.suffix.lower() not in (".html", ".htm", ".md", ".markdown"):
        raise ModelError(f"A report is written as .html or .md, not as '{options.report.name}'.")
    rows = [r for r in loaded.spec.parameters if r.op == "~"]
    products = {i.name for i in loaded.spec.interactions}
    causes, outcomes = {r.rhs for r in rows} - products, {r.lhs for r in rows}
    found = []
    for role, given, ends in (
        ("treatment", options.treatment, causes - outcomes),
        ("outcome", options.outcome, outcomes - causes),
    ):
        known = sorted(causes | outcomes)
        if given is not None and given not in known:
            raise ModelError(
                f"The {role} '{given}' is in no path of the model. {did_you_mean(given, known)}"
            )
        if given is None and len(ends) != 1:
            raise ModelError(
                f"Say what the {role} of the report is: add --{role} with one of "
                f"{', '.join(sorted(ends) or known)}."
            )
        found.append(given or ends.pop())
    return found[0], found[1]


def _wanted(loaded: Model, asked: Sequence[str] | None) -> list[str]:
    """Names of further output: what the command line asks for, else what the input file does."""
    if asked is not None:
        return list(dict.fromkeys(asked))
    found: list[str] = []
    for name, arguments in loaded.outputs:
        if name == "STANDARDIZED":
            found += [a.lower() for a in arguments] or ["stdyx", "stdy", "std"]
        else:
            found.append(name.lower())
    if loaded.indirect:
        found.append("indirect")
    if loaded.spec.standards:
        found.append("standards")
    return [name for name in dict.fromkeys(found) if name in OUTPUTS]


def sections(fit: Fit, wanted: Sequence[str]) -> list[str]:
    """Further output of a fit as text, a section a name."""
    found = [str(fit.fit_measures())]
    for name in wanted:
        match name:
            case "stdyx" | "stdy" | "std":
                found.append(str(fit.standardized(how=name)))
            case "residual" | "indices" | "icc" | "sampstat" if not fit.has_unrestricted:
                found.append(
                    f"{name}: not defined here: with varying slopes or products covariances differ "
                    f"between clusters, or there are too few clusters for the unrestricted model."
                )
            case "residual":
                found += [str(fit.residuals()), str(fit.predictive_checks())]
            case "sampstat":
                found.append(str(fit.sample_statistics()))
            case "patterns":
                found.append(str(fit.bound.missing()))
            case "tech1":
                found.append(str(fit.parameter_specification()))
            case "tech4":
                found.append(str(fit.implied()))
            case "tech8":
                found += [str(fit.tech8()), str(fit.kolmogorov_smirnov())]
            case "indices":
                found.append(str(fit.fit_indices()))
            case "icc":
                found.append(str(fit.icc()))
            case "effects":
                found += [str(fit.contextual_effects()), str(fit.effect_sizes())]
            case "indirect":
                found += [str(table) for table in fit.indirect_effects()]
            case "standards":
                found.append(str(fit.meaningfulness()))
    return found


def _progress(line: str) -> None:
    print(f"{line} …", file=sys.stderr, flush=True)


def _report(fit: Fit) -> str:
    square = fit.r_square()
    lines = [f"\n{fit.title}\n" if fit.title else "", str(fit.summary())]
    if len(square):
        lines += ["", "R-Square", ""]
        for row in square.to_dict("records"):
            name = f"{row['variable']} ({row['level']})" if row["level"] else row["variable"]
            lines.append(
                f"    {name:<26} {row['median']:>6.3f} {row['sd']:>9.3f} "
                f"{'':>10} {row['lower']:>10.3f} {row['upper']:>10.3f}"
            )
    timing = fit.timing
    lines += [
        "",
        f"{fit.settings['chains']} chains of {fit.settings['tune']:,} + {fit.settings['draws']:,} "
        f"draws, priors {fit.settings['priors']}: compiled in {timing['compile']:.1f} s, sampled in "
        f"{timing['sample']:.1f} s.",
    ]
    return "\n".join(lines)


def _write_json(found: dict[str, Any], path: Path) -> None:
    write_whole(path, json.dumps(found, indent=1).encode())
