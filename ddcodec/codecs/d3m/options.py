"""The options of prompts for a diffusion model."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar

from ...errors import UsageError
from ...format.values import is_text
from ...priors.settings import DTYPES, PLACE, SCHEDULERS
from ..options import Options, option
from .rules import MAX_COLLAGE, MAX_GENERATED, MAX_STEPS

SELECTIONS = ("auto", "loss", "crops", "random")


@dataclass(frozen=True)
class D3M(Options):
    """Options of the codec ``d3m``: a learned token a class for a diffusion model."""

    title: ClassVar[str] = "Prompts (d3m)"

    ipc: float | None = option(
        None, "Budget in images per class, a whole number.", metavar="X", least=1, most=100_000
    )
    observer: str | os.PathLike[str] | None = option(
        None, "Network of 'ddcodec observer train' on this source.", metavar="F"
    )
    prior: str | None = option(
        None, "The diffusion model: a folder, or an id of the hub that is here.", metavar="DIR"
    )
    tokens: str = option("learned", "Learned tokens, or class names.", choices=("learned", "names"))
    labels: str = option(
        "auto",
        "Soft labels of patches: 8-bit logits of all classes, those of the K most probable, or "
        "just the class.",
        metavar="auto|logits|top=K|class",
    )
    steps: int | None = option(
        None, "Steps of inversion.", metavar="N", least=1, shown="500; 3000 on latents"
    )
    variations: int = option(
        1, "Sets of seeds, of which an epoch shows one.", metavar="V", least=1, most=10_000
    )
    temperature: float = option(
        2.0, "Temperature of the labels.", metavar="T", least=0.01, most=100
    )
    guidance: float | None = option(
        None, "Weight of the prompt.", metavar="W", least=0, most=100,
        shown="2; 7.5 with latent models",
    )  # fmt: skip
    select: str = option(
        "auto",
        "Images that a token is learned from: with the lowest loss, the best crops, or any; auto: "
        "crops above 32 pixels, else loss.",
        choices=SELECTIONS, expert=True,
    )  # fmt: skip
    candidates: int = option(
        300, "Images of a class to select from.", metavar="N", least=2, expert=True
    )
    collage: int | None = option(
        None, "Collages of N x N patches.", metavar="N", least=1, most=MAX_COLLAGE, expert=True,
        shown="4 from 256 pixels, else 1",
    )  # fmt: skip
    take: int | None = option(
        None, "M x M patches make an image.", metavar="M", least=1, most=MAX_COLLAGE, expert=True,
        shown="2 above 64 pixels, else 1",
    )  # fmt: skip
    token_bits: int = option(
        8, "Bits of a token's value.", metavar="8|16", choices=(8, 16), expert=True
    )
    prompt: str | None = option(
        None, f"Words of the prompt, with {PLACE} for the class.", metavar="TEXT", expert=True
    )
    resolution: int | None = option(
        None, "Side of collages, in pixels.", metavar="N", least=8, most=MAX_GENERATED,
        expert=True, shown="the model's",
    )  # fmt: skip
    scheduler: str = option("ddim", "How collages are sampled.", choices=SCHEDULERS, expert=True)
    sampling_steps: int = option(
        25, "Steps of sampling.", metavar="N", least=1, most=MAX_STEPS, expert=True
    )
    dtype: str = option(
        "auto", "Type of the model's numbers; auto: float16 for latents on a GPU, else float32.",
        choices=("auto", *DTYPES), expert=True,
    )  # fmt: skip
    rate: float | None = option(
        None, "Learning rate of the tokens.", metavar="R", least=1e-6, most=100, expert=True,
        shown="0.1; 0.036 on latents",
    )  # fmt: skip

    def check(self) -> None:
        """Check what holds between options; raises UsageError."""
        if self.ipc is None or self.ipc != int(self.ipc):
            raise UsageError(
                f"`ipc` must be given as a whole number of images per class, got {self.ipc}"
            )
        if self.observer is None or self.prior is None:
            raise UsageError(
                "`observer` and `prior` must be given: a file of 'ddcodec observer train', and a "
                "diffusion model, for instance of 'ddcodec prior train'"
            )
        if self.steps is not None and self.tokens == "names":
            raise UsageError("`steps` counts steps of inversion, which `tokens`=names omits")
        if self.prompt is not None and (not is_text(self.prompt) or self.prompt.count(PLACE) != 1):
            raise UsageError(f"`prompt` must hold one {PLACE}, which stands for the class")
