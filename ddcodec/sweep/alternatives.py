"""What a sweep puts beside a file: other uses of its bytes or pixels, each by a name.

In its bytes: random images in three formats, with an observer's labels where the files have such
labels, k-means centroids, and a quantised network. In its pixels: selections by herding and
k-centres. Batches of many images grow, so that each image is seen 20 times.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..coresets.budgets import same_bytes, same_pixels
from ..coresets.draws import images_by_class, mean_draw
from ..coresets.sheets import FORMATS, can_write
from ..evaluate.baselines import learn, stored_pixels
from ..evaluate.image_baselines import image_baseline
from ..evaluate.quantised import quantised_network
from ..evaluate.selections import Features, features_of, herding, k_centres, selected_draw
from ..evaluate.soft_baselines import random_images_with_observer
from ..judge.recipe import FULL_EPOCHS
from ..observers.file import load as load_observer

if TYPE_CHECKING:
    from ..data.dataset import DistilledDataset
    from ..judge.trial import Trial
    from ..sources.base import Source

Entry = dict[str, Any]

K_MEANS, NETWORK, SOFT = "k_means", "quantised_network", "random_images_observer_labels"
SELECTIONS = {"herding": herding, "k_centres": k_centres}


class Alternatives:
    """The alternatives to the files of one sweep.

    Attributes:
        notes: what is left out, and why, one line each.
    """

    def __init__(self, source: Source, observer: str | os.PathLike[str] | None = None) -> None:
        """Take where real images come from, and who labels those of ``SOFT``, if anyone."""
        self._source, self._observer = source, observer
        self._features: dict[str, Features] = {}
        images = {f"random_images_{kind.name.lower()}": kind for kind in FORMATS}
        self._images = {name: kind for name, kind in images.items() if can_write(kind.name)}
        self.notes = [
            f"{kind.name}, which this Pillow cannot write"
            for name, kind in images.items()
            if name not in self._images
        ]

    def names(self) -> Iterator[str]:
        """Give the names of those that have the bytes of a file."""
        yield from self._images
        if self._observer is not None:
            yield SOFT
        yield from (K_MEANS, NETWORK)

    def measured(self, name: str, trial: Trial, ds: DistilledDataset) -> Entry:
        """Return the entry of one (see ``evaluate.baselines``) beside a file.

        Accuracies are None where nothing fits. Raises SourceError for a class without training
        images; what ``observers.file.load`` raises.
        """
        total, by_class = ds.file.sizes.total, images_by_class(self._source)
        found: Entry | None
        if name == NETWORK:
            found = quantised_network(trial, self._source.train, len(ds.classes), total)
        elif name == SOFT:
            assert self._observer is not None
            observer = load_observer(self._observer)
            found = random_images_with_observer(trial, ds, by_class, observer, total)
        elif name == K_MEANS:
            draw = mean_draw(by_class, trial.seed, trial.device)
            budget = same_bytes(total, by_class, draw, trial.nets)
            found = learn("k-means centroids", trial, ds, draw, budget, passes=FULL_EPOCHS)
        elif name in SELECTIONS:
            draw = selected_draw(by_class, self._features_for(trial, ds), SELECTIONS[name])
            budget = same_pixels(stored_pixels(ds), by_class)
            title = f"{name.replace('_', '-')}, same pixels"
            found = learn(title, trial, ds, draw, budget, passes=FULL_EPOCHS)
        else:
            found = image_baseline(trial, ds, by_class, self._images[name], total, FULL_EPOCHS)
        if found is None:
            found = {"bytes": total, "accuracy_mean": None, "accuracy_std": None, "per_net": []}
        if "quality" in found:
            found["coder_quality"] = found.pop("quality")
        return found

    def _features_for(self, trial: Trial, ds: DistilledDataset) -> Features:
        """Return features for selections; files of one preprocessing and recipe share a network."""
        facts = [repr(trial.recipe), trial.seed, ds.manifest.image]
        which = json.dumps(facts, sort_keys=True)
        if which not in self._features:
            by_class = images_by_class(self._source)
            made = features_of(trial, self._source.train, by_class, ds.preprocess)
            self._features[which] = made
        return self._features[which]
