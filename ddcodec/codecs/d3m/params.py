"""The settings of one D3M encode: complete before work starts, matched by every resume."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from ...errors import UsageError
from ...format.fields import LARGEST, is_text
from ...format.rules_d3m import DTYPES, MAX_COLLAGE, MAX_GENERATED, MAX_STEPS, PLACE, SCHEDULERS
from ...priors.captions import described
from ..lic.labels import LabelPlan, plan_labels

Selection = Literal["auto", "crops", "loss", "random"]
LARGE = 32  # pixels of a side; of larger images the best crop is taken, of others the whole image
PAPER_SIDE = 256  # pixels of a model's side from which its collages are the paper's, of 4 x 4
PIXELS_AT_ONCE = 1 << 18  # of collages in a step of inversion, all classes of a group together
GROUP = 10  # classes inverted side by side, at most
CROPS = 5


@dataclass(frozen=True)
class D3MOptions:
    """What ``encode`` takes for the codec ``d3m`` alone.

    Attributes:
        observer: file of ``ddcodec observer train``, made for the same classes and images.
        prior: folder of a diffusion model, or an id of the hub that is in the local cache.
        select: which images a class's token is learned from: ``loss``, those that the observer
            knows best; ``crops``, the best crop of each; ``random``; ``auto`` by their size.
        candidates: images of a class that are looked at, and half of which are used.
        collage: patches in a row of a collage; None for 4 with models of 256 pixels and more,
            else 1.
        take: patches in a row of a training image; None for 1, and 2 for images above 64 pixels.
        tokens: ``learned``, or ``names``: prompts with the class's name instead (no bytes).
        token_bits: 8 or 16, of a stored value of a token.
        prompt: with ``*`` for the token; None for the usual one.
        variations: sets of seeds; epoch e trains on set e mod variations.
        temperature: of the stored soft labels, 0.01 to 100.
        size: pixels of a side of what the model makes; None for what it was trained on.
        scheduler: ``ddim`` or ``dpm_solver``; sampling_steps: of it.
        guidance: of classifier-free guidance; None for 7.5 with latent models, else 2.
        dtype: of the model: ``float32``, ``float16``, ``bfloat16``; ``auto`` is float16 for latent
            models on a GPU, else float32.
        rate: of Adam on a token, in units of the root mean square of the model's embeddings.
    """

    observer: str | os.PathLike[str]
    prior: str | os.PathLike[str]
    select: str = "auto"
    candidates: int = 300
    collage: int | None = None
    take: int | None = None
    tokens: str = "learned"
    token_bits: int = 8
    prompt: str | None = None
    variations: int = 1
    temperature: float = 2.0
    size: int | None = None
    scheduler: str = "ddim"
    sampling_steps: int = 25
    guidance: float | None = None
    dtype: str = "auto"
    rate: float | None = None


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
    options: D3MOptions,
    *,
    ipc: float,
    height: int,
    width: int,
    classes: int,
    native: int,
    latent: bool,
    dtype: str,
    iterations: int | None = None,
    labels: str = "auto",
    seed: int = 0,
) -> D3MParams:
    """Return complete settings for images of height x width pixels.

    ``native`` is the side that the model was trained on, ``latent`` says that it has a VAE, and
    ``dtype`` what ``auto`` means. Raises UsageError for what cannot work.
    """
    if not 1 <= ipc <= 100_000 or ipc != int(ipc):
        raise UsageError(f"--ipc {ipc:g}: the codec d3m makes whole images, 1 or more a class")
    side = native if options.size is None else options.size
    collage = (4 if side >= PAPER_SIDE else 1) if options.collage is None else options.collage
    if not 1 <= collage <= MAX_COLLAGE:
        raise UsageError(f"--collage {collage}: must lie in 1..{MAX_COLLAGE}")
    usual = 2 if max(height, width) > 64 and collage % 2 == 0 else 1
    take = usual if options.take is None else options.take
    size = _size(side, height, width, collage)
    if not 1 <= take <= collage or collage % take:
        raise UsageError(f"--take {take} must divide --collage {collage}")
    if take > min(height, width):
        raise UsageError(f"--take {take}: images of {width}x{height} hold no such patches")
    _check_options(options)
    prompt = options.prompt or usual_prompt(options.tokens == "learned", collage)
    if not is_text(prompt) or prompt.count(PLACE) != 1:
        raise UsageError(f"--prompt must hold one {PLACE}, which stands for the class")
    if iterations is not None and options.tokens == "names":
        raise UsageError("--steps counts steps of inversion, which --tokens names omits")
    if not 0 <= seed <= LARGEST:
        raise UsageError(f"--seed must lie in 0..2^53, got {seed}")
    one_hot = labels == "class"
    batch = 4 if latent else 16
    selection = options.select
    if selection == "auto":
        selection = "crops" if max(height, width) > LARGE else "loss"
    guidance = (7.5 if latent else 2.0) if options.guidance is None else options.guidance
    rate = (0.036 if latent else 0.1) if options.rate is None else options.rate
    steps = (3000 if latent else 500) if iterations is None else iterations
    per_class = batch * size[0] * size[1]
    return D3MParams(
        images=int(ipc),
        variations=options.variations,
        collage=collage,
        take=take,
        learned=options.tokens == "learned",
        token_bits=options.token_bits,
        prompt=prompt,
        selection=selection,
        candidates=options.candidates,
        crops=CROPS,
        steps=steps if options.tokens == "learned" else 0,
        rate=rate,
        batch=batch,
        labels=plan_labels(labels, classes, options.temperature),
        one_hot=one_hot,
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
        raise UsageError(f"--resolution {side}: must lie in 8..{MAX_GENERATED}")
    return size[0], size[1]


def _check_options(options: D3MOptions) -> None:
    choices = {
        "--select": (options.select, get_args(Selection)),
        "--tokens": (options.tokens, ("learned", "names")),
        "--token-bits": (options.token_bits, (8, 16)),
        "--scheduler": (options.scheduler, SCHEDULERS),
        "--dtype": (options.dtype, ("auto", *DTYPES)),
    }
    for option, (given, known) in choices.items():
        if given not in known:
            raise UsageError(f"{option} {given}: must be one of {', '.join(map(str, known))}")
    ranges = {
        "--candidates": (options.candidates, 2, 10**9),
        "--variations": (options.variations, 1, 10_000),
        "--sampling-steps": (options.sampling_steps, 1, MAX_STEPS),
        "--guidance": (0 if options.guidance is None else options.guidance, 0, 100),
        "--rate": (1 if options.rate is None else options.rate, 1e-6, 100),
    }
    for option, (value, low, high) in ranges.items():
        if not low <= value <= high:
            raise UsageError(f"{option} must lie in {low:g}..{high:g}, got {value:g}")
