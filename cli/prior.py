"""``ddcodec prior``: small diffusion models for the codec d3m."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .arguments import default_output, parse_duration
from .files import check_parent
from .output import interrupted, message, number, seconds, write_json, write_line
from .progress import progress

if TYPE_CHECKING:
    from ddcodec.priors.train import TrainedPrior


Views = Literal["plain", "wide"]

app = typer.Typer(
    no_args_is_help=False, help="Train the diffusion model that d3m makes images with."
)


@app.callback()
def prior() -> None:
    """Diffusion models that the codec d3m makes images with."""


@app.command("train", short_help="Train a small diffusion model on real images.")
def train(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Real data, as encode takes it.")],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="DIR", help="Folder. [default: SOURCE-prior here]"),
    ] = None,
    steps: Annotated[int, typer.Option(metavar="N", help="Steps of training.")] = 3000,
    time: Annotated[
        str | None, typer.Option(metavar="T", help="Or as many steps as fit in 90s, 9m, 1.5h.")
    ] = None,
    batch: Annotated[int, typer.Option(metavar="N", help="Pictures a step.")] = 32,
    views: Annotated[
        Views,
        typer.Option(
            help="plain: images as they are, alone and in collages. wide: every other one as a "
            "negative, as a general model knows more than one data set."
        ),
    ] = "plain",
    resolution: Annotated[
        int | None,
        typer.Option(metavar="N", help="Pixels of a side. [default: that of the images]"),
    ] = None,
    width: Annotated[
        int, typer.Option(metavar="N", help="Channels of the UNet's first level.")
    ] = 32,
    vae: Annotated[
        bool | None,
        typer.Option(
            "--vae/--no-vae", help="Work on latents. [default: above 64 pixels]", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed, the same model.")] = 0,
    device: Annotated[str, typer.Option(metavar="D", help="auto, cpu, cuda or cuda:N.")] = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint DIR.checkpoint.")
    ] = False,
    size: Annotated[
        int | None,
        typer.Option(metavar="N", help="Scale the central square of every image to N x N pixels."),
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch a known data set that is not here.")
    ] = False,
    force: Annotated[
        bool, typer.Option("-f", "--force", help="Replace DIR and all that is in it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Train a text-conditional diffusion model on SOURCE and write it as a diffusers folder."""
    target = out if out is not None else default_output(source, "-prior")
    limit = None if time is None else parse_duration(time)
    check_parent(target)

    from ddcodec import sources
    from ddcodec.priors.train import PriorRecipe
    from ddcodec.priors.train import train as run
    from ddcodec.runtime.device import choose_device, keep_large_blocks

    checkpoint = target.with_name(target.name + ".checkpoint")
    if resume and not checkpoint.exists():
        message(f"{checkpoint}: not there; starting from the beginning")
    keep_large_blocks()
    recipe = PriorRecipe(
        steps=steps, batch=batch, side=resolution, width=width, views=views, vae=vae
    )
    where = choose_device(device)
    data = sources.load(source, download=download, size=size)
    try:
        with progress() as reporter:
            result = run(
                data,
                target,
                recipe=recipe,
                seconds=limit,
                seed=seed,
                device=where,
                resume=resume,
                overwrite=force,
                reporter=reporter,
            )
    except KeyboardInterrupt:
        raise interrupted(checkpoint) from None
    if as_json:
        write_json(asdict(result))
    else:
        write_line(describe(result))


def describe(result: TrainedPrior) -> str:
    """Return the result in one line."""
    return (
        f"{result.folder}: a diffusion model of {number(result.bytes)} bytes, digest "
        f"{result.digest[:16]}, {number(result.steps)} steps in {seconds(result.seconds)}, loss "
        f"{result.loss:.4f}"
    )
