"""Shared fixtures: the bundled digits, a short encode of them, small models of them."""

from __future__ import annotations

import os

# Workers and what they start share the cores: a thread each, and nobody spins while it waits. It
# counts only before torch is imported.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["OMP_WAIT_POLICY"] = "passive"

from pathlib import Path

import pytest
from hypothesis import settings

import ddcodec
from ddcodec import sources
from ddcodec.sources import Source
from tests.helpers.made_once import made_once

# Slow machines may take long over one example; that is no failure.
settings.register_profile("ddcodec", deadline=None)
settings.load_profile("ddcodec")

pytest_plugins = ["tests.helpers.fixtures"]


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What encodes remember goes to a folder of the tests, in what they start too."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def digits() -> Source:
    return sources.load("digits")


@pytest.fixture(scope="session")
def digits_file(tmp_path_factory: pytest.TempPathFactory, digits: Source) -> Path:
    """A PoDD file of the digits at 0.9 IPC after a few steps."""
    return made_once(
        tmp_path_factory,
        "encoded/digits.ddset",
        lambda path: ddcodec.encode(digits, ipc=0.9, out=path, steps=20, seed=3),
    )


@pytest.fixture(scope="session")
def observer_file(tmp_path_factory: pytest.TempPathFactory, digits: Source) -> Path:
    """A small observer of the digits, trained for two epochs."""
    from tests.helpers.small_models import small_observer

    return made_once(
        tmp_path_factory, "observer/digits.safetensors", lambda path: small_observer(digits, path)
    )


@pytest.fixture(scope="session")
def prior_folder(tmp_path_factory: pytest.TempPathFactory, digits: Source) -> Path:
    """A diffusion model of the digits that is called ``small`` and knows next to nothing."""
    from tests.helpers.small_models import small_prior

    return made_once(tmp_path_factory, "prior/small", lambda path: small_prior(digits, path))
