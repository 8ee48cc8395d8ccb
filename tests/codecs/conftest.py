"""Hypothesis without a clock (a busy machine is no reason to fail), and the models of D3M."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from ddcodec.sources import Source

if TYPE_CHECKING:
    from ddcodec.priors.model import Prior

settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")


@pytest.fixture(scope="session")
def observer_file(tmp_path_factory: pytest.TempPathFactory, digits: Source) -> Path:
    from ddcodec.observers.recipe import Recipe
    from ddcodec.observers.train import train

    path = tmp_path_factory.mktemp("observer") / "digits.safetensors"
    train(digits, "convnet3", path, epochs=1, recipe=Recipe(steps=1, batch_size=32, augment="crop"))
    return path


@pytest.fixture(scope="session")
def prior_folder(tmp_path_factory: pytest.TempPathFactory, digits: Source) -> Path:
    from tests.priors.models import small_prior

    return small_prior(digits, tmp_path_factory.mktemp("prior") / "small")


@pytest.fixture(scope="session")
def prior(prior_folder: Path) -> Prior:
    from ddcodec.priors.folder import find
    from ddcodec.priors.model import load

    return load(find(prior_folder), "cpu")
