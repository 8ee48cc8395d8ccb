"""``ddcodec encode``: distil real images into one file."""

from __future__ import annotations

import time as clock
from pathlib import Path
from typing import Annotated, Literal

import typer

from .arguments import Prior, default_output, parse_duration, parse_grid
from .methods import chosen_options
from .output import byte_count, interrupted, message, number, seconds
from .progress import is_first, progress

Profile = Literal["auto", "quick", "paper"]
LabelKind = Literal["auto", "fixed", "learned"]  # of posters
Selection = Literal["auto", "loss", "crops", "random"]
Precision = Literal["auto", "float32", "bfloat16"]
Pooling = Literal["auto", "area", "cell", "sharpened", "centre", "reference"]
Preprocessing = Literal["auto", "none", "standardise", "dct_whiten", "conv_whiten"]
Quantiser = Literal["uniform", "codebook"]
Scales = Literal["channel", "tensor", "tile"]
Origins = Literal["even", "balanced", "cyclic", "per-class"]
Tokens = Literal["learned", "names"]
Scheduler = Literal["ddim", "dpm_solver"]
ModelType = Literal["auto", "float32", "float16", "bfloat16"]
StageStart = Literal["copy", "noise", "blend"]
Truncation = Literal["random", "adaptive"]
Direction = Literal["as-printed", "recent"]


