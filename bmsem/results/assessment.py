"""The part of a fit that asks whether the model can be believed; everything on demand."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bmsem.criteria.cross_validation import ELPD, Unit, person_log_likelihood, psis_loo, waic
from bmsem.criteria.deviance import DIC, conditional_dic, marginal_dic, marginal_log_likelihood
from bmsem.criteria.indices import INDICES, MIN_FREEDOM, ChiSquare, fit_indices
from bmsem.criteria.level_moments import LevelMoments, level_moments
from bmsem.criteria.predictive import PredictiveDraws, predictive_draws, spaced
from bmsem.criteria.slopes import (
    conditional_dic_given,
    marginal_dic_given,
    marginal_log_likelihood_given,
)
from bmsem.errors import DataError, ModelError, NotSupportedError
from bmsem.likelihood.canonical import layout_of, observed_data, reduced_from
from bmsem.likelihood.reduced import ReducedForm, reduced_form
from bmsem.likelihood.saturated import Saturated
from bmsem.likelihood.unrestricted import unrestricted
from bmsem.results.base import FitDraws
from bmsem.results.convergence import (
    Convergence,
    assess,
    kolmogorov_smirnov,
    psr_by_iteration,
)
from bmsem.results.moment_tables import checks_frame, lead, moments_frame, stack, with_variance
from bmsem.results.null_model import null_chi_squares, part_chi_squares
from bmsem.results.predictive import PosteriorPredictive
from bmsem.results.quantities import KEYS, quantities
from bmsem.results.standardized import total_moments
from bmsem.spec import Level
from bmsem.tables import Table

Array = NDArray[np.float64]

# Numbers that leave-one-person-out may hold at a time.
# Draws whose marginal likelihood is integrated over what was sampled.
_INTEGRATED = 1000
_PERSON_LIMIT = 40_000_000


class Assessment(FitDraws):
    """Convergence, predictive checks, information criteria, fit indices, residuals."""

    @cached_property
    def _own_draws(self) -> dict[str, Array]:
        return {p.name: self.parameters[..., p.index] for p in self.bound.structure.parameters}

    @cached_property
    def convergence(self) -> Convergence:
        """The verdict on the chains."""
        chains, draws = self.parameters.shape[:2]
        return assess(self.diagnostics, (chains, draws), self.sample_stats, self.complete)

    @property
    def converged(self) -> bool:
        """Whether the estimates can be interpreted; see `convergence` for why not."""
        return self.convergence.converged

    def tech8(self, points: int = 20) -> Table:
        """PSR by iteration, the largest and whose it is, as Mplus prints it.

        Empty for a single chain, where it is not defined.
        """
        return Table(
            psr_by_iteration(self._own_draws, points),
            "Potential scale reduction by iteration (second half of each chain)",
            () if self.parameters.shape[0] > 1 else ("PSR needs at least two chains.",),
        )

    def kolmogorov_smirnov(self) -> Table:
        """Comparison of the chains' distributions, a row a parameter; see the function of that name."""
        frame = kolmogorov_smirnov(self._own_draws)
        low = frame[frame["p_adjusted"] < 0.05]["parameter"].tolist()
        note = (
            f"The chains differ in: {', '.join(low)}."
            if low
            else "No parameter's chains differ (adjusted p below 0.05)."
        )
        if not len(frame):
            note = "Chains can be compared from two chains of eight draws on."
        return Table(frame, "Kolmogorov-Smirnov tests between chains", (note,))

    # -- the observed data --------------------------------------------------------------------

    @cached_property
    def _unrestricted(self) -> tuple[float, ReducedForm]:
        """The unrestricted two-level model (H1) of the model's variables, covariates conditioned on."""
        if not self.plan.needed:
            self.require_one_covariance("This")
        if self.bound.gaps is not None:
            saturated = Saturated.of(self.bound)
            return saturated.value, saturated.reduced(saturated.parameters)
        layout = layout_of(self.bound)
        found = unrestricted(observed_data(self.bound)[None], layout, 1e-11)
        return float(found.value[0]), reduced_from(found.parts, layout)[0]

    @property
    def log_likelihood_h1(self) -> float:
        """Largest log-likelihood of the unrestricted model."""
        return self._unrestricted[0]

    @cached_property
    def observed_moments(self) -> dict[Level, LevelMoments]:
        """Moments by level of the unrestricted model, by maximum likelihood (SAMPSTAT)."""
        found = self._unrestricted[1]
        return {level: level_moments(self.bound, level, found) for level in self.spec.levels}

    # -- predictive checks --------------------------------------------------------------------

    def require_one_covariance(self, what: str) -> None:
        """Refuse what compares a model with one unrestricted covariance matrix a level."""
        if self.plan.needed:
            raise NotSupportedError(
                f"{what} compares the model with an unrestricted covariance matrix at each level. With "
                f"varying slopes or products the covariances differ between clusters, and there is no "
                f"such matrix. Compare models by LOO and DIC instead (bmsem.compare)."
            )
        if not self.has_unrestricted:
            structure = self.bound.structure
            names = (*structure.between_outcomes, *structure.between_covariates)
            raise DataError(
                f"{what} needs the unrestricted model, which {self.bound.clusters} clusters are too few "
                f"for: there are {len(names)} between-only variables ({', '.join(names)})."
            )

    @property
    def has_unrestricted(self) -> bool:
        """Whether the data determine one unrestricted covariance matrix a level for this model."""
        structure = self.bound.structure
        needed = 1 + len(structure.between_outcomes) + len(structure.between_covariates)
        return not self.plan.needed and self.bound.clusters > needed

    @cached_property
    def _predictive(self) -> PredictiveDraws:
        self.require_one_covariance("The posterior predictive chi-square")
        seed = self.settings.get("seed")
        return predictive_draws(self.bound, self.flat_parameters, None, 0 if seed is None else seed)

    def ppp(self, draws: int | None = None, seed: int | None = None) -> PosteriorPredictive:
        """Posterior predictive p-value of the likelihood-ratio chi-square, overall and by level.

        PPP is the share of draws in which data replicated from the model fit it worse than the data
        do; near 0.5 if the model fits, near 0 if it does not. For one level the other one is
        unrestricted. Replicates have the data's cluster sizes and covariates. Source and formula:
        `bmsem.criteria.discrepancy`. Mplus also replicates the covariates, which adds their means
        and variances to the chi-square and widens its interval a little.

        Parameters
        ----------
        draws
            How many posterior draws to use, evenly spaced; by default all, or as many as take a few
            seconds for very large or very unbalanced data.
        seed
            Of the replicates; by default that of the fit.

        Examples
        --------
        >>> 0.3 < fit.ppp().value < 0.7
        True
        >>> fit.ppp().table["part"].tolist()
        ['overall', 'within', 'between']
        """
        return PosteriorPredictive(self._predictive_at(draws, seed))

    def _predictive_at(self, draws: int | None, seed: int | None) -> PredictiveDraws:
        if draws is None and seed is None:
            return self._predictive
        if draws is not None and draws < 1:
            raise ModelError(f"draws must be at least 1, not {draws}.")
        own = self.settings.get("seed")
        chosen = seed if seed is not None else own if own is not None else 0
        return predictive_draws(self.bound, self.flat_parameters, draws, chosen)

    def predictive_checks(self, width: float = 0.95, interval: str | None = None) -> Table:
        """Every within and between mean, variance and correlation against its replicates.

        Each row has the observed value (maximum likelihood under the unrestricted model), median and
        interval of the replicated ones, and ``ppp``, the share of replicates above the observed
        value: near 0 or 1 where the model does not reproduce it. Moments of covariates alone are
        left out.
        """
        kind = self.checked_interval(width, interval)
        found = self._predictive
        frames = [
            checks_frame(self.bound.structure, level, found, width, kind)
            for level in self.spec.levels
        ]
        frame = stack(frames)
        extreme = frame[(frame["ppp"] < 0.025) | (frame["ppp"] > 0.975)]
        note = (
            f"{len(extreme)} of {len(frame)} moments are outside of the central 95% of their "
            f"replicates."
        )
        return Table(frame, "Posterior predictive checks of single moments", (note,))

    # -- information criteria -----------------------------------------------------------------

    @cached_property
    def _log_likelihood(self) -> Array:
        """Marginal, by cluster (by row without levels): (chains * draws, J), or of fewer draws."""
        if self.bound.by_cell:
            kept = self._kept_draws
            return marginal_log_likelihood_given(
                self.bound, self.plan, self.flat_parameters[kept], self.flat_sampled[kept],
                self.flat_scores[kept],
            )  # fmt: skip
        return marginal_log_likelihood(self.bound, self.flat_parameters)

    @cached_property
    def _kept_draws(self) -> NDArray[np.intp]:
        """Draws whose marginal likelihood is integrated numerically: at most 1,000, evenly spaced."""
        chains, total = self.parameters.shape[:2]
        if not self.plan.needed:
            return np.arange(chains * total)
        each = spaced(total, max(1, _INTEGRATED // chains))
        return np.concatenate([each + chain * total for chain in range(chains)])

    @property
    def log_likelihood(self) -> Array:
        """Marginal log-likelihood of each cluster (each row, without levels): (chains, draws, J).

        Where quantities of the clusters were sampled, of evenly spaced draws.
        """
        return self._log_likelihood.reshape(
            self.parameters.shape[0], -1, self._log_likelihood.shape[-1]
        )

    @cached_property
    def dic_marginal(self) -> DIC:
        """Marginal DIC: cluster effects and factors integrated out. The one to compare models by."""
        if self.bound.by_cell:
            kept = self._kept_draws
            return marginal_dic_given(
                self.bound, self.plan, self.flat_parameters[kept], self.flat_sampled[kept],
                self._log_likelihood, self.flat_scores[kept],
            )  # fmt: skip
        return marginal_dic(self.bound, self.flat_parameters, self._log_likelihood)

    @cached_property
    def dic_conditional(self) -> DIC | None:
        """Conditional DIC: given the cluster effects, as Mplus prints it; ``None`` without levels."""
        if self.bound.by_cell:
            kept = self._kept_draws
            return conditional_dic_given(
                self.bound, self.plan, self.flat_parameters[kept], self.flat_sampled[kept]
            )
        return conditional_dic(self.bound, self.flat_parameters)

    def dic(self, kind: str = "marginal") -> DIC:
        """A deviance information criterion, ``"marginal"`` or ``"conditional"`` (Mplus's).

        Raises
        ------
        ModelError
            If the kind is unknown, or the conditional one is asked of a model without levels.
        """
        if kind == "marginal":
            return self.dic_marginal
        if kind != "conditional":
            raise ModelError(f"Unknown DIC '{kind}'. Use 'marginal' or 'conditional'.")
        found = self.dic_conditional
        if found is None:
            if self.spec.multilevel:
                raise NotSupportedError(
                    "The conditional DIC is not defined for between-only outcomes in a model with "
                    "varying slopes or products, nor for products within clusters. Use the marginal "
                    "one."
                )
            raise ModelError("A model without levels has no cluster effects to condition on.")
        return found

    def waic(self) -> ELPD:
        """WAIC with the cluster as the unit (the row, in a model without levels)."""
        return waic(self._log_likelihood, self.bound.cluster_ids, self._unit)

    def loo(self, unit: str | None = None) -> ELPD:
        """PSIS-LOO by ``"cluster"`` (default) or by ``"person"``, with Pareto k.

        Leaving out a cluster asks how well a new cluster is predicted; leaving out a person how well
        a new person of a known cluster is. The two are not comparable.

        Raises
        ------
        ModelError
            If the unit is unknown.
        DataError
            If there are fewer than 25 draws, or no rows of the data for ``"person"``.
        """
        chains = self.parameters.shape[0]
        default = self._unit
        if unit is None or unit == default:
            return self._cluster_loo
        if unit != "person" or default != "cluster":
            expected = "'cluster' or 'person'" if default == "cluster" else "'row'"
            raise ModelError(f"Unknown unit '{unit}' of LOO. Use {expected}.")
        people = self.bound.people
        if people is None:
            raise DataError("Leaving out one person needs the rows of the data; this fit has none.")
        total = self.parameters.shape[1]
        per_chain = max(1, min(total, _PERSON_LIMIT // (len(people.values) * chains)))
        kept = spaced(total, per_chain)
        thinned = self.parameters[:, kept].reshape(-1, self.parameters.shape[-1])
        self.require_one_covariance("Leaving out one person")
        if self.bound.gaps is not None:
            raise NotSupportedError(
                "Leaving out one person is not offered where values are missing: what it asks differs "
                "with what is observed of the person. Leave out clusters: loo()."
            )
        values = person_log_likelihood(self.bound, thinned)
        return psis_loo(values, people.index, "person", chains)

    @cached_property
    def _cluster_loo(self) -> ELPD:
        chains = self.parameters.shape[0]
        return psis_loo(self._log_likelihood, self.bound.cluster_ids, self._unit, chains)

    @property
    def _unit(self) -> Unit:
        return "cluster" if self.spec.multilevel else "row"

    # -- fit indices --------------------------------------------------------------------------

    def fit_indices(
        self, width: float = 0.9, interval: str | None = None, null: bool = True
    ) -> Table:
        """BRMSEA, BGammaHat, BCFI and BTLI with intervals, overall and by level.

        Definitions, sources, and what N and J are taken for: `bmsem.criteria.indices`. BCFI and BTLI
        need draws of the null model of uncorrelated outcomes, which is sampled on first use
        (about two seconds); ``null=False`` leaves them out.
        """
        kind = self.checked_interval(width, interval)
        own = part_chi_squares(self.bound, self.flat_parameters, self._predictive.observed)
        base = self._null_chi_squares if null else {}
        records = []
        for part, chi in own.items():
            found = fit_indices(chi, base.get(part))
            for name in INDICES:
                if null or name in ("BRMSEA", "BGammaHat"):
                    values = quantities(found[name].reshape(-1, 1), width, kind).iloc[0]
                    records.append({"part": part, "index": name, **{k: values[k] for k in KEYS}})
        notes = tuple(
            f"{part}: p* = {chi.moments} moments, p_D = {chi.p_d:.1f}, n = {chi.n:,.0f}"
            + (": no degrees of freedom are left" if chi.moments - chi.p_d < MIN_FREEDOM else "")
            for part, chi in own.items()
        )
        return Table(pd.DataFrame(records), "Bayesian fit indices (DevM)", notes)

    @cached_property
    def _null_chi_squares(self) -> dict[str, ChiSquare]:
        preset = self.prior_table.preset if self.prior_table is not None else "weak"
        return null_chi_squares(self.bound, preset)

    # -- implied against observed -------------------------------------------------------------

    def residuals(self, width: float = 0.95, interval: str | None = None) -> Table:
        """Implied against observed moments, as Mplus's RESIDUAL.

        A row an element: ``level``, ``moment`` (mean, covariance, correlation), ``variable``,
        ``with``, ``observed`` (maximum likelihood under the unrestricted model), the posterior of the
        implied value, and ``difference`` = observed - median.
        """
        kind = self.checked_interval(width, interval)
        self.require_one_covariance("The table of residuals")
        reduced = reduced_form(self.bound, self.flat_parameters)
        frames = []
        for level in self.spec.levels:
            implied = with_variance(level_moments(self.bound, level, reduced))
            observed = self.observed_moments[level]
            observed = lead(observed.keep([observed.names.index(n) for n in implied.names]))
            frame = moments_frame(implied, level, width, kind)
            known = moments_frame(observed, level, width, kind)
            frame.insert(4, "observed", known["median"].to_numpy())
            frame["difference"] = frame["observed"] - frame["median"]
            frames.append(frame)
        return Table(stack(frames), "Implied and observed moments (RESIDUAL)")

    def sample_statistics(self) -> Table:
        """Means, covariances and correlations by level by maximum likelihood, as Mplus's SAMPSTAT.

        With standard errors, and with covariates as variables like the others: `bmsem.describe`.
        """
        frames = [
            moments_frame(lead(moments), level, 0.95, "equal")[
                ["level", "moment", "variable", "with", "median"]
            ]
            for level, moments in self.observed_moments.items()
        ]
        frame = stack(frames).rename(columns={"median": "estimate"})
        note = f"Log-likelihood of the unrestricted model: {self.log_likelihood_h1:,.3f}."
        return Table(frame, "Estimated sample statistics (SAMPSTAT)", (note,))

    def parameter_specification(self) -> Table:
        """The free parameters by number, with their priors, as Mplus's TECH1."""
        priors = self.priors.set_index(["level", "parameter"])["prior"]
        records = []
        for p in self.bound.structure.parameters:
            for row in p.rows:
                key = (row.level or "", row.name)
                first = p.rows[0]
                records.append(
                    {"number": p.index + 1, "level": key[0], "parameter": row.name,
                     "label": row.label or "",
                     "prior": priors.get(key, priors.get((first.level or "", first.name), ""))}
                )  # fmt: skip
        return Table(pd.DataFrame(records), "Parameter specification (TECH1)")

    def implied(self, width: float = 0.95, interval: str | None = None) -> Table:
        """Implied moments of observed and latent variables by level, as Mplus's TECH4."""
        kind = self.checked_interval(width, interval)
        frames = [
            moments_frame(
                with_variance(
                    total_moments(
                        self.bound,
                        level,
                        self.flat_parameters,
                        None if self.sampled is None else self.flat_sampled,
                    )
                ),
                level,
                width,
                kind,
            )
            for level in self.spec.levels
        ]
        return Table(stack(frames), "Implied moments (TECH4)")

    def icc(self, width: float = 0.95, interval: str | None = None) -> Table:
        """Intraclass correlations with intervals, from the model's implied variances.

        ``icc``: between over total variance; ``given covariates``: of what the covariates conditioned
        on leave (for instance after the treatment's effect). For an unrestricted model's, by
        maximum likelihood, see `bmsem.describe`; for those of data without a model `bmsem.icc`.
        """
        kind = self.checked_interval(width, interval)
        if not self.spec.multilevel:
            raise ModelError("A model without levels has no intraclass correlations.")
        self.require_one_covariance("The model's intraclass correlation")
        records = []
        reduced = reduced_form(self.bound, self.flat_parameters)
        within, between = (level_moments(self.bound, k, reduced) for k in ("within", "between"))
        structure = self.bound.structure
        first = len(structure.between_outcomes)
        for i, name in enumerate(structure.outcomes):
            if name in self.spec.within_only:
                continue
            inside = within.covariance[:, i, i]
            place = between.names.index(name)
            outside = between.covariance[:, place, place]
            left = reduced.between_covariance[:, first + i, first + i]
            left_in = reduced.within_covariance[:, i, i]
            observed_in = self.observed_moments["within"].covariance[i, i]
            observed_out = self.observed_moments["between"].covariance[place, place]
            ml = observed_out / (observed_out + observed_in)
            for what, top, rest in (
                ("icc", outside, inside),
                ("given covariates", left, left_in),
            ):
                values = quantities((top / (top + rest)).reshape(-1, 1), width, kind).iloc[0]
                records.append(
                    {"variable": name, "what": what, **{k: values[k] for k in KEYS},
                     "ml": ml if what == "icc" else np.nan}
                )  # fmt: skip
        columns = ["variable", "what", *KEYS, "ml"]
        note = () if records else ("No variable of the model has both parts.",)
        return Table(pd.DataFrame(records, columns=columns), "Intraclass correlations", note)

    def fit_measures(self) -> Table:
        """PPP, both DICs, WAIC and LOO in one table, as Mplus's MODEL FIT INFORMATION."""
        records = []
        ppp = self.ppp().table.to_dict("records") if self.has_unrestricted else []
        for row in ppp:
            what = "PPP" if row["part"] == "overall" else f"PPP, {row['part']} level"
            records.append({"measure": what, "value": row["ppp"], "detail": (
                f"chi-square difference, 95%: [{row['lower']:.3f}, {row['upper']:.3f}]"
            )})  # fmt: skip
        notes: list[str] = []
        try:
            records += self._criteria(notes)
        except NotSupportedError as error:
            notes.append(str(error))
        if self.plan.needed:
            notes.append(
                "There is no posterior predictive chi-square: with varying slopes or products the "
                "covariances differ between clusters."
            )
        columns = ["measure", "value", "detail"]
        return Table(pd.DataFrame(records, columns=columns), "Model fit", tuple(notes))

    def _criteria(self, notes: list[str]) -> list[dict[str, object]]:
        """Both DICs, WAIC and LOO as rows; what is doubtful about them goes to the notes."""
        records: list[dict[str, object]] = []
        for found in (self.dic_marginal, self.dic_conditional):
            if found is None:
                continue
            detail = f"effective parameters {found.p_d:.1f}; " + (
                "cluster effects integrated out"
                if found.kind == "marginal"
                else "given the cluster effects, as Mplus prints it"
            )
            records.append({"measure": f"DIC, {found.kind}", "value": found.dic, "detail": detail})
        criteria = [self.waic()]
        if len(self._log_likelihood) >= 25:
            criteria.append(self.loo())
        for elpd in criteria:
            records.append(
                {"measure": f"{'PSIS-LOO' if elpd.method == 'LOO' else 'WAIC'} by {elpd.unit}",
                 "value": elpd.ic, "detail": f"effective parameters {elpd.p:.1f}; elpd {elpd.elpd:,.2f}"}
            )  # fmt: skip
            notes += elpd.lines[1:]
        return records
