"""The decoded training set as the tensors that ``compute_metrics`` of DD-Ranking 0.2 takes.

Its scorers train on images as they are given, beside test images that they normalise by the mean
and std of a data set; so images are written as pixels, and whoever scores them normalises them in
the same way. They put soft labels through a softmax, so labels are written as logarithms.
"""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
import torch

from ..errors import Unsupported
from ..runtime.world import neutral_tensors
from .export import Decoded, write_manifest

MOST_BYTES = 2 << 30  # of all images as one tensor; twice that is needed to put them in order
NOTHING = -128.0  # for the logarithm of 0: a softmax makes it 0 again, and no product NaN


def write(decoded: Decoded, folder: Path) -> list[int]:
    """Write four tensors with ``torch.save``; return how many images have each class.

    ``images.pt`` float32 (N, C, H, W): 0 black, 1 white, not clipped. ``soft_labels.pt`` float32
    (N, classes): natural logarithms, so that their softmax at temperature 1 is the soft label.
    ``hard_labels.pt`` int64 (N,): the largest share. ``lr.pt`` float32, 0-d: Adam's rate in the
    recipe. Images are in class order, within a class in the order of the file.

    Raises Unsupported where the images are too many for one tensor.
    """
    image, classes = decoded.manifest.image, len(decoded.manifest.classes)
    shape = (decoded.count, image["channels"], image["height"], image["width"])
    size = 4 * prod(shape)
    if size > MOST_BYTES:
        raise Unsupported(
            f"{decoded.count} images take {size} bytes as one tensor, {MOST_BYTES} at most are "
            "written for DD-Ranking; decode to npz, which is written part by part"
        )
    images, soft = np.empty(shape, np.float32), np.empty((decoded.count, classes), np.float32)
    done = 0
    for pixels, labels in decoded.units():
        place = slice(done, done + len(labels))
        images[place], soft[place] = pixels, labels
        done += len(labels)
    hard = soft.argmax(1)
    order = np.argsort(hard, kind="stable")
    logs = np.full(soft.shape, NOTHING, np.float32)
    np.log(soft, out=logs, where=soft > 0)
    tensors = {
        "images": images[order],
        "soft_labels": logs[order],
        "hard_labels": hard[order].astype(np.int64),
        "lr": np.array(decoded.manifest.recipe["optimizer"]["lr"], np.float32),
    }
    with neutral_tensors():
        for name, array in tensors.items():
            torch.save(torch.from_numpy(array), folder / f"{name}.pt")
    write_manifest(decoded, folder)
    return [int(count) for count in np.bincount(hard, minlength=classes)]
