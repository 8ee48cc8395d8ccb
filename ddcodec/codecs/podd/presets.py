"""Settings by data set and profile: the paper's, and ours for the profile ``quick``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from ...errors import UsageError
from .plan import Plan, Stage
from .poster import PosterGeometry

Shape = tuple[int, int, int, int]  # classes, height, width, channels

QUICK_STEPS = 900  # of 8-pixel digits; a minute or two on one core
QUICK_LEAST_STEPS = 400  # of larger images, where the same time allows fewer
QUICK_STEP_PIXELS = 18 * 8 * 8  # of an inner batch of digits
QUICK_BATCH_PIXELS = 48 * 32 * 32  # an inner batch holds as many patches as fit
# Outer steps of the first stage. They are several times cheaper than unrolled ones, so they carry
# a run of few steps; on a held-out part of digits .3 was better than .6 and .1 at equal time. Of
# larger images they cost a tenth, and .7 was better than .4.
QUICK_KERNEL_SHARE = 0.3
QUICK_KERNEL_SHARE_FEW = 0.6
QUICK_KERNEL_SHARE_LARGE = 0.6
QUICK_FEW_STEPS = 300
QUICK_DECAY = 0.4  # of a stage, at its end, in which rates fall
QUICK_WIDTH = 64
QUICK_WINDOW = 20  # unrolled steps; 10 give less, 40 no more (docs/speed.md)
LIFETIME = 49  # inner steps after which a pool network is replaced, at the latest
LARGE_PIXELS = 16 * 16  # images from here on need longer, slower inner runs


@dataclass(frozen=True)
class PoDDPreset:
    """Hyper-parameters of one data set (paper section 5.1; windows from the published code).

    Attributes:
        shape: of the data set, or None for any.
        class_grid: classes along x and y (o_x, o_y), or None for the general rule.
        patch_grid: patches along x and y (their product is p), or None for the general rule.
        distilled_batch: patches of an inner step (bs_d).
        real_batch: real images of the outer loss (bs).
        window: unrolled steps (Delta T).
        total_steps: longest inner run (T).
        fixed_from: smallest images per class (K) for which labels are fixed; learned below.
        student_steps: gradient steps of the published evaluation.
        poster_sizes: published (height, width) in pixels by images per class (K).
    """

    shape: Shape | None = None
    class_grid: tuple[int, int] | None = None
    patch_grid: tuple[int, int] | None = None
    distilled_batch: int = 100
    real_batch: int = 2000
    window: int = 60
    total_steps: int = 200
    outer_steps: int = 40_000
    lr: float = 1e-3
    fixed_from: float = float("inf")
    student_steps: int = 2000
    poster_sizes: Mapping[float, tuple[int, int]] = field(
        default_factory=lambda: MappingProxyType({}), hash=False
    )

    def labels(self, ipc: float) -> Literal["fixed", "learned"]:
        """Return the kind of labels that the paper uses at a budget in images per class."""
        return "fixed" if ipc >= self.fixed_from else "learned"


GENERIC = PoDDPreset()

PRESETS: Mapping[str, PoDDPreset] = MappingProxyType(
    {
        "cifar10": PoDDPreset(
            shape=(10, 32, 32, 3),
            class_grid=(5, 2),
            patch_grid=(16, 6),
            distilled_batch=96,
            real_batch=5000,
            fixed_from=0.7,
            poster_sizes=MappingProxyType({0.9: (60, 153)}),
        ),
        "cifar100": PoDDPreset(
            shape=(100, 32, 32, 3),
            class_grid=(10, 10),
            patch_grid=(20, 20),
            distilled_batch=50,
            window=100,
            total_steps=300,
            outer_steps=50_000,
            poster_sizes=MappingProxyType({0.4: (202, 202), 0.9: (303, 303)}),
        ),
        "cub200": PoDDPreset(
            shape=(200, 32, 32, 3),
            class_grid=(20, 10),
            patch_grid=(60, 30),
            distilled_batch=200,
            real_batch=3000,
            outer_steps=16_000,
            poster_sizes=MappingProxyType({0.9: (302, 610)}),
        ),
        "tiny-imagenet": PoDDPreset(
            shape=(200, 64, 64, 3),
            class_grid=(20, 10),
            patch_grid=(40, 20),
            distilled_batch=30,
            real_batch=500,
            window=100,
            total_steps=300,
            outer_steps=100_000,
            lr=5e-4,
            poster_sizes=MappingProxyType({0.9: (608, 1211)}),
        ),
        # Ours, not the paper's: 8-pixel images need inner runs of a few dozen steps only.
        "digits": PoDDPreset(
            shape=(10, 8, 8, 1),
            class_grid=(5, 2),
            distilled_batch=48,
            real_batch=500,
            window=20,
            total_steps=60,
            outer_steps=2000,
            fixed_from=0.7,
            student_steps=300,
        ),
    }
)


def preset_for(name: str, shape: Shape | None = None) -> PoDDPreset:
    """Return the preset of a data set by its name, else by its shape, else the generic one.

    The name decides only if the shape agrees: a reduced ``cifar10`` of 16x16 images is another
    data set.
    """
    named = PRESETS.get(name)
    if named is not None and shape in (None, named.shape):
        return named
    known = {preset.shape: preset for preset in PRESETS.values()}
    return known.get(shape, GENERIC)


def paper_stages(preset: PoDDPreset, num_patches: int) -> tuple[Stage, ...]:
    """Return RaT-BPTT with the published settings of a data set (paper section 5.1)."""
    return (
        Stage(
            method="rat",
            steps=preset.outer_steps,
            lr_poster=preset.lr,
            lr_labels=preset.lr,
            decay=0.0,
            window=preset.window,
            total_steps=preset.total_steps,
            real_batch=preset.real_batch,
            distilled_batch=min(preset.distilled_batch, num_patches),
            inner_lr=1e-3,
            betas=(0.9, 0.999),
            augment="flip_rotate",
        ),
    )


def quick_stages(
    ipc: float, geometry: PosterGeometry, window: int | None = None, width: int | None = None
) -> tuple[Stage, ...]:
    """Return the two stages of the quick profile at their default length.

    ``window`` and ``width`` are those of unrolled steps where they are not the default.
    """
    small = ipc < 0.7
    pixels = geometry.patch_h * geometry.patch_w
    batch = min(geometry.num_patches, max(1, QUICK_BATCH_PIXELS // pixels))
    # The length depends on sizes alone, never on a clock: the same call gives the same file.
    steps = round(QUICK_STEPS * min(1.0, QUICK_STEP_PIXELS / (batch * pixels)))
    steps = max(QUICK_LEAST_STEPS, steps)
    large = pixels >= LARGE_PIXELS
    # Where patches hardly share pixels, quick labels fit the inner runs, not the data.
    lr_labels = 0.01 if ipc < 0.95 and not large else 0.003
    kernel = Stage(
        method="kernel",
        steps=round(kernel_share(geometry) * steps),
        lr_poster=0.06,
        lr_labels=lr_labels,
        decay=QUICK_DECAY,
        window=0,
        total_steps=80 if large else LIFETIME,
        real_batch=256,
        distilled_batch=0 if batch == geometry.num_patches else batch,
        inner_lr=2e-3 if large else 5e-3,
        betas=(0.9, 0.99),
        augment="none",
        width=QUICK_WIDTH,
    )
    unroll = replace(
        kernel,
        method="pool",
        steps=steps - kernel.steps,
        lr_poster=0.05 if small else 0.03,
        window=window or QUICK_WINDOW,
        width=width or QUICK_WIDTH,
    )
    return kernel, unroll


def kernel_share(geometry: PosterGeometry) -> float:
    """Return the share of the first of two stages in the outer steps."""
    large = geometry.patch_h * geometry.patch_w >= LARGE_PIXELS
    return QUICK_KERNEL_SHARE_LARGE if large else QUICK_KERNEL_SHARE


def with_steps(plan: Plan, steps: int, kernel_steps: int | None = None) -> Plan:
    """Return a plan of ``steps`` outer steps in all, shared out as in the default.

    Or the first ``kernel_steps`` of them are of the kernel stage. Raises UsageError for a profile
    without one.
    """
    *kernel, last = plan.stages
    first = 0
    if kernel_steps is not None:
        if not kernel or kernel_steps > steps:
            raise UsageError(
                f"`kernel_steps`={kernel_steps}: only `profile`=quick has them, and at most `steps`"
            )
        first = kernel_steps
    elif kernel:
        first = usual_kernel_steps(plan.geometry, steps)
    stages = (
        *(replace(stage, steps=first) for stage in kernel),
        replace(last, steps=steps - first),
    )
    return replace(plan, stages=stages)


def usual_kernel_steps(geometry: PosterGeometry, steps: int) -> int:
    """Return how many of ``steps`` are of the kernel stage unless something else is asked for."""
    share = kernel_share(geometry)
    if steps < QUICK_FEW_STEPS:
        share = max(share, QUICK_KERNEL_SHARE_FEW)
    return max(0, min(round(share * steps), steps - 1))


def spelled_out(plan: Plan, posters: int = 1) -> Plan:
    """Return a plan whose command names all that a clock decided, for ``posters`` with such steps.

    That is nothing where no clock did, or of another profile than quick.
    """
    if plan.profile != "quick":
        return plan
    steps = {stage.method: stage.steps for stage in plan.stages}
    last, kernel = plan.stages[-1], steps.get("kernel", 0)
    decided: dict[str, int] = {}
    if kernel != usual_kernel_steps(plan.geometry, plan.steps):
        decided["kernel_steps"] = kernel * posters
    if last.threads is not None:
        decided["threads"] = last.threads
    if steps.get("pool"):
        decided |= {} if last.window == QUICK_WINDOW else {"window": last.window}
        decided |= {} if last.width == QUICK_WIDTH else {"width": last.width}
    return replace(plan, recorded=plan.recorded | decided)


def network_depth(height: int, width: int) -> int:
    """Return the blocks of the ConvNet: 3 for 32 px, 4 for 64 px (paper section 5.1).

    Small images get fewer: features of 2x2 or more are left, or the head sees too little.
    """
    side = min(height, width)
    return 4 if side >= 48 else 3 if side >= 16 else 2 if side >= 8 else 1
