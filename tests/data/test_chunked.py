"""Files larger than memory: every image once, wherever an epoch is cut and dealt anew."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from ddcodec import InvalidFile, Unsupported, UsageError, load, pack
from ddcodec.data import chunked as module
from ddcodec.data.chunked import ChunkedDataset
from ddcodec.data.windows import Windows, after, left_over

COUNT = 101
STANDARD = {"kind": "standardise", "mean": [0.5], "std": [0.25]}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """101 images that hold their own number, in chunks of 7."""
    images = np.arange(COUNT, dtype=np.uint8).reshape(-1, 1, 1, 1) * np.ones((1, 1, 2, 3), np.uint8)
    out = tmp_path_factory.mktemp("packed") / "numbers.ddset"
    pack(images, np.arange(COUNT) % 5, list("abcde"), out, chunk=7, preprocessing=STANDARD)
    return out


def numbers(batches: Any) -> list[list[int]]:
    return [images[:, 0, 0, 0].tolist() for images, _ in batches]


def flat(batches: list[list[int]]) -> list[int]:
    return [number for batch in batches for number in batch]


@given(
    st.integers(1, 60), st.integers(1, 9), st.integers(1, 20), st.integers(1, 4),
    st.booleans(), st.booleans(), st.integers(0, 99),
)  # fmt: skip
def test_windows_hold_every_row_once(
    count: int, chunk: int, size: int, buffer: int, drop: bool, shuffle: bool, seed: int
) -> None:
    chunk = min(chunk, count)
    plan = Windows(count, chunk, size, buffer, drop)
    order = plan.chunk_order(seed, 0, shuffle)
    found = []
    batches = plan.batches()
    for window, expected in enumerate(batches):
        rows = [c * chunk + r for c, a, b in plan.parts(window, order) for r in range(a, b)]
        assert -(-len(rows) // size) == expected
        assert len(rows) % size == 0 or (window == len(batches) - 1 and not drop)
        found += rows
    row = [c * chunk + r for c in order for r in range(min(chunk, count - c * chunk))]
    assert found == row[: plan.used]


@given(st.data(), st.integers(1, 200), st.integers(1, 8))
def test_layers_of_any_shards_leave_what_was_not_given(
    data: st.DataObject, count: int, size: int
) -> None:
    plan = Windows(count, 3, size, 2, False)
    given_already: set[tuple[int, int]] = set()
    layers: list[list[int]] = []
    for _ in range(data.draw(st.integers(0, 3))):
        left = left_over(plan, layers)
        shards = data.draw(st.integers(1, 9))
        layer = []
        for shard in range(shards):
            mine = [(w, b) for w, begin, end in left[shard::shards] for b in range(begin, end)]
            taken = data.draw(st.integers(0, len(mine)))
            assert not given_already & set(mine[:taken])
            given_already |= set(mine[:taken])
            layer.append(taken)
            rest = [(w, b) for w, x, y in after(left[shard::shards], taken) for b in range(x, y)]
            assert rest == mine[taken:]
        layers.append(layer)
    every = {(w, b) for w, n in enumerate(plan.batches()) for b in range(n)}
    still = [(w, b) for w, begin, end in left_over(plan, layers) for b in range(begin, end)]
    assert sorted(still) == sorted(every - given_already)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("buffer", [1, 4, 100])
def test_an_epoch_holds_every_image_once(path: Path, threads: int, buffer: int) -> None:
    stream = ChunkedDataset(path, 8, raw=True, threads=threads, buffer=buffer, seed=2)
    first = numbers(stream)
    assert [len(batch) for batch in first] == [8] * 12 + [5]
    assert len(stream) == 13
    assert sorted(flat(first)) == list(range(COUNT))
    assert flat(first) != list(range(COUNT))
    assert numbers(stream) == first
    stream.set_epoch(1)
    assert numbers(stream) != first
    stream.set_epoch(0)
    assert numbers(stream) == first
    assert numbers(ChunkedDataset(path, 8, raw=True, threads=2, buffer=buffer, seed=2)) == first


def test_without_shuffling_the_order_is_that_of_the_file(path: Path) -> None:
    assert flat(numbers(ChunkedDataset(path, 9, raw=True, shuffle=False))) == list(range(COUNT))
    dropped = ChunkedDataset(path, 9, raw=True, shuffle=False, drop_last=True)
    assert flat(numbers(dropped)) == list(range(99))


def test_batches_are_those_of_the_whole_file_in_memory(path: Path) -> None:
    ds = load(path)
    streamed = ChunkedDataset(path, 10, shuffle=False)
    for ours, theirs in zip(streamed, ds.batches(10, shuffle=False), strict=True):
        assert torch.equal(ours[0], theirs[0])
        assert torch.equal(ours[1], theirs[1])
    hard = ChunkedDataset(path, COUNT, shuffle=False, hard_labels=True)
    assert next(iter(hard))[1].tolist() == [i % 5 for i in range(COUNT)]


def deal(path: Path, ranks: int, workers: int, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return one stream a shard, and set which worker each believes to be."""
    streams = []
    for rank in range(ranks):
        for worker in range(max(1, workers)):
            stream = ChunkedDataset(
                path, 4, raw=True, buffer=1, threads=1, seed=5, rank=rank, world_size=ranks
            )
            info = SimpleNamespace(id=worker, num_workers=workers) if workers else None
            streams.append((stream, info))
    return streams


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([1, 2, 3]), st.sampled_from([0, 1, 2, 3, 8]),
    st.sampled_from([1, 2, 3]), st.sampled_from([0, 1, 2, 3, 8]), st.data(),
)  # fmt: skip
def test_every_image_once_over_an_interruption(
    path: Path, ranks: int, workers: int, later_ranks: int, later_workers: int, data: st.DataObject
) -> None:
    seen: list[list[int]] = []
    states = []
    with pytest.MonkeyPatch.context() as patch:
        for stream, info in deal(path, ranks, workers, patch):
            patch.setattr("ddcodec.data.stream.get_worker_info", lambda info=info: info)
            given_batches = iter(stream)
            for _ in range(data.draw(st.integers(0, 5))):
                batch = next(given_batches, None)
                if batch is not None:
                    seen += numbers([batch])
            states.append(json.loads(json.dumps(stream.state_dict())))
        for stream, info in deal(path, later_ranks, later_workers, patch):
            patch.setattr("ddcodec.data.stream.get_worker_info", lambda info=info: info)
            stream.load_state_dict(states)
            seen += numbers(stream)
    assert sorted(flat(seen)) == list(range(COUNT))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_data_loader_gives_every_image_once(path: Path, workers: int) -> None:
    stream = ChunkedDataset(path, 8, raw=True, buffer=1)
    loader = DataLoader(stream, batch_size=None, num_workers=workers, persistent_workers=True)
    first = flat(numbers(loader))
    assert sorted(first) == list(range(COUNT))
    stream.set_epoch(1)
    second = flat(numbers(loader))
    assert sorted(second) == list(range(COUNT))
    assert second != first


