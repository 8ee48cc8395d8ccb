"""Small sets in the layouts that peers publish, of real digits, as their code writes them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from ddcodec import sources

PER_CLASS = 2
MEAN, STD = 0.3, 0.37
MEANS = f"{MEAN}/{STD}"


def real(per_class: int = PER_CLASS) -> tuple[np.ndarray, np.ndarray]:
    """Some digits as values of 0 to 1, float32 (N, 1, 8, 8), by class, and labels int64 (N,)."""
    digits = sources.load("digits").train
    index = np.concatenate([np.flatnonzero(digits.labels == c)[:per_class] for c in range(10)])
    images = digits.images[index].transpose(0, 3, 1, 2) / np.float32(255)
    return images.astype(np.float32), digits.labels[index]


def standardised() -> tuple[np.ndarray, np.ndarray]:
    images, labels = real()
    return ((images - MEAN) / STD).astype(np.float32), labels


def colours(x: np.ndarray) -> np.ndarray:
    """Grey values 0 to 1 (N, 1, H, W) as bytes (N, H, W)."""
    return np.rint(x[:, 0] * 255).astype(np.uint8)


def soft(labels: np.ndarray, seed: int = 3) -> np.ndarray:
    """Soft labels float32 (N, 10), the class above all."""
    values = np.random.default_rng(seed).random((len(labels), 10)) + 4 * np.eye(10)[labels]
    return (values / values.sum(1, keepdims=True)).astype(np.float32)


def mosaic(images: np.ndarray, factor: int = 2) -> np.ndarray:
    """Each image in all cells of a mosaic of its own size: every second pixel."""
    small = images[:, :, ::factor, ::factor]
    return np.tile(small, (1, 1, factor, factor))


class Written(NamedTuple):
    """What to import, with which options, and how many samples come out."""

    path: Path
    options: dict[str, Any]
    codec: str
    count: int


def dc(folder: Path) -> Written:
    images, labels = standardised()
    pairs = [[torch.zeros(2, 1, 8, 8), torch.zeros(2).long()],
             [torch.from_numpy(images), torch.from_numpy(labels)]]  # fmt: skip
    scores = {"MLP": [np.float64(0.5)], "ConvNet": [np.float64(0.25), np.float64(0.28)]}
    path = folder / "res_DC_digits_ConvNet_2ipc.pt"
    torch.save({"data": pairs, "accs_all_exps": scores}, path)
    return Written(path, {"means": MEANS}, "images", 20)


def trajectories(folder: Path) -> Written:
    images, labels = standardised()
    torch.save(torch.nn.Parameter(torch.from_numpy(images)), folder / "images_best.pt")
    torch.save(torch.from_numpy(labels), folder / "labels_best.pt")
    return Written(folder / "images_best.pt", {"means": MEANS}, "images", 20)


def datm(folder: Path) -> Written:
    images, labels = standardised()
    logits = 5 * torch.from_numpy(np.log(soft(labels)))
    torch.save(torch.from_numpy(images), folder / "images_40.pt")
    torch.save(logits, folder / "labels_40.pt")
    torch.save(torch.tensor(0.0213), folder / "lr_40.pt")
    return Written(folder / "images_40.pt", {"means": MEANS}, "images", 20)


def idc(folder: Path) -> Written:
    images, labels = real()
    path = folder / "data.pt"
    torch.save([torch.from_numpy(mosaic(images)), torch.from_numpy(labels)], path)
    return Written(path, {"factor": 2}, "lic", 20 * 5)


def lic(folder: Path) -> Written:
    images, labels = real()
    over = mosaic(images) * 1.01 - 0.005  # not clamped
    path = folder / "data.pt"
    value = {"dataset": "digits", "data": torch.from_numpy(over), "label": torch.tensor(labels)}
    torch.save(value, path)
    return Written(path, {}, "lic", 20 * 5)


def folders(folder: Path) -> Written:
    images, labels = real()
    for index, (image, label) in enumerate(zip(colours(images), labels, strict=True)):
        place = folder / "set" / f"{label}" / f"class{label:05d}_id{index:05d}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place, quality=95)
    return Written(folder / "set", {}, "images", 20)


def folders_with_labels(folder: Path) -> Written:
    written = folders(folder)
    np.savez(written.path / "soft.npz", soft_labels=soft(real()[1]))
    return written


def rded(folder: Path) -> Written:
    written = folders(folder)
    torch.save(torch.from_numpy(soft(real()[1])), written.path / "labels.pt")
    return written._replace(options={"factor": 2}, codec="lic", count=20 * 5)


def kip(folder: Path) -> Written:
    images, labels = standardised()
    centred = np.eye(10)[labels] - 0.1
    path = folder / "kip.npz"
    np.savez(path, images=images.transpose(0, 2, 3, 1), labels=centred.astype(np.float32))
    return Written(path, {"means": MEANS}, "images", 20)


def frepo(folder: Path) -> Written:
    images, labels = standardised()
    learned = soft(labels) - 0.1
    path = folder / "frepo.npz"
    np.savez(path, image=images.transpose(0, 2, 3, 1), label=learned)
    return Written(path, {"means": MEANS}, "images", 20)


def plain(folder: Path) -> Written:
    images, labels = real()
    path = folder / "plain.npz"
    np.savez(path, train_images=colours(images), train_labels=labels)
    return Written(path, {}, "images", 20)


def rat_bptt(folder: Path) -> Written:
    import h5py

    images, labels = standardised()
    path = folder / "IPC_2.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=images.reshape(20, -1))
        file.create_dataset("epoch", data=7)
        file.create_dataset("label", data=soft(labels))
    return Written(path, {"means": MEANS}, "images", 20)


def podd(folder: Path) -> Written:
    """A poster of 5x2 classes with labels of as many cells."""
    images, _ = standardised()
    rows = [np.concatenate(list(images[first : first + 10 : 2, 0]), 1) for first in (0, 10)]
    poster = torch.from_numpy(np.concatenate(rows, 0))[None, None]
    labels = torch.eye(10).reshape(2, 5, 10).permute(2, 0, 1)[None]
    torch.save(poster, folder / "7_poster.pt")
    torch.save(labels, folder / "7_label.pt")
    return Written(folder / "7_poster.pt", {"means": MEANS, "patches": (9, 2)}, "podd", 18)


def podd_fixed(folder: Path) -> Written:
    written = podd(folder)
    (folder / "7_label.pt").unlink()
    return written._replace(options=written.options | {"order": "given"})


def parquet(folder: Path) -> Written:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    images, labels = real()
    cells = []
    for image in colours(images):
        data = io.BytesIO()
        Image.fromarray(image).save(data, "PNG")
        cells.append({"bytes": data.getvalue(), "path": None})
    table = pa.table({"image": cells, "soft_label": soft(labels).tolist()})
    pq.write_table(table, folder / "a.parquet")
    return Written(folder / "a.parquet", {}, "images", 20)


ALL: dict[str, tuple[Callable[[Path], Written], str]] = {
    "DC": (dc, ""),
    "MTT": (trajectories, ""),
    "DATM": (datm, ""),
    "IDC": (idc, ""),
    "LIC": (lic, ""),
    "SRe2L": (folders, ""),
    "CDA with soft labels": (folders_with_labels, ""),
    "RDED": (rded, ""),
    "KIP": (kip, ""),
    "FRePo": (frepo, ""),
    "npz": (plain, ""),
    "RaT-BPTT": (rat_bptt, "h5py"),
    "PoDD": (podd, ""),
    "PoDD, fixed labels": (podd_fixed, ""),
    "parquet": (parquet, "pyarrow"),
}


def available(name: str) -> bool:
    """Say whether the library that a layout needs is installed."""
    return not ALL[name][1] or importlib.util.find_spec(ALL[name][1]) is not None
