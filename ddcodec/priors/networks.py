"""The parts of a prior of one's own: a UNet with cross attention, a text encoder, a small VAE.

Up to 64 pixels the UNet works on pixels; beyond, or where asked, on the latents of a VAE.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ..runtime.rng import seeded
from .model import require_libraries
from .vocabulary import LENGTH, vocabulary

TEXT_WIDTH, TEXT_LAYERS, TEXT_HEADS = 64, 2, 4
LEAST = 4  # pixels of the coarsest level
MOST_LEVELS = 4
LATENT_CHANNELS = 4


@dataclass(frozen=True)
class Shape:
    """Sizes of a prior."""

    channels: int  # of the images, 1 or 3
    side: int  # of the images, in pixels
    width: int  # channels of the UNet's first level
    vae: bool  # whether it works on latents

    @property
    def latent_side(self) -> int:
        """Side of what the UNet sees."""
        return self.side // 4 if self.vae else self.side

    @property
    def levels(self) -> tuple[int, ...]:
        """Channels of each level of the UNet; each halves the side."""
        sides = [self.latent_side >> level for level in range(1, MOST_LEVELS)]
        count = 1 + sum(side >= LEAST for side in sides)
        return tuple(self.width * min(2**level, 4) for level in range(count))


def build_unet(shape: Shape, seed: int) -> Any:
    """Return a fresh UNet2DConditionModel; the same seed gives the same weights."""
    require_libraries()
    from diffusers import UNet2DConditionModel

    levels = shape.levels
    # The finest level, where most of the cost is, has no attention.
    plain = 1 if len(levels) > 1 else 0
    down = ["DownBlock2D"] * plain + ["CrossAttnDownBlock2D"] * (len(levels) - plain)
    up = ["CrossAttnUpBlock2D"] * (len(levels) - plain) + ["UpBlock2D"] * plain
    channels = LATENT_CHANNELS if shape.vae else shape.channels
    with seeded(torch.device("cpu"), seed, "prior", "unet"):
        return UNet2DConditionModel(
            sample_size=shape.latent_side,
            in_channels=channels,
            out_channels=channels,
            layers_per_block=1,
            block_out_channels=levels,
            down_block_types=tuple(down),
            up_block_types=tuple(up),
            norm_num_groups=8,
            cross_attention_dim=TEXT_WIDTH,
            attention_head_dim=4,
            # The text also joins the time's embedding, which a short training learns from sooner
            # than from cross attention alone.
            addition_embed_type="text",
            addition_embed_type_num_heads=4,
        )


def build_text_encoder(seed: int) -> Any:
    """Return a fresh CLIPTextModel for the vocabulary of letters."""
    require_libraries()
    from transformers import CLIPTextConfig, CLIPTextModel

    words = vocabulary()
    end = len(words) - 1
    config = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=TEXT_WIDTH,
        intermediate_size=4 * TEXT_WIDTH,
        projection_dim=TEXT_WIDTH,
        num_hidden_layers=TEXT_LAYERS,
        num_attention_heads=TEXT_HEADS,
        max_position_embeddings=LENGTH,
        bos_token_id=end - 1,
        eos_token_id=end,
        pad_token_id=end,
    )
    with seeded(torch.device("cpu"), seed, "prior", "text encoder"):
        return CLIPTextModel(config)


def build_vae(shape: Shape, seed: int) -> Any:
    """Return a fresh AutoencoderKL that divides the side by four."""
    require_libraries()
    from diffusers import AutoencoderKL

    widths = (32, 64, 64)
    with seeded(torch.device("cpu"), seed, "prior", "vae"):
        return AutoencoderKL(
            in_channels=shape.channels,
            out_channels=shape.channels,
            down_block_types=("DownEncoderBlock2D",) * len(widths),
            up_block_types=("UpDecoderBlock2D",) * len(widths),
            block_out_channels=widths,
            layers_per_block=1,
            latent_channels=LATENT_CHANNELS,
            norm_num_groups=8,
            sample_size=shape.side,
            scaling_factor=1.0,
        )
