"""``ddcodec decode``: the decoded training set as ordinary files, soft labels included."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ddcodec.runtime.folders import check_folder, whole_folder

from .arguments import Cache, File, Prior, ReplaceFolder, folder_option
from .files import reading
from .output import message, number, percent
from .progress import Quiet, progress

Layout = Literal["npz", "imagefolder", "parquet", "webdataset", "ddranking"]
TENSORS = "ddranking"


def decode(
    file: File,
    out: Annotated[Path, folder_option("Folder to write; new or empty.")],
    to: Annotated[
        Layout,
        typer.Option(
            "--to",
            metavar="npz|imagefolder|parquet|webdataset|ddranking",
            help="npz: one file with images and soft labels as float32, exact, and 8-bit images. "
            "The others hold 8-bit PNG. imagefolder: a folder for each class, soft labels in "
            "labels.csv. parquet: the Hugging Face image layout, with a column soft_label. "
            "webdataset: tar shards, soft labels as .soft.npy. Each is a SOURCE for encode. "
            "ddranking: tensors for the scorers of DD-Ranking, in class order, which is none.",
        ),
    ],
    prior: Prior = None,
    cache: Cache = None,
    force: ReplaceFolder = False,
    quiet: Quiet = False,
) -> None:
    """Write the decoded images and soft labels of F as files that other tools read."""
    check_folder(out, force)

    from ddcodec.data import ddranking
    from ddcodec.data.export import LAYOUTS, Decoded

    with reading(file) as place, progress(quiet) as reporter:
        decoded = Decoded(place, prior=prior, cache=cache, reporter=reporter)
        write = ddranking.write if to == TENSORS else LAYOUTS[to]
        with whole_folder(out, force) as folder:
            counts = write(decoded, folder)
    if decoded.live:
        message(
            f"{out}: labels are those of the images as they are; 'ddcodec train' measures {file} "
            "with labels of views, which what is written here does not teach"
        )
    if counts is not None:
        message(f"{out}: {number(decoded.count)} images in class order; {of_classes(counts)}")
        if decoded.weights is not None:
            message(f"{out}: the scorers draw all images alike; the weights of F are left out")
        return
    note = "" if decoded.weights is None else "; weights say how often each is to be drawn"
    if decoded.rounded:
        share = percent(decoded.clipped / max(1, decoded.values))
        note += f"; 8-bit images are rounded, {share} of the values clipped"
        note += ", those of float32 are exact" if to == "npz" else ""
    message(f"{out}: {number(decoded.count)} images with soft labels{note}")


def of_classes(counts: list[int]) -> str:
    """Return how many images there are of each class, and what the package makes of that."""
    least, most = min(counts), max(counts)
    if least == most:
        return f"ipc={least}"
    return (
        f"{least} to {most} of each class: give hard_labels, for LabelRobustScoreSoft and "
        "AugmentationRobustScore number images by ipc"
    )
