"""Models that several tests look at and none changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddcodec.priors.folder import ModelFolder, find
from ddcodec.priors.model import Prior, load
from tests.helpers.made_once import made_once
from tests.helpers.small_models import stable_diffusion


@pytest.fixture(scope="session")
def latent_model(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    folder = made_once(tmp_path_factory, "latent/sd", stable_diffusion)
    return find(folder / "model")


@pytest.fixture(scope="session")
def pixel_model(prior_folder: Path) -> ModelFolder:
    return find(prior_folder)


@pytest.fixture(scope="session")
def latent(latent_model: ModelFolder) -> Prior:
    return load(latent_model, "cpu")


@pytest.fixture(scope="session")
def pixel(pixel_model: ModelFolder) -> Prior:
    return load(pixel_model, "cpu")
