"""A file as a PyTorch data set."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import ConcatDataset, DataLoader, Subset, random_split

from ddcodec import DistilledDataset, InvalidFile, UsageError, load, pack
from ddcodec.format import read
from ddcodec.preprocessing.transform import to_unit_range


@pytest.fixture(scope="module")
def ds(digits_file: Path) -> DistilledDataset:
    return load(digits_file)


def test_items_are_images_and_soft_labels(ds: DistilledDataset) -> None:
    assert len(ds) == 18
    image, label = ds[0]
    assert (image.dtype, tuple(image.shape)) == (torch.float32, (1, 8, 8))
    assert (label.dtype, tuple(label.shape)) == (torch.float32, (10,))
    assert ds.classes == tuple("0123456789")
    assert ds.image_shape == (1, 8, 8)
    assert torch.allclose(ds.soft_labels.sum(1), torch.ones(18))


def test_negative_indices_count_from_the_end(ds: DistilledDataset) -> None:
    for i in (-1, -18):
        assert torch.equal(ds[i][0], ds[i + 18][0])
        assert torch.equal(ds[i][1], ds[i + 18][1])


@pytest.mark.parametrize("index", [18, -19, 10**9])
def test_an_index_out_of_range_is_an_index_error(ds: DistilledDataset, index: int) -> None:
    with pytest.raises(IndexError, match="18 images"):
        ds[index]


@pytest.mark.parametrize("index", [1.5, "1", None, (1, 2), [1.5], np.zeros((2, 2), int)])
def test_what_is_no_integer_is_no_index(ds: DistilledDataset, index: object) -> None:
    with pytest.raises(TypeError, match="integer"):
        ds[index]  # type: ignore[index]


@pytest.mark.parametrize(
    "index",
    [
        *(slice(2, 5), slice(None, None, -1), slice(-3, None), slice(1, 100, 7), slice(5, 5)),
        *([4, -1, 4], np.array([3, 0]), torch.tensor([17]), np.arange(18) % 5 == 0),
        *(torch.arange(18) > 15, [True] + 17 * [False], np.zeros(18, bool)),
    ],
)
def test_several_images_are_a_data_set(ds: DistilledDataset, index: Any) -> None:
    places = np.arange(18)[np.asarray(index) if not isinstance(index, slice) else index].tolist()
    part = ds[index]
    assert isinstance(part, DistilledDataset)
    assert len(part) == len(places)
    for (image, label), i in zip(part, places, strict=True):
        assert torch.equal(image, ds[i][0])
        assert torch.equal(label, ds[i][1])
    assert torch.equal(part.soft_labels, ds.soft_labels[places])
    assert part.stages == (part,)
    seen = [(x, y) for x, y in part.batches(4, shuffle=False)]
    assert sum(len(x) for x, _ in seen) == len(places)
    if seen:
        assert torch.equal(torch.cat([y for _, y in seen]), part.soft_labels)
    part = part[::-1]
    assert [x[0].tolist() for x in part] == [ds[i][0].tolist() for i in reversed(places)]


@pytest.mark.parametrize("index", [[18], np.array([-19]), [True] * 17, torch.zeros(19) > 0])
def test_several_images_that_are_not_there_are_an_index_error(
    ds: DistilledDataset, index: Any
) -> None:
    with pytest.raises(IndexError, match="18 images"):
        ds[index]


def test_a_part_keeps_transforms_and_hard_labels(digits_file: Path) -> None:
    ds = load(digits_file, transform=torch.neg, hard_labels=True)
    part = ds[3:6]
    assert torch.equal(part[0][0], ds[3][0])
    assert part[2][1] == ds[5][1]
    assert torch.equal(part.stages[0].soft_labels, ds.soft_labels[3:6])


def test_a_part_of_byte_images_and_a_part_across_stages(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 4), dtype=np.uint8)
    pack(x, np.arange(5) % 2, ("a", "b"), tmp_path / "a.ddset")
    ds = load(tmp_path / "a.ddset")
    assert torch.equal(ds[[4, 1]][0][0], ds[4][0])
    raw = load(tmp_path / "a.ddset", raw=True)[1:]
    assert np.array_equal(np.stack([image for image, _ in raw]), x[1:])


def test_torch_s_own_wrappers_take_it(ds: DistilledDataset) -> None:
    first, second = random_split(ds, [12, 6], torch.Generator().manual_seed(0))
    both = ConcatDataset([first, Subset(ds[2:], [0, 3])])
    images = torch.cat([x for x, _ in DataLoader(both, batch_size=5)])
    places = [*first.indices, 2, 5]
    assert torch.equal(images, torch.stack([ds[i][0] for i in places]))
    assert sorted([*first.indices, *second.indices]) == list(range(18))


def test_it_says_what_it_is(ds: DistilledDataset) -> None:
    assert repr(ds) == "DistilledDataset('digits', 18 images 1x8x8, 10 classes, podd)"
    assert repr(ds[:2]) == "DistilledDataset('digits', 2 images 1x8x8, 10 classes, podd)"


@pytest.mark.parametrize("index", [np.int64(2), np.uint8(2), torch.tensor(2)])
def test_integers_of_numpy_and_torch_are_indices(ds: DistilledDataset, index: int) -> None:
    assert torch.equal(ds[index][0], ds[2][0])


def test_several_items_are_the_same_items(ds: DistilledDataset) -> None:
    for (image, label), i in zip(ds.__getitems__([3, 17, 3]), [3, 17, 3], strict=True):
        assert torch.equal(image, ds[i][0])
        assert torch.equal(label, ds[i][1])


def test_an_item_is_no_view_of_the_poster(digits_file: Path) -> None:
    ds = load(digits_file)
    before = ds[1][0].clone()
    ds[0][0].fill_(9)
    assert torch.equal(ds[1][0], before)


def test_hard_labels_are_the_largest_share(digits_file: Path, ds: DistilledDataset) -> None:
    hard = load(digits_file, hard_labels=True)
    assert [int(hard[i][1]) for i in range(len(hard))] == ds.soft_labels.argmax(1).tolist()
    assert hard[0][1].dtype == torch.int64
    assert torch.equal(hard.soft_labels, ds.soft_labels)


def test_transforms_change_images_and_labels(digits_file: Path, ds: DistilledDataset) -> None:
    changed = load(digits_file, transform=torch.neg, target_transform=lambda y: int(y.argmax()))
    assert torch.equal(changed[4][0], -ds[4][0])
    assert changed[4][1] == int(ds[4][1].argmax())
    with pytest.raises(UsageError, match="DataLoader"):
        changed.batches(4)


def test_a_pickle_holds_the_same_data(ds: DistilledDataset) -> None:
    again = pickle.loads(pickle.dumps(ds))  # noqa: S301 (our own bytes)
    assert torch.equal(again[5][0], ds[5][0])
    assert torch.equal(again.soft_labels, ds.soft_labels)


@pytest.mark.parametrize(
    ("workers", "method"),
    [(0, None), (1, "forkserver"), pytest.param(2, "spawn", marks=pytest.mark.slow)],
)
def test_a_data_loader_gives_every_item_once(
    ds: DistilledDataset, workers: int, method: str | None
) -> None:
    loader = DataLoader(ds, batch_size=5, num_workers=workers, multiprocessing_context=method)
    images = torch.cat([image for image, _ in loader])
    labels = torch.cat([label for _, label in loader])
    assert torch.equal(images, torch.stack([ds[i][0] for i in range(len(ds))]))
    assert torch.equal(labels, ds.soft_labels)


def test_real_images_are_preprocessed_like_the_file_says(ds: DistilledDataset) -> None:
    spec = ds.manifest.image["preprocessing"]
    image = np.full((8, 8), 200, dtype=np.uint8)
    expected = np.float32((200 / 255 - spec["mean"][0]) / spec["std"][0])
    assert torch.equal(ds.preprocess(image), torch.full((1, 1, 8, 8), float(expected)))


def test_damage_is_refused_unless_checks_are_waived(digits_file: Path, tmp_path: Path) -> None:
    data = bytearray(digits_file.read_bytes())
    at = data.index(b"content_digest") + 20
    data[at : at + 1] = b"0" if data[at : at + 1] != b"0" else b"1"
    damaged = tmp_path / "damaged.ddset"
    damaged.write_bytes(data)
    with pytest.raises(InvalidFile, match="content digest"):
        load(damaged)
    assert torch.equal(load(damaged, check=False)[0][0], load(digits_file)[0][0])


def test_the_data_set_is_the_decoded_file(ds: DistilledDataset, digits_file: Path) -> None:
    assert ds.manifest == read(digits_file).manifest
    assert np.array_equal(ds.file.arrays["poster"], read(digits_file).arrays["poster"])


def test_raw_images_are_those_before_preprocessing(digits_file: Path, ds: DistilledDataset) -> None:
    raw = load(digits_file, raw=True)
    spec = ds.manifest.image["preprocessing"]
    expected = to_unit_range(ds[3][0].numpy(), spec)
    assert np.array_equal(raw[3][0].numpy(), expected)
    images, labels = next(iter(raw.batches(len(ds), shuffle=False)))
    assert np.array_equal(images[3].numpy(), expected)
    assert torch.equal(labels, ds.soft_labels)


def test_raw_images_of_stored_bytes_are_those_bytes(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 4), dtype=np.uint8)
    pack(x, np.arange(5) % 2, ("a", "b"), tmp_path / "a.ddset")
    raw = load(tmp_path / "a.ddset", raw=True)
    assert raw[0][0].dtype == torch.uint8
    assert np.array_equal(np.stack([image.numpy() for image, _ in raw]), x)
