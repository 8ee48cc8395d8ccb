"""The quantised network of a file's bytes: written, read again, and never larger."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcodec import DistilledDataset, encode, load
from ddcodec.evaluate import quantised
from ddcodec.evaluate.measure import protocol
from ddcodec.evaluate.network_bytes import folded, from_bytes, predicted_bytes, to_bytes
from ddcodec.evaluate.quantised import LEAST_BITS, planned_steps, quantised_network
from ddcodec.observers.rounding import fit, widest
from ddcodec.observers.small_networks import Layer, Shape, SmallNetwork, step_for
from ddcodec.runtime.finished import Finished
from ddcodec.sources import Source

SHAPES = st.builds(
    Shape,
    st.tuples(st.sampled_from((1, 3)), st.integers(4, 70), st.integers(4, 70)),
    st.integers(2, 120),
    st.integers(1, 24),
)


def rounded(shape: Shape, bits: float = 3.0, seed: int = 0) -> SmallNetwork:
    """Return a network of random weights and norms, rounded, as if it had learned."""
    random = torch.Generator().manual_seed(seed)
    network = SmallNetwork(shape)
    network.begin(random)
    with torch.no_grad():
        for layer in network.layers():
            if layer.norm is None:
                layer.bias.normal_(0, 1, generator=random)
                continue
            layer.norm.weight.normal_(1, 0.5, generator=random)  # some of them below 0
            layer.norm.bias.normal_(0, 0.5, generator=random)
            layer.norm.running_mean.normal_(0, 0.5, generator=random)
            layer.norm.running_var.uniform_(0.3, 3, generator=random)
    network.round_to(step_for(bits))
    return network.eval()


@settings(max_examples=15, deadline=None)
@given(SHAPES, st.sampled_from((2.0, 3.0, 5.5)))
def test_bytes_give_the_same_integers_back(shape: Shape, bits: float) -> None:
    network = rounded(shape, bits)
    data = to_bytes(network)
    read = from_bytes(data)
    assert read.shape == shape
    for before, after in zip(network.layers(), read.layers(), strict=True):
        integers, scale, _ = folded(before)
        weight = after.weight.numpy().astype(np.float64)
        for channel, wanted in zip(weight, integers, strict=True):
            assert (np.sign(channel) == np.sign(wanted)).all()
            if (largest := np.abs(wanted).max()) > 0:
                unit = np.abs(channel).max() / largest
                assert np.abs(channel / unit - wanted).max() < 1e-4
        used = np.abs(weight).max((1, 2, 3)) / np.maximum(1, np.abs(integers).max((1, 2, 3)))
        there = used > 0
        least = np.maximum(scale, 2.0**-16)  # a channel that is weaker says nothing
        assert (np.abs(np.log2(used[there] / least[there])) <= 1 / 24 + 1e-6).all()
    again = from_bytes(data)
    assert all(
        torch.equal(a, b) for a, b in zip(read.parameters(), again.parameters(), strict=True)
    )


@pytest.mark.parametrize("image", [(1, 8, 8), (3, 32, 32), (3, 64, 48)])
def test_the_network_that_is_read_does_what_was_learned(image: tuple[int, int, int]) -> None:
    network = rounded(Shape(image, 10, 40))
    x = torch.rand(16, *image, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        before, after = network(x), from_bytes(to_bytes(network))(x)
    assert (before - after).abs().mean() < 0.05 * before.std()


def test_a_network_that_diverged_is_written_all_the_same() -> None:
    network = rounded(Shape((1, 8, 8), 3, 6))
    with torch.no_grad():
        for layer in network.layers():
            layer.weight.fill_(torch.nan)
            (layer.bias if layer.norm is None else layer.norm.running_var).fill_(torch.inf)
    read = from_bytes(to_bytes(network))
    assert all(bool((layer.weight == 0).all()) for layer in read.layers())


def test_a_weight_takes_the_bits_that_its_step_is_for() -> None:
    layer = Layer(64, 256, 3, 1, norm=True)
    layer.begin(torch.Generator().manual_seed(0))
    for bits in (2.5, 3.0, 4.0):
        layer.step = step_for(bits)
        integers, _ = layer.integers()
        _, counts = np.unique(integers.numpy(), return_counts=True)
        share = counts / counts.sum()
        assert -(share * np.log2(share)).sum() == pytest.approx(bits, abs=0.1)


@pytest.mark.parametrize("total", [1887, 12435])
def test_the_widest_network_fits_and_uses_its_bytes(total: int) -> None:
    shape = widest((3, 32, 32), 10, total, lambda one: predicted_bytes(one, LEAST_BITS))
    assert shape is not None
    wider = Shape(shape.image, 10, shape.size + 1)
    assert predicted_bytes(shape, LEAST_BITS) <= total
    assert predicted_bytes(wider, LEAST_BITS) > total
    assert len(to_bytes(rounded(shape))) == pytest.approx(predicted_bytes(shape, 3.0), rel=0.02)
    for most in (total, 19 * total // 20):
        network = rounded(shape)
        before, data = network.step, fit(network, most, to_bytes)
        assert 0.97 * most < len(data) <= most
        assert network.step > before


def test_what_is_rounded_still_learns() -> None:
    layer = Layer(2, 3, 3, 1, norm=True)
    layer.begin(torch.Generator().manual_seed(0))
    layer.step = step_for(2)
    x = torch.rand(4, 2, 5, 5, generator=torch.Generator().manual_seed(1))
    (layer(x) * torch.rand(4, 3, 5, 5, generator=torch.Generator().manual_seed(2))).sum().backward()
    assert layer.weight.grad is not None
    assert bool((layer.weight.grad.abs() > 0).all())
    integers, scale = layer.integers()
    applied = integers * scale[:, None, None, None]
    wanted = layer.norm(torch.nn.functional.conv2d(x, applied, padding=1))
    assert torch.allclose(layer(x), wanted, atol=1e-5)


@pytest.mark.parametrize(("images", "steps"), [(32, 400), (6400, 1000), (50_000, 3000)])
def test_steps_grow_with_the_images_within_bounds(images: int, steps: int) -> None:
    assert planned_steps(images) == steps


class Kept(Finished):
    def __init__(self) -> None:
        self.parts: dict[str, object] = {}
        self.made = 0

    def find(self, key: str) -> object:
        return self.parts.get(key)

    def keep(self, key: str, value: object) -> None:
        self.made += 1
        self.parts[key] = value


@pytest.fixture(scope="module")
def ds(tmp_path_factory: pytest.TempPathFactory, rows_and_columns: Source) -> DistilledDataset:
    path: Path = tmp_path_factory.mktemp("lines") / "lines.ddset"
    encode(rows_and_columns, ipc=1.0, out=path, steps=2)
    return load(path)


def test_it_learns_what_is_easy_in_the_bytes_of_the_file_and_is_kept(
    ds: DistilledDataset, rows_and_columns: Source
) -> None:
    kept = Kept()
    test, total = rows_and_columns.require_test(), ds.file.sizes.total

    def row(nets: int, steps: int = 30) -> dict[str, object]:
        trial = protocol(ds, test, nets=nets, device="cpu", finished=kept)
        return quantised_network(trial, rows_and_columns.train, 2, total, steps)

    one = row(1)
    assert one["accuracy_mean"] == 1.0
    assert 0 < one["bytes"] <= total
    assert (one["pixels"], one["nets"], one["steps"], kept.made) == (0, 1, 30, 1)
    many = row(8)
    assert many["nets"] == quantised.NETS == kept.made == len(many["per_net"])
    assert many["per_net"][0] == one["accuracy_mean"]
    assert row(8) == many
    assert kept.made == quantised.NETS
    row(1, 31)
    assert kept.made == quantised.NETS + 1


def test_where_nothing_fits_the_row_says_so(ds: DistilledDataset, rows_and_columns: Source) -> None:
    trial = protocol(ds, rows_and_columns.require_test(), nets=2, device="cpu")
    entry = quantised_network(trial, rows_and_columns.train, 2, 50)
    assert (entry["accuracy_mean"], entry["per_net"], entry["bytes"]) == (None, [], 50)
