"""Batches in an order that is a pure function of (seed, epoch), and a DataLoader's own."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import ConcatDataset, DataLoader, Subset, default_collate

from ddcodec import DistilledDataset, UsageError, load, pack
from ddcodec.codecs.samples import FEW, Rows
from ddcodec.codecs.shared.reading import Reading
from ddcodec.data.batches import Block, Sample
from ddcodec.runtime.rng import epoch_order

IMAGES = torch.arange(24.0).view(4, 1, 2, 3)
LABELS = torch.eye(4)


@pytest.fixture(scope="module")
def ds(digits_file: Path) -> DistilledDataset:
    return load(digits_file)


@given(st.integers(1, 300), st.integers(0, 2**40), st.integers(0, 10**6))
def test_an_order_is_a_permutation_and_the_same_again(count: int, seed: int, epoch: int) -> None:
    order = epoch_order(count, seed, epoch)
    assert sorted(order.tolist()) == list(range(count))
    state = torch.random.get_rng_state()
    torch.manual_seed(1)
    assert torch.equal(order, epoch_order(count, seed, epoch))
    torch.random.set_rng_state(state)


def test_orders_are_for_ever() -> None:
    assert epoch_order(10, 1, 2).tolist() == [7, 0, 6, 5, 3, 4, 8, 2, 1, 9]
    assert epoch_order(10, 1, 2, (0.3, 0.7)).tolist() == [3, 8, 5, 2, 9, 6, 9, 5, 7, 4]
    assert epoch_order(10, 1, 2, variations=2).tolist() == [2, 3, 4, 1, 0]


def test_orders_drawn_by_turns_and_in_threads_are_the_same() -> None:
    wanted = {(n, e): epoch_order(n, 0, e).tolist() for n in (3, 50) for e in range(20)}
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda at: epoch_order(at[0], 0, at[1]).tolist(), wanted)
        assert dict(zip(wanted, found, strict=True)) == wanted
    with torch.inference_mode():
        assert epoch_order(7, 0, 0).tolist() == epoch_order(7, 0, 0).tolist()
    assert sorted(epoch_order(7, 0, 1).tolist()) == list(range(7))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("values", [1, 64, FEW])
def test_rows_are_those_at_the_index_however_many(values: int, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        held = torch.arange(5.0 * values).view(5, values)
        rows, order = Rows(held), np.array([4, 0, 0, 2])
        found = rows.take(rows.index(order))
        assert torch.equal(found, held[torch.from_numpy(order)])
        found.zero_()
        assert torch.equal(rows.tensor, torch.arange(5.0 * values).view(5, values))
    finally:
        torch.set_num_threads(before)


def test_stored_bytes_are_preprocessed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 3, 4, 4), dtype=np.uint8)
    pack(pixels, np.arange(9) % 2, ("a", "b"), tmp_path / "a.ddset")
    ds, calls = load(tmp_path / "a.ddset"), []
    ready = Reading.ready
    monkeypatch.setattr(Reading, "ready", lambda self, x: calls.append(len(x)) or ready(self, x))
    batches = list(ds.batches(2, shuffle=False))
    assert calls == [9]
    assert torch.equal(torch.cat([x for x, _ in batches]), ds.preprocess(torch.from_numpy(pixels)))


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {tuple(epoch_order(50, s, e).tolist()) for s in range(3) for e in range(3)}
    assert len(orders) == 9


@pytest.mark.parametrize("batch_size", [1, 4, 18, 100])
@pytest.mark.parametrize("drop_last", [False, True])
def test_batches_hold_every_item_once(
    ds: DistilledDataset, batch_size: int, drop_last: bool
) -> None:
    batches = ds.batches(batch_size, seed=3, epoch=2, drop_last=drop_last)
    found = list(batches)
    assert len(found) == len(batches)
    order = epoch_order(len(ds), 3, 2).tolist()
    used = len(ds) - len(ds) % batch_size if drop_last else len(ds)
    assert sum(len(x) for x, _ in found) == used
    items = [(x, y) for images, labels in found for x, y in zip(images, labels, strict=True)]
    for (x, y), i in zip(items, order, strict=False):
        assert torch.equal(x, ds[i][0])
        assert torch.equal(y, ds[i][1])
    again = list(batches)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(found, again, strict=True))


def test_without_shuffling_the_order_is_that_of_the_file(ds: DistilledDataset) -> None:
    (images, labels), *rest = ds.batches(100, shuffle=False)
    assert rest == []
    assert torch.equal(images, torch.stack([ds[i][0] for i in range(len(ds))]))
    assert torch.equal(labels, ds.soft_labels)


def test_hard_labels_come_in_batches_too(digits_file: Path) -> None:
    _, labels = next(iter(load(digits_file, hard_labels=True).batches(6)))
    assert (labels.dtype, tuple(labels.shape)) == (torch.int64, (6,))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 4, "seed": -1}, "seed"),
        ({"batch_size": 4, "epoch": -1}, "epoch"),
    ],
)
def test_arguments_out_of_range_are_named(
    ds: DistilledDataset, arguments: dict[str, int], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        ds.batches(**arguments)


def test_augmented_batches_are_reproducible_and_keep_labels(ds: DistilledDataset) -> None:
    plain = list(ds.batches(7, seed=1))
    flipped = list(ds.batches(7, seed=1, augment="flip_rotate"))
    again = list(ds.batches(7, seed=1, augment="flip_rotate"))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(flipped, again, strict=True))
    assert all(torch.equal(a[1], b[1]) for a, b in zip(plain, flipped, strict=True))
    assert any(not torch.equal(a[0], b[0]) for a, b in zip(plain, flipped, strict=True))
    other = next(iter(ds.batches(18, shuffle=False, epoch=1, augment="flip_rotate")))
    assert not torch.equal(
        other[0], next(iter(ds.batches(18, shuffle=False, augment="flip_rotate")))[0]
    )


def test_an_augmentation_may_be_a_function_or_that_of_the_recipe(ds: DistilledDataset) -> None:
    plain = next(iter(ds.batches(5)))[0]
    negative = next(iter(ds.batches(5, augment=lambda x, random: -x)))[0]
    assert torch.equal(negative, -plain)
    assert ds.manifest.recipe["augment"] == "none"
    assert torch.equal(next(iter(ds.batches(5, augment="recipe")))[0], plain)
    with pytest.raises(UsageError, match="'sharpen' is unknown"):
        ds.batches(5, augment="sharpen")


def test_infinite_batches_are_the_epochs_one_after_the_other(ds: DistilledDataset) -> None:
    endless = ds.batches(7, seed=4, epoch=2, infinite=True)
    with pytest.raises(TypeError, match="no length"):
        len(endless)
    expected = [batch for epoch in (2, 3, 4) for batch in ds.batches(7, seed=4, epoch=epoch)]
    for (x, y), (a, b) in zip(endless, expected, strict=False):
        assert torch.equal(x, a)
        assert torch.equal(y, b)
    with pytest.raises(UsageError, match="leaves no batch"):
        next(iter(ds.batches(100, drop_last=True, infinite=True)))


def test_a_compiled_step_takes_every_full_batch_in_one_graph(ds: DistilledDataset) -> None:
    graphs = []

    def backend(graph: torch.fx.GraphModule, inputs: object) -> object:
        del inputs
        graphs.append(graph)
        return graph.forward

    step = torch.compile(lambda x, y: x.sum() + y.sum(), backend=backend, fullgraph=True)
    found = [step(x, y) for x, y in ds.batches(6, drop_last=True)]
    assert len(found) == 3
    assert len(graphs) == 1
    torch.compiler.reset()


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [0, 2, 8])
def test_a_data_loader_gives_the_same_batches_for_any_number_of_workers(
    ds: DistilledDataset, workers: int
) -> None:
    loader = torch.utils.data.DataLoader(
        ds, batch_size=4, num_workers=workers, persistent_workers=workers > 0
    )
    expected = list(ds.batches(4, shuffle=False))
    for _ in range(2):
        for (x, y), (images, labels) in zip(loader, expected, strict=True):
            assert torch.equal(x, images)
            assert torch.equal(y, labels)


@pytest.mark.parametrize("device", ["tpu", "cuda:99", "the moon"])
def test_a_device_that_is_not_there_is_named(ds: DistilledDataset, device: str) -> None:
    with pytest.raises(UsageError, match=f"device '{device}' is not there"):
        next(iter(ds.batches(4, device=device)))


def test_a_block_is_a_list_of_pairs() -> None:
    block = Block(IMAGES, LABELS)
    assert isinstance(block, list)
    assert isinstance(block[0], tuple)
    assert len(block) == len(list(block)) == 4
    for i, (image, label) in enumerate(block):
        assert torch.equal(image, IMAGES[i])
        assert torch.equal(label, LABELS[i])
        assert torch.equal(block[i].image, image)
    assert torch.equal(block[-1].label, LABELS[3])
    again = pickle.loads(pickle.dumps(block))  # noqa: S301 (our own bytes)
    assert torch.equal(again.images, IMAGES)
    assert torch.equal(again[2].label, LABELS[2])
    with pytest.raises(IndexError):
        block[4]


def test_collation_gives_the_tensors_of_the_block_themselves() -> None:
    images, labels = default_collate(Block(IMAGES, LABELS))
    assert images is IMAGES
    assert labels is LABELS


def test_a_block_that_was_changed_is_collated_as_it_is_now() -> None:
    block = Block(IMAGES, LABELS)
    block.reverse()
    block.pop()
    images, labels = default_collate(block)
    assert torch.equal(images, IMAGES.flip(0)[:3])
    assert torch.equal(labels, LABELS.flip(0)[:3])
    assert len(pickle.loads(pickle.dumps(block))) == 3  # noqa: S301 (our own bytes)


def test_a_collate_fn_gets_a_list_of_tuples(ds: DistilledDataset) -> None:
    seen: list[object] = []
    for batch in DataLoader(ds, batch_size=5, collate_fn=lambda batch: seen.append(batch) or batch):
        images, labels = zip(*batch, strict=True)
        assert all(image.shape == (1, 8, 8) for image in images)
        assert all(label.shape == (10,) for label in labels)
    assert [type(x).__mro__[1] for x in seen] == [list] * 4


def test_single_samples_are_stacked_as_tuples_are() -> None:
    samples = [Sample(IMAGES[i], LABELS[i]) for i in (2, 0)]
    found = default_collate(samples)
    expected = default_collate([tuple(sample) for sample in samples])
    assert type(found) is type(expected) is list
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_wrapped_data_sets_give_the_same_batches(digits_file: Path) -> None:
    ds = load(digits_file)
    for wrapped in (Subset(ds, range(18)), ConcatDataset([ds, ds])):
        images, labels = next(iter(DataLoader(wrapped, batch_size=18)))
        assert torch.equal(images, torch.stack([image for image, _ in ds]))
        assert torch.equal(labels, ds.soft_labels)


def test_changing_a_batch_leaves_the_data_set_as_it_was(digits_file: Path) -> None:
    ds = load(digits_file)
    first, labels = next(iter(DataLoader(ds, batch_size=18)))
    images = first.clone()
    first.zero_()
    labels.zero_()
    again, labels = next(iter(DataLoader(ds, batch_size=18)))
    assert torch.equal(again, images)
    assert torch.equal(labels, ds.soft_labels)
    assert float(ds.soft_labels.sum()) == pytest.approx(18)
