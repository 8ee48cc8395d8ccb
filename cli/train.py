"""``ddcodec train``: how good is the file? Fresh networks learn from it alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ddcodec.codecs.options import Common, Options, option
from ddcodec.errors import UsageError
from ddcodec.hub import is_address

from .arguments import Cache, File, Json, Prior
from .files import reading
from .flags import read, read_common, with_options
from .measuring import (
    Report,
    find_observer,
    find_source,
    interruption_told,
    keeping,
    network_in_file,
    trial_on,
)
from .networks import network_table
from .output import accuracy, number, percent, seconds, table, write_report
from .progress import Quiet, progress
from .recording import write_down

if TYPE_CHECKING:
    from ddcodec.data.dataset import DistilledDataset
    from ddcodec.runtime.finished import FinishedFile

BASELINE_TITLES = {  # in the order of the table
    "random_images_same_pixels": "random real images, same pixels",
    "herding_same_pixels": "images by herding, same pixels",
    "k_centres_same_pixels": "images by k-centres, same pixels",
    "class_means_same_pixels": "class means, same pixels",
    "random_images_same_bytes": "random real images, same bytes",
    "random_images_observer_labels": "random real images, the observer's labels, same bytes",
    "random_images_file_network": "random real images, the file's network labels views, same bytes",
    "class_means_same_bytes": "class means, same bytes",
    "quantised_network_same_bytes": "no training: a quantised network, same bytes",
    "full_data": "all training images",
}


@dataclass(frozen=True)
class StudentOptions(Options):
    """How the networks are trained that measure a file."""

    nets: int = option(8, "Networks, each from scratch.", metavar="N", least=1)
    steps: int | None = option(
        None, "Steps of training.", metavar="N", least=1, shown="the file's recipe"
    )
    baselines: bool = option(
        False,
        "Train on random and selected real images, class means and all images as well, and a "
        "quantised network in the bytes of F.",
    )
    observer: Path | None = option(
        None,
        "Also train on random real images that this observer labels, at the same bytes.",
        metavar="O",
    )
    architecture: str | None = option(
        None,
        "Also train these networks, each by a recipe of its own, and print a table: all, or some "
        "of convnet3, convnet4 (batch norm; with -in or -gn instance or group norm), resnet18, "
        "resnet18-in, vgg11, mobilenetv2, vit, mlp, timm:NAME.",
        metavar="A,B,...", flag="--arch",
    )  # fmt: skip
    precision: str = option(
        "float32", "Of the students' convolutions; bfloat16 is often faster.",
        choices=("float32", "bfloat16"),
    )  # fmt: skip


def train(
    file: File,
    test: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE", help="Real data to test on. [default: what the file was made from]"
        ),
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Write accuracy and table into F, for others to see.")
    ] = False,
    prior: Prior = None,
    cache: Cache = None,
    quiet: Quiet = False,
    as_json: Json = False,
    **options: Any,
) -> None:
    """Train fresh networks on F alone and report their accuracy on real test images."""
    common = read_common(options)
    chosen = read(options, StudentOptions)
    if record and is_address(file):
        raise UsageError(f"--record writes into the file, and {file} is on the hub; download it")

    from ddcodec.data.opening import load
    from ddcodec.judge.field import names_of
    from ddcodec.runtime.device import keep_large_blocks

    keep_large_blocks()
    names = None if chosen.architecture is None else names_of(chosen.architecture)
    with reading(file) as place:
        ds = load(place, prior=prior, cache=cache, download=common.download)
    report, finished = measure(file, place, ds, test, chosen, common, names, quiet)
    if record:
        write_down(place, report)
    write_report(report, describe, as_json)
    finished.remove()  # not before: a full disk under stdout costs no network


train = with_options(train, StudentOptions, Common, without=("resume", "overwrite"))


def measure(
    file: str,
    place: Path,
    ds: DistilledDataset,
    test: str | None,
    chosen: StudentOptions,
    common: Common,
    names: Sequence[str] | None = None,
    quiet: bool = False,
) -> tuple[Report, FinishedFile]:
    """Train on ``ds``, test on ``test``; return what ``train`` prints, and what it kept beside.

    ``place`` is where ``file`` lies; ``names`` are networks for the table, None for no table.
    Raises KeyboardInterrupt after saying what is finished.
    """
    from ddcodec.coresets.draws import images_by_class
    from ddcodec.evaluate.architectures import across_networks
    from ddcodec.evaluate.baselines import ahead_of, baselines
    from ddcodec.evaluate.live import used_directly
    from ddcodec.evaluate.measure import on_file, run_of
    from ddcodec.evaluate.soft_baselines import random_images_with_observer
    from ddcodec.inspection.info import info

    teacher = find_observer(ds, chosen.observer)
    advice = f"fewer than {chosen.nets} with --nets or a smaller --steps is shorter"
    if chosen.baselines:
        advice += "; eight baselines follow"
    if names is not None:
        advice += f"; then {len(names)} other networks"
    with progress(quiet, advice=advice) as reporter:
        reporter.stage("reading the test images", 0)
        source = find_source(ds, test, common, reporter.result)
        how = {"nets": chosen.nets, "steps": chosen.steps, "precision": chosen.precision}
        trial, split = trial_on(ds, source, common, reporter, **how)
        facts = info(place)
        real = source if chosen.baselines or teacher is not None else None
        run = run_of(trial, split, real, None if teacher is None else teacher.digest)
        if names is not None:
            run["table"] = True  # a run without one ends earlier, and would remove its networks
        trial, finished = keeping(trial, run, file, place)
        others, across = {}, None
        with interruption_told(trial, finished):
            alone = used_directly(ds, trial)
            result = on_file(ds, trial)
            if teacher is not None:
                by_class, total = images_by_class(source), ds.file.sizes.total
                others["random_images_observer_labels"] = random_images_with_observer(
                    trial, ds, by_class, teacher, total
                )
            if chosen.baselines:
                others |= baselines(trial, ds, source)
            if names is not None:
                real = source if chosen.baselines else None
                across = across_networks(ds, trial, names, steps=chosen.steps, source=real)
    report = {
        "file": file,
        "test": source.name,
        "test_images": len(split.labels),
        "pixels": facts["pixels"],
        "bytes": facts["bytes"]["total"],
        "external_bytes": sum(item["bytes"] for item in facts["external"]),
        "accuracy_mean": result.mean,
        "accuracy_std": result.std,
        "nets": result.nets,
        "steps": result.steps,
        "seconds": result.seconds,
        "baselines": others or None,
        "baselines_ahead": ahead_of(result.mean, others),
        "network": "recipe",
        "network_in_file": alone,
    }
    if across is not None:
        report |= {"networks": across["rows"], "transfer": across["transfer"]}
    return report, finished


def describe(report: Report) -> str:
    """Return the result in one line; under it tables of the baselines and networks, if any."""
    alone = report["nets"] == 1
    nets = "one network" if alone else f"mean ± std of {report['nets']} networks"
    head = (
        f"{accuracy(report['accuracy_mean'], None if alone else report['accuracy_std'])} on "
        f"{number(report['test_images'])} test images of {report['test']}: {nets}, "
        f"{number(report['steps'])} steps{'' if alone else ' each'}, {seconds(report['seconds'])}"
    )
    if report["external_bytes"]:
        head += (
            f"; {number(report['bytes'])} bytes, and {number(report['external_bytes'])} of the "
            "model that it needs"
        )
    if report["network_in_file"] is not None:
        head += f"\nno training: {network_in_file(report)}"
    parts = [head]
    if report["baselines"] is not None:
        parts.append(baseline_table(report, alone))
    if "networks" in report:
        parts.append(network_table(report))
    return "\n\n".join(parts)


def baseline_table(report: Report, alone: bool) -> str:
    """Return what the same networks learn from other data; ``alone``: there is one of each."""
    found = report["baselines"]
    names = sorted(found, key=[*BASELINE_TITLES].index)
    rows = [
        [
            title,
            accuracy(entry["accuracy_mean"], None if alone else entry.get("accuracy_std"))
            if entry["accuracy_mean"] is not None
            else "does not fit",
            number(entry["pixels"]),
            number(entry["bytes"]),
        ]
        for title, entry in [
            ("this file", report),
            *((BASELINE_TITLES[name], found[name]) for name in names),
        ]
    ]
    return table(rows, ["trained on", "accuracy", "pixels", "bytes"]) + "\n\n" + verdict(report)


def verdict(report: Report) -> str:
    """Return in a line which baselines are better than the file; all images are not counted."""
    ahead = [
        f"{BASELINE_TITLES[name]} ({percent(report['baselines'][name]['accuracy_mean'])})"
        for name in report["baselines_ahead"]
    ]
    if not ahead:
        return "Nothing here in the same pixels or bytes is better than this file."
    return f"Better than this file ({percent(report['accuracy_mean'])}): {'; '.join(ahead)}."
