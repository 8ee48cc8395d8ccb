"""``ddcodec prior``: small diffusion models for the codec d3m."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ddcodec.codecs.options import Common, option
from ddcodec.runtime.outputs import check_parent

from .arguments import Json, default_output, folder_option
from .flags import read, with_options
from .output import number, seconds, write_report
from .progress import Quiet, resumable

if TYPE_CHECKING:
    from ddcodec.priors.train import TrainedPrior

app = typer.Typer(
    no_args_is_help=False, help="Train the diffusion model that d3m makes images with."
)


@dataclass(frozen=True)
class PriorOptions(Common):
    """How a prior is trained."""

    steps: int = option(3000, "Steps of training.", metavar="N", least=1)
    time: float | None = option(
        None, "Or as many steps as fit in 90s, 9m, 1.5h.", metavar="T", least=1e-9, seconds=True
    )
    batch: int = option(32, "Pictures a step.", metavar="N", least=1)
    views: str = option(
        "plain",
        "plain: images as they are, alone and in collages. wide: every other one as a negative, "
        "as a general model knows more than one data set.",
        choices=("plain", "wide"),
    )
    resolution: int | None = option(
        None, "Pixels of a side.", metavar="N", shown="that of the images"
    )
    width: int = option(32, "Channels of the UNet's first level.", metavar="N")


@app.callback()
def prior() -> None:
    """Diffusion models that the codec d3m makes images with."""


def train(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Real data, as encode takes it.")],
    out: Annotated[Path | None, folder_option("Folder. [default: SOURCE-prior here]")] = None,
    vae: Annotated[
        bool | None,
        typer.Option(
            "--vae/--no-vae", help="Work on latents. [default: above 64 pixels]", show_default=False
        ),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
    **options: Any,
) -> None:
    """Train a text-conditional diffusion model on SOURCE and write it as a diffusers folder."""
    chosen = read(options, PriorOptions)
    target = out if out is not None else default_output(source, "-prior")
    check_parent(target)

    from ddcodec import sources
    from ddcodec.priors.train import PriorRecipe
    from ddcodec.priors.train import train as run
    from ddcodec.runtime.device import choose_device

    recipe = PriorRecipe(
        steps=chosen.steps,
        batch=chosen.batch,
        resolution=chosen.resolution,
        width=chosen.width,
        views="wide" if chosen.views == "wide" else "plain",
        vae=vae,
    )
    device = choose_device(chosen.device)
    advice = "--steps or --time make it shorter"
    with resumable(target, chosen.resume, chosen.overwrite, quiet, advice) as reporter:
        reporter.stage("reading the images", 0)
        data = sources.load(source, **chosen.of_source, say=reporter.result)
        result = run(
            data,
            target,
            recipe=recipe,
            seconds=chosen.time,
            seed=chosen.seed,
            device=device,
            resume=chosen.resume,
            overwrite=chosen.overwrite,
            reporter=reporter,
        )
    write_report(asdict(result), lambda _: describe(result), as_json)


app.command("train", short_help="Train a small diffusion model on real images.")(
    with_options(train, PriorOptions)
)


def describe(result: TrainedPrior) -> str:
    """Return the result in one line."""
    return (
        f"{result.folder}: a diffusion model of {number(result.bytes)} bytes, digest "
        f"{result.digest[:16]}, {number(result.steps)} steps in {seconds(result.seconds)}, loss "
        f"{result.loss:.4f}"
    )
