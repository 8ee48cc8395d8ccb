"""What is held out of an encode, what it begins with, and what is kept of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ddcodec import SourceError, encode, load
from ddcodec.codecs.podd.initial import (
    ClassMeans,
    initial_variables,
    patch_mean_poster,
    real_tensors,
)
from ddcodec.codecs.podd.judging import (
    LEAST_HELD,
    LONG,
    MOST_HELD,
    Contest,
    Judge,
    held_out,
    shared_out,
)
from ddcodec.codecs.podd.outer_loop import Distiller, Run
from ddcodec.codecs.podd.pace import Pace
from ddcodec.codecs.podd.pack import describe
from ddcodec.codecs.podd.rivals import CLASS_MEANS as MEANS
from ddcodec.codecs.podd.rivals import RANDOM_IMAGES as IMAGES
from ddcodec.codecs.podd.rivals import Rival
from ddcodec.codecs.podd.variables import PosterVariables
from ddcodec.format import read
from ddcodec.judge.recipe import Recipe
from ddcodec.judge.trial import Trial
from ddcodec.preprocessing.transform import fit
from ddcodec.runtime.progress import SILENT
from ddcodec.runtime.ranks import Ranks
from ddcodec.sources import Source
from tests.helpers.plans import numbers_of, plan_of
from tests.helpers.reporters import Notes


@pytest.mark.parametrize(("images", "classes"), [(20, 2), (199, 7), (1000, 10), (60_000, 10)])
def test_a_tenth_of_each_class_is_held_out(images: int, classes: int) -> None:
    labels = np.random.default_rng(0).integers(0, classes, images)
    kept, held = held_out(labels, classes, 3)
    assert sorted([*kept, *held]) == list(range(images))
    assert len(held) <= MOST_HELD
    assert len(held) == 0 or len(held) >= LEAST_HELD
    if len(held):
        share = len(held) / images
        for label in range(classes):
            part = np.count_nonzero(labels[held] == label) / np.count_nonzero(labels == label)
            assert abs(part - share) < 0.05
    again = held_out(labels, classes, 3)
    assert np.array_equal(again[1], held)
    assert len(held) == 0 or not np.array_equal(held_out(labels, classes, 4)[1], held)


def test_no_class_loses_all_its_images() -> None:
    labels = np.repeat(np.arange(50), 1 + np.arange(50) % 3)
    kept, held = held_out(labels, 50, 0)
    assert len(held) == 0
    assert len(kept) == len(labels)


def test_sorted_images_are_tested_on_all_classes_where_none_are_held_out(digits: Source) -> None:
    plan = plan_of(digits, ipc=0.4, profile="paper")
    images = shared_out(digits, plan, dict(fit(digits.train.images, "none")), torch.device("cpu"))
    assert not images.held
    assert set(images.test[1].tolist()) == set(range(10))


def contest_of(source: Source, ipc: float, expand: float = 1, seconds: float = 0) -> Contest:
    plan = plan_of(source, ipc=ipc, profile="quick", steps=2, expand=expand)
    preprocessing = dict(fit(source.train.images, plan.preprocessing))
    images = shared_out(source, plan, preprocessing, torch.device("cpu"))
    variables = initial_variables(plan, images.real, torch.device("cpu"))
    judge = Judge(plan, Recipe.of(describe(source, plan, preprocessing, 1)), images.test)
    return Contest(judge, variables, images, seconds)


@pytest.mark.parametrize(
    ("seconds", "each", "filters"),
    [(0, 0.1, 32), (LONG - 1, 0.1, 32), (LONG, 0.1, 64), (LONG, LONG / 110, 32)],
)
def test_long_runs_are_judged_by_the_networks_of_the_recipe_where_these_are_fast(
    seconds: float, each: float, filters: int, digits: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    def accuracy(judge: Judge, _: Any) -> float:
        judge.seconds = each
        return judge.filters / 100

    monkeypatch.setattr(Judge, "accuracy", accuracy)
    contest = contest_of(digits, 0.4, seconds=seconds)
    assert contest.began == filters / 100


@pytest.mark.parametrize("ipc", [0.4, 1.0, 2.0])
def test_class_means_and_the_start_teach_digits(ipc: float, digits: Source) -> None:
    contest = contest_of(digits, ipc)
    assert contest.means > 0.6  # chance is a tenth
    assert contest.began > 0.25


@pytest.mark.parametrize(("ipc", "expand", "rows"), [(0.4, 1, 5), (1.0, 1, 8), (0.45, 1.5, 5)])
def test_class_means_have_no_more_pixels_than_are_stored(
    ipc: float, expand: float, rows: int, digits: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    tested: list[torch.Tensor] = []
    contest = contest_of(digits, ipc, expand)
    monkeypatch.setattr(Judge, "_run", lambda _, samples, __: tested.append(samples.poster) or 0.5)
    means = ClassMeans(real_tensors(digits, {"kind": "none"}, torch.device("cpu")), 10)
    contest._judge.class_means(means)
    # Rows that were 5 and are 8 again depend on each other.
    (column,) = tested
    images = column.reshape(10, 8, 8).transpose(0, 1).reshape(8, 80)
    assert torch.linalg.matrix_rank(images.double(), rtol=1e-5) == rows


def test_the_better_start_is_taken(digits: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(digits, ipc=0.4, profile="quick", steps=2)
    real = real_tensors(digits, dict(fit(digits.train.images, "none")), torch.device("cpu"))
    errors = iter([1.0, 2.0])
    monkeypatch.setattr("ddcodec.codecs.podd.initial.start_error", lambda *_: next(errors))
    cells = initial_variables(plan, real, torch.device("cpu")).poster
    errors = iter([2.0, 1.0])
    patches = initial_variables(plan, real, torch.device("cpu")).poster
    assert not torch.equal(cells, patches)


def test_means_under_patches_that_do_not_overlap_are_the_means(digits: Source) -> None:
    plan = plan_of(digits, ipc=1.0, profile="quick", steps=2, patches=(5, 2), class_grid=(5, 2))
    x, y = real_tensors(digits, dict(fit(digits.train.images, "none")), torch.device("cpu"))
    labels = torch.eye(10)
    poster = patch_mean_poster(plan.geometry, labels, ClassMeans((x, y), 10))
    g = plan.geometry
    for patch in range(10):
        top, left = g.origins_y[patch % g.patches_y], g.origins_x[patch // g.patches_y]
        found = poster[:, top : top + 8, left : left + 8]
        assert torch.allclose(found, x[y == patch].mean(0), atol=1e-4)


def scored(monkeypatch: pytest.MonkeyPatch, scores: list[float]) -> None:
    """Let the judge say what is given: of the start, the end, and the kernel stage."""
    said = iter(scores)
    monkeypatch.setattr(Judge, "accuracy", lambda *_: next(said))
    monkeypatch.setattr(Judge, "class_means", lambda *_: 0.5)
    monkeypatch.setattr(Judge, "random_images", lambda *_: None)


@pytest.mark.parametrize(
    ("scores", "kernel", "unrolled"),
    [([0.1, 0.9, 0.2], 3, 2), ([0.1, 0.2, 0.9], 3, 0), ([0.9, 0.2, 0.1], 0, 0)],
)
def test_the_best_is_kept_and_made_again_by_its_command(
    scores: list[float],
    kernel: int,
    unrolled: int,
    digits: Source,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scored(monkeypatch, scores)
    monkeypatch.setattr("ddcodec.codecs.podd.presets.QUICK_STEPS", 5)
    monkeypatch.setattr("ddcodec.codecs.podd.presets.QUICK_LEAST_STEPS", 5)
    monkeypatch.setattr("ddcodec.codecs.podd.presets.QUICK_KERNEL_SHARE", 0.6)
    notes, best = Notes(), tmp_path / "best.ddset"
    run: dict[str, Any] = {"ipc": 0.4, "profile": "quick"}
    manifest = encode(digits, best, reporter=notes, **run)
    assert f"{kernel + unrolled} steps: students of 32 filters reach 90.0 %" in notes.said[0]
    numbers = numbers_of(manifest.provenance["command"])
    assert numbers["steps"] == kernel + unrolled
    again = encode(digits, tmp_path / "again.ddset", **run, **numbers)
    assert again.content_digest == manifest.content_digest
    assert len(load(best)) == len(load(tmp_path / "again.ddset"))


@pytest.mark.parametrize(
    ("means", "random", "ahead"),
    [
        (0.5, 0.3, MEANS),
        (0.3, 0.5, IMAGES),
        (0.5, 0.6, f"{MEANS} or {IMAGES}"),
        (0.5, None, MEANS),
        (0.3, 0.4, None),
    ],
)
def test_a_poor_file_is_said_to_be_poor(
    means: float,
    random: float | None,
    ahead: str | None,
    digits: Source,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[int] = []
    scored(monkeypatch, [0.3, 0.4, 0.2])
    monkeypatch.setattr(Judge, "class_means", lambda *_: means)
    rival = random if random is None else Rival(IMAGES, f"7 {IMAGES}, as AVIF", random)
    monkeypatch.setattr(Judge, "random_images", lambda _, __, total: told.append(total) or rival)
    notes, out = Notes(), tmp_path / "x.ddset"
    encode(digits, out, ipc=0.4, profile="quick", time=1e-3, reporter=notes)
    assert told == [out.stat().st_size]
    assert (f", from 7 {IMAGES}, as AVIF " in notes.said[0]) == (random is not None)
    poor = [line.partition(" would:")[0] for line in notes.said if "teaches less" in line]
    assert poor == ([] if ahead is None else [f"the file teaches less than {ahead}"])
    assert any("few steps" in said for said in notes.said)


def test_words_name_the_budget_that_was_asked_for(
    digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, budget in enumerate(({"ipc": 0.4}, {"total_bytes": 1500})):
        scored(monkeypatch, [0.3, 0.4, 0.2])  # and 0.5 of class means
        notes = Notes()
        out = tmp_path / f"{number}.ddset"
        run: dict[str, Any] = {**budget, "profile": "quick", "time": 1e-3}
        encode(digits, out, reporter=notes, **run)
        assert any(f"a larger `{next(iter(budget))}`" in said for said in notes.said)


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (SourceError("a picture is gone"), "is not compared with random images: a picture is gone"),
        (MemoryError(), "is not compared with random images: MemoryError"),
    ],
)
def test_a_file_is_there_whatever_becomes_of_the_comparison(
    problem: Exception,
    said: str,
    digits: Source,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any) -> None:
        raise problem

    scored(monkeypatch, [0.3, 0.4, 0.2])
    monkeypatch.setattr(Judge, "random_images", fail)
    notes, out = Notes(), tmp_path / "x.ddset"
    encode(digits, out, ipc=0.4, profile="quick", time=1e-3, reporter=notes)
    assert len(load(out)) > 0
    assert any(said in line for line in notes.said)


def test_an_interrupted_comparison_says_that_the_file_is_complete(
    digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    scored(monkeypatch, [0.3, 0.4, 0.2])
    monkeypatch.setattr(Judge, "random_images", stop)
    out = tmp_path / "x.ddset"
    with pytest.raises(KeyboardInterrupt, match="the file is complete"):
        encode(digits, out, ipc=0.4, profile="quick", time=1e-3)
    assert len(load(out)) > 0
    assert [path.name for path in tmp_path.iterdir()] == ["x.ddset"]


def test_random_images_in_the_bytes_of_a_file_teach_digits(digits: Source) -> None:
    contest = contest_of(digits, 0.4)
    found = []
    for total in (700, 4000):
        contest.compare(total)
        assert contest.random is not None
        found.append(contest.random)
    few, many = found
    assert 0.3 < few.accuracy < many.accuracy
    assert int(few.words.split()[0]) < int(many.words.split()[0])
    contest.compare(20)  # not one pixel a class
    assert contest.random is None


def test_students_of_many_random_images_see_each_often(
    digits: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    contest = contest_of(digits, 0.4)
    batches: list[int] = []
    original = Trial.run

    def spy(trial: Trial, *given: Any, **more: Any) -> Any:
        batches.append(trial.recipe.batch_size)
        return original(replace(trial, recipe=replace(trial.recipe, steps=1)), *given, **more)

    monkeypatch.setattr(Trial, "run", spy)
    for total in (700, 20_000):
        contest.compare(total)
    assert contest.random is not None
    images = int(contest.random.words.split()[0].replace(",", ""))
    steps = contest._judge._trial.recipe.steps
    assert batches[0] == contest._judge._trial.recipe.batch_size
    assert batches[1] == min(256, -(-20 * images // steps)) > batches[0]


def test_more_pixels_than_are_coded_in_a_moment_are_not_compared(
    digits: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    contest = contest_of(digits, 0.4)
    monkeypatch.setattr("ddcodec.codecs.podd.rivals.MOST_PIXELS", 10 * 64 * 3)
    contest.compare(2000)
    assert contest.random is None


def test_images_that_networks_are_tested_on_are_not_drawn(
    digits: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    contest = contest_of(digits, 0.4)
    kept, held = held_out(digits.train.labels, 10, 0)
    given: list[Any] = []
    monkeypatch.setattr(
        "ddcodec.codecs.podd.judging.drawn_images", lambda by_class, *_: given.append(by_class)
    )
    contest.compare(2000)
    (by_class,) = given
    assert len(held) > 0
    for label, group in enumerate(by_class):
        places = kept[digits.train.labels[kept] == label]
        assert np.array_equal(group[:], digits.train.images[places])


def test_nothing_is_drawn_where_no_image_is_held_out(digits: Source) -> None:
    plan = plan_of(digits, ipc=0.4, profile="paper")
    preprocessing = dict(fit(digits.train.images, "none"))
    images = shared_out(digits, plan, preprocessing, torch.device("cpu"))
    judge = Judge(plan, Recipe.of(describe(digits, plan, preprocessing, 1)), images.test)
    assert judge.random_images(images, 4000) is None


def test_a_run_whose_time_is_over_stops_wherever_it_is(
    digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(monkeypatch, [0.1, 0.9, 0.2])
    monkeypatch.setattr(Pace, "deadline", 0.0)
    manifest = encode(digits, tmp_path / "x.ddset", ipc=0.4, profile="quick", time=3.0)
    assert manifest.provenance["command"].endswith("# stopped after 1")


def test_steps_that_take_long_are_timed_once(
    digits: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, device = plan_of(digits, ipc=0.4, profile="quick"), torch.device("cpu")
    real = real_tensors(digits, dict(fit(digits.train.images, "none")), device)
    distiller = Distiller(plan, initial_variables(plan, real, device), real, Run(device, SILENT))
    taken: list[Any] = []
    monkeypatch.setattr(Distiller, "_outer_step", lambda _, stage: taken.append(stage))
    for most, steps in ((0.0, 2), (1e9, 4)):  # the first one of each warms up
        taken.clear()
        distiller.seconds_per_step(plan.stages[0].method, most)
        assert len(taken) == steps


def test_processes_time_as_many_steps_as_the_first(
    digits: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step needs all of them, whatever their own clocks say."""

    class Second(Ranks):
        def first(self, mine: int) -> int:
            return 7_000_000_000 if mine > 1 else 0  # not yet over; a step took seven seconds

    plan, device = plan_of(digits, ipc=0.4, profile="quick"), torch.device("cpu")
    real = real_tensors(digits, dict(fit(digits.train.images, "none")), device)
    run = Run(device, SILENT, ranks=Second())
    distiller = Distiller(plan, initial_variables(plan, real, device), real, run)
    taken: list[Any] = []
    monkeypatch.setattr(Distiller, "_outer_step", lambda _, stage: taken.append(stage))
    assert distiller.seconds_per_step(plan.stages[0].method, 0.0) == 7
    assert len(taken) == 4


def test_no_steps_keep_the_start(digits: Source, tmp_path: Path) -> None:
    encode(digits, tmp_path / "x.ddset", ipc=1.0, profile="quick", steps=0, quality="lossless")
    plan = plan_of(digits, ipc=1.0, profile="quick", steps=0)
    preprocessing = dict(fit(digits.train.images, plan.preprocessing))
    images = shared_out(digits, plan, preprocessing, torch.device("cpu"))
    start: PosterVariables = initial_variables(plan, images.real, torch.device("cpu"))
    assert np.array_equal(read(tmp_path / "x.ddset").arrays["poster"], start.poster.numpy())
