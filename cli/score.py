"""``ddcodec score``: what of the accuracy is due to the images, not to labels or augmentation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ddcodec.codecs.options import Common, Options, option

from .arguments import Cache, File, Json, Prior
from .files import reading
from .flags import read, read_common, with_options
from .measuring import Report, find_observer, find_source, interruption_told, keeping, trial_on
from .output import accuracy, number, table, write_report
from .progress import Quiet, progress

if TYPE_CHECKING:
    from ddcodec.data.dataset import DistilledDataset
    from ddcodec.runtime.finished import FinishedFile


@dataclass(frozen=True)
class ScoreOptions(Options):
    """What is trained for the two scores, and how they are weighed."""

    nets: int = option(8, "Networks of each kind, each from scratch.", metavar="N", least=1)
    steps: int | None = option(
        None, "Steps of training.", metavar="N", least=1, shown="the file's recipe"
    )
    full_steps: int | None = option(
        None, "Steps on all real images.", metavar="N", least=1,
        shown="20 epochs, at most 1500 steps",
    )  # fmt: skip
    equal: str = option(
        "pixels", "What random real images have in common with F.", choices=("pixels", "bytes")
    )
    observer: Path | None = option(
        None, "Label the random images by this observer.", metavar="O", shown="their classes"
    )
    augment: str | None = option(
        None, "Augmentation of the ARS.", metavar="NAME", shown="the file's recipe"
    )
    lrs_lambda: float = option(
        0.5, "Weight of the gain over random images in the LRS.", metavar="X", least=0, most=1
    )
    ars_lambda: float = option(
        0.5, "Weight of the gain with augmentation in the ARS.", metavar="X", least=0, most=1
    )


def score(
    file: File,
    test: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Real data to test on; its training split gives the real images to compare with. "
            "[default: what the file was made from]",
        ),
    ] = None,
    prior: Prior = None,
    cache: Cache = None,
    quiet: Quiet = False,
    as_json: Json = False,
    **options: Any,
) -> None:
    """Give F the label-robust and the augmentation-robust score of DD-Ranking 0.2.

    Every network has the rate and steps of the file's recipe and is tested after its last step:
    nothing is selected on test images.
    """
    common = read_common(options)
    chosen = read(options, ScoreOptions)

    from ddcodec.data.opening import load
    from ddcodec.runtime.device import keep_large_blocks

    keep_large_blocks()
    with reading(file) as place:
        ds = load(place, prior=prior, cache=cache, download=common.download)
    report, finished = measure(file, place, ds, test, chosen, common, quiet)
    write_report(report, describe, as_json)
    finished.remove()


score = with_options(score, ScoreOptions, Common, without=("resume", "overwrite"))


def measure(
    file: str,
    place: Path,
    ds: DistilledDataset,
    test: str | None,
    chosen: ScoreOptions,
    common: Common,
    quiet: bool = False,
) -> tuple[Report, FinishedFile]:
    """Train all networks; return what ``score`` prints, and what it kept beside the file.

    ``place`` is where ``file`` lies. Raises KeyboardInterrupt after saying what is finished.
    """
    from ddcodec.evaluate import scores
    from ddcodec.evaluate.measure import run_of

    teacher = find_observer(ds, chosen.observer)
    advice = (
        f"six trainings of {chosen.nets} networks; fewer --nets or a smaller --steps is shorter"
    )
    with progress(quiet, advice=advice) as reporter:
        reporter.stage("reading the test images", 0)
        source = find_source(ds, test, common, reporter.result)
        trial, split = trial_on(ds, source, common, reporter, nets=chosen.nets, steps=chosen.steps)
        if teacher is None and ds.teacher is None and "temperature" in ds.manifest.labels:
            reporter.note(
                f"{file}: its labels are those of an observer; both scores are too high without "
                "--observer, which labels the random images too"
            )
        run = run_of(trial, split, source, None if teacher is None else teacher.digest)
        trial, finished = keeping(trial, run, file, place)
        with interruption_told(trial, finished):
            found = scores.score(
                trial,
                ds,
                source,
                equal=chosen.equal,
                observer=teacher,
                augment=chosen.augment,
                weights=scores.Weights(chosen.lrs_lambda, chosen.ars_lambda),
                full_steps=chosen.full_steps,
            )
    about = {"test": source.name, "test_images": len(split.labels)}
    how = {"nets": trial.nets, "steps": trial.recipe.steps, "recipe_augment": trial.recipe.augment}
    return {"file": file, **about, **how, **found}, finished


def describe(report: Report) -> str:
    """Return both scores, and the accuracies that they come from as a table under them."""

    def figure(name: str) -> str:
        mean, std = (report[f"{name}_{what}"] for what in ("mean", "std"))
        return f"{mean:.3f}" if alone else f"{mean:.3f} ± {std:.3f}"

    def points(name: str) -> str:
        mean, std = (100 * report[f"{name}_{what}"] for what in ("mean", "std"))
        return f"{mean:+.1f}" if alone else f"{mean:+.1f} ± {std:.1f}"

    alone = report["nets"] == 1
    nets = "one network of each kind" if alone else f"mean ± std of {report['nets']} networks"
    random, augment, own = report["random"], report["augment"], report["recipe_augment"]
    height, width = random["stored_size"]
    images = f"random images ({number(random['images_per_class'])} a class, {height}x{width})"
    labels = {"class": "class", "observer": "observer's", "file": "file's network"}[
        random["labels"]
    ]
    rows = [
        ("all training images", "class", "none", "real_hard"),
        ("this file", "class", "none", "syn_hard"),
        ("this file", "its own", own, "syn_any"),
        (images, labels, own, "rdm_any"),
        ("this file", "its own", augment, "syn_aug"),
        (images, labels, augment, "rdm_aug"),
        ("this file", "its own", "none", "syn_naug"),
        (images, labels, "none", "rdm_naug"),
    ]
    cells = []
    for what, label, change, name in rows:
        entry = report["accuracies"][name]
        std = None if alone else entry["accuracy_std"]
        line = [name.replace("_", "-"), what, label, change, accuracy(entry["accuracy_mean"], std)]
        cells.append(line)
    header = ["", "trained on", "labels", "augmentation", "accuracy"]
    return "\n".join(
        [
            f"label-robust score         {figure('label_robust_score')}",
            f"augmentation-robust score  {figure('augmentation_robust_score')}",
            f"{nets} on {number(report['test_images'])} test images of {report['test']}, "
            f"{number(report['steps'])} steps, random images of equal {random['equal']}",
            "",
            f"hard label recovery        {points('hard_label_recovery')} points",
            f"improvement over random    {points('improvement_over_random')} points",
            f"the same, augmented        {points('with_aug_scores')} points",
            f"the same, not augmented    {points('without_aug_scores')} points",
            "",
            table(cells, header, left=4),
        ]
    )
