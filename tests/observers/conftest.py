"""A small observer of the digits, trained for two epochs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddcodec.observers.recipe import Recipe
from ddcodec.observers.train import train
from ddcodec.sources import Source

RECIPE = Recipe(steps=1, batch_size=32, augment="crop")


@pytest.fixture(scope="session")
def observer_file(tmp_path_factory: pytest.TempPathFactory, digits: Source) -> Path:
    path = tmp_path_factory.mktemp("observer") / "digits.safetensors"
    train(digits, "convnet3", path, epochs=2, recipe=RECIPE)
    return path
