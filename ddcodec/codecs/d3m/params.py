"""The settings of one D3M encode: complete before work starts, matched by every resume."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from ...errors import UsageError
from ...format.values import LARGEST
from ...priors.captions import described
from ...priors.folder import ModelFolder, native_side
from ...priors.settings import PLACE
from ..shared.labels import LabelPlan, plan_labels
from ..shared.selection import CROPS
from .options import D3M
from .rules import MAX_GENERATED

LARGE = 32  # pixels of a side; of larger images the best crop is taken, of others the whole image
PAPER_SIDE = 256  # pixels of a model's side from which its collages are the paper's, of 4 x 4
PIXELS_AT_ONCE = 1 << 18  # of collages in a step of inversion, all classes of a group together
GROUP = 10  # classes inverted side by side, at most


@dataclass(frozen=True)
class D3MParams:
    """Everything that decides the result of an encode, apart from source, observer and model.

    Attributes:
        images: training images a class (IPC), in each variation.
        variations: sets of seeds.
        collage, take: patches in a row of a collage, and of a training image (n and m).
        learned: whether tokens are learned; else prompts hold names.
        token_bits: 8 or 16.
        prompt: with ``*`` for token or name.
        selection, candidates, crops: see ``patches``.
        steps: of inversion; ``rate``: of Adam; ``batch``: collages of a class in a step.
        labels: how labels are stored.
        size: (height, width) of what the model makes.
        scheduler, sampling_steps, guidance, dtype: how it is sampled.
        seed: of everything random; also the key of the generated noise.
        group: classes inverted side by side, a finished unit of work.
    """

    images: int
    variations: int
    collage: int
    take: int
    learned: bool
    token_bits: int
    prompt: str
    selection: str
    candidates: int
    crops: int
    steps: int
    rate: float
    batch: int
    labels: LabelPlan
    one_hot: bool
    size: tuple[int, int]
    scheduler: str
    sampling_steps: int
    guidance: float
    dtype: str
    seed: int
    group: int

    @property
    def blocks(self) -> int:
        """Training images that a collage is cut into."""
        return (self.collage // self.take) ** 2

    @property
    def collages(self) -> int:
        """Collages, and seeds, of a class in a variation."""
        return -(-self.images // self.blocks)

    @property
    def patches(self) -> int:
        """Patches, each with a label, of a training image."""
        return self.take**2

    def groups(self, classes: int) -> list[range]:
        """Return the classes that are inverted side by side."""
        starts = range(0, classes, self.group)
        return [range(start, min(start + self.group, classes)) for start in starts]

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON values (for fingerprints)."""
        return asdict(self)


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
    assert options.ipc is not None  # checked with the options
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
    batch = 4 if latent else 16
    selection = options.select
    if selection == "auto":
        selection = "crops" if max(height, width) > LARGE else "loss"
    guidance = (7.5 if latent else 2.0) if options.guidance is None else options.guidance
    rate = (0.036 if latent else 0.1) if options.rate is None else options.rate
    steps = (3000 if latent else 500) if options.steps is None else options.steps
    per_class = batch * size[0] * size[1]
    return D3MParams(
        images=int(options.ipc),
        variations=options.variations,
        collage=collage,
        take=take,
        learned=learned,
        token_bits=options.token_bits,
        prompt=options.prompt or usual_prompt(learned, collage),
        selection=selection,
        candidates=options.candidates,
        crops=CROPS,
        steps=steps if learned else 0,
        rate=rate,
        batch=batch,
        labels=plan_labels(options.labels, classes, options.temperature),
        one_hot=options.labels == "class",
        size=size,
        scheduler=options.scheduler,
        sampling_steps=options.sampling_steps,
        guidance=float(guidance),
        dtype=dtype if options.dtype == "auto" else options.dtype,
        seed=seed,
        group=max(1, min(GROUP, PIXELS_AT_ONCE // per_class)),
    )


def usual_prompt(learned: bool, collage: int) -> str:
    """Return the prompt where none is given; a learned token knows of collages itself."""
    return described(PLACE, 1 if learned else collage)


def _size(side: int, height: int, width: int, collage: int) -> tuple[int, int]:
    # The shape of the images, the longer side as asked: multiples of the collage and of 8.
    step = math.lcm(8, collage)
    longest = max(height, width)
    size = tuple(max(step, round(side * x / longest / step) * step) for x in (height, width))
    if side < 8 or max(size) > MAX_GENERATED:
        raise UsageError(f"`resolution` must be from 8 to {MAX_GENERATED}, got {side}")
    return size[0], size[1]
