"""Posteriors that others have computed: the chapter's tables, and a Stan program on real data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bmsem

# Table 25.6 prints nothing of the within level: its figures are all of the between level.
TABLES = {"mvpa": "mvpa_fit", "masks": "masks_fit"}


def _row_name(level: str, printed: str) -> str:
    if level == "new":
        return printed
    outcome, _, predictor = printed.partition(" ON ")
    return f"{level}: {outcome} ~ {predictor}"


def _hpd(draws: np.ndarray, width: float = 0.95) -> tuple[float, float]:
    """Shortest interval, independently of the library that the summaries use."""
    x = np.sort(draws.ravel())
    k = int(np.ceil(width * x.size))
    i = int(np.argmin(x[k - 1 :] - x[: x.size - k + 1]))
    return float(x[i]), float(x[i + k - 1])


def _figures(example: str):
    import tomllib
    from pathlib import Path

    text = (Path(__file__).parent / "published" / f"{example}.toml").read_text()
    tables = tomllib.loads(text)["bayes"]
    return [
        (level, name, row)
        for level in ("within", "between", "new")
        for name, row in tables.get(level, {}).items()
    ]


CASES = [(e, *figure) for e in TABLES for figure in _figures(e)]


@pytest.mark.parametrize(("example", "level", "name", "row"), CASES)
def test_published_posterior(example, level, name, row, request):
    fit = request.getfixturevalue(TABLES[example])
    median, sd, _, lower, upper = row
    draws = fit.draws(_row_name(level, name))
    assert abs(np.median(draws) - median) < 0.1 * sd
    assert draws.std() == pytest.approx(sd, rel=0.06)
    low, high = _hpd(draws)
    assert abs(low - lower) < 0.2 * sd
    assert abs(high - upper) < 0.2 * sd


@pytest.mark.parametrize("example", list(TABLES))
def test_published_r_square(example, published, request):
    fit = request.getfixturevalue(TABLES[example])
    found = fit.r_square().query("level == 'between'").set_index("variable")
    for name, (median, sd, _, lower, upper) in published[example]["bayes"]["r_square"][
        "between"
    ].items():
        assert abs(found.loc[name, "median"] - median) < 0.15 * sd
        assert found.loc[name, "sd"] == pytest.approx(sd, rel=0.08)
        assert abs(found.loc[name, "lower"] - lower) < 0.25 * sd
        assert abs(found.loc[name, "upper"] - upper) < 0.25 * sd


STAN = {
    "w": (2.1907, 0.1086),
    "b": (6.0941, 0.3890),
    "context": (3.9034, 0.4045),
    "between: math ~~ math": (1.6111, 0.1301),
    "between: ses ~~ ses": (0.4038, 0.0245),
    "within: math ~~ math": (6.0853, 0.0514),
    "within: ses ~~ ses": (0.6681, 0.0056),
}


@pytest.mark.parametrize("name", list(STAN))
def test_contextual_effect_of_ses(name, hsb_fit):
    """The reference program's means and standard deviations; variances are its squared SDs."""
    mean, sd = STAN[name]
    draws = hsb_fit.draws(name)
    if "~~" in name:
        draws = np.sqrt(draws)
    assert abs(draws.mean() - mean) < 0.1 * sd
    assert draws.std() == pytest.approx(sd, rel=0.06)


def test_effect_of_a_programme_on_knowledge():
    """Project SHARE: a restricted-likelihood mixed model of the same rows gives 0.502 (0.176)."""
    smf = pytest.importorskip("statsmodels.formula.api")
    pupils = pd.read_csv(bmsem.examples.path("share", "share.csv"))
    reml = smf.mixedlm("knowledge ~ arm + male", pupils, groups=pupils["school"]).fit(reml=True)
    assert reml.params["arm"] == pytest.approx(0.502, abs=0.001)
    model = bmsem.model(bmsem.examples.path("share", "arm_effect.bms"))
    informative = {"icc(knowledge)": bmsem.elicit("between 0.01 and 0.06 with 90%", "Beta")}
    for priors in ("weak", informative):
        fit = model.fit(pupils, priors=priors, draws=3000, seed=1, progress=False)
        assert np.median(fit.draws("effect")) == pytest.approx(reml.params["arm"], abs=0.05)
        assert fit.draws("effect").std() == pytest.approx(reml.bse["arm"], rel=0.1)
