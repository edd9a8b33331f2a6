"""Fits that many tests read: each model is compiled and sampled once a session."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pandas as pd
import pytest

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
