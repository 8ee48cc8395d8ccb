"""Options of ``encode`` for posters, and for posters in stages."""

from __future__ import annotations

from typing import Annotated

import typer

from . import choices

# Headings of the help.
POSTERS = "Posters (podd, ppodd)"
STAGES = "Stages of posters (ppodd)"


Order = Annotated[
    str,
    typer.Option(
        metavar="auto|clip|image|colour|paper|given|random|FILE",
        help="Where each class lies on the poster: neighbours by CLIP text, by mean image or "
        "colour, as printed in the paper, as given, drawn by --seed, or from a file with a "
        "class name a line.",
        rich_help_panel=POSTERS,
    ),
]
ClassGrid = Annotated[
    str | None,
    typer.Option(metavar="5x2", help="Columns x rows of class cells.", rich_help_panel=POSTERS),
]
LabelPooling = Annotated[
    choices.Pooling,
    typer.Option(
        help="Learned labels of a patch: cell, one; area, all cells it covers, by pixels.",
        rich_help_panel=POSTERS,
    ),
]
Patches = Annotated[
    str | None,
    typer.Option(metavar="16x6", help="Columns x rows of patches.", rich_help_panel=POSTERS),
]
Origins = Annotated[
    choices.Origins,
    typer.Option(
        help="Where patches lie: even, from edge to edge; per-class, within class cells.",
        rich_help_panel=POSTERS,
    ),
]
Preprocessing = Annotated[
    choices.Preprocessing,
    typer.Option(
        help="The space that is distilled in, kept in the file: pixels as they are, "
        "standardised, or whitened. auto: conv_whiten for colour images of 16 to 512 pixels.",
        rich_help_panel=POSTERS,
    ),
]
Augment = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Change patches and real images while distilling, and in the recipe: none, flip, "
        "flip_rotate, flip_scale_rotate, ... [default: flip_rotate with paper; with quick flip "
        "for colour images of 16 pixels and more, else none]",
        show_default=False,
        rich_help_panel=POSTERS,
    ),
]
Quality = Annotated[
    str | None,
    typer.Option(
        metavar="lossless|high|small|bits=N",
        help="Precision of what is stored. [default: high, 8 bits; with --bytes small, 4]",
        rich_help_panel=POSTERS,
    ),
]
Aware = Annotated[
    float | None,
    typer.Option(
        metavar="S",
        help="Share of the last stage, at its end, that sees what is stored rounded. "
        "[default: 0.25 for 6 bits and fewer, else 0]",
        rich_help_panel=POSTERS,
    ),
]
Truncation = Annotated[
    choices.Truncation,
    typer.Option(
        help="With the profile paper, where an inner run is unrolled: at random, or by its "
        "gradients.",
        rich_help_panel=POSTERS,
    ),
]
MetaBatches = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="Meta-gradients of a step that each process averages.",
        rich_help_panel=POSTERS,
    ),
]
Stages = Annotated[
    int | None, typer.Option(metavar="T", help="Posters. [default: 5]", rich_help_panel=STAGES)
]
StageStart = Annotated[
    choices.StageStart | None,
    typer.Option(help="What a new poster begins as. [default: copy]", rich_help_panel=STAGES),
]
StageDirection = Annotated[
    choices.Direction | None,
    typer.Option(
        help="Which stages decay favours. [default: as-printed, the old]",
        rich_help_panel=STAGES,
    ),
]
StageDecay = Annotated[
    float | None,
    typer.Option(
        metavar="L", help="Decay of a stage's weight. [default: 0.5]", rich_help_panel=STAGES
    ),
]
StageBoost = Annotated[
    float | None,
    typer.Option(
        metavar="B", help="Boost of the newest stage. [default: 1.5]", rich_help_panel=STAGES
    ),
]
StageFloor = Annotated[
    float | None,
    typer.Option(metavar="E", help="Least share is E / T. [default: 0.1]", rich_help_panel=STAGES),
]
MaxStagesBytes = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Leave out stages until all fit in N bytes.", rich_help_panel=STAGES
    ),
]
