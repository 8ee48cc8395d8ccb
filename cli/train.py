"""``ddcodec train``: how good is the file? Fresh networks learn from it alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ddcodec.errors import UsageError

from .arguments import Cache, Prior
from .files import reading
from .output import accuracy, number, seconds, table, write_json, write_line
from .progress import progress

if TYPE_CHECKING:
    from ddcodec.data.dataset import DistilledDataset
    from ddcodec.sources.base import Source

Precision = Literal["float32", "bfloat16"]

BASELINE_TITLES = {
    "random_images_same_pixels": "random real images, same pixels",
    "class_means_same_pixels": "class means, same pixels",
    "random_images_same_bytes": "random real images, same bytes",
    "random_images_observer_labels": "the same with the observer's labels",
    "class_means_same_bytes": "class means, same bytes",
    "full_data": "all training images",
}


@dataclass(frozen=True)
class TrainReport:
    """What ``train --json`` prints. Accuracies are shares of 1; std is over networks."""

    file: str
    test: str
    test_images: int
    pixels: int
    bytes: int
    external_bytes: int
    accuracy_mean: float
    accuracy_std: float
    nets: int
    steps: int
    seconds: float
    baselines: dict[str, dict[str, Any]] | None
    network: str


def train(
    file: Annotated[Path, typer.Argument(metavar="F", help="The .ddset file to train on.")],
    test: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE", help="Real data to test on. [default: the source named in the file]"
        ),
    ] = None,
    nets: Annotated[int, typer.Option(metavar="N", help="Networks, each from scratch.")] = 8,
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", help="Steps of training. [default: the file's recipe]"),
    ] = None,
    baselines: Annotated[
        bool,
        typer.Option(
            "--baselines", help="Train on random real images, class means and all images as well."
        ),
    ] = False,
    observer: Annotated[
        Path | None,
        typer.Option(
            metavar="O",
            help="Also train on random real images that this observer labels, at the same bytes.",
        ),
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option(
            "--arch",
            metavar="A",
            help="Students of another network: convnet3, convnet4, resnet18, mobilenetv2, all "
            "with batch norm. [default: that of the file's recipe]",
        ),
    ] = None,
    precision: Annotated[
        Precision, typer.Option(help="Of the students' convolutions; bfloat16 is often faster.")
    ] = "float32",
    record: Annotated[
        bool, typer.Option("--record", help="Write the accuracy into F, for others to see.")
    ] = False,
    size: Annotated[
        int | None,
        typer.Option(metavar="N", help="Scale test images to N x N pixels, as encode --size did."),
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch a known data set that is not here.")
    ] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the networks.")] = 0,
    device: Annotated[str, typer.Option(metavar="D", help="auto, cpu, cuda or cuda:N.")] = "auto",
    prior: Prior = None,
    cache: Cache = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Train fresh networks on F alone and report their accuracy on real test images."""
    if record and architecture is not None:
        raise UsageError("--record keeps the accuracy of the file's recipe; leave out --arch")
    report = measure(
        file,
        test,
        nets=nets,
        steps=steps,
        baselines=baselines,
        size=size,
        download=download,
        seed=seed,
        device=device,
        observer=observer,
        architecture=architecture,
        precision=precision,
        prior=prior,
        cache=cache,
    )
    if record:
        write_down(file, report)
    if as_json:
        write_json(asdict(report))
    else:
        write_line(describe(report))


