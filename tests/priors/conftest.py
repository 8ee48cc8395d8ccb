"""Models that several tests look at and none changes."""

from __future__ import annotations

import pytest

from ddcodec.priors.folder import ModelFolder, find
from ddcodec.priors.model import Prior, load
from ddcodec.sources import Source
from tests.priors.models import small_prior, stable_diffusion


@pytest.fixture(scope="session")
def latent_model(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    return find(stable_diffusion(tmp_path_factory.mktemp("sd")))


@pytest.fixture(scope="session")
def pixel_model(tmp_path_factory: pytest.TempPathFactory, digits: Source) -> ModelFolder:
    return find(small_prior(digits, tmp_path_factory.mktemp("prior") / "small"))


@pytest.fixture(scope="session")
def latent(latent_model: ModelFolder) -> Prior:
    return load(latent_model, "cpu")


@pytest.fixture(scope="session")
def pixel(pixel_model: ModelFolder) -> Prior:
    return load(pixel_model, "cpu")
