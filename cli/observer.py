"""``ddcodec observer``: networks that select, compare and label images for the codec lic."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ddcodec.codecs.options import Common, option
from ddcodec.errors import UsageError
from ddcodec.runtime.outputs import check_output, output_path

from .arguments import Json
from .flags import read, with_options
from .output import accuracy, number, seconds, write_report
from .progress import Quiet, resumable

app = typer.Typer(
    no_args_is_help=False, help="Train a network that labels images for the codecs lic and d3m."
)


@dataclass(frozen=True)
class ObserverOptions(Common):
    """How an observer is trained."""

    architecture: str | None = option(
        None,
        "convnet3, convnet4, resnet18, mobilenetv2, residual-N of size N, or timm:NAME or "
        "torchvision:NAME for any classifier of these libraries.",
        metavar="A", flag="--arch", shown="convnet3; residual with --bytes",
    )  # fmt: skip
    total_bytes: int | None = option(
        None, "The widest residual of N bytes at most in a .ddset file.", metavar="N", least=1,
        flag="--bytes",
    )  # fmt: skip
    bits: float | None = option(
        None, "Of a weight of residual, about; --bytes may ask for fewer.", metavar="X",
        least=2, most=7, shown="3",
    )  # fmt: skip
    layer: str | None = option(
        None, "Of a library's model: the layer whose features lic compares.", metavar="L",
        shown="the deepest with more than one place",
    )  # fmt: skip
    weights: Path | None = option(
        None, "Begin from a local checkpoint; with --epochs 0 take it as it is.", metavar="F"
    )
    epochs: float = option(30.0, "Passes over the training images.", metavar="X", least=0)
    time: float | None = option(
        None, "Or as many steps as fit in 90s, 9m, 1.5h.", metavar="T", least=1e-9, seconds=True
    )
    batch_size: int = option(
        128, "Images of a step; parts of it where memory is short.", metavar="N", least=2
    )
    augment: str = option(
        "auto", "auto: crop, and for colour images also mirror.",
        choices=("auto", "none", "crop", "crop_flip"),
    )  # fmt: skip
    smoothing: float = option(
        0.0, "Share of a label spread over all classes, less than 1.", metavar="X", least=0
    )
    precision: str = option(
        "auto", "auto: bfloat16 where the processor multiplies it.",
        choices=("auto", "float32", "bfloat16"),
    )  # fmt: skip


@app.callback()
def observer() -> None:
    """Networks that select, compare and label images for the codec lic."""


def train(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Real data, as encode takes it.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            parser=output_path,
            metavar="F",
            help="File. [default: ARCH.safetensors here]",
        ),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
    **options: Any,
) -> None:
    """Train an observer on SOURCE, write it to a file, print its accuracy on the test split."""
    chosen = read(options, ObserverOptions)
    architecture = chosen.architecture or ("residual" if chosen.total_bytes else "convnet3")
    called = architecture.partition("@")[0].replace(":", "-")
    if chosen.layer is not None:
        if ":" not in architecture or "@" in architecture:
            raise UsageError("--layer belongs to --arch timm:NAME or torchvision:NAME")
        architecture = f"{architecture}@{chosen.layer}"
    target = out if out is not None else Path(f"{called}.safetensors")
    check_output(target, chosen.overwrite)

    from ddcodec import sources
    from ddcodec.observers.rounding import check_named
    from ddcodec.observers.train import train as run
    from ddcodec.observers.training import Recipe
    from ddcodec.runtime.device import choose_device

    device = choose_device(chosen.device)
    check_named(architecture, chosen.total_bytes, chosen.bits)
    names = ("batch_size", "augment", "smoothing", "precision")
    own = {name: getattr(chosen, name) for name in names}
    own |= {} if chosen.bits is None else {"bits": chosen.bits}
    advice = "--epochs or --time make it shorter"
    with resumable(target, chosen.resume, chosen.overwrite, quiet, advice) as reporter:
        reporter.stage("reading the images", 0)
        data = sources.load(source, **chosen.of_source, say=reporter.result)
        result = run(
            data,
            architecture,
            target,
            epochs=chosen.epochs,
            seconds=chosen.time,
            recipe=Recipe(steps=1, **own),
            seed=chosen.seed,
            device=device,
            resume=chosen.resume,
            weights=chosen.weights,
            total_bytes=chosen.total_bytes,
            reporter=reporter,
        )
    report = {
        "file": str(target),
        "architecture": result.architecture,
        "source": data.name,
        "accuracy": result.accuracy,  # a share of 1, or null without a test split
        "steps": result.steps,
        "seconds": result.seconds,
        "bytes": target.stat().st_size,
        "embedded_bytes": result.embedded_bytes,  # in a .ddset file, at most; null if not residual
        "digest": result.digest,
    }
    write_report(report, describe, as_json)


app.command("train", short_help="Train an observer on real images.")(
    with_options(train, ObserverOptions)
)


def describe(report: dict[str, Any]) -> str:
    """Return the result in one line."""
    tested = "no test split to measure it on"
    if report["accuracy"] is not None:
        tested = f"{accuracy(report['accuracy'], None)} on the test split"
    inside = ""
    if report["embedded_bytes"] is not None:
        inside = f"; {number(report['embedded_bytes'])} at most in a .ddset file"
    return (
        f"{report['file']}: {report['architecture']} for {report['source']}, {tested}, "
        f"{number(report['steps'])} steps in {seconds(report['seconds'])}, "
        f"{number(report['bytes'])} bytes{inside}"
    )
