"""Small networks as observers: named by their size, rounded in a file as they were in training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddcodec.errors import InvalidFile, UsageError
from ddcodec.observers.build import build, check_name, initialise, is_own
from ddcodec.observers.file import Trained, load, save
from ddcodec.observers.small_networks import Shape, SmallNetwork, size_of, step_for
from ddcodec.runtime.rng import generator


def made(name: str = "residual-12", side: int = 8) -> SmallNetwork:
    network = initialise(build(name, 1, side, side, 10), generator(0, "x"))
    assert isinstance(network, SmallNetwork)
    return network


@given(st.integers(1, 200))
def test_a_name_says_the_size(size: int) -> None:
    assert size_of(f"residual-{size}") == size


@pytest.mark.parametrize(
    "name", ["residual", "residual-", "residual-0", "residual-042", "residual-201", "residual-1 "]
)
def test_other_names_are_of_no_network(name: str) -> None:
    assert size_of(name) is None
    assert not is_own(name)
    with pytest.raises(UsageError, match=r"unknown architecture .* residual-N \(N from 1 to 200\)"):
        check_name(name)


@pytest.mark.parametrize(
    ("side", "pool", "last"),
    [(8, 1, 2), (32, 1, 4), (64, 2, 4), (100, 2, 7), (128, 4, 4), (224, 4, 7)],
)
def test_large_images_are_reduced_by_powers_of_two(side: int, pool: int, last: int) -> None:
    network = build("residual-8", 3, side, side, 5)
    x = torch.empty(2, 3, side, side, device="meta")
    assert network.pool == pool
    assert network.features(x).shape == (2, 4, last, last)
    assert network(x).shape == (2, 5)


def test_the_last_block_is_compared() -> None:
    network = made().eval()
    x = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        mean = network.features(x).mean((2, 3), keepdim=True)
        assert torch.equal(network(x), network.head(mean)[:, :, 0, 0])


def test_weights_come_from_the_generator_alone() -> None:
    before = torch.get_rng_state()
    a, b = made().state_dict(), made().state_dict()
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert torch.equal(torch.get_rng_state(), before)
    other = SmallNetwork(Shape((1, 8, 8), 10, 12))
    other.begin(generator(0, "x"))
    assert all(torch.equal(a[key], value) for key, value in other.state_dict().items())


def kept(path: Path, like: Path, network: SmallNetwork, **training: object) -> Trained:
    """Save a network under the description of another observer and load it."""
    old = load(like).description
    description = replace(
        old, architecture=network.architecture, training={**old.training, **training}
    )
    save(path, network, description)
    return load(path)


def test_a_loaded_network_computes_as_it_did_in_training(
    observer_file: Path, tmp_path: Path
) -> None:
    network = made().eval()
    x = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    free = network(x)
    assert torch.equal(kept(tmp_path / "free", observer_file, network).network(x), free)
    network.round_to(step_for(2.5))
    rounded = network(x)
    found = kept(tmp_path / "rounded", observer_file, network, round=network.step)
    assert torch.equal(found.network(x), rounded)
    assert not torch.equal(rounded, free)
    assert isinstance(found.network, SmallNetwork)
    for ours, theirs in zip(network.layers(), found.network.layers(), strict=True):
        assert torch.equal(ours.integers()[0], theirs.integers()[0])


@pytest.mark.parametrize("wrong", [-0.5, 2e3, True, "0.5", None])
def test_a_step_that_is_none_is_refused(wrong: object, observer_file: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="header"):
        kept(tmp_path / "o", observer_file, made(), round=wrong)


def test_only_a_small_network_has_a_step(observer_file: Path, tmp_path: Path) -> None:
    old = load(observer_file)
    training = {**old.description.training, "round": 0.5}
    with pytest.raises(InvalidFile, match="header"):
        save(tmp_path / "o", old.network, replace(old.description, training=training))


def test_weights_of_another_size_are_refused(observer_file: Path, tmp_path: Path) -> None:
    kept(tmp_path / "o", observer_file, made())
    data = (tmp_path / "o").read_bytes()
    assert json.dumps("residual-12").encode()[1:-1] in data
    (tmp_path / "o").write_bytes(data.replace(b"residual-12", b"residual-99"))
    with pytest.raises(InvalidFile, match="not those of residual-99"):
        load(tmp_path / "o")