def encode(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A name (digits, cifar10, ...), an .npz file, or a folder: images in one folder a "
            "class under train/ and test/, or parquet shards.",
        ),
    ],
    ipc: Annotated[
        float | None,
        typer.Option(metavar="X", help="Budget in images per class; it may be less than 1."),
    ] = None,
    total_bytes: Annotated[
        int | None,
        typer.Option("--bytes", metavar="N", help="Or the largest poster in a file of N bytes."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="F", help="File. [default: SOURCE.ddset here]"),
    ] = None,
    codec: Annotated[
        str,
        typer.Option(
            metavar="podd|ppodd|lic|d3m",
            help="Method: a poster, posters in stages, squeezed images, prompts for a diffusion "
            "model.",
        ),
    ] = "podd",
    profile: Annotated[
        Profile,
        typer.Option(
            help="paper: as published. quick: the best a CPU reaches in a minute or two. "
            "auto: paper on a GPU, quick elsewhere."
        ),
    ] = "auto",
    steps: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Outer steps; iterations of lic; of inversion for d3m. [default: the profile's; "
            "200 for lic; 500 or, on latents, 3000 for d3m]",
        ),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(
            metavar="T",
            help="Or as many steps as fit in 90s, 9m, 1.5h. podd with --profile paper, or with "
            "--steps too: this call stops there, and --resume goes on.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed gives the same file.")] = 0,
    device: Annotated[str, typer.Option(metavar="D", help="auto, cpu, cuda or cuda:N.")] = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint F.checkpoint.")
    ] = False,
    order: Annotated[
        str,
        typer.Option(
            metavar="auto|clip|image|colour|paper|given|random|FILE",
            help="Where each class lies on the poster: neighbours by CLIP text, by mean image or "
            "colour, as printed in the paper, as given, drawn by --seed, or from a file with a "
            "class name a line.",
        ),
    ] = "auto",
    order_search: Annotated[
        str,
        typer.Option(
            metavar="none|auto|N",
            help="Improve the order by N moves of a search; auto takes seconds.",
        ),
    ] = "none",
    class_grid: Annotated[
        str | None, typer.Option(metavar="5x2", help="Columns x rows of class cells.")
    ] = None,
    labels: Annotated[
        str,
        typer.Option(
            metavar="auto|fixed|learned|logits|top=K|embed-teacher|class",
            help="Soft labels of patches: fixed or learned. Of lic: 8-bit logits of all classes, "
            "the K most probable, the observer itself in 8-bit integers, or just the class.",
        ),
    ] = "auto",
    label_pooling: Annotated[
        Pooling,
        typer.Option(
            help="Learned labels of a patch: cell, one; area, all cells it covers, by pixels; "
            "sharpened, more of those with most pixels; centre, more of those near its middle; "
            "reference, as in the published code, which leaves classes out: only to compare."
        ),
    ] = "auto",
    patches: Annotated[
        str | None, typer.Option(metavar="16x6", help="Columns x rows of patches.")
    ] = None,
    origins: Annotated[
        Origins,
        typer.Option(
            help="Where patches lie: even, from edge to edge; balanced, equally many for every "
            "class cell; cyclic, going on at the opposite edge; per-class, within class cells."
        ),
    ] = "even",
    preprocessing: Annotated[
        Preprocessing,
        typer.Option(
            help="The space that is distilled in, kept in the file: pixels as they are, "
            "standardised, or whitened. auto: conv_whiten for colour images of 16 to 512 pixels."
        ),
    ] = "auto",
    augment: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Change patches and real images while distilling, and in the recipe: none, flip, "
            "flip_rotate, flip_scale_rotate, ... [default: flip_rotate with paper; with quick flip "
            "for colour images of 16 pixels and more, else none]",
            show_default=False,
        ),
    ] = "auto",
    quality: Annotated[
        str | None,
        typer.Option(
            metavar="lossless|high|small|bits=N",
            help="Precision of what is stored. [default: high, 8 bits; with --bytes small, 4]",
        ),
    ] = None,
    quantiser: Annotated[
        Quantiser, typer.Option(help="Levels of few bits: evenly spaced, or by k-means.")
    ] = "uniform",
    scales: Annotated[
        Scales, typer.Option(help="What has a range of its own; a tile is as large as a patch.")
    ] = "channel",
    aware: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            help="Share of the last stage, at its end, that sees what is stored rounded. "
            "[default: 0.25 for 6 bits and fewer, else 0]",
        ),
    ] = None,
    rate_weight: Annotated[
        float,
        typer.Option(metavar="W", help="Weight of the bits of a value beside the loss, in nats."),
    ] = 0.0,
    truncation: Annotated[
        Truncation,
        typer.Option(help="paper: where an inner run is unrolled; adaptive: by its gradients."),
    ] = "random",
    meta_batches: Annotated[
        int,
        typer.Option(metavar="N", help="Meta-gradients of a step that each process averages."),
    ] = 1,
    size: Annotated[
        int | None,
        typer.Option(metavar="N", help="Scale the central square of every image to N x N pixels."),
    ] = None,
    stages: Annotated[
        int | None, typer.Option(metavar="T", help="ppodd: posters. [default: 5]")
    ] = None,
    stage_start: Annotated[
        StageStart | None, typer.Option(help="ppodd: what a new poster begins as. [default: copy]")
    ] = None,
    stage_direction: Annotated[
        Direction | None,
        typer.Option(help="ppodd: which stages decay favours. [default: as-printed, the old]"),
    ] = None,
    stage_decay: Annotated[
        float | None, typer.Option(metavar="L", help="ppodd: decay of a stage. [default: 0.5]")
    ] = None,
    stage_boost: Annotated[
        float | None, typer.Option(metavar="B", help="ppodd: of the newest. [default: 1.5]")
    ] = None,
    stage_floor: Annotated[
        float | None, typer.Option(metavar="E", help="ppodd: least share is E / T. [default: 0.1]")
    ] = None,
    max_stages_bytes: Annotated[
        int | None,
        typer.Option(metavar="N", help="ppodd: leave out stages until all fit in N bytes."),
    ] = None,
    observer: Annotated[
        Path | None,
        typer.Option(metavar="F", help="lic, d3m: network of 'observer train' on this SOURCE."),
    ] = None,
    select: Annotated[
        Selection,
        typer.Option(
            help="lic, d3m: images with the lowest loss, the best crops of images, or any. auto: "
            "loss; of d3m crops above 32 pixels."
        ),
    ] = "auto",
    no_select: Annotated[
        bool, typer.Option("--no-select", help="lic: the same as --select random.")
    ] = False,
    squeeze: Annotated[
        int, typer.Option(metavar="1|4|9|16|25", help="lic: images squeezed into one.")
    ] = 4,
    candidates: Annotated[
        int, typer.Option(metavar="N", help="lic, d3m: images of a class to select from.")
    ] = 300,
    no_compensate: Annotated[
        bool, typer.Option("--no-compensate", help="lic: leave the squeezed images as they are.")
    ] = False,
    no_relabel: Annotated[
        bool, typer.Option("--no-relabel", help="lic, d3m: the same as --labels class.")
    ] = False,
    images: Annotated[
        str,
        typer.Option(
            metavar="zstd|webp=Q|avif=Q",
            help="lic: store the mosaics exactly, or lossy at quality Q.",
        ),
    ] = "zstd",
    temperature: Annotated[float, typer.Option(metavar="T", help="lic, d3m: of the labels.")] = 2.0,
    precision: Annotated[
        Precision,
        typer.Option(
            help="Of activations: of posters while distilling, of the comparison of lic. auto: "
            "bfloat16 where the device multiplies it and images have 16 pixels or more."
        ),
    ] = "auto",
    prior: Prior = None,
    collage: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="d3m: collages of N x N patches. [default: 4 from 256 pixels, else 1]"
        ),
    ] = None,
    take: Annotated[
        int | None,
        typer.Option(
            metavar="M",
            help="d3m: M x M of them make an image. [default: 2 above 64 pixels, else 1]",
        ),
    ] = None,
    tokens: Annotated[
        Tokens | None, typer.Option(help="d3m: learned tokens, or class names. [default: learned]")
    ] = None,
    token_bits: Annotated[
        int | None, typer.Option(metavar="8|16", help="d3m: of a token's value. [default: 8]")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(metavar="TEXT", help="d3m: with * for the class.")
    ] = None,
    variations: Annotated[
        int | None,
        typer.Option(metavar="V", help="d3m: sets of seeds, one an epoch. [default: 1]"),
    ] = None,
    resolution: Annotated[
        int | None, typer.Option(metavar="N", help="d3m: side of collages. [default: the model's]")
    ] = None,
    scheduler: Annotated[
        Scheduler | None, typer.Option(help="d3m: how collages are sampled. [default: ddim]")
    ] = None,
    sampling_steps: Annotated[
        int | None, typer.Option(metavar="N", help="d3m: steps of sampling. [default: 25]")
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option(metavar="W", help="d3m: [default: 7.5 with latent models, else 2]"),
    ] = None,
    dtype: Annotated[
        ModelType | None,
        typer.Option(help="d3m: of the model. [default: float16 for latents on a GPU, float32]"),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(metavar="R", help="d3m: of inversion. [default: 0.036 on latents, else 0.1]"),
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch a known data set, or a model, not here.")
    ] = False,
    force: Annotated[bool, typer.Option("-f", "--force", help="Replace F if it exists.")] = False,
) -> None:
    """Distil the training images of SOURCE into one .ddset file."""
    target = out if out is not None else default_output(source, ".ddset")
    limit = None if time is None else parse_duration(time)
    grid = None if patches is None else parse_grid(patches, "--patches")
    cells = None if class_grid is None else parse_grid(class_grid, "--class-grid")

    if no_relabel:
        labels = "class"
    from ddcodec.distill.memory import keep_large_blocks
    from ddcodec.encoder import encode as run
    from ddcodec.report import info

    chosen = chosen_options(
        codec,
        observer=observer,
        prior=prior,
        images={
            "select": select,
            "no_select": no_select,
            "candidates": candidates,
            "temperature": temperature,
        },
        lic={
            "squeeze": squeeze,
            "compensate": not no_compensate,
            "precision": precision,
            "images": images,
        },
        d3m={
            "collage": collage,
            "take": take,
            "tokens": tokens,
            "token_bits": token_bits,
            "prompt": prompt,
            "variations": variations,
            "size": resolution,
            "scheduler": scheduler,
            "sampling_steps": sampling_steps,
            "guidance": guidance,
            "dtype": dtype,
            "rate": rate,
        },
        ppodd={
            "stages": stages,
            "start": stage_start,
            "direction": stage_direction,
            "decay": stage_decay,
            "boost": stage_boost,
            "floor": stage_floor,
            "max_bytes": max_stages_bytes,
        },
    )
    checkpoint = target.with_name(target.name + ".checkpoint")
    if resume and not checkpoint.exists():
        message(f"{checkpoint}: not there; starting from the beginning")
    keep_large_blocks()
    started = clock.monotonic()
    try:
        with progress() as reporter:
            run(
                source,
                codec,
                ipc=ipc,
                total_bytes=total_bytes,
                out=target,
                profile=profile,
                steps=steps,
                time=limit,
                seed=seed,
                device=device,
                resume=resume,
                order=order,
                order_search=order_search,
                class_grid=cells,
                origins=origins,
                augment=augment,
                labels=labels,
                label_pooling=label_pooling,
                patches=grid,
                preprocessing=preprocessing,
                quality=quality,
                quantiser=quantiser,
                scales=scales,
                rate_weight=rate_weight,
                aware=aware,
                truncation=truncation,
                meta_batches=meta_batches,
                precision="auto" if chosen.lic or chosen.d3m else precision,
                overwrite=force,
                download=download,
                size=size,
                lic=chosen.lic,
                ppodd=chosen.ppodd,
                d3m=chosen.d3m,
                reporter=reporter,
            )
    except KeyboardInterrupt:
        raise interrupted(checkpoint) from None
    if not is_first():
        return
    facts = info(target)
    beside = "".join(
        f" (and the model {item['name']} of {byte_count(item['bytes'])})"
        for item in facts["external"]
    )
    message(
        f"{target}: {number(facts['pixels'])} pixels ({facts['ipc']:.4g} IPC), "
        f"{byte_count(facts['bytes']['total'])}{beside}, {facts['bits_per_class']:,.1f} bits per "
        f"class, in {seconds(clock.monotonic() - started)}"
    )
