"""``ddcodec compare``: several files, of any method and origin, under one test."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ddcodec.codecs.options import Common, Options, option
from ddcodec.errors import UsageError
from ddcodec.runtime.outputs import check_output, output_path

from .arguments import Cache, Json, Prior
from .files import reading
from .flags import read, read_common, with_options
from .measuring import (
    Report,
    find_source,
    interruption_told,
    keeping,
    network_in_file,
    trial_on,
)
from .output import accuracy, message, number, percent, printable, table, write_report
from .progress import Quiet, progress

if TYPE_CHECKING:
    from ddcodec.data.dataset import DistilledDataset
    from ddcodec.judge.trial import Trial
    from ddcodec.runtime.finished import FinishedFile
    from ddcodec.runtime.progress import Reporter
    from ddcodec.sources.base import Source


@dataclass(frozen=True)
class CompareOptions(Options):
    """How the networks are trained that measure each file."""

    nets: int = option(8, "Networks a file, each from scratch.", metavar="N", least=1)
    steps: int | None = option(
        None, "Steps of training.", metavar="N", least=1, shown="each file's recipe"
    )
    architecture: str | None = option(
        None,
        "Also train these networks on each file, as train does, and state their mean, the "
        "transfer. Without it the transfer is what files record, if they do.",
        metavar="A,B,...",
        flag="--arch",
    )


def compare(
    files: Annotated[
        list[str],
        typer.Argument(metavar="F...", help="The .ddset files, or their addresses on the hub."),
    ],
    test: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE", help="Real data to test on. [default: what the files were made from]"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            parser=output_path,
            metavar="P.png",
            help="Draw accuracy against bits per class (extra plot).",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("-f", "--force", help="Replace P if it exists.")] = False,
    prior: Prior = None,
    cache: Cache = None,
    quiet: Quiet = False,
    as_json: Json = False,
    **options: Any,
) -> None:
    """Train fresh networks on each file by its own recipe and put them in one table."""
    common = read_common(options)
    chosen = read(options, CompareOptions)
    if out is not None:
        check_picture(out, force)

    from ddcodec.judge.field import names_of
    from ddcodec.runtime.device import keep_large_blocks

    keep_large_blocks()
    names = () if chosen.architecture is None else names_of(chosen.architecture)
    places = {"prior": prior, "cache": cache, "download": common.download}
    kinds = f" of each of {1 + len(names)} kinds" if names else ""
    advice = f"{len(files)} files of {chosen.nets} networks{kinds}; fewer --nets is shorter"
    with progress(quiet, advice=advice) as reporter:
        subjects = prepare(files, test, chosen, common, places, reporter)
        kept = [subject.finished for subject in subjects]
        report = measure(subjects, names, chosen.steps)
    if out is not None:
        from ddcodec.runtime.atomic import write_atomically

        write_atomically(out, render(report))
        message(f"{out}: accuracy against bits per class")
    write_report(report, describe, as_json)
    for finished in kept:
        finished.remove()


compare = with_options(compare, CompareOptions, Common, without=("resume", "overwrite"))


@dataclass(frozen=True)
class Subject:
    """A file that is ready to be measured."""

    facts: Report  # ``info`` of the file
    test: str
    trial: Trial
    finished: FinishedFile
    load: Callable[[], DistilledDataset]  # when its turn comes: all at once may be much


def check_picture(out: Path, force: bool) -> None:
    """Raise before any work where the picture could not be drawn or written."""
    from ddcodec.sweep.plot import require_matplotlib

    if out.suffix.lower() != ".png":
        raise UsageError(f"{out}: the picture is a PNG; give it a name that ends in .png")
    check_output(out, force)
    require_matplotlib()


def prepare(
    files: list[str],
    test: str | None,
    chosen: CompareOptions,
    common: Common,
    places: dict[str, Any],
    reporter: Reporter,
) -> list[Subject]:
    """Return all files with their tests: what is wrong with the last one shows before the first.

    Raises UsageError where they would be tested on different images, or one cannot be tested so.
    """
    from ddcodec.data.opening import load
    from ddcodec.evaluate.measure import run_of
    from ddcodec.inspection.info import info

    found: list[Subject] = []
    sources: dict[str, Source] = {}  # read once for all files that were made alike
    tested: tuple[Any, ...] = ()
    for file in files:
        reporter.stage(f"{file}: reading", 0)
        with reading(file) as place:
            ds = load(place, **places)
            made = json.dumps([ds.manifest.source, ds.classes], sort_keys=True)
            if made not in sources:
                sources[made] = find_source(ds, test, common, reporter.result)
            source = sources[made]
            trial, split = trial_on(
                ds, source, common, reporter, nets=chosen.nets, steps=chosen.steps
            )
            run = run_of(trial, split, None, None)
            facts = info(place) | {"file": file}
        images = (run["test"], source.name, len(split.labels))
        if tested and images[0] != tested[0]:
            raise UsageError(
                f"{files[0]} is tested on {tested[2]} images of {tested[1]}, {file} on {images[2]} "
                f"others of {images[1]}; compare files of one size, on one --test SOURCE"
            )
        tested = images
        if chosen.architecture is not None:
            run["table"] = True  # a run without one ends earlier, and would remove its networks
        trial, finished = keeping(trial, run, file, place)
        again = partial(load, place, **places)
        found.append(Subject(facts, source.name, trial, finished, again))
    return found


def measure(subjects: list[Subject], names: Sequence[str], steps: int | None) -> Report:
    """Train on each file; return what ``compare`` prints. Subjects are let go one by one.

    ``names`` are other networks to train, in ``steps`` each, None for those of their recipes.
    Raises KeyboardInterrupt after saying what is finished and kept.
    """
    from ddcodec.evaluate.architectures import across_networks
    from ddcodec.evaluate.live import used_directly
    from ddcodec.evaluate.measure import on_file
    from ddcodec.format.measured import others_of, transfer

    report: Report = {
        "test": subjects[0].test,
        "test_images": len(subjects[0].trial.test[1]),
        "nets": subjects[0].trial.nets,
        "files": [],
    }
    while subjects:
        subject = subjects.pop(0)
        facts, trial = subject.facts, subject.trial
        trial.reporter.result(f"{facts['file']}:")
        with interruption_told(trial, subject.finished):
            ds = subject.load()
            own = used_directly(ds, trial)
            result, rows = on_file(ds, trial), recorded(facts, report)
            if names:
                rows = across_networks(ds, trial, names, steps=steps, beside=False)["rows"]
        network = facts["recipe"]["network"]
        report["files"].append(
            {
                "file": facts["file"],
                "codec": facts["codec"],
                "network": network_name(network),
                "bytes": facts["bytes"]["total"],
                "external_bytes": sum(item["bytes"] for item in facts["external"]),
                "bits_per_class": facts["bits_per_class"],
                **result.figures(),
                "transfer": transfer(rows),
                "transfer_networks": [row["network"] for row in others_of(rows)],
                "steps": result.steps,
                "seconds": result.seconds,
                "network_in_file": own,
            }
        )
    return report


def recorded(facts: Report, report: Report) -> list[dict[str, Any]]:
    """Return the networks that a file records, where they were tested on the same images."""
    measured, tested = facts["measured"] or {}, (report["test"], report["test_images"])
    same = (measured.get("test"), measured.get("test_count")) == tested
    return facts["measured_networks"] if same else []


def network_name(network: dict[str, Any]) -> str:
    """Return the network of a recipe as people say it: ``convnet-3 x 128, instance norm``."""
    return f"{network['name']}-{network['depth']} x {network['width']}, {network['norm']} norm"


def render(report: Report) -> bytes:
    """Return the picture of a report as PNG."""
    from ddcodec.sweep.comparison import render as drawn
    from ddcodec.sweep.curves import Spot

    rows = report["files"]
    stems = [Path(row["file"]).stem for row in rows]
    names = stems if len(set(stems)) == len(stems) else [row["file"] for row in rows]
    points = [
        (
            f"{name} ({row['codec']})",
            Spot(row["bits_per_class"], row["accuracy_mean"], row["accuracy_std"]),
            row["transfer"],
        )
        for name, row in zip(names, rows, strict=True)
    ]
    title = f"{report['test']}: accuracy against bytes"
    nets = "1 network a file" if report["nets"] == 1 else f"{report['nets']} networks a file"
    subtitle = f"{nets}, each by its file's recipe; mean ± std; {report['test_images']:,} images"
    return drawn(points, title, subtitle)


def describe(report: Report) -> str:
    """Return a line for each file, and what they were tested on."""
    alone = report["nets"] == 1
    external = any(row["external_bytes"] for row in report["files"])
    known = any(row["transfer"] is not None for row in report["files"])
    rows = []
    for row in report["files"]:
        std = None if alone else row["accuracy_std"]
        cells = [row["file"], row["codec"], row["network"], accuracy(row["accuracy_mean"], std)]
        if known:
            cells.append("-" if row["transfer"] is None else percent(row["transfer"]))
        cells += [number(row["bytes"]), f"{row['bits_per_class']:,.1f}"]
        rows.append([*cells, number(row["external_bytes"])] if external else cells)
    header = ["file", "codec", "network", "accuracy", "bytes", "bits/class"]
    if known:
        header.insert(4, "transfer")
    header += ["external bytes"] if external else []
    nets = "one network" if alone else f"mean ± std of {report['nets']} networks"
    head = f"{number(report['test_images'])} test images of {report['test']}: {nets} a file"
    own = "".join(
        f"\n{row['file']}, no training: {network_in_file(row)}"
        for row in report["files"]
        if row["network_in_file"] is not None
    )
    return f"{head}\n\n{table(rows, header, left=3)}{own}{transfer_text(report)}"


def transfer_text(report: Report) -> str:
    """Return the lines under the table: what the transfer is over, and whether it is comparable."""
    over = [row["transfer_networks"] for row in report["files"] if row["transfer_networks"]]
    if not over:
        return ""
    if any(set(names) != set(over[0]) for names in over):
        return (
            "\nwarning: transfer is not over the same networks for every file, so it does not "
            "compare; name in --arch such as are no file's own"
        )
    return (
        f"\ntransfer: mean of networks other than the file's own: {printable(', '.join(over[0]))}"
    )
