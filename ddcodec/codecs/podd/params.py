"""The settings of one PoDD encode: complete before work starts, matched by every resume."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from ...distill.truncation import Truncation
from .stored import StoredBits

LabelKind = Literal["fixed", "learned"]
Pooling = Literal["majority", "area", "cell"]


@dataclass(frozen=True)
class Stage:
    """One stretch of outer steps with one method.

    Attributes:
        method: ``kernel`` (ridge regression on features), ``pool`` (unrolling from the states of
            a pool of networks) or ``rat`` (RaT-BPTT as published: a fresh network and a random
            number of steps before the window, paper section 3).
        steps: outer steps.
        lr_poster, lr_labels: outer Adam's learning rates.
        cosine: anneal both rates to 2 % over the stage.
        window: unrolled inner steps (Delta T); 0 for ``kernel``.
        total_steps: longest inner run (T); for ``pool`` the longest life of a network.
        real_batch, distilled_batch: images a step; 0 distilled means all patches.
        inner_lr: the inner loop's Adam learning rate.
        betas: outer Adam's moments.
        augment: of distilled and of real images, a name in ``nn.augment``.
        aware: share of the steps, at the end, that see poster and labels as the file will hold
            them (straight-through rounding); 0 for none, 1 for all.
        truncation: where the window of ``rat`` lies, a name in ``distill.truncation``.
    """

    method: Literal["kernel", "pool", "rat"]
    steps: int
    lr_poster: float
    lr_labels: float
    cosine: bool
    window: int
    total_steps: int
    real_batch: int
    distilled_batch: int
    inner_lr: float
    betas: tuple[float, float]
    augment: str
    aware: float = 0.0
    truncation: Truncation = "random"


@dataclass(frozen=True)
class PoDDParams:
    """Everything that decides the result of an encode, apart from the source itself."""

    ipc: float
    profile: str
    poster: tuple[int, int]  # height, width
    patch_grid: tuple[int, int]  # x, y
    origins: str  # a rule of ``poster.origins``
    class_grid: tuple[int, int]  # x, y
    cells: tuple[int, ...]
    label_kind: LabelKind
    label_pooling: Pooling
    label_grid: tuple[int, int]  # x, y of the learned label array
    label_floor: float
    stages: tuple[Stage, ...]
    depth: int
    width: int
    seed: int
    stored: StoredBits
    preprocessing: str  # a kind of ``preprocess.KINDS``
    meta_batches: int = 1  # meta-gradients that an outer step averages
    activations: Literal["float32", "bfloat16"] = "float32"  # their type while distilling
    kernel_share: float = 0.0  # of the outer steps; of two stages, the first

    @property
    def steps(self) -> int:
        """All outer steps."""
        return sum(stage.steps for stage in self.stages)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON values (for fingerprints)."""
        return asdict(self)
