"""Decoding side by side: a small file in memory, opening it, and a file of 60,000 images.

    python tests/bench/bench_decode.py [--images 60000] [--seconds 1.0]

Small sets show what a batch costs besides its gather. Everything runs in one process on the same
decoded images, each contender for at least ``--seconds``, the best of three rounds. Libraries that
are not installed are left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import multiprocessing
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zstandard
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset

from ddcodec import ChunkedDataset, DistilledDataset, encode, load, pack
from ddcodec.format import ChunkReader
from ddcodec.nn.workarounds import make_torchvision_importable
from ddcodec.sources import Source, Split

BATCH = 256
CLASSES = tuple(f"class {i:02d}" for i in range(100))
ROUNDS = 3
READ = """
import sys
from ddcodec.format import ChunkReader
with ChunkReader(sys.argv[1]) as reader:
    for i in range(reader.chunks("images")):
        reader.read("images", i)
lines = open("/proc/self/status").read().splitlines()
print(next(int(line.split()[1]) * 1024 // 10**6 for line in lines if "VmHWM" in line))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=60_000, help="in the chunked file")
    parser.add_argument("--seconds", type=float, default=1.0, help="a contender and round")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    make_torchvision_importable()  # torchvision, which mosaicml-streaming imports
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} torch threads; "
        f"torch {torch.__version__}, numpy {np.__version__}, zstandard {zstandard.__version__}"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "small.ddset"
        encode(noise_source(), ipc=0.4, out=path, steps=1)
        batches(load(path), folder, args.seconds)
        small_sets(folder, args.seconds)
        opening(path, folder, args.seconds)
        chunks(folder, args.images)


def noise_source() -> Source:
    """A source with the shape of CIFAR-100: its 0.4-IPC file has 202x202 pixels, 400 patches."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (200, 32, 32, 3), dtype=np.uint8)
    split = Split(images, np.arange(200) % 100)
    return Source("noise", CLASSES, {"train": lambda: split})


def batches(ds: DistilledDataset, folder: Path, seconds: float) -> None:
    """Images a second, labels with them, shuffled anew each epoch."""
    patches = len(ds)
    images = torch.stack([image for image, _ in ds])
    labels = ds.soft_labels.clone()
    torch.save((images, labels), folder / "small.pt")
    saved, saved_labels = torch.load(folder / "small.pt")
    target = torch.empty_like(images[:BATCH])
    tensors = TensorDataset(images, labels)

    def index_select() -> Iterator[Any]:
        order = torch.randperm(patches)
        for start in range(0, patches, BATCH):
            index = order[start : start + BATCH]
            yield images.index_select(0, index), labels.index_select(0, index)

    def slicing() -> Iterator[Any]:
        order = torch.randperm(patches)
        shuffled, targets = saved[order], saved_labels[order]
        for start in range(0, patches, BATCH):
            yield shuffled[start : start + BATCH], targets[start : start + BATCH]

    def memcpy() -> Iterator[int]:
        for start in range(0, patches, BATCH):
            part = images[start : start + BATCH]
            target[: len(part)].copy_(part)
            yield len(part)

    epoch = count()
    contenders: dict[str, Callable[[], Iterable[Any]]] = {
        "index_select on all patches": index_select,
        "memcpy": memcpy,
        "ddcodec batches(256)": lambda: ds.batches(BATCH, epoch=next(epoch)),
        "torch.load, permuted, sliced": slicing,
        "ddcodec DataLoader(ds)": lambda: DataLoader(ds, batch_size=BATCH, shuffle=True),
        "DataLoader(TensorDataset)": lambda: DataLoader(tensors, batch_size=BATCH, shuffle=True),
        "the same, its default batch of 1": lambda: DataLoader(tensors, shuffle=True),
        **others(images, labels, folder),
    }
    title = f"{patches} patches of {tuple(images.shape[1:])}, batches of {BATCH}: images/s"
    table(title, contenders, "index_select on all patches", seconds)  # fmt: skip


def small_sets(folder: Path, seconds: float) -> None:
    """Batches of 18, 190 and 400 patches: an epoch after the other, and all without end."""
    random = np.random.default_rng(0)
    for patches, shape in ((18, (1, 8, 8)), (190, (1, 28, 28)), (400, (3, 32, 32))):
        pixels = random.normal(size=(patches, *shape)).astype(np.float32)
        path = folder / f"{patches}.ddset"
        pack(pixels, random.integers(0, 10, patches), CLASSES[:10], path)
        epochs_of(load(path), torch.from_numpy(pixels), seconds)


def epochs_of(ds: DistilledDataset, images: torch.Tensor, seconds: float) -> None:
    labels, epoch = ds.soft_labels.clone(), count()
    endless = iter(ds.batches(BATCH, infinite=True))

    def index_select() -> Iterator[Any]:
        for part in torch.randperm(len(images)).split(BATCH):
            yield images.index_select(0, part), labels.index_select(0, part)

    def repeated(epochs: Callable[[], Iterable[Any]]) -> Callable[[], Iterator[Any]]:
        # Looking at the clock takes a tenth of an epoch of so few images.
        return lambda: chain.from_iterable(epochs() for _ in range(20))

    contenders = {
        "index_select": index_select,
        "batches": lambda: ds.batches(BATCH, epoch=next(epoch)),
        "batches without end": lambda: islice(endless, -(-len(images) // BATCH)),
    }
    speed = speeds({name: repeated(epochs) for name, epochs in contenders.items()}, seconds)
    print(f"\n{len(images)} patches of {tuple(images.shape[1:])}, batches of {BATCH}: images/s")
    for name, value in speed.items():
        print(f"{name:34} {value:12,.0f} {value / speed['index_select']:9.2f}")


def others(images: torch.Tensor, labels: torch.Tensor, folder: Path) -> dict[str, Any]:
    """The same float32 images in other formats, read back as their documentation says."""
    found: dict[str, Any] = {}
    if importlib.util.find_spec("webdataset"):
        import webdataset as wds

        with wds.TarWriter(str(folder / "small.tar")) as tar:
            for i, (image, label) in enumerate(zip(images, labels, strict=True)):
                tar.write({"__key__": f"{i:06d}", "x.npy": image.numpy(), "y.npy": label.numpy()})
        shards = str(folder / "small.tar")
        found[f"webdataset {wds.__version__}"] = lambda: (
            wds.WebDataset(shards, shardshuffle=False)
            .shuffle(len(images))
            .decode()
            .to_tuple("x.npy", "y.npy")
            .batched(BATCH)
        )
    if importlib.util.find_spec("streaming"):
        import streaming

        columns = {"x": "ndarray:float32:3,32,32", "y": "ndarray:float32:100"}
        with streaming.MDSWriter(out=str(folder / "mds"), columns=columns) as out:
            for image, label in zip(images, labels, strict=True):
                out.write({"x": image.numpy(), "y": label.numpy()})
        mds = streaming.StreamingDataset(local=str(folder / "mds"), shuffle=True, batch_size=BATCH)
        found[f"mosaicml-streaming {streaming.__version__}"] = lambda: DataLoader(
            mds, batch_size=BATCH
        )
    if importlib.util.find_spec("datasets"):
        import datasets

        datasets.disable_progress_bars()
        features = datasets.Features(
            {
                "x": datasets.Array3D(tuple(images.shape[1:]), "float32"),
                "y": datasets.List(datasets.Value("float32")),
            }
        )
        rows = {"x": images.numpy(), "y": labels.numpy()}
        hub = datasets.Dataset.from_dict(rows, features=features).with_format("torch")
        found[f"datasets {datasets.__version__}"] = lambda: DataLoader(
            hub, batch_size=BATCH, shuffle=True
        )
    return found


def table(
    title: str, contenders: dict[str, Callable[[], Iterable[Any]]], base: str, seconds: float
) -> None:
    speed = speeds(contenders, seconds)
    print(f"\n{title}\n{'':34} {'images/s':>12} {'of limit':>9} {'x DataLoader':>13}")
    for name, value in speed.items():
        loader = value / speed["DataLoader(TensorDataset)"]
        print(f"{name:34} {value:12,.0f} {value / speed[base]:9.2f} {loader:13.1f}")


def speeds(contenders: dict[str, Callable[[], Iterable[Any]]], seconds: float) -> dict[str, float]:
    speed = dict.fromkeys(contenders, 0.0)
    for _ in range(ROUNDS):  # in turns, so that a busy moment does not fall on one alone
        for name, epochs in contenders.items():
            speed[name] = max(speed[name], rate(epochs, seconds))
    return speed


def rate(epochs: Callable[[], Iterable[Any]], seconds: float) -> float:
    seen, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for batch in epochs():
            seen += size_of(batch)
    return seen / (time.perf_counter() - start)


def size_of(batch: Any) -> int:
    if isinstance(batch, int):
        return batch
    first = batch["x"] if isinstance(batch, dict) else batch[0]
    return len(first)


def opening(path: Path, folder: Path, seconds: float) -> None:
    """Open and decode the small file, all digests checked, against numpy's own archive."""
    ds = load(path)
    images = torch.stack([image for image, _ in ds]).numpy()
    np.savez(folder / "arrays.npz", **ds.file.arrays)
    np.savez(folder / "patches.npz", images=images, labels=ds.soft_labels.numpy())

    def read(name: str) -> None:
        with np.load(folder / name) as data:
            [data[key] for key in data]

    ours = best(lambda: load(path), seconds)
    arrays = best(lambda: read("arrays.npz"), seconds)
    patches = best(lambda: read("patches.npz"), seconds)
    print(f"\nopening {path.stat().st_size:,} bytes with every digest: {1e3 * ours:.2f} ms")
    print(f"numpy.load, the same arrays: {1e3 * arrays:.2f} ms, ratio {ours / arrays:.2f}")
    print(f"numpy.load, the cut patches: {1e3 * patches:.2f} ms, ratio {ours / patches:.2f}")


def best(work: Callable[[], Any], seconds: float) -> float:
    found, start = [], time.perf_counter()
    while time.perf_counter() - start < seconds or len(found) < ROUNDS:
        begin = time.perf_counter()
        work()
        found.append(time.perf_counter() - begin)
    return min(found)


def chunks(folder: Path, count: int) -> None:
    """A file larger than it should be in memory: 64x64 images in chunks."""
    path = folder / "large.ddset"
    start = time.perf_counter()
    pack(blocks(count), None, CLASSES, path, level=3)
    print(
        f"\n{count:,} images of 64x64: {path.stat().st_size / 1e6:,.0f} MB, packed in "
        f"{time.perf_counter() - start:.0f} s"
    )
    with ChunkReader(path) as reader, ChunkReader(path, check=False) as trusting:
        total = reader.chunks("images")
        megabytes = count * 3 * 64 * 64 / 1e6
        rows: dict[str, Callable[[], Any]] = {
            "zstandard, 1 thread": lambda: list(frames(path, 1)),
            "zstandard, 2 threads": lambda: list(frames(path, 2)),
            "ChunkReader, 1 thread": lambda: [len(reader.read("images", i)) for i in range(total)],
            "ChunkReader, 2 threads": lambda: threaded(reader, total),
            "  without digests, 1 thread": lambda: [
                len(trusting.read("images", i)) for i in range(total)
            ],
            "  without digests, 2 threads": lambda: threaded(trusting, total),
        }
        for raw in (True, False):
            stream = ChunkedDataset(path, BATCH, raw=raw)
            name = f"ChunkedDataset, {'uint8' if raw else 'float32'} batches"
            rows[name] = lambda s=stream: [len(y) for _, y in s]
        sample = min(count, 3000)
        files = pngs(sample)
        rows["PNG by Pillow"] = lambda: [decoded(data) for data in files]
        times = dict.fromkeys(rows, float("inf"))
        for _ in range(ROUNDS):
            for name, work in rows.items():
                times[name] = min(times[name], timed(work))
    times["PNG by Pillow"] *= count / sample
    base = {1: times["zstandard, 1 thread"], 2: times["zstandard, 2 threads"]}
    for name, value in times.items():
        threads = 1 if "1 thread" in name or "PNG" in name else 2
        print(
            f"{name:34} {megabytes / value:8,.0f} MB/s {base[threads] / value:6.2f} of zstandard "
            f"{times['PNG by Pillow'] / value:7.1f} x PNG"
        )
    for name, words in (
        ("import torch and ddcodec, no more", (None,)),
        ("ChunkedDataset, uint8 batches", (path, True)),
        ("ChunkedDataset, float32 batches", (path, False)),
    ):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print(f"peak memory, {name}: {pool.apply(peak_of, words):,.0f} MB")
    # In a process of its own that never imports torch.
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path)], check=True, capture_output=True, text=True
    )
    print(f"peak memory, ChunkReader alone: {done.stdout.strip()} MB")


