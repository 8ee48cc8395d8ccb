"""Options of ``encode`` for selected images and for prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import choices

# Headings of the help.
IMAGES = "Selected images (lic, d3m)"
PROMPTS = "Prompts (d3m)"


Observer = Annotated[
    Path | None,
    typer.Option(
        metavar="F", help="Network of 'observer train' on this SOURCE.", rich_help_panel=IMAGES
    ),
]
Select = Annotated[
    choices.Selection,
    typer.Option(
        help="Images with the lowest loss, the best crops of images, or any. auto: "
        "loss; of d3m crops above 32 pixels.",
        rich_help_panel=IMAGES,
    ),
]
NoSelect = Annotated[
    bool,
    typer.Option("--no-select", help="lic: the same as --select random.", rich_help_panel=IMAGES),
]
Squeeze = Annotated[
    int,
    typer.Option(
        metavar="1|4|9|16|25", help="lic: images squeezed into one.", rich_help_panel=IMAGES
    ),
]
Candidates = Annotated[
    int,
    typer.Option(metavar="N", help="Images of a class to select from.", rich_help_panel=IMAGES),
]
NoCompensate = Annotated[
    bool,
    typer.Option(
        "--no-compensate",
        help="lic: leave the squeezed images as they are.",
        rich_help_panel=IMAGES,
    ),
]
NoRelabel = Annotated[
    bool,
    typer.Option("--no-relabel", help="The same as --labels class.", rich_help_panel=IMAGES),
]
Images = Annotated[
    str,
    typer.Option(
        metavar="zstd|webp=Q|avif=Q",
        help="lic: store the mosaics exactly, or lossy at quality Q.",
        rich_help_panel=IMAGES,
    ),
]
Temperature = Annotated[
    float, typer.Option(metavar="T", help="Temperature of the labels.", rich_help_panel=IMAGES)
]
Prior = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="The diffusion model, a folder or an id of the hub that is here.",
        rich_help_panel=PROMPTS,
    ),
]
Collage = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Collages of N x N patches. [default: 4 from 256 pixels, else 1]",
        rich_help_panel=PROMPTS,
    ),
]
Take = Annotated[
    int | None,
    typer.Option(
        metavar="M",
        help="M x M of them make an image. [default: 2 above 64 pixels, else 1]",
        rich_help_panel=PROMPTS,
    ),
]
Tokens = Annotated[
    choices.Tokens | None,
    typer.Option(
        help="Learned tokens, or class names. [default: learned]", rich_help_panel=PROMPTS
    ),
]
TokenBits = Annotated[
    int | None,
    typer.Option(
        metavar="8|16", help="Bits of a token's value. [default: 8]", rich_help_panel=PROMPTS
    ),
]
Prompt = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="Words of the prompt, with * for the class.",
        rich_help_panel=PROMPTS,
    ),
]
Variations = Annotated[
    int | None,
    typer.Option(
        metavar="V", help="Sets of seeds, one an epoch. [default: 1]", rich_help_panel=PROMPTS
    ),
]
Resolution = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Side of collages. [default: the model's]", rich_help_panel=PROMPTS
    ),
]
Scheduler = Annotated[
    choices.Scheduler | None,
    typer.Option(help="How collages are sampled. [default: ddim]", rich_help_panel=PROMPTS),
]
SamplingSteps = Annotated[
    int | None,
    typer.Option(metavar="N", help="Steps of sampling. [default: 25]", rich_help_panel=PROMPTS),
]
Guidance = Annotated[
    float | None,
    typer.Option(
        metavar="W",
        help="Weight of the prompt. [default: 7.5 with latent models, else 2]",
        rich_help_panel=PROMPTS,
    ),
]
Dtype = Annotated[
    choices.ModelType | None,
    typer.Option(
        help="Type of the model's numbers. [default: float16 for latents on a GPU, else float32]",
        rich_help_panel=PROMPTS,
    ),
]
Rate = Annotated[
    float | None,
    typer.Option(
        metavar="R",
        help="Learning rate of the tokens. [default: 0.036 on latents, else 0.1]",
        rich_help_panel=PROMPTS,
    ),
]
