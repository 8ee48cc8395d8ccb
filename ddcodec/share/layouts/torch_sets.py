"""Sets that were written with ``torch.save``, told apart by what is in them.

{"data": [.., [images, labels]], ..}   DC, DSA, DM: the last pair counts, normalised
{"data": images, "label": labels}      LIC, CIM: mosaics, 0 to 1
[images, labels]                       IDC: mosaics, 0 to 1
images (N, C, H, W), labels beside     MTT, TESLA, FTD, DATM: labels may be logits, lr beside
poster (1, C, H, W), labels (1, K, h, w) beside    PoDD
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidFile
from ...limits import Limits
from . import torch_files
from .found import Found, checked_images, checked_labels

# The published evaluations: SGD with momentum, a tenth of the rate from the middle on.
SGD: dict[str, Any] = {
    "optimizer": {"name": "sgd", "lr": 0.01, "weight_decay": 5e-4},
    "schedule": "half",
}
RATES = (1e-9, 1e3)  # of a learning rate
SOFT = 1e-3  # rows of shares add up to 1 within this


def find(path: Path, apart: NDArray[Any] | None, limits: Limits = Limits()) -> Found | None:
    """Return the set in a ``torch.save``; None where the file is none.

    ``apart`` are labels that were named apart. Raises InvalidFile for other content.
    """
    if not path.is_file() or not torch_files.is_torch(path):
        return None
    value = torch_files.read(path, limits)
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        return _dc(path, value)
    if isinstance(value, dict) and "data" in value and ("label" in value or "labels" in value):
        label = value["label"] if "label" in value else value["labels"]
        images = _unit(path, checked_images(path, value["data"], limits))
        found = checked_labels(path, label, len(images))
        hint = "taken as mosaics of 2x2 images, as usual; say `factor` where they are not"
        return Found("LIC or CIM", images, found, space="pixels", cells=2, hint=hint)
    if isinstance(value, list) and len(value) == 2:
        images = checked_images(path, value[0], limits)
        return _idc(path, images, checked_labels(path, value[1], len(images)))
    value = _only(path, value)
    if value.ndim == 4 and len(value) == 1 and value.shape[1] in (1, 3):
        label = apart if apart is not None else _beside(path, "poster", "label", limits)
        return _poster(path, value, label, limits)
    images = checked_images(path, value, limits)
    label = apart if apart is not None else _beside(path, "images", "labels", limits)
    if label is None:
        raise InvalidFile(
            f"{path}: holds images and no labels; put them beside it as labels_*.pt, or name "
            "them with `labels_file`"
        )
    return _trajectories(path, images, checked_labels(path, label, len(images)), limits)


def _dc(path: Path, value: dict[str, Any]) -> Found:
    pairs = value["data"]
    if not pairs or not isinstance(pairs[-1], list) or len(pairs[-1]) != 2:
        raise InvalidFile(f"{path}: 'data' is no list of pairs of images and labels")
    images = checked_images(path, pairs[-1][0])
    return Found(
        "DC, DSA or DM",
        images,
        checked_labels(path, pairs[-1][1], len(images)),
        recipe={**SGD, "epochs": 300},
        stated=_accuracy(value.get("accs_all_exps")),
    )


def _accuracy(scores: Any) -> tuple[float, str] | None:
    """Return the mean accuracy that a file has of a ConvNet, or of its first network."""
    if not isinstance(scores, dict):
        return None
    known = {
        name: found
        for name, found in scores.items()
        if isinstance(name, str) and isinstance(found, list) and found
        and all(isinstance(x, float) and 0 <= x <= 1 for x in found)
    }  # fmt: skip
    name = next((n for n in known if n.lower().startswith("convnet")), next(iter(known), None))
    return None if name is None else (sum(known[name]) / len(known[name]), name[:40])


def _idc(path: Path, images: NDArray[Any], labels: NDArray[Any]) -> Found:
    if images.dtype == np.uint8 or (images.min() >= 0 and images.max() <= 1):
        return Found("IDC", images, labels, space="pixels", cells=None)
    return Found("a pair of images and labels", images, labels)


def _unit(path: Path, images: NDArray[Any]) -> NDArray[Any]:
    """Refuse what cannot be 0 to 1 with some overshoot, as mosaics that are not clamped are."""
    if images.dtype != np.uint8 and (images.min() < -4 or images.max() > 5):
        raise InvalidFile(f"{path}: mosaics lie far outside of 0 to 1; they must be pixels")
    return images


def _trajectories(path: Path, images: NDArray[Any], labels: NDArray[Any], limits: Limits) -> Found:
    recipe: dict[str, Any] = {**SGD, "epochs": 1000, "augment": "dsa"}
    rate = _beside(path, "images", "lr", limits)
    if rate is not None:
        value = float(rate.reshape(-1)[0]) if rate.size == 1 else float("nan")
        if not RATES[0] <= value <= RATES[1]:
            raise InvalidFile(f"{path}: the learning rate beside it is {value}; remove that file")
        recipe["optimizer"] = {**SGD["optimizer"], "lr": float(f"{value:.6g}")}
    scores = None
    if labels.ndim == 2:
        sums = labels.sum(1, dtype=np.float64)
        shares = bool((labels >= 0).all()) and bool((np.abs(sums - 1) < SOFT).all())
        scores = "soft" if shares else "logits"
    return Found("MTT, TESLA, FTD or DATM", images, labels, scores, recipe=recipe)


def _poster(path: Path, value: NDArray[Any], label: NDArray[Any] | None, limits: Limits) -> Found:
    poster = checked_images(path, value, limits)
    cells = None
    if label is not None:
        good = label.ndim == 4 and len(label) == 1 and label.size and np.isfinite(label).all()
        if not good:
            raise InvalidFile(f"{path}: labels of a poster must be finite, (1, classes, h, w)")
        # Below 0 is nothing, as the method has it.
        cells = np.maximum(label[0].transpose(1, 2, 0), 0).astype(np.float32)
    return Found("PoDD", poster, cells, whitening="podd", poster=True)


def _beside(path: Path, word: str, other: str, limits: Limits) -> NDArray[Any] | None:
    """Return the tensor of the file called like ``path`` with another word in place of one.

    Where the images are called ``images_zca_..``, ``labels_..`` belongs to them.
    """
    if word not in path.name:
        return None
    name = path.name.replace(word, other, 1)
    for each in dict.fromkeys((name, re.sub(r"_zca(?=[_.])", "", name))):
        place = path.with_name(each)
        if place.is_file():
            return _only(place, torch_files.read(place, limits))
    return None


def _only(path: Path, value: Any) -> NDArray[Any]:
    """Return the one array of a file; a number is one too."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return np.asarray(value, np.float64)
    if not isinstance(value, np.ndarray):
        raise InvalidFile(f"{path}: holds no tensor, nor a layout that is known")
    return value