@pytest.mark.filterwarnings("ignore:.set_vital. is deprecated")
def test_a_stateful_loader_goes_on_where_it_was(path: Path) -> None:
    def loader() -> Any:
        return StatefulDataLoader(
            ChunkedDataset(path, 8, raw=True, buffer=1), batch_size=None, num_workers=2
        )

    whole = numbers(loader())
    begun = loader()
    rest = iter(begun)
    first = numbers([next(rest) for _ in range(5)])
    state = begun.state_dict()
    again = loader()
    again.load_state_dict(state)
    assert first + numbers(again) == whole


def test_memory_holds_the_buffer_and_not_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, made = [], []
    read, room = module.ChunkReader.read, module._room
    monkeypatch.setattr(
        module.ChunkReader,
        "read",
        lambda self, name, i: asked.append((name, i)) or read(self, name, i),
    )
    monkeypatch.setattr(
        module, "_room", lambda pair, count: made.append(count) or room(pair, count)
    )
    stream = iter(ChunkedDataset(path, 7, buffer=2, threads=1, raw=True))
    next(stream)
    assert made == [14]
    assert len(asked) <= 2 * (2 + 1 + 1)  # images and labels: window, one ahead, one border
    assert sum(1 for _ in stream) == -(-COUNT // 7) - 1
    assert max(made) == 14


def test_damage_is_found_when_the_chunk_is_read(path: Path, tmp_path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    damaged = tmp_path / "damaged.ddset"
    damaged.write_bytes(data)
    stream = ChunkedDataset(damaged, 8, shuffle=False, buffer=1)
    with pytest.raises(InvalidFile):
        list(stream)


def test_a_stream_can_be_sent_to_another_process(path: Path) -> None:
    stream = ChunkedDataset(path, 8, raw=True)
    assert numbers(pickle.loads(pickle.dumps(stream))) == numbers(stream)  # noqa: S301 (our own)


def test_what_cannot_be_streamed_is_named(path: Path, digits_file: Path) -> None:
    with pytest.raises(Unsupported, match="podd"):
        ChunkedDataset(digits_file, 4)
    for words in ({"batch_size": 0}, {"buffer": 0}, {"threads": 0}, {"seed": -1}):
        with pytest.raises(UsageError, match=next(iter(words))):
            ChunkedDataset(path, **{"batch_size": 4, **words})
    state = ChunkedDataset(path, 4, seed=1).state_dict()
    with pytest.raises(UsageError, match="seed"):
        ChunkedDataset(path, 4).load_state_dict(state)


def test_a_state_taken_right_after_loading_is_the_one_loaded(path: Path) -> None:
    first = ChunkedDataset(path, 8, raw=True, seed=1, buffer=1)
    begun = iter(first)
    seen = numbers([next(begun) for _ in range(6)])
    used = ChunkedDataset(path, 8, raw=True, seed=1, buffer=1)
    next(iter(used))
    used.load_state_dict([first.state_dict()])
    again = ChunkedDataset(path, 8, raw=True, seed=1, buffer=1)
    again.load_state_dict([used.state_dict()])
    assert sorted(flat(seen + numbers(again))) == list(range(COUNT))


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_more_workers_than_windows_end_the_epoch(path: Path) -> None:
    stream = ChunkedDataset(path, 50, raw=True, buffer=100)  # one window
    loader = DataLoader(stream, batch_size=None, num_workers=4)
    assert sorted(flat(numbers(loader))) == list(range(COUNT))
