"""The plan of one poster encode: complete before work starts, matched by every resume."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from ...distill.truncation import Truncation
from ...preprocessing.whiten import SIZE
from ..options import Common, Pair, spelled
from .options import PoDD
from .order import ClassOrder
from .poster import PosterGeometry
from .stored import StoredBits

LabelKind = Literal["fixed", "learned"]
Pooling = Literal["majority", "area", "cell"]
Start = Literal["means", "images"]  # of classes; real ones, one for each patch
CLOCKED = ("steps", "window", "width", "threads")  # what a clock may decide of a stage


@dataclass(frozen=True)
class Stage:
    """One stretch of outer steps with one method.

    Attributes:
        method: ``kernel`` (ridge regression on features), ``pool`` (unrolling from the states of
            a pool of networks) or ``rat`` (RaT-BPTT as published: a fresh network and a random
            number of steps before the window, paper section 3).
        decay: share of the steps, at the end, over which both of the outer Adam's rates fall to
            2 %; 0 keeps them.
        window: unrolled inner steps (Delta T); 0 for ``kernel``.
        total_steps: longest inner run (T); for ``pool`` the longest life of a network.
        real_batch, distilled_batch: images a step; 0 distilled means all patches.
        betas: outer Adam's moments.
        augment: of distilled and of real images, a name in ``nn.augment``.
        aware: share of the steps, at the end, that see poster and labels as the file will hold
            them (straight-through rounding).
        truncation: where the window of ``rat`` lies, a name in ``distill.truncation``.
        width: filters of the inner networks.
        threads: of the CPU in every process; None takes torch's own number, or one for tiny images.
    """

    method: Literal["kernel", "pool", "rat"]
    steps: int
    lr_poster: float
    lr_labels: float
    decay: float
    window: int
    total_steps: int
    real_batch: int
    distilled_batch: int
    inner_lr: float
    betas: tuple[float, float]
    augment: str
    aware: float = 0.0
    truncation: Truncation = "random"
    width: int = 128
    threads: int | None = None


@dataclass(frozen=True)
class Plan:
    """Everything that decides the result of an encode, apart from the source itself."""

    ipc: float
    profile: str
    seed: int
    classes: tuple[str, ...]
    geometry: PosterGeometry
    size: Pair  # (height, width) of the stored poster: that of the geometry, or smaller
    order: ClassOrder
    label_kind: LabelKind
    label_pooling: Pooling
    label_grid: Pair  # x, y of the learned label array
    stages: tuple[Stage, ...]
    depth: int
    width: int  # of the recipe's network
    stored: StoredBits
    preprocessing: str  # a kind of ``preprocessing.transform.KINDS``
    meta_batches: int  # meta-gradients that an outer step averages
    activations: Literal["float32", "bfloat16"]  # their type while distilling
    student_steps: int  # of the recipe
    # What the file's command says, and what is worth knowing before the work begins.
    source: str
    recorded: dict[str, Any]
    notes: tuple[str, ...] = ()
    total_bytes: int | None = None  # of the whole file, at most
    coded_bytes: int | None = None  # about, of coefficients; None where pixels are stored
    kernel: int = SIZE  # pixels a side, of a whitening
    start: Start = "means"  # of the profile quick
    init: str | None = None  # content digest of the file that it begins from

    @property
    def steps(self) -> int:
        """All outer steps."""
        return sum(stage.steps for stage in self.stages)

    def settings(self) -> dict[str, Any]:
        """Return what decides the result as plain JSON values."""
        words = ("source", "recorded", "notes", "total_bytes")
        return {name: value for name, value in asdict(self).items() if name not in words}

    def kept_stages(self) -> dict[str, dict[str, int | None]]:
        """Return what a clock may decide of every stage, by method."""
        return {s.method: {name: getattr(s, name) for name in CLOCKED} for s in self.stages}

    def with_threads(self, threads: int | None) -> Plan:
        """Return a plan whose stages have so many threads."""
        return replace(self, stages=tuple(replace(s, threads=threads) for s in self.stages))

    def with_kept_stages(self, kept: dict[str, dict[str, int | None]]) -> Plan:
        """Return a plan with what ``kept_stages`` returned, without stages it does not name."""
        stages = [replace(s, **kept[s.method]) for s in self.stages if s.method in kept]  # type: ignore[arg-type]
        return replace(self, stages=tuple(stages))

    def command(self, steps: int) -> str:
        """Return the command that makes the file again; its words are part of the digest."""
        values = self.recorded | {"steps": steps}
        return shlex.join(["ddcodec", "encode", self.source, *spelled(values, PoDD, Common)])

    def recipe(self) -> dict[str, Any]:
        """Return how to train on the file: the inner loop's own settings, run to the end."""
        last = self.stages[-1]
        return {
            "network": {
                "name": "convnet",
                "depth": self.depth,
                "width": self.width,
                "norm": "instance",
            },
            "optimizer": {"name": "adam", "lr": last.inner_lr},
            "steps": self.student_steps,
            "batch_size": last.distilled_batch or self.geometry.num_patches,
            "augment": last.augment,
            "loss": "soft_cross_entropy",
        }
