"""A teacher inside of the file: near the observer it was made of, and the same bits everywhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import ddcodec
from ddcodec import UsageError, encode
from ddcodec.codecs.lic.embedding import embed, require_embeddable
from ddcodec.codecs.lic.integer_network import ARCHITECTURES, costs, network, stored_sizes
from ddcodec.codecs.lic.teacher import Teacher, teacher_symbols
from ddcodec.codecs.shared.labels import WEIGHTS, restore
from ddcodec.data.chunked import ChunkedDataset
from ddcodec.observers.build import build, initialise
from ddcodec.observers.file import Description, Trained, load, ready
from ddcodec.sources import Source
from tests.helpers.reporters import Notes

SHAPES = [(3, 32, 32), (1, 20, 36), (3, 72, 72), (1, 3, 5)]


def drawn(name: str, shape: tuple[int, int, int], seed: int = 0) -> Trained:
    """Return an observer whose norms do something."""
    g = torch.Generator().manual_seed(seed)
    net = initialise(build(name, *shape, 7), g)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5, generator=g)
            module.bias.data.normal_(generator=g)
    weights = {k: v for k, v in net.state_dict().items() if not k.endswith("tracked")}
    channels, height, width = shape
    spec = {"kind": "standardise", "mean": [0.5] * channels, "std": [0.25] * channels}
    image = {"channels": channels, "height": height, "width": width, "preprocessing": spec}
    description = Description(name, tuple("abcdefg"), image, {}, {}, None)
    found = ready(net, weights, description, "0" * 64)
    if min(shape[1:]) > 8:  # statistics of real batches, as after training
        found.network.train()
        with torch.no_grad():
            found.network(found.preprocess(images(shape, 8, 5)))
        found.network.eval()
    return found


def images(shape: tuple[int, int, int], count: int, seed: int = 1) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, *shape), generator=g, dtype=torch.uint8)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("shape", SHAPES)
def test_integers_say_what_the_observer_says(name: str, shape: tuple[int, int, int]) -> None:
    observer, x = drawn(name, shape), images(shape, 4)
    arrays, scale = embed(observer, x)
    steps = network(name, *shape, 7)
    assert stored_sizes(steps) == (len(arrays["label_weights"]), len(arrays["label_affine"]))
    labels = {"architecture": name, "scale": scale}
    teacher = Teacher(arrays, labels, observer.description.image, 7)
    found = teacher.logits(x)
    with torch.no_grad():
        wanted = observer.network(observer.preprocess(x)).double()
    # Eight bits a weight: a few hundredths of what logits differ by, more after 52 layers.
    assert (found - wanted).abs().mean() < 0.06 * wanted.std()
    one_by_one = torch.cat([teacher.logits(image[None]) for image in x])
    assert torch.equal(found, one_by_one)


def test_a_layer_beyond_what_was_seen_is_cut_and_nothing_else_happens() -> None:
    shape = (1, 8, 8)
    observer = drawn("convnet3", shape)
    arrays, scale = embed(observer, torch.full((1, *shape), 127, dtype=torch.uint8))
    labels = {"architecture": "convnet3", "scale": scale}
    teacher = Teacher(arrays, labels, observer.description.image, 7)
    assert torch.isfinite(teacher.logits(images(shape, 3))).all()


def test_products_are_counted() -> None:
    # 3x3 convolutions of 128 filters on 32, 16 and 8 pixels a side, and a head of 10 x 2048.
    products, widest = costs(network("convnet3", 3, 32, 32, 10), 3, 32, 32)
    blocks = 1024 * 27 * 128 + 256 * 1152 * 128 + 64 * 1152 * 128
    assert products == blocks + 20480
    assert widest == 256 * 1152
    # He et al., 2016, table 1: 1.8 billion at 224 pixels; Sandler et al., 2018: 300 million.
    deep, _ = costs(network("resnet18", 3, 224, 224, 1000), 3, 224, 224)
    mobile, _ = costs(network("mobilenetv2", 3, 224, 224, 1000), 3, 224, 224)
    assert deep == pytest.approx(1.8e9, rel=0.02)
    assert mobile == pytest.approx(3.0e8, rel=0.02)


def test_symbols_are_ratios_of_probabilities() -> None:
    logits = torch.tensor([[1.0, 3.0, -2.0, -5000.0]], dtype=torch.float64)
    symbols = teacher_symbols(logits, 2.0)
    assert symbols.tolist() == [[23, 0, 58, 254]]  # 16 log2(e) / 2 an octave of the exponent
    share = restore({"labels": symbols}, "logits", 4)
    wanted = torch.softmax(logits / 2, 1).numpy()
    assert np.abs(share - wanted).max() < 0.012
    assert WEIGHTS[23] == pytest.approx(np.exp(-1), rel=0.022)


def test_a_file_with_its_teacher_gives_the_observers_labels(
    digits: Source, observer_file: Path, tmp_path: Path
) -> None:
    notes = Notes()

    def made(labels: str) -> Path:
        out = tmp_path / f"{labels}.ddset"
        settings = {"ipc": 2, "steps": 4, "device": "cpu", "labels": labels, "reporter": notes}
        encode(digits, out, "lic", observer=observer_file, **settings)
        return out

    path, stored = made("embed-teacher"), ddcodec.load(made("logits"))
    ds = ddcodec.load(path)
    assert ddcodec.verify(path) == []
    assert ds.manifest.labels["kind"] == "teacher"
    assert torch.equal(ds[7][0], stored[7][0])
    assert (ds.soft_labels - stored.soft_labels).abs().max() < 0.05
    facts = ddcodec.info(path)["bytes"]
    sizes = facts["tensors"]
    assert facts["labels"] == sizes["label_weights"] + sizes["label_affine"]
    # Both encodes say what the other way would take: the same two figures.
    teacher, plain = facts["labels"], ddcodec.info(tmp_path / "logits.ddset")["bytes"]["labels"]
    assert f"the teacher {teacher:,} bytes, stored soft labels {plain:,}" in notes.said[0]
    assert f"`labels`=auto makes the file {teacher - plain:,} bytes smaller" in notes.said[0]
    assert f"stored soft labels {plain:,} bytes, the teacher itself {teacher:,}" in notes.said[1]
    assert "the smaller of both" in notes.said[1]
    # Chunk by chunk the labels are the same bits.
    stream = ChunkedDataset(path, 5, shuffle=False)
    labels = torch.cat([label for _, label in stream])
    assert torch.equal(labels, ds.soft_labels)
    again = encode(
        digits, tmp_path / "again.ddset", "lic", observer=observer_file, ipc=2,
        steps=4, device="cpu", labels="embed-teacher",
    )  # fmt: skip
    assert again.content_digest == ds.manifest.content_digest
    assert "--labels embed-teacher" in again.provenance["command"]


def test_only_listed_architectures_are_embedded(observer_file: Path) -> None:
    observer = load(observer_file)
    other = replace(observer, description=replace(observer.description, architecture="x"))
    with pytest.raises(UsageError, match="cannot hold a x; it holds convnet3"):
        require_embeddable(other, 10)
    require_embeddable(observer, 10)
    with pytest.raises(UsageError, match="use `labels`=auto"):
        require_embeddable(observer, 10**9)
