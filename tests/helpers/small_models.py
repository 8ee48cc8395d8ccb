"""Small models on disk: an observer, priors of our own, and one of Stable Diffusion's layout."""

from __future__ import annotations

from pathlib import Path

import torch

from ddcodec.observers.train import train as train_observer
from ddcodec.observers.training import Recipe
from ddcodec.priors.model import quiet, require_libraries
from ddcodec.priors.train import PriorRecipe, train
from ddcodec.priors.vocabulary import vocabulary, write
from ddcodec.sources import Source

OBSERVER = Recipe(steps=1, batch_size=32, augment="crop")


def small_observer(source: Source, path: Path) -> Path:
    """Train an observer of the digits for two epochs, a second."""
    train_observer(source, "convnet3", path, epochs=2, recipe=OBSERVER)
    return path


def stable_diffusion(folder: Path, seed: int = 0, prediction: str = "epsilon") -> Path:
    """Write a tiny random pipeline as diffusers itself does, with SD 1.x's own scheduler."""
    require_libraries()
    from diffusers import (
        AutoencoderKL,
        PNDMScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    write(folder / "words")
    end = len(vocabulary()) - 1
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(seed)
        pipeline = StableDiffusionPipeline(
            vae=AutoencoderKL(
                in_channels=3,
                out_channels=3,
                down_block_types=("DownEncoderBlock2D",) * 2,
                up_block_types=("UpDecoderBlock2D",) * 2,
                block_out_channels=(8, 8),
                latent_channels=4,
                norm_num_groups=4,
                sample_size=16,
            ),
            text_encoder=CLIPTextModel(
                CLIPTextConfig(
                    vocab_size=end + 1,
                    hidden_size=16,
                    intermediate_size=32,
                    num_hidden_layers=2,
                    num_attention_heads=2,
                    max_position_embeddings=40,
                    bos_token_id=end - 1,
                    eos_token_id=end,
                )
            ),
            tokenizer=CLIPTokenizer.from_pretrained(folder / "words"),
            unet=UNet2DConditionModel(
                sample_size=8,
                in_channels=4,
                out_channels=4,
                layers_per_block=1,
                block_out_channels=(8, 16),
                down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
                up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
                norm_num_groups=4,
                cross_attention_dim=16,
                attention_head_dim=4,
            ),
            scheduler=PNDMScheduler(
                beta_start=0.00085,
                beta_end=0.012,
                beta_schedule="scaled_linear",
                skip_prk_steps=True,
                steps_offset=1,
                prediction_type=prediction,
            ),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        pipeline.save_pretrained(folder / "model", safe_serialization=True)
    return folder / "model"


def small_prior(source: Source, folder: Path, seed: int = 0, steps: int = 2) -> Path:
    """Train a prior of the digits for next to no time."""
    recipe = PriorRecipe(steps=steps, batch=4, width=8)
    train(source, folder, recipe=recipe, seed=seed)
    return folder
