"""``ddcodec observer``: networks that select, compare and label images for the codec lic."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from ddcodec.errors import UsageError

from .arguments import parse_duration
from .files import check_file
from .output import accuracy, interrupted, message, number, seconds, write_json, write_line
from .progress import progress

Augment = Literal["auto", "none", "crop", "crop_flip"]
Precision = Literal["auto", "float32", "bfloat16"]

app = typer.Typer(
    no_args_is_help=False, help="Train the network that the codec lic looks at images with."
)


@dataclass(frozen=True)
class ObserverReport:
    """What ``observer train --json`` prints; accuracy is a share of 1, or null without a test."""

    file: str
    architecture: str
    source: str
    accuracy: float | None
    steps: int
    seconds: float
    bytes: int
    digest: str


@app.callback()
def observer() -> None:
    """Networks that select, compare and label images for the codec lic."""


@app.command("train", short_help="Train an observer on real images.")
def train(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Real data, as encode takes it.")],
    architecture: Annotated[
        str,
        typer.Option(
            "--arch",
            metavar="A",
            help="convnet3, convnet4, resnet18, mobilenetv2, or timm:NAME or torchvision:NAME for "
            "any classifier of these libraries.",
        ),
    ] = "convnet3",
    layer: Annotated[
        str | None,
        typer.Option(
            metavar="L",
            help="Of a library's model: the layer whose features lic compares. "
            "[default: the deepest with more than one place]",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="F", help="Begin from a local checkpoint; with --epochs 0 take it as it is."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="F", help="File. [default: ARCH.safetensors here]"),
    ] = None,
    epochs: Annotated[
        float, typer.Option(metavar="X", help="Passes over the training images.")
    ] = 30,
    time: Annotated[
        str | None, typer.Option(metavar="T", help="Or as many steps as fit in 90s, 9m, 1.5h.")
    ] = None,
    augment: Annotated[
        Augment, typer.Option(help="auto: crop, and for colour images also mirror.")
    ] = "auto",
    smoothing: Annotated[
        float, typer.Option(metavar="X", help="Share of a label spread over all classes.")
    ] = 0.0,
    precision: Annotated[
        Precision, typer.Option(help="auto: bfloat16 where the processor multiplies it.")
    ] = "auto",
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed, the same network.")] = 0,
    device: Annotated[str, typer.Option(metavar="D", help="auto, cpu, cuda or cuda:N.")] = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint F.checkpoint.")
    ] = False,
    size: Annotated[
        int | None,
        typer.Option(metavar="N", help="Scale the central square of every image to N x N pixels."),
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch a known data set that is not here.")
    ] = False,
    force: Annotated[bool, typer.Option("-f", "--force", help="Replace F if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Train an observer on SOURCE, write it to a file, print its accuracy on the test split."""
    if layer is not None:
        if ":" not in architecture or "@" in architecture:
            raise UsageError("--layer belongs to --arch timm:NAME or torchvision:NAME")
        architecture = f"{architecture}@{layer}"
    called = architecture.partition("@")[0].replace(":", "-")
    target = out if out is not None else Path(f"{called}.safetensors")
    limit = None if time is None else parse_duration(time)
    check_file(target, force)

    from ddcodec import sources
    from ddcodec.observers.networks import check_name
    from ddcodec.observers.recipe import Recipe
    from ddcodec.observers.train import train as run
    from ddcodec.runtime.device import choose_device, keep_large_blocks

    checkpoint = target.with_name(target.name + ".checkpoint")
    if resume and not checkpoint.exists():
        message(f"{checkpoint}: not there; starting from the beginning")
    keep_large_blocks()
    where = choose_device(device)
    check_name(architecture)
    data = sources.load(source, download=download, size=size)
    try:
        with progress() as reporter:
            result = run(
                data,
                architecture,
                target,
                epochs=epochs,
                seconds=limit,
                recipe=Recipe(steps=1, augment=augment, smoothing=smoothing, precision=precision),
                seed=seed,
                device=where,
                resume=resume,
                weights=weights,
                reporter=reporter,
            )
    except KeyboardInterrupt:
        raise interrupted(checkpoint) from None
    report = ObserverReport(
        str(target),
        architecture,
        data.name,
        result.accuracy,
        result.steps,
        result.seconds,
        target.stat().st_size,
        result.digest,
    )
    if as_json:
        write_json(asdict(report))
    else:
        write_line(describe(report))


def describe(report: ObserverReport) -> str:
    """Return the result in one line."""
    tested = (
        "no test split to measure it on"
        if report.accuracy is None
        else f"{accuracy(report.accuracy, None)} on the test split"
    )
    return (
        f"{report.file}: {report.architecture} for {report.source}, {tested}, "
        f"{number(report.steps)} steps in {seconds(report.seconds)}, {number(report.bytes)} bytes"
    )
