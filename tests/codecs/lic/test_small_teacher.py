"""A small residual network inside of a file: what is stored of it, and what it then says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import ddcodec
from ddcodec import encode
from ddcodec.codecs.lic import affine
from ddcodec.codecs.lic import encode as encoder
from ddcodec.codecs.lic.embedding import embed, require_embeddable
from ddcodec.codecs.lic.integer_network import End, network, stored_sizes, taken_apart, units
from ddcodec.codecs.lic.teacher import Teacher
from ddcodec.data.chunked import ChunkedDataset
from ddcodec.observers.file import Description, Trained
from ddcodec.observers.small_networks import Shape, SmallNetwork, step_for
from ddcodec.preprocessing.transform import Preprocess
from ddcodec.runtime.rng import generator
from ddcodec.sources import Source
from tests.helpers.reporters import Notes

SHAPES = [(3, 32, 32), (1, 20, 36), (3, 70, 64), (1, 3, 5)]
ENDS: tuple[End, ...] = ("relu", "signed", "logits")


def pixels(shape: tuple[int, int, int], count: int, seed: int = 1) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, *shape), generator=g, dtype=torch.uint8)


def drawn(
    shape: tuple[int, int, int], size: int, bits: float, classes: tuple[str, ...] = tuple("abcdefg")
) -> Trained:
    """Return a network of random weights, with the statistics of norms that some images give."""
    net = SmallNetwork(Shape(shape, len(classes), size))
    g = generator(0, "test", size)
    net.begin(g)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(-0.5, 1.5, generator=g)
            module.bias.data.normal_(generator=g)
            module.momentum = None  # statistics are those of what follows
    if bits:
        net.round_to(step_for(bits))
    channels, height, width = shape
    spec = {"kind": "standardise", "mean": [0.5] * channels, "std": [0.25] * channels}
    image = {"channels": channels, "height": height, "width": width, "preprocessing": spec}
    see = Preprocess(spec, *shape)
    with torch.no_grad():
        net(see(pixels(shape, 32, 5)))
    net.eval().requires_grad_(False)
    description = Description(f"residual-{size}", classes, image, {}, {}, None)
    return Trained(net, description, see, "0" * 64)


def teacher_of(observer: Trained, x: Tensor) -> tuple[dict[str, NDArray[Any]], Teacher]:
    name, size = taken_apart(observer.description.architecture)
    arrays, scale = embed(observer, x)
    labels = {"architecture": name, "size": size, "scale": scale}
    return arrays, Teacher(arrays, labels, observer.description.image, 7)


@pytest.mark.parametrize("size", [1, 2, 13, 42, 200])
@pytest.mark.parametrize("shape", SHAPES)
def test_steps_are_those_of_the_network(shape: tuple[int, int, int], size: int) -> None:
    net = SmallNetwork(Shape(shape, 7, size))
    steps = network("residual", *shape, 7, size)
    found = [unit for unit in units(steps) if unit is not None]
    layers = list(net.layers())
    for unit, layer in zip(found, layers, strict=True):
        filters, incoming, kernel, _ = layer.weight.shape
        assert (unit.filters, unit.incoming, unit.stride) == (filters, incoming, layer.stride)
        assert unit.kernel == (kernel if unit.end != "logits" else 0)
    assert steps.count("pool2") == net.pool.bit_length() - 1
    rows = sum(len(layer.weight) for layer in layers) + 1  # of the first shortcut
    assert stored_sizes(steps) == (sum(layer.weight.numel() for layer in layers), rows)


@pytest.mark.parametrize(("size", "bits"), [(1, 3.0), (13, 2.0), (13, 8.0), (42, 3.0), (13, 0.0)])
@pytest.mark.parametrize("shape", SHAPES)
def test_integers_say_what_the_network_says(
    shape: tuple[int, int, int], size: int, bits: float
) -> None:
    observer, x = drawn(shape, size, bits), pixels(shape, 4)
    arrays, teacher = teacher_of(observer, x)
    found = teacher.logits(x)
    wanted = observer.logits(x).double()
    # Factors are within 3 %, shifts within some hundredths of what flows.
    assert (found - wanted).abs().mean() < 0.1 * wanted.std()
    assert torch.equal(found, torch.cat([teacher.logits(image[None]) for image in x]))
    assert {name: array.dtype.name for name, array in arrays.items()} == {
        "label_weights": "uint8",
        "label_affine": "uint8",
    }
    require_embeddable(observer, 100)


def test_weights_are_stored_as_they_were_trained() -> None:
    observer = drawn((3, 32, 32), 13, 3.0)
    arrays, _ = teacher_of(observer, pixels((3, 32, 32), 2))
    assert isinstance(observer.network, SmallNetwork)
    layers = list(observer.network.layers())
    gains = [None if layer.norm is None else layer.norm.weight for layer in layers]
    signs = [torch.ones(7) if gain is None else gain.sign() for gain in gains]
    whole = [
        (layer.integers()[0] * sign[:, None, None, None]).flatten()
        for layer, sign in zip(layers, signs, strict=True)
    ]
    assert np.array_equal(arrays["label_weights"], torch.cat(whole).numpy() + 128)
    assert any((sign < 0).any() for sign in signs)  # a negative gain turns its filter over


def test_values_of_codes_are_what_the_specification_says() -> None:
    for f, found in enumerate(map(int, affine.MANTISSAS)):
        # round(2^(40 + f / 12)), in integers.
        assert (2 * found - 1) ** 12 < 2 ** (12 * 41 + f) < (2 * found + 1) ** 12
    for end, low, unit in (("relu", -20, 2.0), ("signed", -20, 1.0), ("logits", -30, 2.0**-10)):
        assert end in ENDS
        table = affine.factors(end)
        assert (table[0], table[12], table[255]) == (2.0**low, 2.0 ** (low + 1), table[3] * 2.0**21)
        every = np.arange(256, dtype=np.uint8)
        assert np.array_equal(affine.factor_codes(table, end), every)
        assert np.array_equal(affine.factor_codes(np.array([0.0, 1e9]), end), [0, 255])
        shifts = np.array([(q - 128) * abs(q - 128) * unit for q in range(1, 256)])
        assert np.array_equal(affine.shift_codes(shifts, end), every[1:])
        assert affine.largest_shift(end) == shifts[-1]
    steps = network("residual", 1, 8, 8, 2, 3)
    codes = np.full((stored_sizes(steps)[1], 2), 131, np.uint8)
    rows = affine.rows_of(steps, codes)
    assert rows[0].tolist() == [affine.factors("relu")[131], 18.0]
    assert rows[-1].tolist() == [affine.factors("logits")[131], 9 * 2.0**-10]


def test_a_network_that_diverged_is_stored_all_the_same() -> None:
    observer = drawn((1, 8, 8), 5, 3.0)
    next(iter(observer.network.parameters())).data.fill_(torch.nan)
    _, teacher = teacher_of(observer, pixels((1, 8, 8), 2))
    assert torch.isfinite(teacher.logits(pixels((1, 8, 8), 2))).all()


def test_a_live_file_says_so_and_labels_plain_regions_exactly(
    digits: Source, observer_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    observer = drawn((1, 8, 8), 9, 3.0, digits.classes)
    monkeypatch.setattr(encoder, "load_observer", lambda path: observer)
    notes, settings = Notes(), {"ipc": 2, "device": "cpu", "compensate": False}

    def made(labels: str) -> Path:
        out = tmp_path / f"{labels}.ddset"
        encode(
            digits, out, "lic", observer=observer_file, labels=labels, reporter=notes, **settings
        )
        return out

    path, stored = made("live"), ddcodec.load(made("logits"))
    ds = ddcodec.load(path)
    assert ddcodec.verify(path) == []
    labels = ds.manifest.labels
    assert (labels["architecture"], labels["size"], labels["live"]) == ("residual", 9, True)
    assert ds.manifest.recipe["augment"] == "views_upright"
    stored_as = [ds.manifest.tensors[name] for name in ("label_weights", "label_affine")]
    assert {(spec.coder, spec.chunk) for spec in stored_as} == {("context", None)}
    assert "--labels live" in ds.manifest.provenance["command"]
    assert (ds.soft_labels - stored.soft_labels).abs().max() < 0.1
    stream = ChunkedDataset(path, 5, shuffle=False)
    stream.set_augment("none")
    assert torch.equal(torch.cat([label for _, label in stream]), ds.soft_labels)
    facts = ddcodec.info(path)["bytes"]
    size = facts["tensors"]["label_weights"] + facts["tensors"]["label_affine"]
    assert facts["labels"] == size < 1500
    other = ddcodec.info(tmp_path / "logits.ddset")["bytes"]["labels"]
    assert notes.said[0] == (
        f"labels: the network that gives them {size:,} bytes, stored soft labels would take "
        f"{other:,}; images {facts['tensors']['images']:,}"
        f"{', less than the network' * (facts['tensors']['images'] < size)}"
    )
    assert f"the teacher itself {size:,}" in notes.said[1]
    still = ddcodec.load(made("embed-teacher"))
    assert "live" not in still.manifest.labels
    assert still.manifest.recipe["augment"] == "dsa_upright"
    assert torch.equal(still.soft_labels, ds.soft_labels)
