"""The settings of one D3M encode: complete before work starts, matched by every resume."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from ...errors import UsageError
from ...format.values import LARGEST
from ...priors.captions import described
from ...priors.folder import ModelFolder, native_side
from ...priors.settings import PLACE
from ..shared.labels import LabelPlan, plan_labels
from .options import D3M
from .rules import MAX_GENERATED

LARGE = 32  # pixels of a side; of larger images the best crop is taken, of others the whole image
PAPER_SIDE = 256  # pixels of a model's side from which its collages are the paper's, of 4 x 4
PIXELS_AT_ONCE = 1 << 18  # of collages in a step of inversion, all classes of a group together
GROUP = 10  # classes inverted side by side, at most


@dataclass(frozen=True)
class D3MParams:
    """The options with every ``auto`` and usual value decided, and what follows from them."""

    options: D3M
    labels: LabelPlan
    images: int  # training images of a class (IPC), in each variation
    collage: int  # patches in a row of a collage (n)
    take: int  # patches in a row of a training image (m)
    prompt: str
    steps: int  # of inversion
    rate: float  # of Adam
    size: tuple[int, int]  # (height, width) of what the model makes
    seed: int  # of everything random; also the key of the generated noise
    batch: int  # collages of a class in a step
    group: int  # classes inverted side by side, a finished unit of work

    @property
    def learned(self) -> bool:
        """Whether tokens are learned; else prompts hold names."""
        return self.options.tokens == "learned"

    @property
    def one_hot(self) -> bool:
        """Whether labels are just the class."""
        return self.labels.kind == "index"

    @property
    def blocks(self) -> int:
        """Training images that a collage is cut into."""
        return (self.collage // self.take) ** 2

    @property
    def collages(self) -> int:
        """Collages, and seeds, of a class in a variation."""
        return -(-self.images // self.blocks)

    def as_dict(self) -> dict[str, Any]:
        """Return what decides the result beside source and networks, as plain JSON values."""
        found = asdict(self)
        del found["options"]["observer"], found["options"]["prior"]
        return found


def make_params(
    options: D3M,
    shape: tuple[int, int, int],
    classes: int,
    folder: ModelFolder,
    dtype: str,
    seed: int,
) -> D3MParams:
    """Return complete settings for images (C, H, W) and a model.

    ``dtype`` is what ``auto`` means for the model's numbers. Raises UsageError for what cannot
    work.
    """
    _, height, width = shape
    latent = folder.has("vae")
    side = native_side(folder) if options.resolution is None else options.resolution
    collage = (4 if side >= PAPER_SIDE else 1) if options.collage is None else options.collage
    usual = 2 if max(height, width) > 64 and collage % 2 == 0 else 1
    take = usual if options.take is None else options.take
    size = _size(side, height, width, collage)
    if take > collage or collage % take:
        raise UsageError(f"`take`={take} must divide `collage`={collage}")
    if take > min(height, width):
        raise UsageError(f"`take`={take}: images of {width}x{height} hold no such patches")
    if seed > LARGEST:
        raise UsageError(f"`seed` must be from 0 to 2^53, got {seed}")
    learned = options.tokens == "learned"
    steps = (3000 if latent else 500) if options.steps is None else options.steps
    rate = (0.036 if latent else 0.1) if options.rate is None else options.rate
    labels = plan_labels(options.labels, classes, options.temperature)
    if labels.kind == "teacher":
        raise UsageError(
            f"`labels`={options.labels}: a file of the codec d3m holds no observer; use auto"
        )
    prompt = described(PLACE, 1 if learned else collage)  # a token knows of collages itself
    select = "crops" if max(height, width) > LARGE else "loss"
    settled = replace(
        options,
        prior=folder.name,
        collage=collage,
        take=take,
        prompt=None if options.prompt == prompt else options.prompt,
        select=select if options.select == "auto" else options.select,
        steps=steps if learned else None,
        rate=rate,
        resolution=max(size),
        guidance=(7.5 if latent else 2.0) if options.guidance is None else options.guidance,
        dtype=dtype if options.dtype == "auto" else options.dtype,
        labels=labels.as_option(),
        temperature=labels.temperature,
    )
    batch = 4 if latent else 16
    assert options.ipc is not None  # checked with the options
    return D3MParams(
        options=settled,
        labels=labels,
        images=int(options.ipc),
        collage=collage,
        take=take,
        prompt=settled.prompt or prompt,
        steps=steps if learned else 0,
        rate=rate,
        size=size,
        seed=seed,
        batch=batch,
        group=max(1, min(GROUP, PIXELS_AT_ONCE // (batch * size[0] * size[1]))),
    )


def _size(side: int, height: int, width: int, collage: int) -> tuple[int, int]:
    # The shape of the images, the longer side as asked: multiples of the collage and of 8.
    step = math.lcm(8, collage)
    longest = max(height, width)
    size = tuple(max(step, round(side * x / longest / step) * step) for x in (height, width))
    if side < 8 or max(size) > MAX_GENERATED:
        raise UsageError(f"`resolution` must be from 8 to {MAX_GENERATED}, got {side}")
    return size[0], size[1]
