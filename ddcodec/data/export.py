"""The decoded training set as ordinary files: npz, ImageFolder, parquet, WebDataset shards.

Every layout holds all soft labels, and is a source that ``sources.load`` reads back. One batch is
in memory at a time. Where a file draws its samples unequally often, posters of several stages, the
weight of every sample is written beside it.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import os
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ..codecs.registry import CODECS
from ..errors import MissingExtra
from ..format import read_manifest
from ..hub import local
from ..runtime.names import file_name
from ..runtime.progress import SILENT, Reporter
from ..runtime.world import neutral_tensors
from .chunked import ChunkedDataset
from .dataset import DistilledDataset
from .opening import load
from .views import raw_samples

BATCH_BYTES = 32 << 20  # of float32 images decoded at a time
SHARD = 5000  # samples of a WebDataset shard

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


class Decoded:
    """The samples of a file, in its order, batch by batch.

    Attributes:
        count: samples; batch: how many of them are decoded at a time.
        weights: float32 (N,), how often each sample is to be drawn, 1 on average; None where all
            are drawn alike.
        rounded: ``pictures`` changes values: the file holds no bytes.
        live: the file holds a network that labels views; labels here are those of images as they
            are.
        clipped, values: after ``pictures``, how many of all values lay outside of 0 to 1.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        prior: str | os.PathLike[str] | None = None,
        cache: str | os.PathLike[str] | None = None,
        reporter: Reporter = SILENT,
    ) -> None:
        """Read what the file says; ``prior`` and ``cache`` are those of ``load``."""
        path = local(path)
        self._path, self._reporter = path, reporter
        self.manifest, _ = read_manifest(path)
        image = self.manifest.image
        size = image["channels"] * image["height"] * image["width"] * 4
        self.batch = min(1024, max(1, BATCH_BYTES // size))
        self.weights: Floats | None = None
        self._whole: DistilledDataset | None = None
        if CODECS[self.manifest.codec["name"]].chunks(self.manifest) is not None:
            whole = self._chunked(raw=False)
            self.count, self.live = whole.count, whole.teacher is not None
            self.rounded = self.manifest.tensors["images"].dtype != "uint8"
        else:
            # Read once; of generated images all variations, one after the other.
            self._whole = load(path, prior=prior, cache=cache)
            self.count, self.live = len(self._whole), self._whole.teacher is not None
            self.rounded = self._whole.on("cpu")[0].bytes is None
            shares = np.array(self._whole.stage_shares, np.float64)
            if len(shares) > 1:
                each = (shares * len(shares)).astype(np.float32)
                self.weights = np.repeat(each, self.count // len(shares))
        self.clipped = self.values = 0

    def samples(self) -> Iterator[tuple[Floats, Floats]]:
        """Give (images float32 (B, C, H, W) as networks see them, soft labels (B, classes))."""
        yield from self._batches(raw=False)

    def pictures(self) -> Iterator[tuple[Bytes, Floats]]:
        """Give (images uint8 (B, H, W, C), soft labels (B, classes)): rounded, and clipped."""
        self.clipped = self.values = 0
        for images, labels in self._batches(raw=True):
            self.values += images.size
            if images.dtype != np.uint8:
                self.clipped += int(np.count_nonzero((images < 0) | (images > 1)))
                images = np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8)
            yield images.transpose(0, 2, 3, 1), labels

    def units(self) -> Iterator[tuple[Floats, Floats]]:
        """Give (images float32 (B, C, H, W), 0 black and 1 white, soft labels (B, classes)).

        Nothing is clipped: distilled values may lie outside.
        """
        for images, labels in self._batches(raw=True):
            if images.dtype == np.uint8:
                images = images.astype(np.float32) / np.float32(255)
            yield images, labels

    def _batches(self, raw: bool) -> Iterator[tuple[NDArray[Any], Floats]]:
        if self._whole is not None:
            self._whole.on("cpu")[0].prepare(self._reporter)
        self._reporter.stage("decoding", self.count)
        done = 0
        for images, labels in self._decoded(raw):
            yield images, labels
            done += len(labels)
            self._reporter.step(done)

    def _decoded(self, raw: bool) -> Iterator[tuple[NDArray[Any], Floats]]:
        if self._whole is None:
            for images, soft in self._chunked(raw):
                yield images.numpy(), soft.numpy()
            return
        samples, labels = self._whole.on("cpu")
        if raw:
            samples = raw_samples(samples, self.manifest.image["preprocessing"])
        for start in range(0, self.count, self.batch):
            with neutral_tensors():
                index = torch.arange(start, min(start + self.batch, self.count))
                found = samples.gather(index).numpy(), labels[index].numpy()
            yield found

    def _chunked(self, raw: bool) -> ChunkedDataset:
        found = ChunkedDataset(
            self._path, self.batch, shuffle=False, buffer=1, raw=raw, rank=0, world_size=1
        )
        found.set_augment("none")
        return found


class Picture(NamedTuple):
    """A sample for people: number with leading zeros, PNG, strongest class, all labels, weight."""

    key: str
    data: bytes
    best: int
    soft: Floats
    weight: np.float32 | None


def _numbered(decoded: Decoded) -> Iterator[Picture]:
    digits, index = len(str(decoded.count - 1)), 0
    for images, labels in decoded.pictures():
        for image, soft in zip(images, labels, strict=True):
            weight = None if decoded.weights is None else decoded.weights[index]
            yield Picture(f"{index:0{digits}d}", png(image), int(soft.argmax()), soft, weight)
            index += 1


def write_npz(decoded: Decoded, folder: Path) -> None:
    """Write ``data.npz``: ``images`` float32 (N, C, H, W) and ``labels`` (N, classes), exact.

    ``train_images`` uint8 (N, H, W, C) and ``train_labels`` int64 (N,) make it a source;
    ``class_names`` are text (classes,), ``manifest`` is the manifest as JSON text, ``weights``
    float32 (N,) are there where samples are to be drawn unequally often.
    """
    image, names = decoded.manifest.image, decoded.manifest.classes
    count, (c, h, w) = decoded.count, (image["channels"], image["height"], image["width"])
    parts: list[tuple[str, tuple[int, ...], str, Iterator[NDArray[Any]]]] = [
        ("images", (count, c, h, w), "<f4", (x for x, _ in decoded.samples())),
        ("labels", (count, len(names)), "<f4", (y for _, y in decoded.samples())),
        ("train_images", (count, h, w, c), "|u1", (x for x, _ in decoded.pictures())),
        ("train_labels", (count,), "<i8", (y.argmax(1) for _, y in decoded.samples())),
    ]
    if decoded.weights is not None:
        parts.append(("weights", (count,), "<f4", iter([decoded.weights])))
    for name, text in (("class_names", names), ("manifest", decoded.manifest.to_json())):
        array = np.array(text, dtype=np.str_)
        parts.append((name, array.shape, array.dtype.str, iter([array])))
    with zipfile.ZipFile(folder / "data.npz", "w") as archive:
        for part in parts:
            write_member(archive, *part)


def write_member(
    archive: zipfile.ZipFile,
    name: str,
    shape: tuple[int, ...],
    dtype: str,
    rows: Iterable[NDArray[Any]],
) -> None:
    """Write an array of an ``npz``, given in parts along axis 0: it may be larger than memory."""
    entry = zipfile.ZipInfo(f"{name}.npy")
    entry.compress_type = archive.compression
    with archive.open(entry, "w", force_zip64=True) as file:
        header = {"descr": dtype, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for part in rows:
            file.write(np.ascontiguousarray(part, dtype=dtype).data)


def write_image_folder(decoded: Decoded, folder: Path) -> None:
    """Write ``train/CLASS/INDEX.png`` by the strongest label, and ``labels.csv`` with all.

    ``weights.csv`` says how often each file is to be drawn, where that is not alike.
    """
    classes = decoded.manifest.classes
    names = folder_names(classes)
    weights = []
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as text:
        rows = csv.writer(text)
        rows.writerow(["file", *classes])
        for picture in _numbered(decoded):
            path = Path("train", names[picture.best], f"{picture.key}.png")
            file = folder / file_name(str(path))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(picture.data)
            rows.writerow([path.as_posix(), *map(str, picture.soft)])
            weights.append((path.as_posix(), str(picture.weight)))
    if decoded.weights is not None:
        with (folder / "weights.csv").open("w", newline="", encoding="utf-8") as text:
            csv.writer(text).writerows([("file", "weight"), *weights])
    write_manifest(decoded, folder)


def write_parquet(decoded: Decoded, folder: Path) -> None:
    """Write ``train-00000-of-00001.parquet`` and ``manifest.json``, see ``write_table``."""
    write_table(decoded, folder / "train-00000-of-00001.parquet")
    write_manifest(decoded, folder)


def write_table(decoded: Decoded, path: Path) -> None:
    """Write the samples as one parquet file in the Hugging Face image layout.

    Columns: ``image`` {bytes (PNG), path}, ``label`` the strongest class, ``soft_label`` float32
    (classes,), and ``weight`` where samples are to be drawn unequally often. Raises MissingExtra
    without pyarrow.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise MissingExtra("pyarrow, which writes parquet,", "data")
    import pyarrow as pa
    import pyarrow.parquet as pq

    classes = decoded.manifest.classes
    number = {"_type": "Value", "dtype": "float32"}
    features = {
        "image": {"_type": "Image"},
        "label": {"_type": "ClassLabel", "names": list(classes)},
        "soft_label": {"_type": "Sequence", "feature": number, "length": len(classes)},
    }
    columns = [
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("label", pa.int64()),
        ("soft_label", pa.list_(pa.float32(), len(classes))),
    ]
    if decoded.weights is not None:
        features["weight"] = number
        columns.append(("weight", pa.float32()))
    told = json.dumps({"info": {"features": features}})
    schema = pa.schema(columns, metadata={"huggingface": told})
    pictures = _numbered(decoded)
    with pq.ParquetWriter(path, schema) as file:
        while batch := list(islice(pictures, decoded.batch)):
            rows = [
                {
                    "image": {"bytes": picture.data, "path": f"{picture.key}.png"},
                    "label": picture.best,
                    "soft_label": picture.soft,
                    "weight": picture.weight,
                }
                for picture in batch
            ]
            file.write_batch(pa.RecordBatch.from_pylist(rows, schema=schema))


def write_webdataset(decoded: Decoded, folder: Path) -> None:
    """Write ``train-NNNNNN.tar`` shards: KEY.png, KEY.cls and the soft label KEY.soft.npy.

    KEY.weight.txt is there where samples are to be drawn unequally often. Class names stand in
    ``classes.txt``, one a line.
    """
    pictures = _numbered(decoded)
    for number in range(-(-decoded.count // SHARD)):
        with tarfile.open(folder / f"train-{number:06d}.tar", "w") as shard:
            for picture in islice(pictures, SHARD):
                soft = io.BytesIO()
                np.save(soft, picture.soft.astype("<f4"), allow_pickle=False)
                label = str(picture.best).encode()
                parts = {"png": picture.data, "cls": label, "soft.npy": soft.getvalue()}
                if picture.weight is not None:
                    parts["weight.txt"] = str(picture.weight).encode()
                for kind, data in parts.items():
                    entry = tarfile.TarInfo(f"{picture.key}.{kind}")
                    entry.size = len(data)
                    shard.addfile(entry, io.BytesIO(data))
    (folder / "classes.txt").write_text(
        "".join(f"{name}\n" for name in decoded.manifest.classes), encoding="utf-8"
    )
    write_manifest(decoded, folder)


LAYOUTS: dict[str, Callable[[Decoded, Path], None]] = {
    "npz": write_npz,
    "imagefolder": write_image_folder,
    "parquet": write_parquet,
    "webdataset": write_webdataset,
}


def png(picture: Bytes) -> bytes:
    """Return an image uint8 (H, W, C), C 1 or 3, as PNG."""
    data = io.BytesIO()
    Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(data, "PNG")
    return data.getvalue()


def folder_names(classes: Sequence[str]) -> list[str]:
    """Return a safe folder name for each class: its own name where that is one, no two alike.

    A class name may hold anything; a folder name must not leave its parent on any system.
    """
    names: list[str] = []
    taken: set[str] = set()
    for index, title in enumerate(classes):
        name = re.sub(r"[^\w .+,()&'-]", "_", title)[:60].strip(" .")
        reserved = re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)", name.split(".")[0])
        # Some systems do not tell upper from lower case.
        if not name or reserved:
            name = f"class_{index}"
        elif name.casefold() in taken:
            name = f"{name}_{index}"
        while name.casefold() in taken:
            name += "_"
        taken.add(name.casefold())
        names.append(name)
    return names


def write_manifest(decoded: Decoded, folder: Path) -> None:
    """Write the manifest as ``manifest.json``, for whoever asks where the files come from."""
    (folder / "manifest.json").write_text(decoded.manifest.to_json(), encoding="utf-8")