def blocks(count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Noise around one colour an image: distilled pixels are nearly normal, and hardly smooth."""
    random = np.random.default_rng(1)
    for begin in range(0, count, 500):
        n = min(500, count - begin)
        colour = random.integers(100, 156, (n, 3, 1, 1)).astype(np.float32)
        pixels = colour + 24 * random.standard_normal((n, 3, 64, 64), dtype=np.float32)
        images = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
        yield images, random.dirichlet(np.ones(100), n).astype(np.float32)


def frames(path: Path, threads: int) -> Iterator[int]:
    """Decompress the frames of the images and do nothing else."""
    with ChunkReader(path) as reader:
        header = reader._header
        spans = [(e.begin + header.sizes.header, e.end - e.begin) for e in header.pieces("images")]

    def one(span: tuple[int, int]) -> int:
        data = os.pread(handle, span[1], span[0])
        return len(zstandard.ZstdDecompressor().decompress(data))

    handle = os.open(path, os.O_RDONLY)
    try:
        if threads == 1:
            yield from map(one, spans)
            return
        with ThreadPoolExecutor(threads) as pool:
            yield from pool.map(one, spans)
    finally:
        os.close(handle)


def threaded(reader: ChunkReader, total: int) -> int:
    with ThreadPoolExecutor(2) as pool:
        return sum(pool.map(lambda i: len(reader.read("images", i)), range(total)))


def pngs(count: int) -> list[bytes]:
    found = []
    for images, _ in blocks(count):
        for image in images:
            data = io.BytesIO()
            Image.fromarray(image.transpose(1, 2, 0)).save(data, "PNG")
            found.append(data.getvalue())
    return found


def decoded(data: bytes) -> int:
    return len(np.asarray(Image.open(io.BytesIO(data))))


def timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def peak_of(path: Path | None, raw: bool = False) -> float:
    if path is not None:
        for _ in ChunkedDataset(path, BATCH, raw=raw):
            pass
    return peak()


def peak() -> float:
    """Return the most memory this process has had, in MB; what its parent had is not counted."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if "VmHWM" in line)
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
