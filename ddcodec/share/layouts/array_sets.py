"""Sets in an ``npz`` or an HDF5 file, told apart by the names of their arrays.

npz  manifest, images, labels          written by ``ddcodec decode``: it says all of itself
npz  images or image, labels or label  KIP, FRePo: channels last, labels floats less 1 / classes
npz  train_images, train_labels        8-bit pixels, as a source has them
h5   data (N, C H W), label (N, K)     RaT-BPTT, in its own ZCA
"""

from __future__ import annotations

import importlib.util
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidFile, MissingExtra
from ...format import Manifest, strict_json
from ...format.rules import check_manifest
from ...limits import Limits
from ...sources import npz
from .found import Found, checked_images, checked_labels, starts_with
from .tables import LABELS, checked_array

IMAGES = ("images", "image", "data", "x")
TRAIN = ("train_images", "train_labels")
HDF5 = b"\x89HDF\r\n\x1a\n"


def find_npz(path: Path, apart: NDArray[Any] | None, limits: Limits = Limits()) -> Found | None:
    """Return the set in an ``npz``, with labels that were named ``apart``; None where it is none.

    Raises InvalidFile for arrays that contradict each other.
    """
    if not path.is_file() or not _is_npz(path):
        return None
    keys = npz.keys_of(path)
    if "manifest" in keys and {"images", "labels"} <= keys:
        return _exported(path, limits)
    image = next((key for key in IMAGES if key in keys), None)
    label = next((key for key in LABELS if key in keys), None)
    classes = _names(path) if "class_names" in keys else ()
    if image is not None and (apart is not None or label is not None):
        images = checked_images(path, checked_array(path, image, limits), limits)
        given = checked_array(path, label, limits) if label and apart is None else apart
        labels = checked_labels(path, given, len(images))
        return Found("KIP, FRePo or plain npz", images, labels, classes=classes)
    if set(TRAIN) <= keys:
        pixels = checked_array(path, TRAIN[0], limits)
        pixels = pixels[..., None] if pixels.ndim == 3 else pixels
        images = checked_images(path, pixels, limits)
        labels = checked_labels(path, checked_array(path, TRAIN[1], limits), len(images))
        space = "pixels" if images.dtype == np.uint8 else None
        return Found("npz", images, labels, space=space, classes=classes)
    lacking = "labels" if image is not None else "images"
    raise InvalidFile(
        f"{path}: has no {lacking}, called "
        f"{' or '.join(LABELS if image is not None else IMAGES)}; it holds "
        f"{', '.join(sorted(keys)) or 'nothing'}"
    )


def find_hdf5(path: Path, apart: NDArray[Any] | None, limits: Limits = Limits()) -> Found | None:
    """Return the set in an HDF5 file, with labels that were named ``apart``; None where it is none.

    Raises MissingExtra without h5py, InvalidFile for arrays that contradict each other.
    """
    if not path.is_file() or not starts_with(path, HDF5):
        return None
    if importlib.util.find_spec("h5py") is None:
        raise MissingExtra("h5py, which reads HDF5,", "h5")
    import h5py

    arrays = {}
    try:
        with h5py.File(path, "r") as file:
            for key in ("data", "label"):
                link = file.get(key, getlink=True)
                # Links may lead to other files; these two are arrays of this one.
                if isinstance(link, h5py.HardLink) and isinstance(file[key], h5py.Dataset):
                    arrays[key] = _whole(path, key, file[key], limits)
    except (OSError, RuntimeError, ValueError, TypeError, KeyError):
        raise InvalidFile(f"{path}: cannot be read as HDF5; fetch it again") from None
    if "data" not in arrays:
        raise InvalidFile(f"{path}: has no array 'data'; RaT-BPTT has data and label")
    if apart is not None:
        arrays["label"] = apart
    if "label" not in arrays:
        raise InvalidFile(f"{path}: has no array 'label'; name labels with `labels_file`")
    images = checked_images(path, _square(path, arrays["data"]), limits)
    labels = checked_labels(path, arrays["label"], len(images))
    if labels.ndim == 2:
        labels = np.maximum(labels, 0)  # below 0 is nothing, as the method has it
    return Found("RaT-BPTT", images, labels, "soft", whitening="podd")


def _whole(path: Path, key: str, dataset: Any, limits: Limits) -> NDArray[Any]:
    size = math.prod(dataset.shape) * dataset.dtype.itemsize
    if size > limits.decoded_bytes or dataset.dtype.kind not in "fiu":
        raise InvalidFile(f"{path}: array '{key}' is too large, or no numbers")
    if dataset.external:  # in other files, which nobody named
        raise InvalidFile(f"{path}: array '{key}' lies in another file")
    return np.asarray(dataset[...])


def _square(path: Path, data: NDArray[Any]) -> NDArray[Any]:
    """Return images (N, C, H, W) of rows of C x H x W values, squares in colour or grey."""
    if data.ndim != 2:
        return data
    for channels in (3, 1):
        side = math.isqrt(data.shape[1] // channels)
        if channels * side * side == data.shape[1]:
            return data.reshape(len(data), channels, side, side)
    raise InvalidFile(f"{path}: rows of {data.shape[1]} values are no square images")


def _names(path: Path) -> tuple[str, ...]:
    return tuple(map(str, checked_array(path, "class_names", Limits()).reshape(-1).tolist()))


def _exported(path: Path, limits: Limits) -> Found:
    """Return what ``decode`` wrote: bytes where the file had bytes, else floats, to the bit."""
    manifest = manifest_of(path, str(checked_array(path, "manifest", limits)), limits)
    key = "train_images" if holds_bytes(manifest) else "images"
    images = checked_images(path, checked_array(path, key, limits), limits)
    labels = checked_labels(path, checked_array(path, "labels", limits), len(images))
    return Found(
        "ddcodec decode", images, labels, "soft", classes=manifest.classes, manifest=manifest
    )


def manifest_of(path: Path, text: str, limits: Limits) -> Manifest:
    """Return the manifest that stands beside decoded images; raises InvalidFile, Unsupported."""
    try:
        manifest = Manifest.from_json(strict_json.loads(text.encode(), limits.nesting), limits)
        check_manifest(manifest, limits)
    except InvalidFile as error:
        raise InvalidFile(f"{path}: the manifest beside the images: {error}") from None
    return manifest


def holds_bytes(manifest: Manifest) -> bool:
    """Say whether the samples of a decoded file were bytes before the preprocessing."""
    images = manifest.tensors.get("images")
    return "seeds" in manifest.tensors or (images is not None and images.dtype == "uint8")


def _is_npz(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith(".npy") for name in archive.namelist())
