"""One ``.npz`` file: train_images, train_labels, likewise test and val, and class_names."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError, one_line
from ..preprocessing.stored import AT_ONCE, in_parts
from .base import Source
from .checks import numbered_classes, require_memory, shape_text
from .on_disk import Images, room_for
from .split import Split

SPLITS = ("train", "test", "val")  # as MedMNIST calls them: val beside test is for validation

# Pixels of real images pack a few times; what unpacks so much further is made to fill a memory.
BOMB_BYTES, BOMB_RATIO = 1 << 28, 300

# All that numpy and zipfile raise for broken, encrypted or oddly packed members.
Header = tuple[tuple[int, ...], bool, np.dtype[Any]]  # shape, whether by column, type
UNREADABLE = (
    *(OSError, ValueError, EOFError, KeyError, MemoryError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)


def load(path: Path, name: str, size: int | None = None) -> Source | None:
    """Return the source in ``path``: images uint8 (N, H, W) or (N, H, W, C), labels integers (N,).

    Labels (N, 1) are taken too, as MedMNIST has them. The images of val are for validation where
    there are those of test, else they are the test split. Without ``class_names``, strings (n,),
    the classes are called by their numbers. The source is called like the file, without ``.npz``.
    Pickled arrays are refused.
    """
    if path.suffix.lower() != ".npz" or not path.is_file():
        return None
    keys = keys_of(path)
    splits = {}
    for split in SPLITS:
        here = [key for key in (f"{split}_images", f"{split}_labels") if key in keys]
        if len(here) == 2:
            splits[split] = partial(_split, path, split)
        elif here and split != "train":
            raise SourceError(f"{path}: has {here[0]} alone; {split} needs images and labels")
        elif split == "train":
            lacking = "train_images" if "train_images" not in here else "train_labels"
            raise SourceError(
                f"{path}: has no array '{lacking}'; it holds {', '.join(sorted(keys)) or 'nothing'}"
            )
    tested_on = "test_images" if "test" in splits else ""
    if "val" in splits:
        if not tested_on:
            tested_on = "val_images, since there are no test_images"
        splits["validation" if "test" in splits else "test"] = splits.pop("val")
    classes = _classes(path, "class_names" in keys)
    name = name[:-4]
    return Source(name, classes, splits, where=path, size=size, tested_on=tested_on)


def _classes(path: Path, named: bool) -> tuple[str, ...]:
    if not named:
        return numbered_classes(_labels(path, "train"), f"{path}: train_labels")
    names = array_of(path, "class_names")
    if names.ndim != 1 or names.dtype.kind != "U" or len(names) == 0:
        raise SourceError(
            f"{path}: class_names are {names.dtype} {shape_text(names.shape)}; "
            "they must be strings (n,)"
        )
    return tuple(names.tolist())


def _split(path: Path, name: str) -> Split:
    images, labels = _images(path, f"{name}_images"), _labels(path, name)
    return Split(images, labels.astype(np.int64))


def _images(path: Path, name: str) -> Images:
    """Return an array of images; one that is too large for memory is copied to a file."""
    with _member(path, name) as (member, (shape, by_column, dtype)):
        if dtype != np.uint8 or len(shape) not in (3, 4):
            raise SourceError(
                f"{path}: {name} are {dtype} {shape_text(shape)}; "
                "they must be uint8 (N, H, W) or (N, H, W, C)"
            )
        shape = shape if len(shape) == 4 else (*shape, 1)
        if by_column:
            require_memory(math.prod(shape), f"{path}: array '{name}'")
            member.seek(0)
            whole = np.lib.format.read_array(member, allow_pickle=False)
            return np.ascontiguousarray(whole.reshape(shape))
        images = room_for(shape, f"{path}: array '{name}'")
        for part in in_parts(shape, AT_ONCE):
            of_part = len(range(*part.indices(shape[0]))), *shape[1:]
            pixels = member.read(math.prod(of_part))
            images[part] = np.frombuffer(pixels, np.uint8).reshape(of_part)
        member.read(1)  # at the end the archive compares its checksum
        return images


def _labels(path: Path, name: str) -> NDArray[Any]:
    labels = array_of(path, f"{name}_labels")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    elif labels.ndim == 2:
        raise SourceError(
            f"{path}: {name}_labels are {labels.dtype} {shape_text(labels.shape)}, several labels "
            "an image (multi-label or one-hot); give one class number an image, (N,)"
        )
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise SourceError(
            f"{path}: {name}_labels are {labels.dtype} {shape_text(labels.shape)}; "
            "they must be integers (N,)"
        )
    return labels


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
