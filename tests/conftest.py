"""Fits that many tests read: each model is compiled and sampled once a session."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from models_and_designs import TWELVE

import bmsem
from bmsem import examples

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def published():
    """Figures that the chapter prints, by example."""
    folder = HERE / "published"
    return {p.stem: tomllib.loads(p.read_text()) for p in folder.glob("*.toml")}


@pytest.fixture(scope="session")
def mvpa_fit():
    """Table 25.3 on the reconstructed trial."""
    model = bmsem.read_mplus(examples.path("mvpa", "table_25_3.inp"))
    return model.fit(draws=5000, seed=1, progress=False)


@pytest.fixture(scope="session")
def masks_fit():
    """Table 25.6 on the reconstructed trial."""
    model = bmsem.read_mplus(examples.path("masks", "table_25_6.inp"))
    return model.fit(draws=5000, seed=1, progress=False)


@pytest.fixture(scope="session")
def hsb():
    return pd.read_csv(examples.path("hsb", "hsb.csv"))


@pytest.fixture(scope="session")
def hsb_fit(hsb):
    model = bmsem.model(examples.path("hsb", "context.bms"))
    priors = {"paths": "Normal(0, 10)", "sds": "HalfStudentT(3, 10)"}
    return model.fit(hsb, priors=priors, draws=5000, seed=1, progress=False)


def fit_table(example: str, table: str):
    return bmsem.read_mplus(examples.path(example, f"table_25_{table}.inp")).fit(
        draws=4000, seed=1, progress=False
    )


@pytest.fixture(scope="session")
def varying():
    return fit_table("mvpa", "5")


@pytest.fixture(scope="session")
def invariance():
    return fit_table("invariance", "8")


@pytest.fixture(scope="session")
def moderation():
    return fit_table("moderation", "9")


@pytest.fixture(scope="session")
def large_fit():
    """10,000 draws of 60 parameters: what a large table costs, whatever it says."""
    model = bmsem.model(TWELVE)
    random = np.random.default_rng(0)
    school = np.repeat(np.arange(60), 10)
    columns = {f"y{i}": random.standard_normal(600) for i in range(1, 13)}
    columns = {k: v + random.standard_normal(60)[school] for k, v in columns.items()}
    frame = pd.DataFrame({"school": school, "treat": school % 2, **columns})
    fit = model.fit(frame, cluster="school", draws=100, tune=200, chains=4, seed=1, progress=False)
    drawn = random.integers(0, 100, 2500)
    return replace(fit, parameters=fit.parameters[:, drawn], sample_stats={})
