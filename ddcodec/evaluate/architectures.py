"""What a file teaches other networks than its own: one table, each network by its own recipe.

Beside them stand two more rows of the file's own network: learning by plain SGD with momentum
instead of the file's optimiser, and in a tenth of the steps, which says how fast the file teaches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..coresets.budgets import same_bytes
from ..coresets.draws import images_by_class, random_draw
from ..errors import UsageError
from ..format.measured import transfer
from ..judge.field import SGD, norm_of, way_of
from ..judge.recipe import Recipe
from ..judge.trial import Accuracy, Trial
from ..runtime.world import neutral
from .baselines import learn
from .measure import on_file

if TYPE_CHECKING:
    from ..data.dataset import DistilledDataset
    from ..sources.base import Source

FAST = 10  # the whole over the part of the steps in the row that says how fast a file teaches


@dataclass(frozen=True)
class Row:
    """A network that is tried on a file.

    Attributes:
        network: its name in ``judge.field``, or that of the file's own, as ``convnet3-in``.
        norm: its norm; ``recipe``: how it learns.
        kind: ``network``, or of the file's own network: ``sgd``, ``fast``.
        own: whether depth and norm are those of the file's own ConvNet, whatever the width.
    """

    network: str
    norm: str
    recipe: Recipe
    kind: str
    own: bool

    @property
    def title(self) -> str:
        """What the reporter is told, and what is kept goes by."""
        extra = {"network": "", "sgd": ", SGD", "fast": f", 1/{FAST} of the steps"}
        return f"{self.network}{extra[self.kind]}"

    def trial(self, trial: Trial) -> Trial:
        """Return the trial with this network and recipe."""
        other = self.network if self.kind == "network" else None
        return replace(trial, recipe=self.recipe, architecture=other)


@neutral()
def across_networks(
    ds: DistilledDataset,
    trial: Trial,
    names: Iterable[str],
    *,
    steps: int | None = None,
    source: Source | None = None,
    beside: bool = True,
) -> dict[str, Any]:
    """Return the accuracy of networks of the field that learn from the file.

    Args:
        ds: the distilled data set.
        trial: the protocol of the file's own network; test set, networks and seed hold for all.
        names: of ``judge.field``, or of a library's models.
        steps: of every network, instead of those of its recipe.
        source: real images; with it each network learns from random ones in the same bytes too.
        beside: whether the file's own network learns in two more ways.

    Returns JSON values: ``rows``, and ``transfer``, the mean of the accuracies of networks other
    than the file's own (None where there is no other). Each row has ``network``, ``norm``,
    ``kind`` (see ``Row``), ``own``, ``accuracy_mean``, ``accuracy_std`` (over networks),
    ``per_net``, ``nets``, ``steps``, ``optimizer``, ``lr``, ``weight_decay``, ``schedule``,
    ``warmup``, ``bytes`` and ``seconds``, and, with a source, ``random_images_same_bytes`` (an
    entry of ``baselines``; None for rows of the own network).

    Raises UsageError for a name that is unknown or a network that cannot learn from the file,
    MissingExtra where its library is not there.
    """
    rows = [*_rows(trial.recipe, names, steps, beside)]
    _check_batches(ds, rows)
    reference = None if source is None else _RandomImages(ds, trial, source)
    found = []
    for row in rows:
        result = on_file(ds, row.trial(trial), f"this file, {row.title}")
        entry = _entry(row, result, ds.file.sizes.total)
        if reference is not None:
            entry["random_images_same_bytes"] = reference.learned_by(row)
        found.append(entry)
    return {"rows": found, "transfer": transfer(found)}


def learn_less(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the networks that learn less from the file than from random images in its bytes."""
    return [
        row["network"]
        for row in rows
        if (other := row.get("random_images_same_bytes")) is not None
        and row["accuracy_mean"] < other["accuracy_mean"]
    ]


def _check_batches(ds: DistilledDataset, rows: Iterable[Row]) -> None:
    """Raise UsageError where a network with batch norm would see one image a step."""
    samples, _ = ds.on("cpu")
    for row in rows:
        if row.norm == "batch" and min(row.recipe.batch_size, len(samples)) < 2:
            raise UsageError(
                f"{row.network} has batch norm, which needs two images a step; the file gives one. "
                "Choose networks with another norm"
            )


def _rows(own: Recipe, names: Iterable[str], steps: int | None, beside: bool) -> Iterator[Row]:
    """Give the networks asked for; ``beside`` them the own by SGD and in a tenth of the steps."""
    name = f"convnet{own.depth}-in"
    for other in names:
        recipe = way_of(other).recipe(own, steps)
        yield Row(other, norm_of(other), recipe, "network", other == name)
    if not beside:
        return
    yield Row(name, "instance", SGD.recipe(own), "sgd", True)
    yield Row(name, "instance", replace(own, steps=max(1, own.steps // FAST)), "fast", True)


class _RandomImages:
    """Random real images in the bytes of the file, for any network to learn from."""

    def __init__(self, ds: DistilledDataset, trial: Trial, source: Source) -> None:
        by_class = images_by_class(source)
        self._ds, self._trial = ds, trial
        self._draw = random_draw(by_class, trial.seed)
        trial.reporter.stage("random images, same bytes: how many fit", 0)
        self._budget = same_bytes(ds.file.sizes.total, by_class, self._draw, trial.nets)

    def learned_by(self, row: Row) -> dict[str, Any] | None:
        if row.kind != "network":
            return None
        title, trial = f"random images, same bytes, {row.title}", row.trial(self._trial)
        return learn(title, trial, self._ds, self._draw, self._budget)


def _entry(row: Row, result: Accuracy, size: int) -> dict[str, Any]:
    recipe = row.recipe
    return {
        "network": row.network,
        "norm": row.norm,
        "kind": row.kind,
        "own": row.own,
        **result.figures(),
        "nets": result.nets,
        "steps": result.steps,
        "optimizer": recipe.optimizer,
        "lr": recipe.lr,
        "weight_decay": recipe.weight_decay,
        "schedule": recipe.schedule,
        "warmup": recipe.warmup,
        "bytes": size,
        "seconds": result.seconds,
    }
