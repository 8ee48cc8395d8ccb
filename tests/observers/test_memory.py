"""Observers within the memory there is: batches in parts, and what an image takes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddcodec import UsageError
from ddcodec.observers import memory, train
from ddcodec.observers.build import build, initialise
from ddcodec.observers.memory import (
    LARGEST_TIMES,
    LEAST,
    bytes_an_image,
    bytes_held,
    parts_of,
    room,
)
from ddcodec.observers.training import Recipe, Training
from ddcodec.preprocessing.transform import Preprocess
from ddcodec.runtime.rng import generator
from ddcodec.sources import Source
from ddcodec.sources.on_disk import OnDisk
from tests.helpers.reporters import Notes

CPU = torch.device("cpu")
GIB = 1 << 30


def training(source: Source, **settings: int) -> Training:
    network = build("convnet3", 1, 8, 8, 10)
    preprocess = Preprocess({"kind": "none"}, 1, 8, 8)
    recipe = Recipe(steps=4, augment="none", **settings)
    return Training(source.train, network, preprocess, recipe, 0, CPU)


@given(st.integers(2, 5000), st.integers(1, 1 << 34), st.integers(0, 1 << 36))
def test_parts_fit_and_hold_enough_images_for_batch_norm(batch: int, image: int, free: int) -> None:
    parts = parts_of(batch, image, free)
    sizes = [len(part) for part in torch.arange(batch).tensor_split(parts)]
    assert min(sizes) >= 2
    assert max(sizes) <= max(LEAST, free // image) or parts == batch // 2
    if batch * image <= free:
        assert parts == 1


@pytest.mark.parametrize("name", ["convnet3", "resnet18", "mobilenetv2"])
def test_what_an_image_takes_grows_with_its_pixels_and_leaves_the_network_alone(name: str) -> None:
    sizes = []
    for side in (16, 32):
        network = initialise(build(name, 3, side, side, 5), generator(0, "x")).eval()
        before = {key: value.clone() for key, value in network.state_dict().items()}
        sizes.append(bytes_an_image(network, torch.rand(3, side, side), None))
        after = network.state_dict()
        assert all(torch.equal(value, after[key]) for key, value in before.items())
        assert not network.training
        assert all(weight.grad is None for weight in network.parameters())
    assert 3 < sizes[1] / sizes[0] < 4.5


class OneLayer(torch.nn.Module):
    """A layer with far more weights than an image has pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(64, 4096)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x.flatten(1)).square()


def test_weights_that_are_kept_in_another_type_are_no_part_of_an_image() -> None:
    size = bytes_an_image(OneLayer(), torch.rand(1, 8, 8), torch.bfloat16)
    outputs = 4096 * 4  # of an image, at most
    assert outputs < size <= (LARGEST_TIMES + 2) * outputs


def test_what_is_held_leaves_less_for_the_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 64 * GIB)
    assert room(CPU, 0) == 2.5 * GIB
    assert room(CPU, 2 * GIB) == 0.75 * GIB
    assert room(CPU, 9 * GIB) == GIB // 4
    monkeypatch.setattr(memory, "available_memory", lambda: GIB)
    assert room(CPU, 2 * GIB) == GIB // 2


def test_images_on_disk_are_not_held_and_weights_count_with_all_that_is_of_their_size() -> None:
    network, images = OneLayer(), np.zeros((3, 8, 8, 1), np.uint8)
    weights = 65 * 4096 * 14
    assert bytes_held(network, images, 7) == weights + images.nbytes + 7
    with tempfile.TemporaryFile() as file:
        assert bytes_held(network, OnDisk(images.shape, file), 0) == weights


def test_gradients_of_parts_add_up_to_that_of_the_batch(digits: Source) -> None:
    whole, parted = training(digits, batch_size=30), training(digits, batch_size=30)
    for run in (whole, parted):
        for module in run.network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 0.0
                module.forward = lambda x: x  # statistics alone differ between parts
    parted.parts = 4
    losses = [run.take_step() for run in (whole, parted)]
    assert torch.allclose(*losses)
    pairs = zip(whole.network.parameters(), parted.network.parameters(), strict=True)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in pairs)


def test_little_memory_divides_a_batch_and_says_so(
    digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes()
    arguments = {"epochs": 0.1, "recipe": Recipe(steps=1, batch_size=32), "reporter": notes}
    train.train(digits, "convnet3", tmp_path / "whole", **arguments)
    assert notes.said == []
    monkeypatch.setattr(memory, "available_memory", lambda: 0)
    train.train(digits, "convnet3", tmp_path / "parts", **arguments)
    assert notes.said == [
        "observer: a batch of 32 images passes in 4 parts, for memory; batch norm sees 8 at a time"
    ]


def test_an_interrupted_run_goes_on_in_the_parts_it_began_with(digits: Source) -> None:
    first, second = training(digits, batch_size=32), training(digits, batch_size=32)
    first.parts = 3
    second.restore(*first.state())
    assert second.parts == 3


def test_a_batch_of_one_image_has_no_statistics() -> None:
    with pytest.raises(UsageError, match="`batch_size` must be at least 2, got 1"):
        Recipe(steps=1, batch_size=1)
