"""The network in a file that labels views: what it knows itself, and its labels of other images."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..coresets.budgets import CodedBytes, coded_bytes, label_bytes
from ..judge.student import accuracy
from ..nn.views import Teacher
from ..runtime.world import neutral

if TYPE_CHECKING:
    from ..data.dataset import DistilledDataset
    from ..judge.trial import Trial


@neutral()
def used_directly(ds: DistilledDataset, trial: Trial) -> float | None:
    """Return the accuracy of the network in a file on the images of a trial, without a student.

    None where the file has no network that labels views.
    """
    teacher = ds.on(trial.device)[0].teacher
    return None if teacher is None else accuracy(teacher.labels, *trial.test)


def bytes_with_network(ds: DistilledDataset) -> CodedBytes:
    """Return how many bytes images take beside the network in a file, which they have for labels.

    They are those of the network and of the images, and none of a label.
    """
    sizes = ds.file.sizes.tensors
    network = sum(size for name, size in sizes.items() if name.startswith("label"))

    def size(images: NDArray[np.uint8], classes: int) -> int:
        return network + coded_bytes(images, classes) - len(images) * label_bytes(classes)

    return size


class OwnLabels(NamedTuple):
    """Labels by the network in a file of images that are not in it."""

    ds: DistilledDataset
    teacher: Teacher
    device: torch.device

    def soft(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return soft labels float32 (N, classes) of images (N, H, W, C) as they are."""
        seen: Tensor = self.ds.preprocess(images).to(self.device)
        found: NDArray[np.float32] = self.teacher.labels(seen).cpu().numpy()
        return found


def own_labels(ds: DistilledDataset, device: torch.device) -> OwnLabels | None:
    """Return who labels other images as the file does its own; None where no network does that."""
    teacher = ds.on(device)[0].teacher
    return None if teacher is None else OwnLabels(ds, teacher, device)
