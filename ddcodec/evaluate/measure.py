"""How good is a distilled data set? Fresh networks learn from the file alone and face real tests.

The protocol of the papers: a network with new random weights, the recipe in the file, plain Adam
at a constant rate, and the accuracy on the whole test split at the end. No step looks at real
training images, and none of the test images are looked at before the last step.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..errors import UsageError
from ..judge.recipe import Recipe
from ..judge.student import Precision
from ..judge.trial import Accuracy, Trial
from ..preprocessing.real import RealImages
from ..preprocessing.stored import in_bytes
from ..runtime.device import choose_device
from ..runtime.finished import NOTHING, Finished
from ..runtime.progress import SILENT, Reporter
from ..runtime.world import neutral
from ..sources import split_of
from ..version import __version__

if TYPE_CHECKING:
    from ..data.dataset import DistilledDataset
    from ..sources.base import Source
    from ..sources.split import Split


@neutral()
def protocol(
    ds: DistilledDataset,
    test: Any,
    *,
    nets: int = 8,
    steps: int | None = None,
    seed: int = 0,
    device: torch.device | str = "auto",
    architecture: str | None = None,
    precision: Precision = "float32",
    reporter: Reporter = SILENT,
    finished: Finished = NOTHING,
) -> Trial:
    """Return how a file and its baselines are measured: by the file's recipe, on ``test``.

    Args:
        ds: the distilled data set; its recipe decides everything not named here.
        test: real images uint8 (N, H, W, C) and labels int64 (N,), see ``test_split``, or a data
            set of torch or Hugging Face ``datasets`` that has a length.
        nets: networks, at least 1; network i begins from a generator keyed by (seed, i).
        steps: instead of the recipe's.
        seed: 0 or more.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        architecture: of other students than the recipe's: a name of ``judge.field``. Everything
            else of the recipe stays; ``architectures`` takes recipes of their own.
        precision: ``float32``, or ``bfloat16`` for faster convolutions.
        reporter: told of every few steps, and of each network.
        finished: keeps networks; whoever makes it sees to it that it is one for each data to test
            on and for each source of real images.

    Raises:
        UsageError: an argument is out of range, or the test images are of another kind.
        Unsupported: the recipe asks for what this version does not know.
    """
    recipe = Recipe.of(ds.manifest)
    if steps is not None:
        recipe = replace(recipe, steps=steps)
    images = test_tensors(ds, split_of(test, ds.classes), choose_device(str(device)))
    subject = (ds.manifest.content_digest, ds.file.sizes.total)
    return Trial(recipe, images, nets, seed, reporter, architecture, precision, finished, subject)


def train_students(ds: DistilledDataset, test: Any, **settings: Any) -> Accuracy:
    """Train fresh networks on the file alone and return their accuracy on real images.

    ``settings`` are the keyword arguments of ``protocol``, which says what is raised too.
    """
    return on_file(ds, protocol(ds, test, **settings))


def on_file(
    ds: DistilledDataset, trial: Trial, name: str = "this file", labels: Tensor | None = None
) -> Accuracy:
    """Return the accuracy of the networks of a trial that learn from the file.

    ``name`` is what the reporter is told; ``labels`` float32 (N, classes) take the place of the
    file's own and of its teacher's, under another name.
    """
    samples, _ = ds.on(trial.device)
    if trial.nets * trial.recipe.steps * trial.recipe.batch_size >= len(samples):
        samples.prepare(trial.reporter)  # all of them will be asked for
    teacher = samples.teacher if labels is None else None
    labels = (ds.soft_labels if labels is None else labels).to(trial.device)
    return trial.run(name, lambda net: (samples, labels), teacher=teacher)


def run_of(
    trial: Trial, test: Split, source: Source | None, observer: str | None
) -> dict[str, Any]:
    """Return all that the networks of a run have in common, JSON values (and tuples).

    ``source`` gives real images to learn from, ``observer`` is the digest of who labels them.
    """
    tested = hashlib.sha256()
    for pixels in in_bytes(test.images):
        tested.update(pixels)
    tested.update(np.asarray(test.labels, "<i8").tobytes())
    return {
        "versions": [__version__, torch.__version__],
        "trial": trial.facts(),
        "test": tested.hexdigest(),
        "source": None if source is None else source.digest(),
        "observer": observer,
    }


def test_split(ds: DistilledDataset, source: Source) -> Split:
    """Return the test split of ``source``, made sure to be of the same kind as the file.

    Raises UsageError where size, channels or classes differ, SourceError where there is no split.
    """
    image = ds.manifest.image
    ours = (image["height"], image["width"], image["channels"])
    theirs = (source.height, source.width, source.channels)
    if ours != theirs:
        raise UsageError(
            f"{source.where}: images are {'x'.join(map(str, theirs))} (height x width x channels), "
            f"the file is made for {'x'.join(map(str, ours))}; test on data of its own kind"
        )
    if len(source.classes) != len(ds.classes):
        raise UsageError(
            f"{source.where}: has {len(source.classes)} classes, the file {len(ds.classes)}; "
            "test on data of its own kind"
        )
    for index, (name, other) in enumerate(zip(ds.classes, source.classes, strict=True)):
        if name != other:
            raise UsageError(
                f"{source.where}: class {index} is '{other}', in the file it is '{name}'; "
                "test on data with the same classes in the same order"
            )
    return source.require_test()


def test_tensors(
    ds: DistilledDataset, test: Split, device: torch.device
) -> tuple[RealImages, Tensor]:
    """Return test images, preprocessed, and labels int64 (N,) on ``device``.

    Raises UsageError for images of another size, no images, or labels that are no class.
    """
    labels = np.asarray(test.labels, dtype=np.int64)
    if len(labels) == 0 or len(labels) != len(test.images):
        raise UsageError(
            f"the test split has {len(test.images)} images and {len(labels)} labels; "
            "it needs at least one image and a label for each"
        )
    if labels.min() < 0 or labels.max() >= len(ds.classes):
        raise UsageError(
            f"the test labels run from {labels.min()} to {labels.max()}, the file has "
            f"{len(ds.classes)} classes; test on data of its own kind"
        )
    images = RealImages(test.images, ds.preprocess, device)
    return images, torch.tensor(labels, device=device)
