"""What one could store instead: real images and class means, at the same pixels or bytes.

Every baseline is a small training set of 8-bit images with one-hot labels. It is preprocessed as
the file says and learned by the same students with the same recipe, so only the data differs.

Same pixels
    The file's stored pixels, shared evenly by the classes. From one image a class on
    (pixels >= classes x height x width): floor(pixels per class / pixels of an image) images a
    class at full size. Below: one image a class, stored at side floor(sqrt(pixels per class)) for
    square images, at the same aspect for others; reduced with Pillow's LANCZOS filter and brought
    back to full size with BICUBIC, as a decoder would.
Same bytes
    The file's total bytes, header included, against pixels coded with zstd level 19 as one block,
    in (image, row, column, channel) order, plus one byte a label (two from 257 classes on). The
    most full-size images a class that fit; where not one fits, one image a class at the longest
    side that fits, reduced and brought back as above.

Random images are drawn anew for each student, so the spread is over draws and networks. Class
means are rounded to 8 bits; where the budget holds k > 1 images a class, they are the k means of
each class found by k-means (Lloyd's algorithm, begun anew for each student).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from math import ceil, isqrt
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import zstandard
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ..codecs.registry import CODECS
from ..codecs.samples import Device, Samples
from ..errors import SourceError
from ..judge.recipe import Recipe
from ..judge.student import Precision
from ..judge.trial import Accuracy, Trial
from ..preprocessing.transform import Preprocess
from ..runtime.device import choose_device
from ..runtime.progress import SILENT, Reporter
from ..runtime.rng import generator
from .measure import test_split, test_tensors

if TYPE_CHECKING:
    from ..data.dataset import DistilledDataset
    from ..observers.file import Trained
    from ..sources.base import Source, Split

FULL_EPOCHS = 20
FULL_STEPS = 1500  # at most; 8 epochs of CIFAR
FULL_BATCH = 256
KMEANS_ROUNDS = 20
ZSTD_LEVEL = 19

Size = tuple[int, int]
ClassImages = list[NDArray[np.uint8]]  # for each class (n, H, W, C)
Draw = Callable[
    [int, int], NDArray[np.uint8]
]  # (k images a class, student) -> (classes, k, H, W, C)
CodedBytes = Callable[[NDArray[np.uint8], int], int]  # (images (N, H, W, C), classes) -> bytes
# (images (N, H, W, C), classes) -> (the images as they come back, bytes)
Label = Callable[[NDArray[np.uint8]], NDArray[np.float32]]  # (N, H, W, C) -> (N, classes)
Store = Callable[[NDArray[np.uint8], int], tuple[NDArray[np.uint8], int]]


@dataclass(frozen=True)
class Budget:
    """What fits: ``per_class`` images of each class, stored at ``size`` (height, width)."""

    per_class: int
    size: Size


class StoredImages(Samples):
    """8-bit images (N, C, H, W) that are preprocessed when they are gathered."""

    def __init__(self, images: Tensor, labels: NDArray[np.float32], preprocess: Preprocess) -> None:
        self.labels = labels
        self.image_shape = (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))
        self._images = images
        self._preprocess = preprocess

    def gather(self, index: Tensor) -> Tensor:
        """Return the images at ``index`` (int64 (B,)) as float32 (B, C, H, W)."""
        return self._preprocess(self._images[index.to(self._images.device)])

    def to(self, device: Device) -> StoredImages:
        """Return the same images on ``device``."""
        return StoredImages(self._images.to(device), self.labels, self._preprocess)


def baselines(
    ds: DistilledDataset,
    source: Source,
    *,
    nets: int = 8,
    steps: int | None = None,
    seed: int = 0,
    device: torch.device | str = "auto",
    full_steps: int | None = None,
    usual: bool = True,
    observer: Trained | None = None,
    architecture: str | None = None,
    precision: Precision = "float32",
    reporter: Reporter = SILENT,
) -> dict[str, dict[str, Any]]:
    """Return the accuracy of every baseline on the source's test split, by name.

    Names: ``random_images_same_pixels``, ``class_means_same_pixels``,
    ``random_images_same_bytes``, ``class_means_same_bytes``, ``full_data``, and with an observer
    ``random_images_observer_labels`` (see ``soft_baselines``). Each has ``accuracy_mean``,
    ``accuracy_std`` (over networks), ``per_net``, ``pixels``, ``bytes``, ``images_per_class`` and
    ``stored_size`` [height, width]. ``bytes`` are coded as in "same bytes", of the largest draw;
    those of ``full_data`` are its plain pixels and labels.

    Args:
        ds: the distilled data set that is compared.
        source: the data it was made from; real images come from its training split.
        nets: students of each baseline. steps: instead of the recipe's.
        seed, device, reporter: as for ``evaluate.train_students``.
        full_steps: steps on the full data, in batches of 256 at the recipe's rate; by default 20
            epochs or 1500 steps, whichever is less.
        usual: False leaves all but the observer's out.
        observer: labels random images at the same bytes, made for these classes and images.
        architecture, precision: as for ``evaluate.train_students``.

    Raises:
        UsageError: as ``evaluate.train_students``. SourceError: no test split, or a class without
            training images.
    """
    test = test_split(ds, source)
    trial = protocol(ds, test, nets=nets, steps=steps, seed=seed, device=device, reporter=reporter)
    trial = replace(trial, architecture=architecture, precision=precision)
    by_class = images_by_class(source)
    results = {}
    if observer is not None:
        from .soft_baselines import random_images_with_observer

        results["random_images_observer_labels"] = random_images_with_observer(
            trial, ds, by_class, observer, ds.file.sizes.total
        )
    if not usual:
        return results
    draws = {
        "random_images": random_draw(by_class, seed),
        "class_means": mean_draw(by_class, trial),
    }
    for name, draw in draws.items():
        budget = same_pixels(stored_pixels(ds), by_class)
        results[f"{name}_same_pixels"] = measure(f"{name}, same pixels", trial, ds, draw, budget)
    for name, draw in draws.items():
        budget = same_bytes(ds.file.sizes.total, by_class, draw, nets)
        results[f"{name}_same_bytes"] = measure(f"{name}, same bytes", trial, ds, draw, budget)
    results["full_data"] = full_data(trial, ds, source.train, full_steps)
    return results


def protocol(
    ds: DistilledDataset,
    test: Split,
    *,
    nets: int,
    steps: int | None,
    seed: int,
    device: torch.device | str,
    reporter: Reporter,
) -> Trial:
    """Return the trial that the file's recipe asks for; ``steps`` are instead of the recipe's."""
    recipe = Recipe.of(ds.manifest)
    if steps is not None:
        recipe = replace(recipe, steps=steps)
    return Trial(recipe, test_tensors(ds, test, choose_device(str(device))), nets, seed, reporter)


def random_draw(by_class: ClassImages, seed: int) -> Draw:
    """Return how each student draws random images."""
    return lambda k, student: random_images(by_class, k, (seed, student))


def mean_draw(by_class: ClassImages, trial: Trial) -> Draw:
    """Return how each student finds its class means; found ones are kept."""
    device = trial.test[0].device
    return cache(lambda k, student: class_means(by_class, k, (trial.seed, student), device))


def stored_pixels(ds: DistilledDataset) -> int:
    """Return the pixels that the file stores, channels not counted."""
    manifest = ds.manifest
    return CODECS[manifest.codec["name"]].describe(manifest, ds.file.sizes).pixels


def images_by_class(source: Source) -> ClassImages:
    """Return the training images of each class, uint8 (n, H, W, C)."""
    images, labels = source.train.images, source.train.labels
    groups = [images[labels == index] for index in range(len(source.classes))]
    for name, group in zip(source.classes, groups, strict=True):
        if len(group) == 0:
            raise SourceError(f"{source.name}: class '{name}' has no training image")
    return groups


def same_pixels(pixels: int, by_class: ClassImages) -> Budget:
    """Return what fits into ``pixels`` stored pixels (see the top of this module)."""
    classes = len(by_class)
    height, width = by_class[0].shape[1:3]
    per_class = pixels // (classes * height * width)
    if per_class >= 1:
        return Budget(min(per_class, _smallest_class(by_class)), (height, width))
    # floor(sqrt(pixels / classes x height / width)) rows, exactly; columns likewise.
    rows = isqrt(height * pixels // (width * classes))
    columns = isqrt(width * pixels // (height * classes))
    # A side under one pixel is one pixel long; the other one then keeps to the budget by itself.
    rows = max(1, rows if columns else min(rows, pixels // classes))
    return Budget(1, (rows, max(1, min(columns, pixels // classes // rows))))


def same_bytes(
    total: int,
    by_class: ClassImages,
    draw: Draw,
    students: int,
    coded: CodedBytes | None = None,
) -> Budget:
    """Return the most that fits into ``total`` bytes in the draw of every student.

    ``coded`` says how many bytes stored images take; by default that is ``coded_bytes``. The least
    there is, one pixel a class, is returned without a look at its size.
    """
    coded = coded or coded_bytes
    height, width = by_class[0].shape[1:3]
    longest = max(height, width)
    budgets = [
        Budget(1, (max(1, height * side // longest), max(1, width * side // longest)))
        for side in range(1, longest)
    ]
    budgets += [Budget(k, (height, width)) for k in range(1, _smallest_class(by_class) + 1)]

    def fits(place: int, student: int = 0) -> bool:
        budget = budgets[place]
        return coded(shrink(draw(budget.per_class, student), budget.size), len(by_class)) <= total

    # Doubling first: a bisection of all budgets would begin with half of the training set.
    low, high = 0, 1
    while high < len(budgets) and fits(high):
        low, high = high, 2 * high
    high = min(high, len(budgets))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    while low > 0 and not all(fits(low, student) for student in range(students)):
        low -= 1
    return budgets[low]


def random_images(by_class: ClassImages, k: int, seed: tuple[int, int]) -> NDArray[np.uint8]:
    """Return ``k`` images of each class without repetition, (classes, k, H, W, C).

    ``seed`` is (seed, student). The first images of a draw do not depend on ``k``.
    """
    chosen = []
    for index, group in enumerate(by_class):
        order = torch.randperm(len(group), generator=generator(seed[0], "draw", seed[1], index))
        chosen.append(group[order[:k].numpy()])
    return np.stack(chosen)


def class_means(
    by_class: ClassImages, k: int, seed: tuple[int, int], device: torch.device
) -> NDArray[np.uint8]:
    """Return the ``k`` means of each class, rounded to 8 bits, (classes, k, H, W, C)."""
    shape = by_class[0].shape[1:]
    means = []
    for index, group in enumerate(by_class):
        x = torch.tensor(group.reshape(len(group), -1)).to(device, torch.float32)
        centres = k_means(x, k, generator(seed[0], "k-means", seed[1], index))
        means.append(centres.round().to("cpu", torch.uint8).numpy().reshape(k, *shape))
    return np.stack(means)


def k_means(x: Tensor, k: int, random: torch.Generator) -> Tensor:
    """Return ``k`` centres (k, d) of points float32 (n, d) by Lloyd's algorithm.

    It begins with distinct random points and stops when nothing moves, or after 20 rounds. A
    centre that loses all its points stays where it is.
    """
    if k == 1:
        return x.mean(0, keepdim=True)
    centres = x[torch.randperm(len(x), generator=random)[:k].to(x.device)]
    before = None
    for _ in range(KMEANS_ROUNDS):
        # |x - c|^2 without |x|^2, which is the same for every centre.
        nearest = ((centres * centres).sum(1) - 2 * x @ centres.T).argmin(1)
        if before is not None and torch.equal(nearest, before):
            break
        before = nearest
        sums = torch.zeros_like(centres).index_add_(0, nearest, x)
        counts = torch.bincount(nearest, minlength=k)[:, None]
        centres = torch.where(counts > 0, sums / counts.clamp(min=1), centres)
    return centres


def shrink(images: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Return images (..., H, W, C) as they are stored: uint8 (N, h, w, C) with ``size`` (h, w)."""
    flat = images.reshape(-1, *images.shape[-3:])
    return _resize(flat, size, Image.Resampling.LANCZOS)


