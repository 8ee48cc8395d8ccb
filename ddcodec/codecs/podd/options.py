"""The options of posters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

from ...errors import UsageError
from ..options import Options, Pair, option

PROFILES = ("auto", "quick", "paper")
ORIGINS = {"even": "linspace-half-even", "per-class": "per-class"}  # and as files name them
POOLINGS = ("auto", "area", "cell")
STARTS = ("auto", "means", "images")
MOST_META_BATCHES = 4096


@dataclass(frozen=True)
class PosterOptions(Options):
    """Options of all codecs that distil posters; what is ``auto`` or None the plan decides."""

    ipc: float | None = option(
        None, "Budget in images per class; it may be less than 1.", metavar="X"
    )
    profile: str = option(
        "auto",
        "paper: as published; quick: the best a CPU reaches in a minute or two; auto: paper on a "
        "GPU, quick elsewhere.",
        choices=PROFILES,
    )
    steps: int | None = option(None, "Outer steps.", metavar="N", least=0, shown="the profile's")
    time: float | None = option(
        None,
        "Or as many as fit into a call of 90s, 9m, 1.5h. With `profile` paper, or with "
        "`steps` too, this call stops there, and `resume` goes on.",
        metavar="T", least=1e-9, seconds=True,
    )  # fmt: skip
    order: str = option(
        "auto",
        "Where each class lies on the poster: neighbours by CLIP text, by mean image or colour, "
        "as printed in the paper, as given, drawn by the seed, or from a file with a class name "
        "a line.",
        metavar="auto|clip|image|colour|paper|given|random|FILE",
    )
    labels: str = option("auto", "Soft labels of patches.", choices=("auto", "fixed", "learned"))
    patches: Pair | None = option(None, "Columns x rows of patches.", metavar="16x6")
    preprocessing: str = option(
        "auto",
        "The space that is distilled in, kept in the file; auto: conv_whiten for colour images of "
        "16 to 512 pixels, else standardise.",
        choices=("auto", "none", "standardise", "conv_whiten"),
    )
    augment: str = option(
        "auto",
        "Change patches and real images while distilling, and in the recipe: none, flip, "
        "flip_rotate, ... auto: flip_rotate with `profile` paper; with quick flip for colour "
        "images of 16 pixels and more, else none.",
        metavar="NAME",
    )
    quality: str | None = option(
        None, "Precision in the file.", metavar="lossless|high|small|bits=N",
        shown="small, 4 bits; for N bytes bits=3; paper: high",
    )  # fmt: skip
    class_grid: Pair | None = option(
        None, "Columns x rows of class cells; the poster takes its shape from them.",
        metavar="5x2", expert=True,
    )  # fmt: skip
    label_pooling: str = option(
        "auto",
        "A label is one cell of the learned array, or pooled by area; auto: cell where there is "
        "one for each class.",
        choices=POOLINGS, expert=True,
    )  # fmt: skip
    origins: str = option(
        "even", "Where patches lie: from edge to edge, or within the cell of each class.",
        choices=tuple(ORIGINS), expert=True,
    )  # fmt: skip
    aware: float | None = option(
        None,
        "Share of the last stage, at its end, that sees what is stored rounded.",
        metavar="S", least=0, most=1, expert=True,
        shown="0.25 for 6 bits and fewer and for coefficients, else 0",
    )  # fmt: skip
    truncation: str = option(
        "random",
        "With `profile` paper, where an inner run is unrolled: at random, or by its gradients.",
        choices=("random", "adaptive"), expert=True,
    )  # fmt: skip
    kernel_steps: int | None = option(
        None,
        "With `profile` quick, how many of `steps` are of the first, kernel stage.",
        metavar="N", least=0, shown="the profile's", expert=True,
    )  # fmt: skip
    window: int | None = option(
        None,
        "With `profile` quick, unrolled inner steps.",
        metavar="N", least=1, most=1000, shown="20; with `time`, fewer where steps are slow",
        expert=True,
    )  # fmt: skip
    width: int | None = option(
        None,
        "With `profile` quick, filters of the networks that are unrolled.",
        metavar="N", least=1, most=1024, shown="64; with `time`, fewer where steps are slow",
        expert=True,
    )  # fmt: skip
    threads: int | None = option(
        None,
        "CPU threads of the distillation; another number gives other last bits.",
        metavar="N", least=1, most=1024,
        shown="torch's own number; with `time` and `profile` quick, the fastest", expert=True,
    )  # fmt: skip
    meta_batches: int = option(
        1,
        "Meta-gradients of a step that each process averages; under torchrun all processes' "
        "make one step.",
        metavar="N", least=1, most=MOST_META_BATCHES, expert=True,
    )  # fmt: skip
    precision: str = option(
        "auto",
        "Of activations while distilling; auto: bfloat16 where the device multiplies it and "
        "images have 16 pixels or more.",
        choices=("auto", "float32", "bfloat16"), expert=True,
    )  # fmt: skip

    def check(self) -> None:
        """Check what holds between options; raises UsageError."""
        from .order import check_rule
        from .stored import StoredBits

        if self.ipc is not None and self.ipc <= 0:
            raise UsageError(f"`ipc` must be more than 0, got {self.ipc:g}")
        check_rule(self.order)
        if self.quality is not None:
            StoredBits.of(self.quality)
        quick = self.kernel_steps, self.window, self.width
        if self.profile == "paper" and quick != (None, None, None):
            raise UsageError("`kernel_steps`, `window` and `width` belong to `profile`=quick")
        if self.kernel_steps is not None and self.steps is None:
            raise UsageError("`kernel_steps` are some of `steps`; give both")
        if self.truncation != "random" and self.profile == "quick":
            raise UsageError("`truncation` belongs to `profile`=paper; quick has short inner runs")

    @property
    def usual_quality(self) -> str:
        """What is stored where ``quality`` is not given."""
        return "high"

    @property
    def expansion(self) -> float:
        """By how much each side of the stored poster grows before patches are cut."""
        return 1

    @property
    def coded(self) -> bool:
        """Whether the poster is stored as coefficients of a transform."""
        return False

    @property
    def of_images(self) -> bool:
        """Whether the poster begins as real images side by side."""
        return False

    @property
    def is_quick(self) -> bool:
        """Whether something is asked for that the profile quick alone has."""
        return False

    def as_pixels(self) -> Self:
        """Return the options with pixels stored where that is left open."""
        return self

    @property
    def rule(self) -> str:
        """The rule for patch origins, as files name it."""
        return ORIGINS[self.origins]


@dataclass(frozen=True)
class PoDD(PosterOptions):
    """Options of the codec ``podd``: one poster, class order and labels."""

    title: ClassVar[str] = "Posters (podd)"

    total_bytes: int | None = option(
        None, "Instead of `ipc`: the largest poster in a file of N bytes.", metavar="N",
        least=1, flag="--bytes",
    )  # fmt: skip
    init: Path | None = option(
        None,
        "Begin from this .ddset file of the same classes, own or imported: from a poster of the "
        "same patches as it is, else from the images of its classes.",
        metavar="F", shown="see `start`; noise with `profile` paper", expert=True,
    )  # fmt: skip
    transform: str = option(
        "auto",
        "Store the poster as pixels, or as coefficients of 8x8 cosine transforms, as fine as the "
        "bytes allow; auto: dct with `profile` quick for real images, and for photographs in few "
        "bytes.",
        choices=("auto", "none", "dct"), expert=True,
    )  # fmt: skip
    start: str = option(
        "auto",
        "With `profile` quick, what the poster begins as: means of the classes, or real images "
        "side by side, a patch each; auto: images where N bytes hold some of each class.",
        choices=STARTS, expert=True,
    )  # fmt: skip
    expand: float | None = option(
        None, "Each side of the stored poster grows by this factor before patches are cut.",
        metavar="X", least=1, most=4,
        shown="1; 1.5 with `profile` quick in few bytes where pixels are stored", expert=True,
    )  # fmt: skip

    @property
    def usual_quality(self) -> str:
        """What is stored where ``quality`` is not given; of a settled ``profile``.

        Four bits cost nothing against eight, and of bytes three and more pixels make most:
        docs/coding.md. The published settings were not measured with fewer than eight, and a poster
        that others made goes on as it is.
        """
        if self.total_bytes is not None:
            return "bits=3"
        fresh = self.profile == "quick" and self.init is None
        return "small" if fresh else super().usual_quality

    @property
    def expansion(self) -> float:
        return 1 if self.expand is None else self.expand

    @property
    def coded(self) -> bool:
        return self.transform == "dct"

    @property
    def of_images(self) -> bool:
        return self.start == "images"

    @property
    def is_quick(self) -> bool:
        return self.start != "auto"

    def as_pixels(self) -> Self:
        return replace(self, transform="none") if self.transform == "auto" else self

    def check(self) -> None:
        """Check what holds between options; raises UsageError."""
        super().check()
        if self.ipc is not None and self.total_bytes is not None:
            raise UsageError("give `ipc` or `total_bytes`, not both")
        if self.ipc is None and self.total_bytes is None:
            raise UsageError("give `ipc`, or `total_bytes` for the size of the whole file")
        if self.start != "auto":
            self._check_start()
        # A settled profile has a quality, of its labels.
        settled = self.profile != "auto" and self.quality == self.usual_quality
        fine = self.quality is None or settled
        if self.coded and not (fine and self.expansion == 1):
            name = "quality" if self.expansion == 1 else "expand"
            raise UsageError(
                f"give `transform`=dct or `{name}`, not both: coefficients are as fine as the "
                "bytes allow"
            )

    def _check_start(self) -> None:
        if self.profile == "paper":
            raise UsageError(f"`start`={self.start} belongs to `profile`=quick")
        others = {"init": self.init is not None}
        if self.of_images:
            others |= {
                "patches": self.patches is not None,
                "expand": self.expansion != 1,
                "origins": self.origins != "even",
            }
        for name, given in others.items():
            if given:
                raise UsageError(f"give `start`={self.start} or `{name}`, not both")
