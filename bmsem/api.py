"""What a notebook calls: a model, its data, its fit."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bmsem.data import BoundModel, bind, read_data
from bmsem.errors import BmsemError, DataError, ModelError
from bmsem.language import parse_formula, write_formula
from bmsem.plan import plan_text
from bmsem.priors import PriorTable, prior_table
from bmsem.spec import ModelSpec
from bmsem.tables import Grid, Tabular

if TYPE_CHECKING:
    import pandas as pd
    import pymc as pm

    from bmsem.diagrams import Diagram
    from bmsem.fit import Fit
    from bmsem.language.mplus import MplusInput
    from bmsem.pooled import PooledFit
    from bmsem.results.prior_predictive import PriorPredictive
    from bmsem.simulation import Design


@dataclass(frozen=True, eq=False)
class Model(Tabular):
    """A model, with or without its data.

    Make one with `bmsem.model` or `bmsem.read_mplus`. It is immutable and can be printed; `bind`,
    `priors` and `plan` show what `fit` will do before anything is sampled.

    Attributes
    ----------
    spec
        The parameter table.
    title
        Of the analysis.
    default_priors
        ``"weak"``, or ``"mplus"`` for an input file.
    default_data
        Data that are used if none are given: those of the input file.
    interval
        ``"hpd"`` or ``"equal"``.
    notes
        What the reader of the text wants to be known.
    indirect
        Effects that MODEL INDIRECT asks for.
    outputs
        Options of an input file's OUTPUT, with their arguments.
    """

    spec: ModelSpec
    title: str = ""
    default_priors: str = "weak"
    default_data: Callable[[], Any] | None = None
    interval: str = "hpd"
    notes: tuple[str, ...] = field(default=())
    indirect: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    outputs: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def bind(
        self,
        data: Any = None,
        *,
        cluster: str | None = None,
        missing: str = "likelihood",
        auxiliary: Sequence[str] = (),
    ) -> BoundModel:
        """Join the model with data; see `bmsem.data.bind.bind` for what is checked and raised.

        Parameters
        ----------
        data
            A data frame, a mapping of columns, or the path of a CSV file.
        cluster
            The column that tells the clusters apart.
        missing
            ``"likelihood"`` (all that was observed enters), ``"model"`` (incomplete covariates get a
            distribution too) or ``"listwise"`` (incomplete rows are dropped).
        auxiliary
            Variables that tell about missing values and are not in the model.

        Examples
        --------
        >>> import numpy as np
        >>> frame = activity.default_data()
        >>> frame.loc[::10, "mvpa"] = np.nan
        >>> bound = activity.bind(frame)
        >>> bound.missing().patterns["people"].tolist()
        [900, 100]
        """
        if data is None:
            if self.default_data is None:
                raise DataError("No data were given. Pass a data frame or the path of a CSV file.")
            data = self.default_data()
        if isinstance(data, BoundModel):
            return data
        if _frames(data):
            raise ModelError(
                "A list of imputed data frames is fitted as a whole; bind one of them."
            )
        return bind(self.spec, data, cluster, missing=missing, auxiliary=auxiliary)

    def priors(
        self,
        data: Any = None,
        *,
        cluster: str | None = None,
        missing: str = "likelihood",
        auxiliary: Sequence[str] = (),
        priors: str | Mapping[str, Any] | None = None,
    ) -> PriorTable:
        """The prior of every parameter, as a table, before anything is sampled.

        ``priors`` is a preset (``"weak"``, ``"mplus"``, ``"blavaan"``) or a mapping; see
        `bmsem.priors.prior_table`.
        """
        return prior_table(
            self.bind(data, cluster=cluster, missing=missing, auxiliary=auxiliary),
            priors or self.default_priors,
        )

    def plan(
        self,
        data: Any = None,
        *,
        cluster: str | None = None,
        missing: str = "likelihood",
        auxiliary: Sequence[str] = (),
        priors: str | Mapping[str, Any] | None = None,
    ) -> str:
        """What will be sampled, what is integrated out, and what a log-density costs, in words."""
        bound = self.bind(data, cluster=cluster, missing=missing, auxiliary=auxiliary)
        return plan_text(bound, prior_table(bound, priors or self.default_priors))

    def prior_predictive(
        self,
        data: Any = None,
        *,
        cluster: str | None = None,
        missing: str = "likelihood",
        auxiliary: Sequence[str] = (),
        priors: str | Mapping[str, Any] | None = None,
        draws: int = 1000,
        seed: int = 0,
    ) -> PriorPredictive:
        """What the priors say before anything is fitted: implied quantities, and data.

        Parameters
        ----------
        data, cluster, missing, auxiliary, priors
            As for `fit`. Data are made with the clusters and covariates of these.
        draws
            From the joint prior.
        seed
            The same seed gives the same draws and data.

        Returns
        -------
        PriorPredictive
            ``print`` it for ICCs, R-squares and total effects; ``.data(i)`` is a data set, ``.check(…)``
            compares many with the real one, ``.plot()`` shows densities.

        Raises
        ------
        ModelError
            If a prior is improper, so that there are no draws from it.

        Examples
        --------
        >>> prior = activity.prior_predictive(priors="weak", draws=200)
        >>> prior.draws("treat -> mvpa").shape
        (200,)
        """
        from bmsem.graph.prior_draws import prior_draws
        from bmsem.results.prior_predictive import PriorPredictive
        from bmsem.simulation import Design, simulator, whole_seed

        if draws < 1:
            raise ModelError(f"draws must be at least 1, not {draws}.")
        seed = whole_seed(seed)
        if data is None and self.default_data is not None:
            data = self.default_data()
        if isinstance(data, BoundModel):
            raise ModelError(
                "Pass the data themselves: new data have their clusters and covariates."
            )
        bound = self.bind(data, cluster=cluster, missing=missing, auxiliary=auxiliary)
        table = prior_table(bound, priors or self.default_priors)
        table.require_proper("A prior predictive check")
        design = Design.from_data(data, cluster=cluster or self.spec.cluster)
        ready = simulator(self.spec, design)
        return PriorPredictive(bound, table, prior_draws(bound, table, draws, seed), ready, seed)

    def to_pymc(
        self,
        data: Any = None,
        *,
        cluster: str | None = None,
        missing: str = "likelihood",
        auxiliary: Sequence[str] = (),
        priors: str | Mapping[str, Any] | None = None,
        sample_intercepts: bool = False,
    ) -> pm.Model:
        """An ordinary `pymc.Model`, to be extended and sampled by hand.

        Its variable ``parameters`` (dimension ``parameter``) holds every sampled parameter in
        natural units, named by label or row; the likelihood is a potential. Intercepts with a normal
        or flat prior are integrated out unless ``sample_intercepts`` is true.

        Examples
        --------
        >>> pymc_model = activity.to_pymc(priors="weak")
        >>> "parameters" in pymc_model.named_vars
        True
        """
        from bmsem.graph import build_graph

        bound = self.bind(data, cluster=cluster, missing=missing, auxiliary=auxiliary)
        table = prior_table(
            bound, priors or self.default_priors, sample_intercepts=sample_intercepts
        )
        return build_graph(bound, table).model

    def fit(
        self,
        data: Any = None,
        *,
        cluster: str | None = None,
        missing: str = "likelihood",
        auxiliary: Sequence[str] = (),
        priors: str | Mapping[str, Any] | None = None,
        draws: int = 1000,
        tune: int = 1000,
        chains: int = 4,
        cores: int | None = None,
        seed: int | None = None,
        sampler: str = "nutpie",
        target_accept: float = 0.8,
        max_depth: int = 10,
        until: str | None = None,
        max_draws: int = 20_000,
        progress: bool | Callable[[str], None] = True,
    ) -> Fit:
        """Sample the posterior by NUTS.

        Parameters
        ----------
        data, cluster, missing, auxiliary
            As for `bind`. A list of multiply imputed data frames is fitted frame by frame, and the
            posteriors are pooled as a mixture (`bmsem.pooled.PooledFit`).
        priors
            As for `priors`.
        draws, tune, chains
            Kept and warm-up draws of each chain.
        seed
            The same seed gives the same draws.
        sampler
            ``"nutpie"`` or ``"pymc"``.
        until
            Go on until conditions such as ``"psr<1.01, ess>400"`` are met (``psr``, ``rhat``,
            ``ess``, ``ess_bulk``, ``ess_tail``): the draws are doubled until they are, or until there
            are ``max_draws`` a chain. An interruption keeps what was drawn.
        progress
            Say what is happening and show the sampler's progress; a function gets the lines
            instead, and the sampler's progress is shown on a terminal only.

        Raises
        ------
        BmsemError
            If the model, the data or the priors do not fit together, or sampling cannot start.
        """
        if _frames(data):
            return self._fit_imputed(
                data, cluster=cluster, missing=missing, auxiliary=auxiliary, priors=priors, draws=draws,
                tune=tune, chains=chains, cores=cores, seed=seed, sampler=sampler,
                target_accept=target_accept, max_depth=max_depth, until=until, max_draws=max_draws,
                progress=progress,
            )  # fmt: skip
        if until is not None:
            from bmsem.results.extension import parse_until

            parse_until(until)
        from bmsem.simulation import whole_seed

        seed = None if seed is None else whole_seed(seed)
        bound = self.bind(data, cluster=cluster, missing=missing, auxiliary=auxiliary)
        chosen = priors or self.default_priors
        table = prior_table(bound, chosen)
        say = progress if callable(progress) else (_print_line if progress else None)
        from bmsem.fit import Fit
        from bmsem.sampling import sample

        # A bar is for people: a terminal or a notebook, not a log file.
        bar = progress is True or (callable(progress) and sys.stderr.isatty())
        samples = sample(
            bound,
            table,
            draws=draws,
            tune=tune,
            chains=chains,
            cores=cores,
            seed=seed,
            sampler=sampler,
            target_accept=target_accept,
            max_depth=max_depth,
            progress=bar,
            say=say,
        )
        settings = {
            "chains": chains,
            "tune": tune,
            "draws": draws,
            "seed": seed,
            "priors": table.preset if isinstance(chosen, str) else f"{table.preset}, changed",
            "sampler": sampler,
            "target_accept": target_accept,
            "max_depth": max_depth,
        }
        fit = Fit(
            bound,
            table.to_frame(),
            samples.parameters,
            {**samples.statistics, "marginal_log_likelihood": samples.log_likelihood},
            settings,
            samples.seconds,
            self.title,
            self.interval,
            samples.complete,
            table,
            self.indirect,
            samples.sampled,
            scores=samples.scores,
            filled=samples.filled,
        )
        if until is None:
            return fit
        from bmsem.results.extension import extend_until

        return extend_until(fit, until, max_draws, cores=cores, progress=bar, say=say)

    def _fit_imputed(
        self, frames: Sequence[Any], *, seed: int | None, progress: Any, **settings: Any
    ) -> PooledFit:
        """Fit each of several imputed data sets; the posteriors are a mixture."""
        from bmsem.pooled import PooledFit
        from bmsem.simulation import whole_seed

        seeds: list[int | None] = [None] * len(frames)
        if seed is not None:
            state = np.random.SeedSequence(whole_seed(seed)).generate_state(len(frames))
            seeds = [int(s) for s in state]
        say = progress if callable(progress) else (_print_line if progress else None)
        fits = []
        for i, frame in enumerate(frames):
            if say is not None:
                say(f"Data set {i + 1} of {len(frames)}")
            try:
                fits.append(self.fit(frame, seed=seeds[i], progress=False, **settings))
            except BmsemError as error:
                raise type(error)(f"Data set {i + 1} of {len(frames)}: {error}") from error
        return PooledFit.of(fits)

    def diagram(
        self, *, variances: bool = False, level: str | None = None, title: str | None = None
    ) -> Diagram:
        """The path diagram, with labels and fixed values on its arrows.

        Parameters are those of `bmsem.diagrams.diagram`; a fit's has estimates.

        Examples
        --------
        >>> model("y ~ b*x").diagram().save("model.gv").name
        'model.gv'
        """
        from bmsem.diagrams import diagram

        return diagram(
            self.spec, variances=variances, level=level, title=title or self.title or None
        )

    @property
    def formula(self) -> str:
        """The model as formula text."""
        return write_formula(self.spec)

    def __str__(self) -> str:
        lines = [f"Model: {self.title}" if self.title else "Model", str(self.spec)]
        return "\n".join([*lines, *(f"  note: {n}" for n in self.notes)])

    __repr__ = __str__

    def grid(self) -> Grid:
        """The parameter table as text cells."""
        from bmsem.spec.display import spec_grid

        return spec_grid(self.spec, f"Model: {self.title}" if self.title else "Model", self.notes)


def _frames(data: Any) -> bool:
    """Whether the data are several data frames."""
    return isinstance(data, list | tuple) and any(
        hasattr(d, "columns") or isinstance(d, str | Path) for d in data
    )


def model(text: str | Path | ModelSpec, *, title: str = "", priors: str = "weak") -> Model:
    """A model from formula text, from the path of a file with formula text, or from a spec.

    Parameters
    ----------
    text
        Formula text (see `bmsem.language.formula.parse_formula`), or a `pathlib.Path`.
    title
        Printed with the results.
    priors
        The preset for priors that are not given.

    Raises
    ------
    ModelSyntaxError
        With the line, a caret, and what was expected.

    Examples
    --------
    >>> model("y ~ b*x").spec.labels["b"][0].name
    'y ~ x'
    """
    if isinstance(text, ModelSpec):
        return Model(text, title, priors)
    source = "model"
    if isinstance(text, Path):
        source = text.name
        text = _read_text(text)
    return Model(parse_formula(text, source), title, priors)


_model = model  # where an argument has the same name


def read_mplus(path: str | Path) -> Model:
    """A model from a Mplus input file, with the file's data, priors and kind of interval.

    Raises
    ------
    ModelSyntaxError
        If the input cannot be read; with the line and what was expected.
    NotSupportedError
        If it asks for an analysis that cannot be done yet.
    """
    from bmsem.language.mplus import parse_mplus

    path = Path(path)
    given = parse_mplus(_read_text(path), source=path.name)
    given.require_estimable()
    if given.basic:
        raise ModelError(
            f"{path.name} asks for descriptive statistics (TYPE = TWOLEVEL BASIC), which are no "
            f"model to fit: bmsem.describe('{path.name}') gives them."
        )
    if given.spec is None:
        raise ModelError(f"{path.name} has no MODEL command, so there is nothing to fit.")
    return Model(
        given.spec,
        given.title,
        "mplus",
        lambda: mplus_data(given, path.parent),
        given.interval,
        tuple(given.messages()),
        tuple((i.outcome, i.kind, i.variables) for i in given.indirect),
        given.outputs,
    )


def mplus_data(given: MplusInput, folder: Path) -> Any:
    """The data that an input file names, missing codes and selected rows taken care of."""
    if given.data_file is None:
        raise DataError("The input has no DATA: FILE IS …; pass the data.")
    frame = read_data(folder / given.data_file, names=given.names)
    return given.prepare(frame)


def simulate(
    model: Model | ModelSpec | str | Path,
    parameters: Mapping[str, float] | Fit,
    design: Design,
    seed: int | None = None,
) -> pd.DataFrame:
    """Data from a model at true values, with a design of clusters, arms and covariates.

    Parameters
    ----------
    model
        A `Model`, a spec, or what `bmsem.model` takes.
    parameters
        True values by label or row; also by ``"sd(y)"``, ``"cor(x, y)"``, and ``"icc(y)"`` in the place
        of a between variance. Intercepts and covariances that are not given are zero. A fit stands for
        its posterior medians.
    design
        `Design`: clusters, sizes (given, equal or drawn), arms, covariates; or `Design.from_data`.
    seed
        The same seed gives the same data.

    Returns
    -------
    pandas.DataFrame
        The cluster variable and every observed variable; a row a person.

    Raises
    ------
    ModelError
        If values are missing or impossible, or the design lacks a covariate.
    DataError
        If the design does not fit the model.

    Examples
    --------
    >>> from bmsem import Design, simulate
    >>> trial = '''
    ... level: within
    ...   y ~~ y
    ... level: between
    ...   y ~ b*treat
    ... '''
    >>> truth = {"b": 0.5, "within: y ~~ y": 0.9, "icc(y)": 0.1}
    >>> simulate(trial, truth, Design(10, 20, arms={"treat": 0.5}), seed=1).shape
    (200, 3)
    """
    from bmsem.simulation import simulate as simulate_spec
    from bmsem.spec.constraints import solve_constraints

    spec = model.spec if isinstance(model, Model) else _model(model).spec
    if not isinstance(parameters, Mapping):
        medians = np.median(parameters.flat_parameters, axis=0)
        determined = dict(solve_constraints(parameters.spec).determined)
        parameters = {
            p.full_name: float(medians[p.index])
            for p in parameters.bound.structure.parameters
            if p.label not in determined
        }
    return simulate_spec(spec, parameters, design, seed)


def load(path: str | Path) -> Fit:
    """Read a fit that `Fit.save` wrote.

    Raises
    ------
    DataError
        If the file is missing or is not a fit of bmsem.
    """
    from bmsem.fit import Fit
    from bmsem.results import load as load_fit

    return load_fit(path, Fit)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        return path.read_text(encoding="latin-1")
    except OSError as error:
        raise BmsemError(f"'{path}' cannot be read: {error.strerror or error}.") from error


def _print_line(line: str) -> None:
    print(f"{line} …", flush=True)
