"""``ddcodec encode``: distil real images into one file."""

from __future__ import annotations

import time as clock
from pathlib import Path
from typing import Annotated

import typer

from .arguments import default_output, parse_duration, parse_grid
from .choices import Precision, Profile
from .image_options import (
    Candidates,
    Collage,
    Dtype,
    Guidance,
    Images,
    NoCompensate,
    NoRelabel,
    NoSelect,
    Observer,
    Prior,
    Prompt,
    Rate,
    Resolution,
    SamplingSteps,
    Scheduler,
    Select,
    Squeeze,
    Take,
    Temperature,
    TokenBits,
    Tokens,
    Variations,
)
from .methods import chosen_options
from .output import byte_count, interrupted, message, number, seconds
from .poster_options import (
    Augment,
    Aware,
    ClassGrid,
    LabelPooling,
    MaxStagesBytes,
    MetaBatches,
    Order,
    Origins,
    Patches,
    Preprocessing,
    Quality,
    StageBoost,
    StageDecay,
    StageDirection,
    StageFloor,
    Stages,
    StageStart,
    Truncation,
)
from .progress import is_first, progress


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
    order: Order = "auto",
    class_grid: ClassGrid = None,
    labels: Annotated[
        str,
        typer.Option(
            metavar="auto|fixed|learned|logits|top=K|embed-teacher|class",
            help="Soft labels of patches: fixed or learned. Of lic: 8-bit logits of all classes, "
            "the K most probable, the observer itself in 8-bit integers, or just the class.",
        ),
    ] = "auto",
    label_pooling: LabelPooling = "auto",
    patches: Patches = None,
    origins: Origins = "even",
    preprocessing: Preprocessing = "auto",
    augment: Augment = "auto",
    quality: Quality = None,
    aware: Aware = None,
    truncation: Truncation = "random",
    meta_batches: MetaBatches = 1,
    size: Annotated[
        int | None,
        typer.Option(metavar="N", help="Scale the central square of every image to N x N pixels."),
    ] = None,
    stages: Stages = None,
    stage_start: StageStart = None,
    stage_direction: StageDirection = None,
    stage_decay: StageDecay = None,
    stage_boost: StageBoost = None,
    stage_floor: StageFloor = None,
    max_stages_bytes: MaxStagesBytes = None,
    observer: Observer = None,
    select: Select = "auto",
    no_select: NoSelect = False,
    squeeze: Squeeze = 4,
    candidates: Candidates = 300,
    no_compensate: NoCompensate = False,
    no_relabel: NoRelabel = False,
    images: Images = "zstd",
    temperature: Temperature = 2.0,
    precision: Annotated[
        Precision,
        typer.Option(
            help="Of activations: of posters while distilling, of the comparison of lic. auto: "
            "bfloat16 where the device multiplies it and images have 16 pixels or more."
        ),
    ] = "auto",
    prior: Prior = None,
    collage: Collage = None,
    take: Take = None,
    tokens: Tokens = None,
    token_bits: TokenBits = None,
    prompt: Prompt = None,
    variations: Variations = None,
    resolution: Resolution = None,
    scheduler: Scheduler = None,
    sampling_steps: SamplingSteps = None,
    guidance: Guidance = None,
    dtype: Dtype = None,
    rate: Rate = None,
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
                class_grid=cells,
                origins=origins,
                augment=augment,
                labels=labels,
                label_pooling=label_pooling,
                patches=grid,
                preprocessing=preprocessing,
                quality=quality,
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