def enlarge(images: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Return stored images (N, h, w, C) at full size (height, width)."""
    return _resize(images, size, Image.Resampling.BICUBIC)


def coded_bytes(images: NDArray[np.uint8], classes: int) -> int:
    """Return the bytes of images (N, H, W, C) under zstd level 19, and of their labels."""
    coder = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
    pixels = len(coder.compress(np.ascontiguousarray(images).tobytes()))
    return pixels + len(images) * label_bytes(classes)


def label_bytes(classes: int) -> int:
    """Return the bytes of one class index."""
    return 1 if classes <= 256 else 2


def _smallest_class(by_class: ClassImages) -> int:
    return min(len(group) for group in by_class)


def _resize(images: NDArray[np.uint8], size: Size, method: Image.Resampling) -> NDArray[np.uint8]:
    if images.shape[1:3] == size:
        return images
    height, width = size
    pictures = (Image.fromarray(x[..., 0] if x.shape[-1] == 1 else x) for x in images)
    resized = [np.asarray(picture.resize((width, height), method)) for picture in pictures]
    return np.stack(resized).reshape(len(images), height, width, images.shape[-1])


def measure(
    stage: str,
    trial: Trial,
    ds: DistilledDataset,
    draw: Draw,
    budget: Budget,
    store: Store | None = None,
    passes: int = 0,
    label: Label | None = None,
) -> dict[str, Any]:
    """Train students on the draws that ``budget`` allows; return the entry of the result.

    Args:
        stage, trial, ds: name, protocol, and the distilled data set that is compared.
        draw, budget: what each student learns from.
        store: gives the stored images as they come back and their bytes; by default they come
            back as they were and take ``coded_bytes``.
        passes: times that every image is seen at least; batches grow for it to 256 at most.
        label: gives the labels of images at full size; by default each has its class.
    """
    store = store or (lambda images, classes: (images, coded_bytes(images, classes)))
    _, height, width = ds.image_shape
    device = trial.test[0].device
    classes = len(ds.classes)
    batch_size = batch_for(trial.recipe, classes * budget.per_class, passes)
    trial = replace(trial, recipe=replace(trial.recipe, batch_size=batch_size))
    sizes = []

    def training_set(student: int) -> tuple[Samples, Tensor]:
        stored = shrink(draw(budget.per_class, student), budget.size)
        stored, size = store(stored, classes)
        sizes.append(size)
        images = enlarge(stored, (height, width))
        if label is not None:
            return _samples(ds, images, label(images), device)
        labels = np.repeat(np.arange(classes), budget.per_class)
        return _training_set(ds, images, labels, device)

    result = trial.run(stage, training_set)
    pixels = classes * budget.per_class * budget.size[0] * budget.size[1]
    return _entry(result, pixels, max(sizes), budget)


def batch_for(recipe: Recipe, images: int, passes: int) -> int:
    """Return the batch size in which ``images`` are seen ``passes`` times in the recipe's steps.

    It is that of the recipe where that is enough, and 256 at most unless the recipe's is more.
    """
    return max(recipe.batch_size, min(FULL_BATCH, ceil(passes * images / recipe.steps)))


def full_data(
    trial: Trial, ds: DistilledDataset, train: Split, steps: int | None = None
) -> dict[str, Any]:
    """Train on all images: ``steps`` steps, by default 20 epochs, at most 1500 steps."""
    if steps is None:
        steps = min(FULL_STEPS, ceil(FULL_EPOCHS * len(train.labels) / FULL_BATCH))
    recipe = replace(trial.recipe, steps=steps, batch_size=FULL_BATCH)
    whole = _training_set(ds, train.images, train.labels, trial.test[0].device)
    result = replace(trial, recipe=recipe).run("full data", lambda student: whole)
    count, height, width, channels = train.images.shape
    pixels = count * height * width
    size = pixels * channels + count * label_bytes(len(ds.classes))
    return _entry(result, pixels, size, Budget(count // len(ds.classes), (height, width)))


def _training_set(
    ds: DistilledDataset,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    device: torch.device,
) -> tuple[Samples, Tensor]:
    return _samples(ds, images, np.eye(len(ds.classes), dtype=np.float32)[labels], device)


def _samples(
    ds: DistilledDataset,
    images: NDArray[np.uint8],
    targets: NDArray[np.float32],
    device: torch.device,
) -> tuple[Samples, Tensor]:
    x = torch.tensor(images).permute(0, 3, 1, 2).contiguous()
    samples = StoredImages(x, targets, ds.preprocess).to(device)
    return samples, torch.from_numpy(targets).to(device)


def _entry(result: Accuracy, pixels: int, size: int, budget: Budget) -> dict[str, Any]:
    return {
        "accuracy_mean": result.mean,
        "accuracy_std": result.std,
        "per_net": list(result.per_net),
        "pixels": pixels,
        "bytes": size,
        "images_per_class": budget.per_class,
        "stored_size": list(budget.size),
    }
