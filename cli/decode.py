"""``ddcodec decode``: the decoded training set as ordinary files, soft labels included."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .files import check_folder, reading, whole_folder
from .output import message, number, percent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ddcodec.dataset import DistilledDataset

Layout = Literal["npz", "imagefolder"]
BATCH = 1024  # samples decoded at a time; bounds the memory that pictures take


def decode(
    file: Annotated[Path, typer.Argument(metavar="F", help="The .ddset file to decode.")],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="DIR", help="Folder to write; new or empty.")
    ],
    to: Annotated[
        Layout,
        typer.Option(
            "--to",
            help="npz: one file with images and soft labels as float32, exact. imagefolder: PNG "
            "files in a folder for each class (8 bits), and labels.csv with the soft labels.",
        ),
    ],
    force: Annotated[
        bool, typer.Option("-f", "--force", help="Replace DIR and all that is in it.")
    ] = False,
) -> None:
    """Write the decoded images and soft labels of F as files that other tools read."""
    check_folder(out, force)

    from ddcodec.dataset import load

    with reading(file):
        ds = load(file)
    writers: dict[Layout, Callable[[DistilledDataset, Path], str]] = {
        "npz": write_npz,
        "imagefolder": write_image_folder,
    }
    with whole_folder(out, force) as folder:
        note = writers[to](ds, folder)
    message(f"{out}: {number(len(ds))} images with soft labels{note}")


def write_npz(ds: DistilledDataset, folder: Path) -> str:
    """Write ``data.npz``: images float32 (N, C, H, W), labels float32 (N, classes), both exact.

    ``class_names`` are text (classes,), ``manifest`` is the file's manifest as JSON text. Images
    are in the space of the file's preprocessing. No entry needs pickle.
    """
    import numpy as np

    parts = list(batches(ds))
    np.savez(
        folder / "data.npz",
        images=np.concatenate([images for images, _ in parts]),
        labels=np.concatenate([labels for _, labels in parts]),
        class_names=np.array(ds.classes, dtype=np.str_),
        manifest=np.array(ds.manifest.to_json(), dtype=np.str_),
    )
    return ""


def write_image_folder(ds: DistilledDataset, folder: Path) -> str:
    """Write ``train/CLASS/INDEX.png`` by the strongest label, and ``labels.csv`` with all of them.

    Returns a note on what eight bits cost.
    """
    import numpy as np
    from PIL import Image

    from ddcodec.preprocess import to_unit_range

    names = folder_names(ds.classes)
    for name in names:
        (folder / "train" / name).mkdir(parents=True)
    digits = len(str(max(0, len(ds) - 1)))
    index = clipped = values = 0
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as text:
        rows = csv.writer(text)
        rows.writerow(["file", *ds.classes])
        for images, labels in batches(ds):
            unit = to_unit_range(images, ds.manifest.image["preprocessing"])
            clipped += int(np.count_nonzero((unit < 0) | (unit > 1)))
            values += unit.size
            pixels = np.rint(np.clip(unit, 0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
            for picture, label in zip(pixels, labels, strict=True):
                path = Path("train", names[int(label.argmax())], f"{index:0{digits}d}.png")
                grey = picture.shape[-1] == 1
                Image.fromarray(picture[..., 0] if grey else picture).save(folder / path)
                rows.writerow([path.as_posix(), *(str(value) for value in label)])
                index += 1
    return f"; rounded to 8 bits, {percent(clipped / max(1, values))} of the values clipped"


def batches(
    ds: DistilledDataset,
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Give images float32 (B, C, H, W) and labels float32 (B, classes) in the file's order."""
    for images, labels in ds.batches(BATCH, shuffle=False):
        yield images.numpy(), labels.numpy()


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
