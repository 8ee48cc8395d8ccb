"""The stream: every unit once, in one order, whoever takes it and wherever it was interrupted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from ddcodec import UsageError, load
from ddcodec.data.stream import SampleStream, left_over
from ddcodec.runtime.rng import epoch_order


class Numbers:
    """Samples whose images are their own index, so a test sees what it was given."""

    variations = 1
    shares = None

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def gather(self, index: torch.Tensor) -> torch.Tensor:
        return index


def pair(index: int) -> tuple[int, int]:
    return index, index


def stream(count: int, **settings: Any) -> SampleStream:
    samples: Any = Numbers(count)
    return SampleStream(samples, torch.arange(count), pair, "numbers", **settings)


class Shard:
    """One worker of one rank, driven by hand."""

    def __init__(self, source: SampleStream, worker: int, workers: int) -> None:
        self.source = source
        self.info = SimpleNamespace(id=worker, num_workers=workers) if workers else None

    def take(self, count: int | None, patch: pytest.MonkeyPatch) -> list[int]:
        """Give the next ``count`` units, or all that are left."""
        patch.setattr("ddcodec.data.stream.get_worker_info", lambda: self.info)
        found: list[int] = []
        units = iter(self.source)
        while count is None or len(found) < count:
            try:
                found.append(next(units)[0])
            except StopIteration:
                break
        return found


def shards(count: int, ranks: int, workers: int, **settings: Any) -> list[Shard]:
    return [
        Shard(stream(count, rank=rank, world_size=ranks, **settings), worker, workers)
        for worker in range(max(1, workers))
        for rank in range(ranks)
    ]


RANKS, WORKERS = st.sampled_from([1, 2, 3]), st.sampled_from([0, 1, 2, 3, 8])


@given(st.integers(1, 60), RANKS, WORKERS, RANKS, WORKERS, st.integers(0, 5), st.data())
def test_every_sample_once_over_an_interruption(
    count: int,
    ranks: int,
    workers: int,
    ranks2: int,
    workers2: int,
    epoch: int,
    data: st.DataObject,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        given_before, states = [], []
        for shard in shards(count, ranks, workers, seed=3):
            shard.source.set_epoch(epoch)
            stop = data.draw(st.integers(0, count // max(1, ranks * workers) + 2))
            given_before += shard.take(stop, patch)
            states.append(json.loads(json.dumps(shard.source.state_dict())))
        given_after = []
        for shard in shards(count, ranks2, workers2, seed=3):
            shard.source.load_state_dict(states)
            assert shard.source.epoch == epoch
            given_after.append(shard.take(None, patch))
    rest = [unit for part in given_after for unit in part]
    assert sorted(given_before + rest) == list(range(count))
    # What is left comes in the order of the epoch, dealt like cards.
    order = [i for i in epoch_order(count, 3, epoch).tolist() if i not in set(given_before)]
    total = ranks2 * max(1, workers2)
    assert given_after == [order[shard::total] for shard in range(total)]


@given(st.integers(1, 40), RANKS, WORKERS, st.integers(0, 12))
def test_each_shard_goes_on_with_its_own_state(
    count: int, ranks: int, workers: int, stop: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for before, after, whole in zip(
            *(shards(count, ranks, workers) for _ in range(3)), strict=True
        ):
            head = before.take(stop, patch)
            after.source.load_state_dict(before.source.state_dict())
            assert head + after.take(None, patch) == whole.take(None, patch)


@given(st.integers(1, 30), RANKS, RANKS, RANKS, st.data())
def test_two_interruptions_add_up(
    count: int, first: int, second: int, third: int, data: st.DataObject
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        seen: list[int] = []
        states: list[Any] = []
        for ranks in (first, second, third):
            current = shards(count, ranks, 0)
            for shard in current:
                if states:
                    shard.source.load_state_dict(states)
                last = ranks is third and states and len(states[0]["layers"]) == 1
                stop = None if last else data.draw(st.integers(0, 6))
                seen += shard.take(stop, patch)
            states = [shard.source.state_dict() for shard in current]
        for shard in shards(count, 1, 0):
            shard.source.load_state_dict(states)
            seen += shard.take(None, patch)
    assert sorted(set(seen)) == list(range(count))


def test_batches_come_in_one_order_for_any_number_of_workers(digits_file: Path) -> None:
    ds = load(digits_file)
    expected = list(ds.stream(seed=5, batch_size=4))
    assert len(expected) == len(ds.stream(seed=5, batch_size=4)) == 5
    assert torch.equal(
        torch.cat([x for x, _ in expected]),
        torch.cat([x for x, _ in ds.batches(4, seed=5, epoch=0)]),
    )
    for workers in (1, 2):
        loader = DataLoader(ds.stream(seed=5, batch_size=4), batch_size=None, num_workers=workers)
        for (x, y), (a, b) in zip(loader, expected, strict=True):
            assert torch.equal(x, a)
            assert torch.equal(y, b)


def test_a_new_epoch_reaches_persistent_workers(digits_file: Path) -> None:
    ds = load(digits_file)
    stream = ds.stream(seed=1, batch_size=18)
    loader = DataLoader(
        stream,
        batch_size=None,
        num_workers=1,
        persistent_workers=True,
        multiprocessing_context="spawn",
    )
    for epoch in (0, 1, 0):
        stream.set_epoch(epoch)
        ((images, _),) = loader
        expected = next(iter(ds.batches(18, seed=1, epoch=epoch)))[0]
        assert torch.equal(images, expected)


@pytest.mark.filterwarnings("ignore:.set_vital. is deprecated")
@pytest.mark.parametrize("workers", [0, 2])
def test_a_stateful_data_loader_resumes_to_the_next_sample(digits_file: Path, workers: int) -> None:
    def loader() -> StatefulDataLoader:
        return StatefulDataLoader(
            load(digits_file).stream(seed=2), batch_size=3, num_workers=workers
        )

    whole = [x for x, _ in loader()]
    first = loader()
    steps: Iterator[Any] = iter(first)
    head = [next(steps)[0] for _ in range(2)]
    state = first.state_dict()
    del steps
    second = loader()
    second.load_state_dict(state)
    found = head + [x for x, _ in second]
    assert len(found) == len(whole)
    assert all(torch.equal(a, b) for a, b in zip(found, whole, strict=True))


@pytest.mark.parametrize(("count", "world"), [(10, 3), (2, 3), (9, 3), (1, 2)])
def test_even_ranks_give_as_many_units(count: int, world: int) -> None:
    parts = [list(stream(count, rank=r, world_size=world, even=True)) for r in range(world)]
    assert {len(part) for part in parts} == {count // world}
    assert all(
        len(stream(count, rank=r, world_size=world, even=True)) == count // world
        for r in range(world)
    )
    uneven = [list(stream(count, rank=r, world_size=world)) for r in range(world)]
    assert sum(map(len, uneven)) == count


def test_the_end_of_an_epoch_is_a_state_too(digits_file: Path) -> None:
    ds = load(digits_file)
    stream = ds.stream()
    assert len(list(stream)) == len(ds)
    again = ds.stream()
    again.load_state_dict(stream.state_dict())
    assert list(again) == []
    assert len(list(again)) == len(ds)  # the next iteration begins anew


def test_transforms_apply_to_samples(digits_file: Path) -> None:
    changed = load(digits_file, target_transform=lambda y: int(y.argmax()))
    labels = [y for _, y in changed.stream(shuffle=False)]
    assert labels == load(digits_file).soft_labels.argmax(1).tolist()
    with pytest.raises(UsageError, match="leave `batch_size` out"):
        changed.stream(batch_size=3)


def test_what_cannot_go_on_is_named() -> None:
    state = stream(9, seed=1).state_dict()
    with pytest.raises(UsageError, match="with seed 1, this stream has 2"):
        stream(9, seed=2).load_state_dict(state)
    with pytest.raises(UsageError, match="with batch_size None"):
        stream(9, seed=1, batch_size=2).load_state_dict(state)
    with pytest.raises(UsageError, match="no state"):
        stream(9).load_state_dict([])
    parts = [stream(9, rank=r, world_size=3).state_dict() for r in range(3)]
    with pytest.raises(UsageError, match=r"shards \[2\] of 3 are missing"):
        stream(9).load_state_dict(parts[:2])
    later = stream(9, rank=1, world_size=3)
    later.set_epoch(4)
    with pytest.raises(UsageError, match="different epochs"):
        stream(9).load_state_dict([parts[0], later.state_dict(), parts[2]])
    alone = stream(9)
    alone.load_state_dict(parts[1])
    with pytest.raises(UsageError, match="shard 1 of 3, this is shard 0 of 1"):
        list(alone)


@pytest.mark.parametrize(
    "settings",
    [
        {"seed": -1},
        {"batch_size": 0},
        {"rank": 1},
        {"rank": 2, "world_size": 2},
        {"rank": -1, "world_size": 2},
    ],
)
def test_numbers_out_of_range_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        stream(9, **settings)
    with pytest.raises(UsageError, match="0 or more"):
        stream(9).set_epoch(-1)


def test_torchrun_says_which_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert [i for i, _ in stream(5, shuffle=False)] == [1, 3]


def test_what_is_left_over_layers() -> None:
    assert left_over(7, []).tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert left_over(7, [[2, 1]]).tolist() == [3, 4, 5, 6]
    assert left_over(7, [[2, 1], [1, 1, 0]]).tolist() == [5, 6]
