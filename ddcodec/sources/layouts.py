"""Finding a data set: by its name or path, in any of the ways in which it may lie on disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import SourceError, UsageError
from ..limits import SOURCE_SIDE, TEST_SHARES
from ..runtime.arguments import real, whole
from . import cifar, digits, hub, idx, imagefolder, npz, objects, parquet, published, webdataset
from .base import Source
from .checks import one_line_errors, path_name
from .complete import require_content, require_finished
from .named import BUNDLED, KNOWN, find, missing, names, places
from .views import hold_out

# Each returns the source at or in a path, None where it is not laid out like this. In this order:
# CIFAR's archives are archives, Tiny-ImageNet has a train folder.
LAYOUTS: tuple[Callable[[Path, str, int | None], Source | None], ...] = (
    npz.load,
    parquet.load,
    cifar.load,
    idx.load,
    published.load_tiny_imagenet,
    published.load_cub200,
    imagefolder.load,
    webdataset.load,
    imagefolder.load_unsplit,
)


def load(
    spec: Any,
    *,
    download: bool = False,
    size: int | None = None,
    test_share: float | None = None,
    say: Callable[[str], None] | None = None,
) -> Source:
    """Return the data set called ``spec`` or lying there, in any of ``LAYOUTS``.

    A known name is never a path: ``cifar10`` is the data set, ``./cifar10`` or a ``Path`` the
    folder. Images are read later, a split at a time.

    Args:
        spec: a name of ``names()``, a path, or a data set of torch or Hugging Face (``objects``).
        download: fetch a known data set that is not there from the Hugging Face hub.
        size: scale the central square of every image to this many pixels a side, 1..4096.
        test_share: hold out this share of every class, 0.001..0.9, where there is no test split.
        say: told in a line, when a split is read, what it holds and what was passed over.

    Raises:
        UsageError: ``spec`` is none of these, ``size`` or ``test_share`` is out of range, or there
            is a test split already.
        SourceError: nothing is found, with every place looked in, or what is there is broken.
        MissingExtra: a library that reads it is not installed.
    """
    size = None if size is None else whole("size", size, 1, SOURCE_SIDE)
    test_share = None if test_share is None else real("test_share", test_share, *TEST_SHARES)
    if objects.is_object(spec):
        source = objects.load(spec, size)
    elif isinstance(spec, str | os.PathLike):
        source = _find(spec, download, size)
    else:
        raise UsageError(
            "`source` must be a name, a path, a data set with items by number (image, class), or "
            f"a mapping of such, got {_kind(spec)}"
        )
    if test_share is not None:
        source = hold_out(source, test_share)
    asked = {"size": size, "test_share": test_share}
    source.asked = {name: value for name, value in asked.items() if value is not None}
    source.say = say or source.say
    return source


def _kind(value: Any) -> str:
    kind = type(value).__name__
    inside = {type(each).__name__ for each in value.values()} if isinstance(value, Mapping) else ()
    return f"{kind} of {', '.join(sorted(inside))}" if inside else kind


def _find(spec: str | os.PathLike[str], download: bool, size: int | None) -> Source:
    if spec == BUNDLED:
        return digits.load(size)
    path, name = Path(spec), None
    if isinstance(spec, str) and spec in KNOWN:
        name, found = spec, find(spec)
        size = size or KNOWN[spec].size
        path = found or places(spec)[0]
        if found is None:
            if not download:
                raise missing(spec)
            hub.fetch(spec, KNOWN[spec], path)
    if not path.exists():
        hint = f", and none of: {', '.join(names())}" if len(path.parts) == 1 else ""
        raise SourceError(f"{path}: no such file or folder{hint}")
    with one_line_errors(str(path)):
        if path.is_file():
            require_finished(path)
            require_content([path])
        for load_layout in LAYOUTS:
            source = load_layout(path, name or path_name(path), size)
            if source is not None:
                return source
    if path.is_dir():
        require_finished(path)
        inside = [entry for entry in path.iterdir() if entry.is_dir() and entry.name[0] != "."]
        hint = ""
        if len(inside) == 1:
            alone = any(imagefolder.is_named_image(entry) for entry in inside[0].iterdir())
            one = f"{inside[0].name}/ alone is one class, and a classifier needs two"
            hint = f"; {one if alone else f'is it {inside[0]} that you mean?'}"
        raise SourceError(
            f"{path}: has neither train-*.parquet files nor a train folder, nor another layout "
            f"that is known; put images at {path / 'train' / '<class>' / '<image>.png'}{hint}"
        )
    hint = "give the folder it lies in" if path.suffix == ".parquet" else "unpack it first"
    if imagefolder.is_named_image(path):
        hint = "give the folder that holds the folders of the classes"
    elif path.suffix == ".ddset":
        hint = "ddcodec decode makes images of it, `init` begins an encode from it"
    elif path.suffix == ".npy":
        hint = "save images and labels together, with numpy.savez"
    raise SourceError(f"{path}: is no data set that can be read; {hint}")
