"""A loaded diffusion model: text and learned tokens in, denoising and images out.

Its parts are loaded one by one from classes that are named here; a name in a model's folder never
chooses code, and weights are safetensors only.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import MissingExtra, Unsupported, one_line
from ..runtime.world import neutral
from .folder import ModelFolder, config_of, native_side
from .settings import PLACE

TRAINED_LENGTH = 77  # of a prompt, where the tokenizer does not say
MOST_SIDES = 4  # times the side that a model was trained on
SILENCING = "HF_HUB_DISABLE_TELEMETRY"
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Prompt:
    """A tokenised prompt."""

    ids: Tensor  # int64 (L,), padded to the length that the text encoder was trained with
    place: int | None  # position of the learned token


@dataclass
class Prior:
    """A diffusion model in evaluation mode, without gradients of its weights."""

    folder: ModelFolder
    unet: Any
    text_encoder: Any
    tokenizer: Any
    vae: Any | None  # None where it works on pixels
    schedule: dict[str, Any]  # the configuration of its own scheduler
    device: torch.device
    dtype: torch.dtype

    @property
    def width(self) -> int:
        """Values of a token's embedding (d in the paper)."""
        return int(self.text_encoder.get_input_embeddings().weight.shape[1])

    @property
    def channels(self) -> int:
        """Channels of the images it makes: 1 or 3."""
        return int((self.unet if self.vae is None else self.vae).config.in_channels)

    @property
    def reduction(self) -> int:
        """Pixels of an image along an axis for one of what the UNet sees."""
        return 1 if self.vae is None else 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def native(self) -> int:
        """Pixels of a side of the images that it was trained on."""
        return native_side(self.folder)

    def latent_shape(self, height: int, width: int) -> tuple[int, int, int]:
        """Return (channels, h, w) of what the UNet sees of an image.

        Raises Unsupported for sides that it cannot make, or far above those it was trained on:
        memory grows with the square of a side and more, and the size may come from a file.
        """
        most = MOST_SIDES * self.native
        if max(height, width) > most:
            raise Unsupported(
                f"{self.folder.name}: was trained on {self.native} pixels a side and makes at most "
                f"{most}, not {width}x{height}"
            )
        # Each level of the UNet halves; a skip connection must meet its own size again.
        step = self.reduction * 2 ** (len(self.unet.config.block_out_channels) - 1)
        if height % step or width % step:
            raise Unsupported(
                f"{self.folder.name}: makes images whose sides are multiples of {step} pixels, "
                f"not {width}x{height}"
            )
        r = self.reduction
        return int(self.unet.config.in_channels), height // r, width // r

    def prompt(self, text: str) -> Prompt:
        """Return a tokenised text; a learned token takes the place of its ``*``, if it has one.

        Raises Unsupported where that does not fit: a learned token must not be cut off.
        """
        before, mark, after = text.partition(PLACE)
        length = min(self.tokenizer.model_max_length, TRAINED_LENGTH)
        middle = self._ids(before) + ([self.tokenizer.unk_token_id] if mark else [])
        ids = [self.tokenizer.bos_token_id, *middle, *self._ids(after)]
        if mark and len(middle) >= length - 1:
            raise Unsupported(f"the prompt {text!r} has no room for its token in {length} tokens")
        ids = [*ids[: length - 1], self.tokenizer.eos_token_id]
        ids += [self.tokenizer.pad_token_id] * (length - len(ids))
        return Prompt(torch.tensor(ids), len(middle) if mark else None)

    def embedding_of(self, text: str) -> Tensor:
        """Return the mean embedding of a text's tokens, float32 (d,), on the CPU."""
        weight = self.text_encoder.get_input_embeddings().weight
        ids = self._ids(text) or [self.tokenizer.unk_token_id]
        mean: Tensor = weight.detach()[ids].float().mean(0).cpu()
        return mean

    def embedding_scale(self) -> float:
        """Return the root mean square of the embeddings' values."""
        weight = self.text_encoder.get_input_embeddings().weight.detach()
        return float(weight.float().square().mean().sqrt())

    def condition(self, prompts: Sequence[Prompt], tokens: Tensor | None = None) -> Tensor:
        """Return what the UNet is told of prompts: (B, L, D); gradients reach ``tokens`` (B, d)."""
        ids = torch.stack([prompt.ids for prompt in prompts]).to(self.device)
        places = [prompt.place for prompt in prompts]
        with self._replaced(places, tokens):
            told: Tensor = self.text_encoder(ids)[0]
        return told

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text.strip(), add_special_tokens=False)["input_ids"]
        return ids

    @contextmanager
    def _replaced(self, places: Sequence[int | None], tokens: Tensor | None) -> Iterator[None]:
        """Let learned tokens stand at their places while the text encoder runs."""
        if tokens is None:
            yield
            return
        vectors = tokens.to(self.device, self.text_encoder.dtype)
        rows = torch.tensor([i for i, place in enumerate(places) if place is not None])
        columns = torch.tensor([place for place in places if place is not None])

        def put(_: Any, __: Any, looked_up: Tensor) -> Tensor:
            at = (rows.to(looked_up.device), columns.to(looked_up.device))
            return looked_up.index_put(at, vectors[rows.to(vectors.device)])

        hook = self.text_encoder.get_input_embeddings().register_forward_hook(put)
        try:
            yield
        finally:
            hook.remove()

    def denoise(self, x: Tensor, times: Tensor, told: Tensor) -> Tensor:
        """Return the UNet's answer to latents x (B, C, h, w) at times int64 (B,)."""
        out: Tensor = self.unet(x.to(self.dtype), times, encoder_hidden_states=told).sample
        return out

    def to_latents(self, images: Tensor) -> Tensor:
        """Return latents of images float32 (B, C, H, W) in 0..1; of a VAE the mean."""
        x = (images * 2 - 1).to(self.device, self.dtype)
        if self.vae is None:
            return x
        with torch.no_grad():
            mean: Tensor = self.vae.encode(x).latent_dist.mean
        shift = getattr(self.vae.config, "shift_factor", None) or 0.0
        scaled: Tensor = (mean - shift) * self.vae.config.scaling_factor
        return scaled

    def to_images(self, latents: Tensor) -> Tensor:
        """Return images uint8 (B, C, H, W) of latents."""
        x = latents
        if self.vae is not None:
            shift = getattr(self.vae.config, "shift_factor", None) or 0.0
            scaled = (x / self.vae.config.scaling_factor + shift).to(self.dtype)
            x = torch.cat([self.vae.decode(part).sample for part in torch.split(scaled, 1)])
        return ((x.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)

    def save_memory(self, on: bool) -> None:
        """Compute activations of a latent model's UNet twice instead of holding them, or not."""
        if self.vae is not None and on:
            self.unet.enable_gradient_checkpointing()
        elif self.vae is not None:
            self.unet.disable_gradient_checkpointing()

    def to(self, device: torch.device | str) -> Prior:
        """Move the model to a device and return it."""
        self.device = torch.device(device)
        for part in (self.unet, self.text_encoder, self.vae):
            if part is not None:
                part.to(self.device)
        return self


def require_libraries() -> None:
    """Make diffusers and transformers importable; raises MissingExtra where one is missing."""
    for name in ("diffusers", "transformers"):
        if importlib.util.find_spec(name) is None:
            raise MissingExtra(f"{name}, which runs diffusion models,", "d3m")
    # Importing them must not tell anyone, nor look for updates. The variable is read here, once,
    # and goes again: the caller's other processes are not ours.
    unset = SILENCING not in os.environ
    os.environ.setdefault(SILENCING, "1")
    importlib.import_module("huggingface_hub.constants")
    if unset:
        del os.environ[SILENCING]
    from ..nn.workarounds import make_torchvision_importable

    make_torchvision_importable()


@neutral()
def load(folder: ModelFolder, device: torch.device | str, dtype: str = "float32") -> Prior:
    """Load a model; raises Unsupported for parts of another kind or that cannot be read."""
    require_libraries()
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    kinds: dict[str, Any] = {"unet": UNet2DConditionModel, "text_encoder": CLIPTextModel}
    if folder.has("vae"):
        kinds["vae"] = AutoencoderKL
    for part, kind in kinds.items():
        field = "architectures" if part == "text_encoder" else "_class_name"
        said = config_of(folder, part).get(field, kind.__name__)
        said = said[0] if isinstance(said, list) and said else said
        if said != kind.__name__:
            raise Unsupported(
                f"{folder.path / part}: is a {said}; this version runs {kind.__name__}"
            )
    parts: dict[str, Any] = {"vae": None}
    with quiet():
        try:
            for part, kind in kinds.items():
                parts[part] = kind.from_pretrained(
                    str(folder.path),
                    subfolder=part,
                    use_safetensors=True,
                    local_files_only=True,
                    variant=folder.variant,
                    **{"dtype" if part == "text_encoder" else "torch_dtype": DTYPES[dtype]},
                )
                parts[part].eval().requires_grad_(False)
            parts["tokenizer"] = CLIPTokenizer.from_pretrained(
                str(folder.path), subfolder="tokenizer", local_files_only=True
            )
        # Both libraries raise whatever their parts raise.
        except Exception as error:
            raise Unsupported(
                f"{folder.path}: cannot be loaded as a diffusion model: {one_line(error)[:300]}"
            ) from None
    schedule = config_of(folder, "scheduler", "scheduler_config.json")
    cpu = torch.device("cpu")
    return Prior(folder, **parts, schedule=schedule, device=cpu, dtype=DTYPES[dtype]).to(device)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the bars and the advice of both libraries off the terminal."""
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    loggers = (of_diffusers, of_transformers)
    levels = [logger.get_verbosity() for logger in loggers]
    bars = [logger.is_progress_bar_enabled() for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.set_verbosity_error()
            logger.disable_progress_bar()
        try:
            yield
        finally:
            for logger, level, bar in zip(loggers, levels, bars, strict=True):
                logger.set_verbosity(level)
                if bar:
                    logger.enable_progress_bar()
