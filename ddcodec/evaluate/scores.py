"""How much of an accuracy is due to the images, and not to soft labels or augmentation.

The label-robust score and the augmentation-robust score of DD-Ranking (arXiv 2505.13300), by the
formulas in the README of its version 0.2.0. Of accuracies as shares of 1:

    HLR = real-hard - syn-hard      what is lost against all real images; every label is a class
    IOR = syn-any - rdm-any         what is won over random real images; everything as the file says
    LRS = n(w IOR - (1 - w) HLR)
    ARS = n(g (syn-aug - rdm-aug) + (1 - g) (syn-naug - rdm-naug))
    n(x) = (e^x - e^-1) / (e - e^-1), 0 to 1 for x from -1 to 1

syn is the file, rdm random real images of the same size; aug and naug are with and without
augmentation. ``hard`` is without, as in the package by default. Nothing is selected on test
images: every network has the rate and steps of the file's recipe and is tested after the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import e
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from ..coresets.budgets import Budget, coded_bytes, same_bytes, same_pixels
from ..coresets.draws import Draw, images_by_class, random_draw
from ..judge.trial import Entry, Trial
from ..nn.views import NAMES, Teacher
from ..runtime.arguments import real, text, whole
from ..runtime.world import neutral
from .baselines import Label, Store, exact, full_data, learn, stored_pixels
from .live import bytes_with_network, own_labels
from .measure import on_file
from .soft_baselines import labeller

if TYPE_CHECKING:
    from ..data.dataset import DistilledDataset
    from ..observers.file import Trained
    from ..sources.base import Source

EQUAL = ("pixels", "bytes")
NO_AUGMENT = "none"
# Who labels the random images.
WHO = {"class": "", "observer": ", the observer's labels", "file": ", labels of the file's network"}

Scores = NDArray[np.float64]


class Weights(NamedTuple):
    """``label`` is w of the LRS, ``augment`` is g of the ARS; both from 0 to 1."""

    label: float = 0.5
    augment: float = 0.5


def normalised(x: Scores) -> Scores:
    """Return ``x`` from -1..1 as a score from 0 to 1, convex: a gain counts more than a loss."""
    return (np.exp(x) - 1 / e) / (e - 1 / e)


def robust_scores(per_net: dict[str, Sequence[float]], weights: Weights) -> dict[str, float]:
    """Return mean and std over networks of both scores and of what they are made of.

    Args:
        per_net: accuracies, shares of 1, by ``real_hard``, ``syn_hard``, ``syn_any``, ``rdm_any``,
            ``syn_aug``, ``rdm_aug``, ``syn_naug`` and ``rdm_naug``, all of as many networks. The
            scores are those of each network by itself, then averaged, as in the package.
        weights: of the two parts of each score.

    Returns:
        ``NAME_mean`` and ``NAME_std`` (of the population) by the names of the package:
        ``hard_label_recovery``, ``improvement_over_random``, ``label_robust_score``,
        ``with_aug_scores``, ``without_aug_scores`` and ``augmentation_robust_score``.
    """
    of = {name: np.asarray(scores, np.float64) for name, scores in per_net.items()}
    recovery = of["real_hard"] - of["syn_hard"]
    over_random = of["syn_any"] - of["rdm_any"]
    augmented, plain = of["syn_aug"] - of["rdm_aug"], of["syn_naug"] - of["rdm_naug"]
    w, g = weights
    found = {
        "hard_label_recovery": recovery,
        "improvement_over_random": over_random,
        "label_robust_score": normalised(w * over_random - (1 - w) * recovery),
        "with_aug_scores": augmented,
        "without_aug_scores": plain,
        "augmentation_robust_score": normalised(g * augmented + (1 - g) * plain),
    }
    return {
        f"{name}_{what}": float(function(values))
        for name, values in found.items()
        for what, function in (("mean", np.mean), ("std", np.std))
    }


@neutral()
def score(
    trial: Trial,
    ds: DistilledDataset,
    source: Source,
    *,
    equal: str = "pixels",
    observer: Trained | None = None,
    augment: str | None = None,
    weights: Weights | None = None,
    full_steps: int | None = None,
) -> Entry:
    """Train all networks that the two scores need; return the scores and every accuracy.

    Args:
        trial: from ``measure.protocol``; tests on images that the source does not train on.
        ds: the distilled data set.
        source: its training images are all real data, and random images come from there.
        equal: what random images have in common with the file: ``pixels``, as images a class in
            the package, or ``bytes``.
        observer: labels the random images softly at the temperature of the file's labels; without
            one their labels are their classes, or, where the network in the file labels views,
            views of random images are labelled by it too.
        augment: a name in ``nn.views.NAMES`` for the augmented half of the ARS; by default the
            recipe's. Where that is ``none``, both halves are the same networks.
        weights: by default all halves weigh the same.
        full_steps: on all real images, see ``baselines.baselines``.

    Returns:
        What ``robust_scores`` returns, and ``accuracies`` by the names there (``accuracy_mean``,
        ``accuracy_std``, ``per_net`` each), ``augment``, ``full_steps``, ``lrs_lambda``,
        ``ars_lambda``, and ``random``: ``equal``, ``labels`` (``class``, ``observer`` or, of the
        network in the file, ``file``), ``images_per_class``,
        ``stored_size``, ``pixels`` and ``bytes`` of the random images.

    Raises UsageError for arguments out of range, an observer of other images, SourceError
    for a class without training images.
    """
    weights = weights or Weights()
    weights = Weights(
        real("lrs_lambda", weights.label, 0, 1), real("ars_lambda", weights.augment, 0, 1)
    )
    text("equal", equal, EQUAL)
    if full_steps is not None:
        full_steps = whole("full_steps", full_steps, 1)
    if augment is not None:
        text("augment", augment, NAMES)
    by_class, own = images_by_class(source), own_labels(ds, trial.device)
    draw = random_draw(by_class, trial.seed)
    # Random images need the network beside them where it labels them.
    size = bytes_with_network(ds) if own is not None and observer is None else coded_bytes
    if equal == "pixels":
        budget = same_pixels(stored_pixels(ds), by_class)
    else:
        trial.reporter.stage("random images: how many fit", 0)
        budget = same_bytes(ds.file.sizes.total, by_class, draw, trial.nets, size)
    random = _Random(ds, draw, budget, equal, exact(size))
    if observer is not None:
        random = random._replace(label=labeller(observer, ds, trial.device).soft, who="observer")
    elif own is not None:
        random = random._replace(label=own.soft, who="file", teacher=own.teacher)
    recipe = trial.recipe
    augment = augment or recipe.augment
    plain = replace(trial, recipe=replace(recipe, augment=NO_AUGMENT))
    strong = replace(trial, recipe=replace(recipe, augment=augment))

    found = {"syn_any": on_file(ds, trial).figures(), "rdm_any": random.learn(trial)}
    for name, how, title in (
        ("aug", strong, f", augmented by {augment}"),
        ("naug", plain, ", not augmented"),
    ):
        if how.recipe == recipe:
            found |= {f"syn_{name}": found["syn_any"], f"rdm_{name}": found["rdm_any"]}
        else:
            found[f"syn_{name}"] = on_file(ds, how, f"this file{title}").figures()
            found[f"rdm_{name}"] = random.learn(how, title)
    hard = hard_labels(ds.soft_labels)
    found["syn_hard"] = (
        found["syn_naug"]
        if bool((hard == ds.soft_labels).all())
        else on_file(ds, plain, "this file, hard labels", hard).figures()
    )
    found["real_hard"] = full_data(plain, ds, source.train, full_steps)
    measured = ("accuracy_mean", "accuracy_std", "per_net")
    stored = ("images_per_class", "stored_size", "pixels", "bytes")
    return {
        **robust_scores({name: each["per_net"] for name, each in found.items()}, weights),
        "lrs_lambda": weights.label,
        "ars_lambda": weights.augment,
        "augment": augment,
        "full_steps": full_steps,
        "random": {
            "equal": equal,
            "labels": random.who,
            **{name: found["rdm_any"][name] for name in stored},
        },
        "accuracies": {
            name: {key: each[key] for key in measured} for name, each in sorted(found.items())
        },
    }


class _Random(NamedTuple):
    """Random real images in place of a file."""

    ds: DistilledDataset
    draw: Draw
    budget: Budget
    equal: str
    store: Store
    label: Label | None = None
    who: str = "class"
    teacher: Teacher | None = None

    def learn(self, trial: Trial, how: str = "") -> Entry:
        title = f"random images{WHO[self.who]}, same {self.equal}{how}"
        return learn(
            title,
            trial,
            self.ds,
            self.draw,
            self.budget,
            self.store,
            label=self.label,
            teacher=self.teacher,
        )


def hard_labels(soft: Tensor) -> Tensor:
    """Return soft labels (N, classes) as 0 and 1: the largest share, of equal ones the first."""
    return one_hot(soft.argmax(1), soft.shape[1]).to(soft.dtype)
