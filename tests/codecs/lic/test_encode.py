"""LIC from images to a file: its stages, its ablations, and going on after an interruption."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import features

import ddcodec
from ddcodec import LIC, encode
from ddcodec.codecs.lic import encode as module
from ddcodec.codecs.lic.compensate import compensate, feature_difference, held
from ddcodec.codecs.lic.encode import region_logits, select
from ddcodec.codecs.lic.params import LICParams, make_params
from ddcodec.codecs.shared.selection import best_crops, losses_of, random_box
from ddcodec.errors import CheckpointMismatch, SourceError, UsageError
from ddcodec.format import read
from ddcodec.observers.file import Trained, load
from ddcodec.runtime.rng import generator
from ddcodec.sources import Source
from ddcodec.sources.base import InMemory
from ddcodec.sources.split import Split
from tests.helpers.lic_runs import groups_made
from tests.helpers.reporters import StopAfter

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def observer(observer_file: Path) -> Trained:
    return load(observer_file)


def params(observer_file: Path, **changes: Any) -> LICParams:
    options = LIC(**{"ipc": 1, "steps": 10, "observer": observer_file} | changes)
    return make_params(options, (1, 8, 8), 10, "float32", 0)


def run(source: Source, observer_file: Path, out: Path, **changes: Any) -> Any:
    settings = {"ipc": 2, "steps": 4, "precision": "float32", "device": "cpu", "overwrite": True}
    return encode(source, out, "lic", observer=observer_file, **(settings | changes))


def test_the_images_that_the_observer_knows_best_are_selected(
    digits: Source, observer: Trained, observer_file: Path
) -> None:
    pool = InMemory(digits)
    wanted = params(observer_file, ipc=3, candidates=50)
    found = select(pool, 7, "7", observer, wanted, CPU)
    assert found.shape == (12, 1, 8, 8)
    drawn = torch.randperm(pool.count(7), generator=generator(0, "candidates", 7))[:50]
    images = torch.from_numpy(pool.images(7, drawn.numpy())).permute(0, 3, 1, 2)
    losses = losses_of(images, 7, observer)
    assert torch.equal(losses_of(found, 7, observer).sort().values, losses.sort().values[:12])


def test_random_selection_needs_no_observer_and_repeats(
    digits: Source, observer: Trained, observer_file: Path
) -> None:
    settings = params(observer_file, select="random", ipc=2)
    a, b = (select(InMemory(digits), 3, "3", observer, settings, CPU) for _ in range(2))
    assert torch.equal(a, b)
    other = select(InMemory(digits), 3, "3", observer, replace(settings, seed=1), CPU)
    assert not torch.equal(a, other)
    assert len({image.numpy().tobytes() for image in a}) == 8


def test_the_best_crop_of_an_image_is_one_of_its_crops(
    digits: Source, observer: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = InMemory(digits)
    images = torch.from_numpy(pool.images(2, np.arange(6))).permute(0, 3, 1, 2).contiguous()
    best, losses = best_crops(images, 2, observer, 0)
    monkeypatch.setattr("ddcodec.codecs.shared.selection.CROPS", 10)
    more, lower = best_crops(images, 2, observer, 0)
    assert bool((lower <= losses).all())
    assert torch.allclose(losses_of(more, 2, observer), lower)
    assert best.dtype == torch.uint8
    random = generator(0, "boxes")
    for _ in range(200):
        top, left, height, width = random_box(20, 30, random)
        assert 0 <= top <= 20 - height
        assert 0 <= left <= 30 - width
        assert height * width >= 0.05 * 600


def test_a_class_with_too_few_images_is_named(
    digits: Source, observer: Trained, observer_file: Path
) -> None:
    settings = params(observer_file, ipc=100)
    with pytest.raises(SourceError, match=r"class .4. has .* need 400"):
        select(InMemory(digits), 4, "4", observer, settings, CPU)


def test_compensation_brings_features_nearer_in_stored_integers(
    digits: Source, observer: Trained, observer_file: Path
) -> None:
    settings = params(observer_file, ipc=4, steps=120)
    geometry = settings.mosaic(8, 8)
    originals = select(InMemory(digits), 5, "5", observer, settings, CPU)
    squeezed = geometry.squeeze(originals)
    done = compensate(squeezed, originals, geometry, observer, settings, (5,))
    assert done.dtype == torch.uint8
    assert not torch.equal(done, squeezed)

    def difference(mosaics: torch.Tensor) -> float:
        expanded = geometry.expand_smoothly(mosaics.float() / 255)
        g = generator(9)
        return float(
            feature_difference(originals.float() / 255, expanded, observer, settings, g).mean()
        )

    assert difference(done) < 0.8 * difference(squeezed)
    again = compensate(squeezed, originals, geometry, observer, settings, (5,))
    assert torch.equal(done, again)
    none = params(observer_file, ipc=4, steps=None, compensate=False)
    assert torch.equal(compensate(squeezed, originals, geometry, observer, none, (5,)), squeezed)


def test_rounding_passes_gradients_where_pixels_can_move() -> None:
    x = torch.tensor([-0.5, 0.0, 0.3, 1.0, 1.5], requires_grad=True)
    y = held(x)
    assert torch.equal((y * 255).round() / 255, y.detach().clamp(0, 1))
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert gradient[2] == 1
    assert gradient[0] == gradient[4] == 0


def test_labels_are_what_the_observer_says_of_the_decoded_regions(
    digits: Source, observer: Trained, observer_file: Path, tmp_path: Path
) -> None:
    run(digits, observer_file, tmp_path / "x.ddset", ipc=2)
    ds = ddcodec.load(tmp_path / "x.ddset")
    assert len(ds) == 10 * 2 * 5
    images, soft = zip(*[ds[i] for i in range(len(ds))], strict=True)
    with torch.no_grad():
        wanted = torch.softmax(observer.network(torch.stack(images)) / 2, 1)
    assert (wanted - torch.stack(soft)).abs().max() < 0.03
    geometry = params(observer_file, ipc=2).mosaic(8, 8)
    stored = torch.from_numpy(read(tmp_path / "x.ddset").arrays["images"])
    logits = region_logits(stored, geometry, observer)
    assert torch.allclose(torch.softmax(logits / 2, -1).flatten(0, 1), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("labels", "kind", "tensors"),
    [
        ("auto", "logits", {"images", "labels"}),
        ("top=3", "top", {"images", "labels", "label_classes"}),
        ("class", "index", {"images", "labels"}),
    ],
)
def test_each_kind_of_label_is_stored_and_decoded(
    digits: Source, observer_file: Path, tmp_path: Path, labels: str, kind: str, tensors: set[str]
) -> None:
    manifest = run(digits, observer_file, tmp_path / "x.ddset", labels=labels, steps=40)
    assert manifest.labels["kind"] == kind
    assert set(manifest.tensors) == tensors
    ds = ddcodec.load(tmp_path / "x.ddset")
    assert torch.allclose(ds.soft_labels.sum(1), torch.ones(len(ds)), atol=1e-5)
    owners = torch.arange(10).repeat_interleave(10)
    right = (ds.soft_labels.argmax(1) == owners).float().view(-1, 5)[:, :4].mean()  # cells
    assert right == 1 if kind == "index" else right > 0.5
    assert ddcodec.verify(tmp_path / "x.ddset") == []


@pytest.mark.parametrize("squeeze", [1, 4, 9])
def test_every_squeeze_gives_its_regions(
    digits: Source, observer_file: Path, tmp_path: Path, squeeze: int
) -> None:
    manifest = run(digits, observer_file, tmp_path / "x.ddset", squeeze=squeeze, ipc=1)
    side = int(squeeze**0.5)
    assert manifest.codec["params"] == {"cells": [side, side], "filter": "bilinear"}
    ds = ddcodec.load(tmp_path / "x.ddset")
    assert len(ds) == 10 * (squeeze + (squeeze > 1))
    assert ddcodec.info(tmp_path / "x.ddset")["pixels"] == 10 * 64


def test_ablations_change_the_file_and_the_command_that_makes_it_again(
    digits: Source, observer_file: Path, tmp_path: Path
) -> None:
    whole = run(digits, observer_file, tmp_path / "a.ddset")
    again = run(digits, observer_file, tmp_path / "b.ddset")
    assert whole.content_digest == again.content_digest
    plain = run(
        digits, observer_file, tmp_path / "c.ddset",
        select="random", compensate=False, steps=None, labels="class",
    )  # fmt: skip
    words = plain.provenance["command"].split()
    assert "--no-compensate" in words
    assert "--steps" not in words
    assert words[words.index("--select") + 1] == "random"
    assert words[words.index("--labels") + 1] == "class"
    crops = run(digits, observer_file, tmp_path / "d.ddset", select="crops", candidates=20)
    assert len({m.content_digest for m in (whole, plain, crops)}) == 3
    digest = load(observer_file).digest
    assert whole.provenance["observer"] == {"architecture": "convnet3", "digest": digest[:32]}


def test_finished_classes_are_kept_over_an_interruption(
    digits: Source, observer_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ddcodec.codecs.lic.params.GROUP", 4)  # two classes at 2 IPC
    whole = run(digits, observer_file, tmp_path / "a.ddset")
    out = tmp_path / "b.ddset"
    with pytest.raises(KeyboardInterrupt):
        run(digits, observer_file, out, reporter=StopAfter(3))
    folder = tmp_path / "b.ddset.checkpoint"
    assert not out.exists()
    assert len(list(folder.iterdir())) == 3
    with pytest.raises(CheckpointMismatch):
        run(digits, observer_file, out, resume=True, seed=1)
    made = groups_made(monkeypatch)
    resumed = run(digits, observer_file, out, resume=True)
    assert made == [range(6, 8), range(8, 10)]
    assert resumed.content_digest == whole.content_digest
    assert out.read_bytes() == (tmp_path / "a.ddset").read_bytes()
    assert not folder.exists()


def test_groups_of_classes_do_not_depend_on_each_other(
    digits: Source, observer: Trained, observer_file: Path
) -> None:
    settings = params(observer_file, ipc=2)
    ranges = (range(6, 8), range(0, 2), range(6, 8))
    alone, _, again = (
        module.make_group(digits, group, observer, settings, CPU)[0] for group in ranges
    )
    assert all(np.array_equal(alone[name], again[name]) for name in alone)


def test_a_checkpoint_of_another_codec_is_one_line(
    digits: Source, observer_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "x.ddset.checkpoint").write_bytes(b"")
    with pytest.raises(CheckpointMismatch, match="not a folder"):
        run(digits, observer_file, tmp_path / "x.ddset")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"ipc": 0.5}, "`ipc` must be"),
        ({"squeeze": 5}, "`squeeze` must be one of"),
        ({"select": "worst"}, "`select` must be one of"),
        ({"candidates": 0}, "`candidates`"),
        ({"labels": "learned"}, "`labels` must be"),
        ({"temperature": 0.0}, "`temperature`"),
        ({"temperature": 1000}, "`temperature`"),
        ({"temperature": float("nan")}, "`temperature`"),
        ({"compensate": False}, "`steps` counts"),
        ({"quality": "small"}, "`quality` belongs to"),
        ({"order": "clip"}, "`order` belongs to"),
    ],
)
def test_settings_that_cannot_work_are_named(
    digits: Source, observer_file: Path, tmp_path: Path, wrong: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        run(digits, observer_file, tmp_path / "x.ddset", **wrong)
    assert not (tmp_path / "x.ddset.checkpoint").exists()


def test_the_observer_must_be_there_and_fit(
    digits: Source, observer_file: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="`observer` must be given"):
        encode(digits, tmp_path / "x.ddset", "lic", ipc=1)
    with pytest.raises(UsageError, match="`observer` belongs to"):
        encode(digits, tmp_path / "x.ddset", ipc=1, observer=observer_file)
    large = Split(np.zeros((20, 9, 9, 1), np.uint8), np.arange(20) % 10)
    other = Source("other", digits.classes, {"train": lambda: large})
    with pytest.raises(UsageError, match="sees images of 1x8x8"):
        run(other, observer_file, tmp_path / "x.ddset")


def test_samples_are_the_same_expanded_at_once_or_batch_by_batch(
    digits: Source, observer_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(digits, observer_file, tmp_path / "x.ddset")
    whole = ddcodec.load(tmp_path / "x.ddset")
    index = torch.randperm(len(whole), generator=generator(3))
    monkeypatch.setattr("ddcodec.codecs.lic.decode.EXPANDED_BYTES", 0)
    lazy = ddcodec.load(tmp_path / "x.ddset")
    assert torch.equal(whole._samples.gather(index), lazy._samples.gather(index))
    raw = ddcodec.load(tmp_path / "x.ddset", raw=True)
    assert raw[3][0].dtype == torch.uint8
    assert torch.equal(whole.preprocess(raw[3][0]), whole[3][0][None])


@pytest.mark.parametrize("images", ["webp=30", "avif=50"])
def test_lossy_mosaics_are_labelled_as_they_come_back(
    digits: Source, observer: Trained, observer_file: Path, tmp_path: Path, images: str
) -> None:
    if not features.check(images.partition("=")[0]):
        pytest.skip(f"this Pillow has no {images}")
    out = tmp_path / "x.ddset"
    manifest = run(digits, observer_file, out, steps=3, images=images)
    assert manifest.tensors["images"].coder == images.partition("=")[0]
    assert f"--images {images}" in manifest.provenance["command"]
    ds = ddcodec.load(out)
    pixels = torch.stack([ds[i][0] for i in range(len(ds))])
    with torch.no_grad():
        wanted = torch.softmax(observer.network(pixels) / 2, 1)
    assert (wanted - ds.soft_labels).abs().max() < 0.03
    exact = run(digits, observer_file, tmp_path / "y.ddset", steps=3)
    assert exact.tensors["images"].coder == "zstd"
    assert not np.array_equal(
        read(out).arrays["images"], read(tmp_path / "y.ddset").arrays["images"]
    )
    again = run(digits, observer_file, tmp_path / "z.ddset", steps=3, images=images)
    assert again.content_digest == manifest.content_digest
    assert ddcodec.verify(out) == []


@pytest.mark.parametrize("given", [{"labels": "alive"}, {"labels": "top=x"}, {"images": "x"}])
def test_words_of_options_are_looked_at_before_the_source(
    given: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=f"`{next(iter(given))}` must be "):
        encode(tmp_path / "none", tmp_path / "x", "lic", ipc=1, observer="o", **given)


@pytest.mark.parametrize("images", ["jpeg=50", "webp", "webp=0", "webp=101", "webp=x", "zstd=3"])
def test_how_images_are_stored_has_one_spelling(
    digits: Source, observer_file: Path, tmp_path: Path, images: str
) -> None:
    with pytest.raises(UsageError, match="`images` must be"):
        run(digits, observer_file, tmp_path / "x.ddset", images=images)
