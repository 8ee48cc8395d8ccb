"""What one could store instead: real images and class means, at the same pixels or bytes.

Every baseline but one is a small training set of 8-bit images with one-hot labels. It is
preprocessed as the file says and learned by the same students with the same recipe, so only the
data differs. ``draws`` and ``selections`` say which images are taken, ``budgets`` how many of them
fit. The one is a network in the bytes of the file (``quantised``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..codecs.registry import CODECS
from ..codecs.samples import Samples
from ..coresets.budgets import (
    Budget,
    CodedBytes,
    coded_bytes,
    enlarge,
    label_bytes,
    same_bytes,
    same_pixels,
    shrink,
)
from ..coresets.draws import ClassImages, Draw, images_by_class, mean_draw, random_draw
from ..judge.recipe import FULL_BATCH, FULL_EPOCHS, batch_for
from ..judge.trial import Accuracy, Entry, Trial
from ..nn.views import Teacher
from ..preprocessing.real import RealImages
from ..preprocessing.stored import Stored
from ..runtime.world import neutral
from .live import OwnLabels, bytes_with_network, own_labels
from .quantised import TITLE as QUANTISED
from .quantised import quantised_network
from .selections import features_of, herding, k_centres, selected_draw
from .stored_images import StoredImages

if TYPE_CHECKING:
    from ..data.dataset import DistilledDataset
    from ..sources.base import Source
    from ..sources.split import Split

FULL = "full_data"  # the one that is no alternative: all data, whatever its bytes
FULL_STEPS = 1500  # at most; 8 epochs of CIFAR

Label = Callable[[NDArray[np.uint8]], NDArray[np.float32]]  # (N, H, W, C) -> (N, classes)
# (images (N, H, W, C), classes) -> (the images as they come back, bytes)
Store = Callable[[NDArray[np.uint8], int], tuple[NDArray[np.uint8], int]]


@neutral()
def baselines(
    trial: Trial, ds: DistilledDataset, source: Source, full_steps: int | None = None
) -> dict[str, dict[str, Any]]:
    """Return the accuracy of every baseline on the trial's test images, by name.

    Names: ``random_images_same_pixels``, ``class_means_same_pixels``, ``herding_same_pixels``,
    ``k_centres_same_pixels``, ``random_images_same_bytes``, ``class_means_same_bytes``,
    ``quantised_network_same_bytes`` and ``full_data``. Each has ``accuracy_mean``,
    ``accuracy_std`` (over networks), ``per_net``, ``pixels``, ``bytes``, ``images_per_class`` and
    ``stored_size`` [height, width]. ``bytes`` are coded as in "same bytes", of the largest draw;
    those of ``full_data`` are its plain pixels and labels. The quantised network has no images,
    and other names instead (``quantised.quantised_network``). Where the network in the file labels
    views there is also ``random_images_file_network``: random images in the bytes beside that
    network, whose views it labels, too.

    Real images come from the training split of ``source``. ``full_steps`` are steps on the full
    data, in batches of 256 at the recipe's rate; by default 20 epochs or 1500 steps, whichever is
    less. They are also those of the quantised network, and of the network whose features select
    images. Raises SourceError for a class without training images.
    """
    by_class, total = images_by_class(source), ds.file.sizes.total
    draws = {
        "random_images": random_draw(by_class, trial.seed),
        "class_means": mean_draw(by_class, trial.seed, trial.device),
    }
    pixels = same_pixels(stored_pixels(ds), by_class)

    def at_same_bytes(title: str, draw: Draw) -> dict[str, Any]:
        trial.reporter.stage(f"{title}: how many fit", 0)
        return learn(title, trial, ds, draw, same_bytes(total, by_class, draw, trial.nets))

    results = {}
    features = features_of(trial, source.train, by_class, ds.preprocess, full_steps)
    selected = {
        "herding": selected_draw(by_class, features, herding),
        "k_centres": selected_draw(by_class, features, k_centres),
    }
    for name, draw in {**draws, **selected}.items():
        title = f"{name.replace('_', ' ')}, same pixels"
        make = partial(learn, title, trial, ds, draw, pixels)
        results[f"{name}_same_pixels"] = trial.entry(title, make, full_steps)
    for name, draw in draws.items():
        title = f"{name.replace('_', ' ')}, same bytes"
        make = partial(at_same_bytes, title, draw)
        results[f"{name}_same_bytes"] = trial.entry(title, make)
    own = own_labels(ds, trial.device)
    if own is not None:
        title = "random images, labels of the file's network, same bytes"
        make = partial(with_file_network, title, trial, ds, by_class, own)
        results["random_images_file_network"] = trial.entry(title, make)
    make = partial(quantised_network, trial, source.train, len(ds.classes), total, full_steps)
    results["quantised_network_same_bytes"] = trial.entry(QUANTISED, make, full_steps)
    make = partial(full_data, trial, ds, source.train, full_steps)
    results[FULL] = trial.entry("all training images", make, full_steps)
    return results


def with_file_network(
    title: str, trial: Trial, ds: DistilledDataset, by_class: ClassImages, own: OwnLabels
) -> Entry:
    """Train on random images in place of those of the file; its network labels their views."""
    trial.reporter.stage(f"{title}: how many fit", 0)
    draw, size = random_draw(by_class, trial.seed), bytes_with_network(ds)
    budget = same_bytes(ds.file.sizes.total, by_class, draw, trial.nets, size)
    store = exact(size)
    return learn(title, trial, ds, draw, budget, store, label=own.soft, teacher=own.teacher)


def exact(size: CodedBytes) -> Store:
    """Return what stores images as they are, in so many bytes."""
    return lambda images, classes: (images, size(images, classes))


def ahead_of(accuracy: float, entries: Mapping[str, Entry]) -> list[str]:
    """Return the names of baselines, all data left out, that are above an accuracy, best first."""
    found = {name: entry["accuracy_mean"] for name, entry in entries.items() if name != FULL}
    above = [name for name, mean in found.items() if mean is not None and mean > accuracy]
    return sorted(above, key=lambda name: -found[name])


def stored_pixels(ds: DistilledDataset) -> int:
    """Return the pixels that the file stores, channels not counted."""
    manifest = ds.manifest
    return CODECS[manifest.codec["name"]].describe(manifest, ds.file.sizes).pixels


def learn(
    stage: str,
    trial: Trial,
    ds: DistilledDataset,
    draw: Draw,
    budget: Budget,
    store: Store | None = None,
    passes: int = 0,
    label: Label | None = None,
    teacher: Teacher | None = None,
) -> dict[str, Any]:
    """Train students on the draws that ``budget`` allows; return the entry of the result.

    Args:
        stage: the name that the reporter is told.
        store: gives the stored images as they come back and their bytes; by default they come
            back as they were and take ``coded_bytes``.
        passes: times that every image is seen at least; batches grow for it to 256 at most.
        label: gives the labels of images at full size; by default each has its class.
        teacher: labels what the recipe augments; without one labels stay, or are mixed as images.
    """
    store = store or exact(coded_bytes)
    _, height, width = ds.image_shape
    classes = len(ds.classes)
    batch_size = batch_for(trial.recipe, classes * budget.per_class, passes)
    trial = replace(trial, recipe=replace(trial.recipe, batch_size=batch_size))
    sizes = []

    def training_set(student: int) -> tuple[Samples, Tensor]:
        stored = shrink(draw(budget.per_class, student), budget.size)
        stored, size = store(stored, classes)
        sizes.append(size)
        images = enlarge(stored, (height, width))
        one_hot = np.eye(classes, dtype=np.float32).repeat(budget.per_class, 0)
        return _samples(ds, images, label(images) if label else one_hot, trial.device)

    result = trial.run(stage, training_set, asdict(budget), teacher=teacher)
    pixels = classes * budget.per_class * budget.size[0] * budget.size[1]
    return _entry(result, pixels, max(sizes), budget)


def full_data(
    trial: Trial, ds: DistilledDataset, train: Split, steps: int | None = None
) -> dict[str, Any]:
    """Train on all images: ``steps`` steps, by default 20 epochs, at most 1500 steps."""
    if steps is None:
        steps = min(FULL_STEPS, ceil(FULL_EPOCHS * len(train.labels) / FULL_BATCH))
    recipe = replace(trial.recipe, steps=steps, batch_size=FULL_BATCH)
    labels = np.eye(len(ds.classes), dtype=np.float32)[train.labels]
    whole = _samples(ds, train.images, labels, trial.device)
    result = replace(trial, recipe=recipe).run("all training images", lambda student: whole)
    count, height, width, channels = train.images.shape
    pixels = count * height * width
    size = pixels * channels + count * label_bytes(len(ds.classes))
    return _entry(result, pixels, size, Budget(count // len(ds.classes), (height, width)))


def _samples(
    ds: DistilledDataset,
    images: Stored,
    targets: NDArray[np.float32],
    device: torch.device,
) -> tuple[Samples, Tensor]:
    samples = StoredImages(RealImages(images, ds.preprocess, device), targets)
    return samples, torch.from_numpy(targets).to(device)


def _entry(result: Accuracy, pixels: int, size: int, budget: Budget) -> dict[str, Any]:
    return {
        **result.figures(),
        "pixels": pixels,
        "bytes": size,
        "images_per_class": budget.per_class,
        "stored_size": list(budget.size),
    }
