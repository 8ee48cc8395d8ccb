"""One ``.npz`` file: train_images, train_labels, likewise test and val, and class_names.

Or x_train, y_train and so on.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError, one_line
from ..format.values import shown
from ..preprocessing.stored import AT_ONCE, in_parts
from .base import Source
from .checks import numbered_classes, require_memory, shape_text
from .on_disk import Images, room_for
from .spelling import plain
from .split import Split

# Images and labels of each split, as MedMNIST and Keras call them; val beside test is for
# validation.
SPLITS = {
    split: ((f"{split}_images", f"{split}_labels"), (f"x_{split}", f"y_{split}"))
    for split in ("train", "test", "val")
}

# Pixels of real images pack a few times; what unpacks so much further is made to fill a memory.
BOMB_BYTES, BOMB_RATIO = 1 << 28, 300

# All that numpy and zipfile raise for broken, encrypted or oddly packed members.
Header = tuple[tuple[int, ...], bool, np.dtype[Any]]  # shape, whether by column, type
UNREADABLE = (
    *(OSError, ValueError, EOFError, KeyError, MemoryError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)


def load(path: Path, name: str, size: int | None = None) -> Source | None:
    """Return the source in ``path``: images (N, H, W) or (N, H, W, C), labels (N,).

    Images are whole numbers 0 to 255 of any type. Labels are numbers, or names of classes; (N, 1)
    is taken too, as MedMNIST has it. The images of val are for validation where there are those of
    test, else they are the test split. ``class_names``, strings (n,), say what the numbers mean;
    without them the classes are called by these, or are the sorted names. The source is called
    like the file, without ``.npz``. Pickled arrays are refused.
    """
    if path.suffix.lower() != ".npz" or not path.is_file():
        return None
    keys = keys_of(path)
    arrays = {}
    for split, pairs in SPLITS.items():
        pair = next((pair for pair in pairs if keys & set(pair)), pairs[0])
        here = [key for key in pair if key in keys]
        if len(here) == 2:
            arrays[split] = pair
        elif here and split != "train":
            raise SourceError(f"{path}: has {here[0]} alone; {split} needs images and labels")
        elif split == "train":
            lacking = pair[0] if pair[0] not in here else pair[1]
            raise SourceError(
                f"{path}: has no array '{lacking}'; it holds {', '.join(sorted(keys)) or 'nothing'}"
            )
    classes = _classes(path, arrays["train"][1], "class_names" in keys)
    splits = {split: partial(_split, path, *pair, classes) for split, pair in arrays.items()}
    tested_on = arrays["test"][0] if "test" in splits else ""
    if "val" in splits:
        if not tested_on:
            tested_on = f"{arrays['val'][0]}, since there are no test_images"
        splits["validation" if "test" in splits else "test"] = splits.pop("val")
    name = name[:-4]
    return Source(name, classes, splits, where=path, size=size, tested_on=tested_on)


def _classes(path: Path, numbers: str, named: bool) -> tuple[str, ...]:
    if not named:
        labels = _labels(path, numbers)
        if labels.dtype.kind == "U":
            return tuple(sorted(set(map(plain, np.unique(labels).tolist()))))
        return numbered_classes(labels, f"{path}: {numbers}")
    names = array_of(path, "class_names")
    if names.ndim != 1 or names.dtype.kind != "U" or len(names) == 0:
        raise SourceError(
            f"{path}: class_names are {names.dtype} {shape_text(names.shape)}; "
            "they must be strings (n,)"
        )
    return tuple(names.tolist())


def _split(path: Path, images: str, labels: str, classes: Sequence[str]) -> Split:
    pixels, found = _images(path, images), _labels(path, labels)
    if found.dtype.kind == "U":
        found = _numbered(found, classes, f"{path}: {labels}")
    return Split(pixels, found.astype(np.int64))


def _numbered(labels: NDArray[Any], classes: Sequence[str], where: str) -> NDArray[np.int64]:
    """Return the numbers of labels that are names; raises SourceError for one that is none."""
    number = {plain(name): i for i, name in enumerate(classes)}
    names, places = np.unique(labels, return_inverse=True)
    unknown = [name for name in names.tolist() if plain(name) not in number]
    if unknown:
        there = ", ".join([*classes[:5], *(["..."] if len(classes) > 5 else [])])
        raise SourceError(
            f"{where}: holds {shown(unknown[0])}, which is no class; there are {there}"
        )
    return np.array([number[plain(name)] for name in names.tolist()], np.int64)[places]


def _images(path: Path, name: str) -> Images:
    """Return an array of images; one that is too large for memory is copied to a file."""
    with _member(path, name) as (member, (shape, by_column, dtype)):
        if dtype.kind not in "iu" or len(shape) not in (3, 4):
            way = "; of values 0 to 1 save (255 * x).round().astype('uint8')"
            raise SourceError(
                f"{path}: {name} are {dtype} {shape_text(shape)}; they must be uint8 (N, H, W) or "
                f"(N, H, W, C){way if dtype.kind == 'f' else ''}"
            )
        shape = shape if len(shape) == 4 else (*shape, 1)
        whole = None
        if by_column:
            require_memory(math.prod(shape) * dtype.itemsize, f"{path}: array '{name}'")
            member.seek(0)
            whole = np.lib.format.read_array(member, allow_pickle=False).reshape(shape)
        images = room_for(shape, f"{path}: array '{name}'")
        for part in in_parts(shape, AT_ONCE // dtype.itemsize):
            of_part = len(range(*part.indices(shape[0]))), *shape[1:]
            if whole is None:
                content = member.read(math.prod(of_part) * dtype.itemsize)
                pixels = np.frombuffer(content, dtype).reshape(of_part)
            else:
                pixels = whole[part]
            images[part] = _in_bytes(pixels, f"{path}: {name}")
        member.read(1)  # at the end the archive compares its checksum
        return images


def _in_bytes(pixels: NDArray[Any], where: str) -> NDArray[np.uint8]:
    """Return whole numbers of any type as uint8; raises SourceError for others than 0 to 255."""
    if pixels.dtype != np.uint8 and pixels.size:
        low, high = int(pixels.min()), int(pixels.max())
        if low < 0 or high > 255:
            raise SourceError(
                f"{where} hold numbers from {low} to {high}; scale them to 0..255 and save uint8"
            )
    return pixels.astype(np.uint8, copy=False)


def _labels(path: Path, name: str) -> NDArray[Any]:
    """Return labels (N,) as integers, or as strings where they are names; raises SourceError."""
    labels = array_of(path, name)
    told = f"{path}: {name} are {labels.dtype} {shape_text(labels.shape)}"
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    elif labels.ndim == 2:
        raise SourceError(
            f"{told}, several labels an image (multi-label or one-hot); give one class number an "
            "image, (N,)"
        )
    kind = labels.dtype.kind
    if kind == "S":
        with suppress(UnicodeDecodeError):
            labels, kind = np.char.decode(labels, "utf-8"), "U"
    whole = kind in "iub" or (kind == "f" and bool((labels == np.rint(labels)).all()))
    if labels.ndim != 1 or not (whole or kind == "U"):
        raise SourceError(f"{told}; they must be whole numbers or names (N,)")
    return labels if kind in "iuU" else labels.astype(np.int64)


def keys_of(path: Path) -> set[str]:
    """Return the names of the arrays in a file; raises SourceError where it is none."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            packed = file.read(4) == b"PK\x03\x04"
        if packed:
            raise SourceError(f"{path}: ends too early for an .npz file; fetch or write it again")
        raise SourceError(f"{path}: is not an .npz file; write one with numpy.savez")
    try:
        with zipfile.ZipFile(path) as archive:
            return {n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")}
    except UNREADABLE:
        raise SourceError(f"{path}: cannot be read as an .npz file") from None


def shape_of(path: Path, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type of an array, which is not read; raises SourceError."""
    with _member(path, name) as (_, (shape, _by_column, dtype)):
        return shape, dtype


def array_of(path: Path, name: str) -> NDArray[Any]:
    """Return an array in memory; pickled ones are refused. Raises SourceError."""
    with _member(path, name) as (member, (shape, _, dtype)):
        require_memory(math.prod(shape) * dtype.itemsize, f"{path}: array '{name}'")
        member.seek(0)
        array: NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
    return array


@contextmanager
def _member(path: Path, name: str) -> Iterator[tuple[IO[bytes], Header]]:
    """Open an array of an archive behind its header; raises SourceError where it is broken."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
            yield member, _header(archive.getinfo(f"{name}.npy"), member)
    except UNREADABLE as error:
        raise SourceError(f"{path}: array '{name}' cannot be read: {one_line(error)}") from None


def _header(packed: zipfile.ZipInfo, member: IO[bytes]) -> Header:
    """Return shape, order and type of an array; one that cannot be what it says is a ValueError."""
    form = np.lib.format
    header = form.read_array_header_1_0
    if form.read_magic(member) != (1, 0):
        header = form.read_array_header_2_0
    shape, by_column, dtype = header(member)
    if dtype.hasobject:
        raise ValueError("it holds Python objects; save numbers, and strings as numpy.array([...])")
    size = math.prod(shape) * dtype.itemsize
    if size != packed.file_size - member.tell():
        raise ValueError(f"{dtype} {shape_text(shape)} is {size} bytes, it holds another number")
    if size > BOMB_BYTES and size > BOMB_RATIO * packed.compress_size:
        raise ValueError(f"{packed.compress_size} bytes unpack to {size}, which no images do")
    return shape, by_column, dtype
