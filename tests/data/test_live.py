"""Batches and streams of a file whose network labels every view."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import ddcodec
from ddcodec import ChunkedDataset, DistilledDataset, UsageError
from ddcodec.data.export import Decoded
from ddcodec.nn.views import drawn
from ddcodec.runtime.rng import generator
from ddcodec.sources import Source
from tests.helpers.live_sets import live_set


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("live") / "x.ddset"


@pytest.fixture(scope="module")
def ds(digits: Source, observer_file: Path, path: Path) -> DistilledDataset:
    return live_set(digits, observer_file, path)


def test_batches_are_views_with_labels_of_their_own(ds: DistilledDataset) -> None:
    assert ds.teacher is not None
    found = list(ds.batches(8, seed=4, epoch=1))
    assert [len(x) for x, _ in found] == [8, 8, 4]
    plain = list(ds.batches(8, seed=4, epoch=1, augment="none"))
    for start, (x, y), (image, label) in zip(range(0, 20, 8), found, plain, strict=True):
        random = generator(4, "augment", 1, start)
        views, labels = drawn(image, label, ds.manifest.recipe["augment"], random, ds.teacher)
        assert torch.equal(x, views)
        assert torch.equal(y, labels)
        assert (y - ds.teacher.labels(x)).abs().max() < 1e-5
        assert (y - label).abs().max() > 0.1
    again = list(ds.batches(8, seed=4, epoch=1, augment="recipe"))
    assert all(torch.equal(a[1], b[1]) for a, b in zip(found, again, strict=True))


def test_plain_images_have_the_exact_labels(ds: DistilledDataset) -> None:
    for x, y in ds.batches(20, shuffle=False, augment="none"):
        assert torch.equal(y, ds.soft_labels)
        assert torch.equal(x[3], ds[3][0])
    assert torch.equal(ds[3][1], ds.soft_labels[3])
    loaded = torch.cat([y for _, y in DataLoader(ds, batch_size=7)])
    assert torch.equal(loaded, ds.soft_labels)
    singles = torch.stack([y for _, y in ds.stream(shuffle=False)])
    assert torch.equal(singles, ds.soft_labels)


def test_a_function_is_labelled_too(ds: DistilledDataset) -> None:
    assert ds.teacher is not None
    x, y = next(iter(ds.batches(6, augment=lambda images, random: -images)))
    torch.testing.assert_close(y, ds.teacher.labels(x))


def test_class_indices_are_the_teachers(
    digits: Source, observer_file: Path, path: Path, ds: DistilledDataset
) -> None:
    hard = live_set(digits, observer_file, path, hard_labels=True)
    for (x, y), (views, labels) in zip(hard.batches(8), ds.batches(8), strict=True):
        assert torch.equal(x, views)
        assert y.dtype == torch.int64
        assert torch.equal(y, labels.argmax(1))


def test_bytes_are_as_they_are(digits: Source, observer_file: Path, path: Path) -> None:
    raw = live_set(digits, observer_file, path, raw=True)
    assert raw.teacher is None
    x, y = next(iter(raw.batches(20, shuffle=False)))
    assert x.dtype == torch.uint8
    assert torch.equal(y, raw.soft_labels)


@pytest.mark.parametrize("name", ["recipe", "views", "dsa", "flip_rotate"])
def test_what_needs_floats_is_refused_for_bytes(
    digits: Source, observer_file: Path, path: Path, name: str
) -> None:
    raw = live_set(digits, observer_file, path, raw=True)
    said = r"needs floats, and images are bytes \(uint8\); load without `raw`"
    ways: tuple[Callable[..., object], ...] = (raw.batches, raw[2:9].batches, raw.stream)
    for start in ways:
        with pytest.raises(UsageError, match=said):
            start(batch_size=4, augment=name)
    with pytest.raises(UsageError, match=said):
        ChunkedDataset(path, 4, raw=True).set_augment(name)


@pytest.mark.parametrize("name", ["flip", "shift", "crop_cutout_flip"])
def test_whole_pixels_move_in_bytes_too(
    digits: Source, observer_file: Path, path: Path, name: str
) -> None:
    raw = live_set(digits, observer_file, path, raw=True)
    images, _ = next(iter(raw.batches(20, augment=name)))
    assert images.dtype == torch.uint8
    as_floats = drawn(
        raw.on("cpu")[0].take(torch.arange(20)).float(),
        raw.soft_labels,
        name,
        generator(0, "augment", 0, 0),
    )[0]
    stored = next(iter(raw.batches(20, shuffle=False, augment=name)))[0]
    assert torch.equal(stored.float(), as_floats)


def test_floats_before_the_preprocessing_are_augmented(digits_file: Path) -> None:
    raw = ddcodec.load(digits_file, raw=True)
    assert next(iter(raw.batches(8, augment="dsa_upright")))[0].dtype == torch.float32


def test_a_part_is_labelled_by_the_whole(ds: DistilledDataset) -> None:
    part = ds[5:11]
    x, y = next(iter(part.batches(6)))
    assert part.teacher is not None
    assert torch.equal(y, part.teacher.labels(x))
    assert not torch.equal(y, part.soft_labels)


def test_a_stream_gives_the_batches_for_any_number_of_workers(ds: DistilledDataset) -> None:
    wanted = list(ds.batches(6, seed=2))
    stream = ds.stream(seed=2, batch_size=6)
    for workers in (0, 2):
        found = list(DataLoader(stream, batch_size=None, num_workers=workers))
        for (x, y), (a, b) in zip(found, wanted, strict=True):
            assert torch.equal(x, a)
            torch.testing.assert_close(y, b)


def test_a_resumed_stream_draws_the_views_that_were_left(ds: DistilledDataset) -> None:
    whole = list(ds.stream(seed=5, batch_size=6))
    stream = ds.stream(seed=5, batch_size=6)
    next(iter(stream))
    later = ds.stream(seed=5, batch_size=6)
    later.load_state_dict(copy.deepcopy(stream.state_dict()))
    for (x, y), (a, b) in zip(later, whole[1:], strict=True):
        assert torch.equal(x, a)
        assert torch.equal(y, b)


def test_streams_take_augmentations(ds: DistilledDataset, digits_file: Path) -> None:
    plain = [y for _, y in ds.stream(shuffle=False, batch_size=20, augment="none")]
    assert torch.equal(plain[0], ds.soft_labels)
    with pytest.raises(UsageError, match="give `batch_size` too"):
        ds.stream(augment="views")
    for name in ("draw", "shufle"):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
            ds.stream(batch_size=4, **{name: None})  # type: ignore[arg-type]
    stored = ddcodec.load(digits_file)
    for (x, y), (a, b) in zip(
        stored.stream(seed=1, batch_size=5, augment="views_upright"),
        stored.batches(5, seed=1, augment="views_upright"),
        strict=True,
    ):
        assert torch.equal(x, a)
        assert torch.equal(y, b)
    kept = next(iter(stored.batches(5, seed=1)))
    assert torch.equal(kept[1], next(iter(stored.batches(5, seed=1, augment="flip")))[1])


def test_inference_mode_and_autocast_of_the_caller_change_nothing(ds: DistilledDataset) -> None:
    wanted = list(ds.batches(8))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found = list(ds.batches(8))
    for (x, y), (a, b) in zip(found, wanted, strict=True):
        assert torch.equal(x, a)
        assert torch.equal(y, b)
        assert not y.is_inference()


def test_a_file_in_chunks_gives_views_of_its_own(ds: DistilledDataset, path: Path) -> None:
    stream = ChunkedDataset(path, 6, seed=3, buffer=1)
    assert stream.teacher is not None
    found = list(stream)
    assert sum(len(x) for x, _ in found) == len(ds)
    for (x, y), (a, b) in zip(found, ChunkedDataset(path, 6, seed=3, buffer=1), strict=True):
        assert torch.equal(x, a)
        assert torch.equal(y, b)
        torch.testing.assert_close(y, stream.teacher.labels(x))
    hard = next(iter(ChunkedDataset(path, 6, seed=3, buffer=1, hard_labels=True)))
    assert torch.equal(hard[1], found[0][1].argmax(1))
    # Windows are dealt to workers, so their batches come in another order.
    loaded = list(DataLoader(stream, batch_size=None, num_workers=2))
    assert len(loaded) == len(found)
    for x, y in loaded:
        (same,) = [b for a, b in found if torch.equal(a, x)]
        torch.testing.assert_close(y, same)


def test_chunks_as_they_are_have_the_exact_labels(ds: DistilledDataset, path: Path) -> None:
    stream = ChunkedDataset(path, 6, shuffle=False)
    stream.set_augment("none")
    assert torch.equal(torch.cat([y for _, y in stream]), ds.soft_labels)
    stream.set_augment(lambda images, random: images + 1)
    x, y = next(iter(stream))
    assert torch.equal(x, torch.stack([ds[i][0] + 1 for i in range(6)]))
    assert stream.teacher is not None
    torch.testing.assert_close(y, stream.teacher.labels(x))
    raw = ChunkedDataset(path, 20, shuffle=False, raw=True)
    assert raw.teacher is None
    x, y = next(iter(raw))
    assert x.dtype == torch.uint8
    assert torch.equal(y, ds.soft_labels)


def test_exported_images_are_plain_with_exact_labels(ds: DistilledDataset, path: Path) -> None:
    parts = list(Decoded(path).samples())
    wanted = torch.stack([ds[i][0] for i in range(len(ds))])
    assert torch.equal(torch.cat([torch.from_numpy(x) for x, _ in parts]), wanted)
    assert torch.equal(torch.cat([torch.from_numpy(y) for _, y in parts]), ds.soft_labels)


def test_stored_labels_are_mixed_in_chunks_too(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 1, 4, 4), dtype=np.uint8)
    ddcodec.pack(pixels, np.arange(9) % 3, list("abc"), tmp_path / "x.ddset")
    stream = ChunkedDataset(tmp_path / "x.ddset", 9)
    assert all(set(y.unique().tolist()) == {0.0, 1.0} for _, y in stream)
    stream.set_augment("views")
    ((_, y),) = list(stream)
    assert ((y > 0.01) & (y < 0.99)).any()
    torch.testing.assert_close(y.sum(1), torch.ones(9))
