"""Training a small prior on real images, into an ordinary diffusers folder."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import OutputError, SourceError, UsageError
from ..runtime.arguments import real, settle, text, truth, whole
from ..runtime.device import threads_for
from ..runtime.folders import check_folder, whole_folder
from ..runtime.outputs import DRAFT, checkpoint_of
from ..runtime.progress import SILENT, Reporter
from ..runtime.rng import generator
from ..runtime.world import neutral
from ..sources.base import Source
from ..version import __version__
from .captions import Views, caption, draw, show
from .fitting import Fit
from .folder import find
from .model import require_libraries
from .networks import Shape, build_text_encoder, build_unet, build_vae
from .vocabulary import write as write_vocabulary

PIXELS = 64  # up to this side a UNet works on pixels
LARGEST = 512  # pixels of a side
STAGES = ("unet", "vae")  # that have a checkpoint of their own
KL = 1e-6  # weight of the VAE's divergence (Rombach et al., 2022)
# v-prediction on a cosine schedule (Salimans and Ho, 2022; Nichol and Dhariwal, 2021).
TIMES = 1000
SCHEDULE: dict[str, Any] = {
    "num_train_timesteps": TIMES,
    "beta_schedule": "squaredcos_cap_v2",
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
    "set_alpha_to_one": False,
}


@dataclass(frozen=True)
class PriorRecipe:
    """How a prior is trained."""

    steps: int = 3000  # of the UNet and the text encoder; a VAE takes a quarter of them before
    batch: int = 32  # pictures a step
    lr: float = 1e-3  # peak of AdamW's rate, which falls as a cosine
    resolution: int | None = None  # pixels of a side; None for that of the images, at least 8
    width: int = 32  # channels of the UNet's first level
    views: Views = "plain"  # see ``captions``
    vae: bool | None = None  # work on latents; None decides by the side

    def __post_init__(self) -> None:
        settle(
            self,
            steps=whole("steps", self.steps, 1),
            batch=whole("batch", self.batch, 1),
            lr=real("lr", self.lr, above=0),
            width=whole("width", self.width, 8),
            views=text("views", self.views, get_args(Views)),
        )
        if self.resolution is not None:
            settle(self, resolution=whole("resolution", self.resolution, 8, LARGEST))
        if self.vae is not None:
            settle(self, vae=truth("vae", self.vae))

    def shape(self, source: Source) -> Shape:
        """Return the sizes for a source; raises UsageError for what cannot work."""
        side = self.resolution or 8 * max(1, round(max(source.height, source.width) / 8))
        if not 8 <= side <= LARGEST or side % 8:
            raise UsageError(f"`resolution` must be a multiple of 8 up to {LARGEST}, got {side}")
        if self.width % 8:
            raise UsageError(f"`width` must be a multiple of 8, got {self.width}")
        vae = side > PIXELS if self.vae is None else self.vae
        if vae and side < 32:
            raise UsageError(f"`vae`: pictures of {side} pixels are too small for one; use 32")
        return Shape(source.channels, side, self.width, vae)


@dataclass(frozen=True)
class TrainedPrior:
    """What training gave: the folder, its bytes of weights and digest, the last loss, seconds."""

    folder: str
    name: str
    steps: int
    loss: float
    seconds: float
    bytes: int
    digest: str


@neutral()
def train(
    source: Source,
    out: Path,
    *,
    recipe: PriorRecipe = PriorRecipe(),
    seconds: float | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    resume: bool = False,
    overwrite: bool = False,
    reporter: Reporter = SILENT,
) -> TrainedPrior:
    """Train a prior on the training split and write its folder to ``out``, whole or not at all.

    Captions are spelled class names and words for the view; see ``captions`` and ``vocabulary``.

    Args:
        source: real data; its training split is held in memory.
        seconds: as many steps as fit, instead of the recipe's.
        seed: >= 0; equal arguments give equal weights on a machine.
        device: where to train; on a GPU in bfloat16.
        resume: go on from the folder ``<out>.checkpoint`` if it exists.

    Raises:
        UsageError, SourceError, OutputError as elsewhere. MissingExtra without diffusers.
        CheckpointMismatch: the checkpoint belongs to another run.
        KeyboardInterrupt: interrupted; the checkpoint is saved.
    """
    seed = whole("seed", seed, 0)
    seconds = None if seconds is None else real("seconds", seconds, above=0)
    # What can go wrong goes wrong before the work of an earlier run is removed.
    check_folder(out, overwrite)
    shape, where = recipe.shape(source), torch.device(device)
    asked = {"steps": recipe.steps} if seconds is None else {"seconds": seconds}
    facts = [asdict(recipe), asked, seed, source.digest(), __version__]
    identity = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    saved_at = checkpoint_of(out)
    require_libraries()
    counts = np.bincount(source.train.labels, minlength=len(source.classes))
    if not counts.all():
        name = source.classes[int(counts.argmin())]
        raise SourceError(f"class '{name}' has no training image; a prior needs one of each")
    _make_way(saved_at, resume)
    start = time.monotonic()
    reporter.stage("preparing the images", 0)
    with threads_for(shape.side, shape.side):
        pictures = Pictures(source, recipe, shape, seed, where)
        vae = None
        if shape.vae:
            vae = build_vae(shape, seed).to(where)
            vae_fit = Fit({"vae": vae}, recipe.lr, f"{identity} vae", saved_at / "vae")
            steps, share = max(1, recipe.steps // 4), None if seconds is None else seconds / 4
            vae_fit.run("VAE", lambda step: pictures.vae_loss(vae, step), steps, share, reporter)
            pictures.settle(vae)
        unet, text = build_unet(shape, seed).to(where), build_text_encoder(seed).to(where)
        fit = Fit({"unet": unet, "text": text}, recipe.lr, identity, saved_at / "unet")
        left = None if seconds is None else max(1.0, seconds - (time.monotonic() - start))
        loss = fit.run(
            "prior", lambda step: pictures.loss(unet, text, vae, step), recipe.steps, left, reporter
        )
        fit.use_average()
        reporter.stage("writing", 0)
    description = {
        "tool": f"ddcodec {__version__}",
        "source": {"name": source.name, "digest": source.digest()[:32]},
        "recipe": {**asdict(recipe), "steps": fit.steps},
        "seed": seed,
    }
    parts = {"unet": unet, "text_encoder": text} | ({"vae": vae} if vae is not None else {})
    write(out, parts, description, overwrite)
    shutil.rmtree(saved_at, ignore_errors=True)
    made = find(out)
    spent = time.monotonic() - start
    return TrainedPrior(str(out), made.name, fit.steps, loss, spent, made.bytes, made.digest)


def _make_way(saved_at: Path, resume: bool) -> None:
    """Remove the checkpoint of an earlier run; raises OutputError where it is something else."""
    try:
        # A process that was killed may have left a temporary file.
        ours = saved_at.is_dir() and all(
            path.name in STAGES or path.name.startswith(DRAFT) for path in saved_at.iterdir()
        )
        if saved_at.exists() and not ours:
            raise OutputError(
                f"{saved_at}: is no checkpoint of a prior; move it away, or choose another name "
                "for `out`"
            )
        if ours and not resume:
            shutil.rmtree(saved_at)
    except OSError as error:
        raise OutputError(f"{saved_at}: cannot be removed: {error.strerror}") from None


class Pictures:
    """The pictures, captions and losses of each step; all randomness is keyed by the step."""

    def __init__(
        self, source: Source, recipe: PriorRecipe, shape: Shape, seed: int, device: torch.device
    ) -> None:
        from transformers import CLIPTokenizer

        from .sampling import kind_of

        self._recipe, self._shape, self._seed, self._device = recipe, shape, seed, device
        self._names = source.classes
        self._images = source.train.images
        labels = torch.from_numpy(source.train.labels)
        self._places = [(labels == c).nonzero()[:, 0] for c in range(len(source.classes))]
        with tempfile.TemporaryDirectory() as folder:
            write_vocabulary(Path(folder))
            self.tokenizer = CLIPTokenizer.from_pretrained(folder)
        self._scheduler = kind_of("ddim")(**SCHEDULE)

    def batch(self, step: int, size: int, purpose: str) -> tuple[Tensor, list[str]]:
        """Return pictures float32 (B, C, h, w) in 0..1, and their captions."""
        random = generator(self._seed, "prior", purpose, step)
        side = self._shape.side
        pictures, captions = [], []
        for _ in range(size):
            label = int(torch.randint(len(self._names), (), generator=random))
            view = draw(self._recipe.views, random, side)
            places = self._places[label]
            picked = torch.randint(len(places), (view.layout**2,), generator=random)
            images = torch.from_numpy(self._images[places[picked].numpy()]).permute(0, 3, 1, 2)
            images = images.float() / 255
            pictures.append(show(images, view, (side, side)))
            captions.append(caption(self._names[label], view, random))
        return torch.stack(pictures).to(self._device), captions

    def loss(self, unet: Any, text: Any, vae: Any | None, step: int) -> Tensor:
        """Return the mean squared error of the UNet's answer to noised pictures."""
        from .sampling import target

        pictures, captions = self.batch(step, self._recipe.batch, "pictures")
        random = generator(self._seed, "prior", "noise", step)
        latents = pictures * 2 - 1
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda"):
            if vae is not None:
                with torch.no_grad():
                    latents = vae.encode(latents).latent_dist.mean * vae.config.scaling_factor
            latents = latents.float()
            noise = torch.randn(latents.shape, generator=random).to(self._device)
            times = torch.randint(TIMES, (len(latents),), generator=random).to(self._device)
            noised = self._scheduler.add_noise(latents, noise, times)
            told = text(self._ids(captions))[0]
            out = unet(noised, times, encoder_hidden_states=told).sample
        return F.mse_loss(out.float(), target(self._scheduler, latents, noise, times))

    def vae_loss(self, vae: Any, step: int) -> Tensor:
        """Return the reconstruction's mean absolute error and the weighted divergence."""
        pictures, _ = self.batch(step, max(1, self._recipe.batch // 4), "vae")
        random = generator(self._seed, "prior", "vae noise", step)
        x = pictures * 2 - 1
        found = vae.encode(x).latent_dist
        noise = torch.randn(found.mean.shape, generator=random).to(self._device)
        back = vae.decode(found.mean + found.std * noise).sample
        loss: Tensor = F.l1_loss(back, x) + KL * found.kl().mean()
        return loss

    def settle(self, vae: Any) -> None:
        """Freeze a VAE and scale its latents to variance 1."""
        vae.eval().requires_grad_(False)
        pictures, _ = self.batch(0, 64, "scale")
        with torch.no_grad():
            spread = float(vae.encode(pictures * 2 - 1).latent_dist.mean.std())
        vae.register_to_config(scaling_factor=float(f"{1 / max(spread, 1e-6):.6g}"))

    def _ids(self, captions: Sequence[str]) -> Tensor:
        found = self.tokenizer(
            list(captions), padding="max_length", truncation=True, return_tensors="pt"
        )
        ids: Tensor = found["input_ids"].to(self._device)
        return ids


def write(out: Path, parts: dict[str, Any], description: dict[str, Any], overwrite: bool) -> None:
    """Write a diffusers folder, whole or not at all; raises OutputError."""
    from .model import quiet
    from .sampling import kind_of

    with whole_folder(out, overwrite) as draft:
        for name, module in parts.items():
            with quiet():
                module.to("cpu").save_pretrained(draft / name, safe_serialization=True)
        write_vocabulary(draft / "tokenizer")
        pixels = {} if "vae" in parts else {"clip_sample": True}
        kind_of("ddim")(**{**SCHEDULE, "clip_sample": False, **pixels}).save_pretrained(
            draft / "scheduler"
        )
        index = {
            "_class_name": "StableDiffusionPipeline",
            "requires_safety_checker": False,
            "unet": ["diffusers", "UNet2DConditionModel"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "scheduler": ["diffusers", "DDIMScheduler"],
            "vae": ["diffusers", "AutoencoderKL"] if "vae" in parts else [None, None],
            "safety_checker": [None, None],
            "feature_extractor": [None, None],
            "image_encoder": [None, None],
        }
        for name, value in (("model_index.json", index), ("ddcodec_prior.json", description)):
            (draft / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