def measure(
    file: Path,
    test: str | None,
    *,
    nets: int,
    steps: int | None,
    baselines: bool,
    size: int | None,
    download: bool,
    seed: int,
    device: str,
    observer: Path | None = None,
    architecture: str | None = None,
    precision: Precision = "float32",
    prior: str | None = None,
    cache: Path | None = None,
) -> TrainReport:
    """Train on ``file``, test on ``test`` and return what ``train`` prints."""
    for option, value, least in (("--nets", nets, 1), ("--steps", steps, 1), ("--seed", seed, 0)):
        if value is not None and value < least:
            raise UsageError(f"{option} must be at least {least}, got {value}")

    from ddcodec.data import dataset
    from ddcodec.evaluate import measure as evaluate
    from ddcodec.evaluate.baselines import baselines as run_baselines
    from ddcodec.inspection import info as report
    from ddcodec.observers.networks import check_name
    from ddcodec.runtime.device import keep_large_blocks

    keep_large_blocks()
    if architecture is not None:
        check_name(architecture)
    with reading(file):
        ds = dataset.load(file, prior=prior, cache=cache, download=download)
    teacher = None
    if observer is not None:
        from ddcodec.observers.file import load as load_observer

        teacher = load_observer(observer)
        teacher.require_fit(ds.classes, ds.image_shape)
    source = find_source(ds, test, size, download)
    split = evaluate.test_split(ds, source)
    facts = report.info(file)
    with progress() as reporter:
        result = evaluate.train_students(
            ds,
            split,
            nets=nets,
            steps=steps,
            seed=seed,
            device=device,
            architecture=architecture,
            precision=precision,
            reporter=reporter,
        )
        others = None
        if baselines or teacher is not None:
            others = run_baselines(
                ds,
                source,
                nets=nets,
                steps=steps,
                seed=seed,
                device=device,
                usual=baselines,
                observer=teacher,
                architecture=architecture,
                precision=precision,
                reporter=reporter,
            )
    return TrainReport(
        file=str(file),
        test=source.name,
        test_images=len(split.labels),
        pixels=facts["pixels"],
        bytes=facts["bytes"]["total"],
        external_bytes=sum(item["bytes"] for item in facts["external"]),
        accuracy_mean=result.mean,
        accuracy_std=result.std,
        nets=result.nets,
        steps=result.steps,
        seconds=result.seconds,
        baselines=others,
        network=architecture or "recipe",
    )


def write_down(file: Path, report: TrainReport) -> None:
    """Put the result into the file's manifest; its content digest changes with it."""
    from ddcodec.format import restate

    with reading(file):
        restate(
            file,
            measured={
                "accuracy_mean": round(report.accuracy_mean, 4),
                "accuracy_std": round(report.accuracy_std, 4),
                "nets": report.nets,
                "steps": report.steps,
                "test": report.test,
                "test_count": report.test_images,
            },
        )


def find_source(
    ds: DistilledDataset, spec: str | None, size: int | None = None, download: bool = False
) -> Source:
    """Return the source called ``spec``, or the one the file was made from if it is known by name.

    Raises UsageError where there is nothing to go by, SourceError where the source is not found.
    """
    from ddcodec import sources

    if spec is None:
        spec = str(ds.manifest.source["name"])
        if spec not in sources.names():
            raise UsageError(
                f"the file was made from '{spec}', which is no name of a data set here; "
                "say what to test on with --test SOURCE"
            )
    return sources.load(spec, size=size, download=download)


def describe(report: TrainReport) -> str:
    """Return the result in one line, and the baselines, if any, in a table under it."""
    head = (
        f"{accuracy(report.accuracy_mean, report.accuracy_std)} on {number(report.test_images)} "
        f"test images of {report.test}: mean ± std of {report.nets} networks"
        f"{'' if report.network == 'recipe' else f' ({report.network})'}, "
        f"{number(report.steps)} steps each, {seconds(report.seconds)}"
    )
    if report.external_bytes:
        head += (
            f"; {number(report.bytes)} bytes, and {number(report.external_bytes)} of the model "
            "that it needs"
        )
    if report.baselines is None:
        return head
    return f"{head}\n\n{comparison(report)}"


def comparison(report: TrainReport) -> str:
    """Return a table of the file and its baselines: accuracy, pixels, bytes."""
    rows = [
        [
            "this file",
            accuracy(report.accuracy_mean, report.accuracy_std),
            number(report.pixels),
            number(report.bytes),
        ]
    ]
    for name, other in (report.baselines or {}).items():
        rows.append(
            [
                BASELINE_TITLES.get(name, name),
                accuracy(other["accuracy_mean"], other.get("accuracy_std")),
                number(other["pixels"]),
                number(other["bytes"]),
            ]
        )
    return table(rows, ["trained on", "accuracy", "pixels", "bytes"])
