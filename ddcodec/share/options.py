"""What ``import`` is told beside the files: each option once, as for the encoders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..codecs.options import Options, Pair, option
from ..errors import UsageError

if TYPE_CHECKING:
    from ..codecs.podd.stored import StoredBits

SPACES = ("auto", "pixels", "mean-std", "zca", "zca-kornia", "zca-podd")


@dataclass(frozen=True)
class Import(Options):
    """How files of others are to be read."""

    source: str | None = option(
        None, "The real images that the set was made from: for class names, spaces and --measure.",
        metavar="S",
    )  # fmt: skip
    classes: str | None = option(
        None, "Class names in label order: a,b,c or a text file with one a line.", metavar="NAMES",
        shown="those of the source",
    )  # fmt: skip
    space: str | None = option(
        None, "What networks saw; auto tries all on the source.", choices=SPACES,
        shown="what the layout says, else auto",
    )  # fmt: skip
    means: str | None = option(
        None, "Of mean-std: cifar10, cifar100, imagenet, mnist, or MEAN,..,/STD,..", metavar="M"
    )
    scores: str = option(
        "auto", "What float labels are.", choices=("auto", "soft", "logits", "centred")
    )
    labels_file: Path | None = option(None, "Labels that lie apart.", metavar="F")
    factor: int | None = option(
        None, "Images are mosaics of N x N.", metavar="N", least=1, most=64,
        shown="what the layout says",
    )  # fmt: skip
    quality: str = option(
        "high", "Of float images: lossless, high (8 bits), small (4) or bits=N.", metavar="Q"
    )
    patches: Pair | None = option(
        None, "Of a poster: patches along x and y.", metavar="XxY", shown="the paper's"
    )
    side: int | None = option(
        None, "Of a poster: pixels a side of a patch.", metavar="N", least=1, most=4096,
        shown="that of the source",
    )  # fmt: skip
    order: str | None = option(
        None, "Of a poster without labels: the class order, paper, given or a text file.",
        metavar="RULE",
    )  # fmt: skip
    steps: int | None = option(
        None, "Of the recipe.", metavar="N", least=1, shown="the published evaluation's"
    )
    lr: float | None = option(
        None, "Of the recipe.", metavar="X", least=1e-12, most=1e3, shown="as published"
    )
    augment: str | None = option(
        None, "Of the recipe: none, flip, flip_rotate, dsa, ...", metavar="W", shown="as published"
    )
    measure: bool = option(False, "Train networks, and record their accuracy.")
    nets: int = option(5, "Networks to measure with.", metavar="N", least=1)
    trials: int = option(2, "Networks to find the space with.", metavar="N", least=1)
    stated: float | None = option(
        None, "Accuracy that the authors state, in percent.", metavar="X", least=0, most=100
    )
    stated_network: str | None = option(None, "Its network.", metavar="NAME")
    license: str | None = option(None, "Best an SPDX expression.", metavar="TEXT")
    cite: str | None = option(None, "arXiv id or DOI.", metavar="ID")
    url: str | None = option(None, "Where it was found.", metavar="URL")

    def check(self) -> None:
        """Check words that others know the meaning of, before any file is read.

        Raises UsageError.
        """
        from ..codecs.podd.order import check_rule
        from ..nn.views import check_augmentation
        from .spaces import read_means

        assert self.bits
        check_augmentation(self.augment or "none")
        if self.means is not None:
            read_means(self.means)
            if self.space not in (None, "auto", "pixels", "mean-std"):
                raise UsageError(f"`means` are those of mean-std, not of `space`={self.space}")
        if self.order is not None:
            check_rule(self.order)

    @property
    def bits(self) -> StoredBits:
        """How float images are stored."""
        from ..codecs.podd.stored import StoredBits

        return StoredBits.of(self.quality)

    def of_recipe(self) -> dict[str, Any]:
        """Return the fields of a recipe that were given."""
        found = {"steps": self.steps, "augment": self.augment}
        return {name: value for name, value in found.items() if value is not None}
