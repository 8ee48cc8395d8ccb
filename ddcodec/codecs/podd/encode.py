"""PoDD encoder: load -> order -> labels -> distil -> quantise -> pack."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import DDSetError, OutputError
from ...format import Manifest, read_manifest, to_bytes
from ...format.container import write_bytes
from ...judge.recipe import Recipe
from ...preprocessing.transform import fit
from ...runtime import checkpoint
from ...runtime.device import default_threads
from ...runtime.outputs import checkpoint_of
from ...runtime.progress import Reporter
from ...runtime.ranks import joined
from ...sources.base import Source
from ...version import __version__
from ..base import Request
from ..shared.free_bytes import left_free
from .budget import plan_in_bytes, why_free
from .given import Given
from .initial import Real, initial_variables
from .judging import Contest, Judge, shared_out
from .options import PoDD
from .outer_loop import Distiller, Run
from .pace import Pace, affordable, cheapest_unrolled, fastest_threads
from .pack import describe, pack
from .plan import Plan
from .planning import make_plan, require_less, settled
from .variables import PosterVariables

LEAST_SHARE = 0.3  # of ``time``, for the optimisation, however long loading took
TIMING_SHARE = 0.02  # of that, for timing each kind of step


def encode(request: Request, options: PoDD) -> Manifest:
    """Distil the images of a request into its file; return the manifest.

    With the profile ``quick`` ``options.time`` is that of the whole call: the steps that fit are
    found while they are taken, the file says how many they were, and is made again by these. Where
    no number of steps is given, the best of what it began with, the kernel stage and the end is
    kept, by students on images that are held out of the distillation.

    Else, or where a number of steps is given, the time bounds this call: where the run takes
    longer, the file holds what was reached and the checkpoint stays, to go on from.
    """
    options = settled(options, request.device)
    source = request.source
    request.reporter.stage("reading images, ordering classes", 0)
    if options.total_bytes is None:
        assert options.ipc is not None  # checked with the options
        require_less(source, options.ipc)
        plan = make_plan(source, options.ipc, options, request)
    else:
        plan = plan_in_bytes(request, options, options.total_bytes)
    given = None
    if options.init is not None:
        given = Given(options.init, source)
        plan = replace(plan, init=given.digest)
    for note in plan.notes:
        request.reporter.note(note)
    with joined() as ranks:
        run = Run(ranks.device(request.device), request.reporter, resume=request.resume,
                  ranks=ranks)  # fmt: skip
        return _distilled(request, options, plan, run, given)


def _distilled(
    request: Request, options: PoDD, plan: Plan, run: Run, given: Given | None
) -> Manifest:
    """Distil and write; without a number of steps the best of what is reached is kept."""
    source, quick = request.source, plan.profile == "quick"
    run.reporter.stage("preprocessing", 0)
    space = None if given is None else given.space(plan.preprocessing)
    preprocessing = dict(space or fit(source.train.images, plan.preprocessing, plan.kernel))
    images = shared_out(source, plan, preprocessing, run.device)
    real = images.real
    beginning = None if given is None else (given, preprocessing)
    variables: PosterVariables = initial_variables(
        plan, real, run.device, means=images.means, given=beginning
    )
    judged = quick and options.steps is None
    run.checkpoint = checkpoint_of(request.out)
    run.identity = identity_of(source, plan.settings(), options.time if judged else None)
    contest = None
    if judged:
        run.reporter.stage("testing what it begins with", 0)
        recipe = Recipe.of(describe(source, plan, preprocessing, 1))
        judge = Judge(plan, recipe, images.test)
        contest = Contest(judge, variables, images, options.time or 0)
    if contest is not None and options.time is not None:
        end = request.started + options.time - contest.seconds_to_come
        end = max(end, time.monotonic() + LEAST_SHARE * options.time)
        plan = take_pace(plan, variables, real, run, end)
        run.deadline = run.pace.deadline if run.pace else None
    elif options.time is not None:
        run.deadline = time.monotonic() + options.time
    distiller = Distiller(plan, variables, real, run)
    steps = distiller.distil()
    unfinished = run.pace is None and steps < plan.steps
    if contest is not None:
        run.reporter.stage("testing what was reached", 0)
        plan, steps = contest.best(distiller, steps)
    if run.ranks.rank > 0:
        run.ranks.wait()
        return read_manifest(request.out)[0]
    if unfinished:
        distiller.keep()
    run.reporter.stage("packing", 0)
    try:
        data, manifest = to_bytes(*pack(source, plan, variables, preprocessing, steps))
        write_bytes(request.out, data)
    except KeyboardInterrupt:
        distiller.keep()
        raise
    except OutputError as error:
        with contextlib.suppress(OutputError):
            distiller.keep()
        raise kept_work(error, run.checkpoint) from None
    if unfinished:
        run.reporter.note(
            f"{steps:,} of {plan.steps:,} steps are done and in {request.out.name}; the same call "
            "with `resume` goes on"
        )
    else:
        run.checkpoint.unlink(missing_ok=True)
    for line in told(plan, len(data), contest, run.reporter):
        run.reporter.note(line)
    run.ranks.wait()
    return manifest


def told(plan: Plan, size: int, contest: Contest | None, reporter: Reporter) -> list[str]:
    """Return what is to be said of a file of ``size`` bytes that is written.

    Raises KeyboardInterrupt, with words for people, where the comparison is interrupted.
    """
    lines: list[str] = []
    if contest is not None:
        try:
            contest.compare(size, reporter)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                "the file is complete, but was not compared with random images"
            ) from None
        except (DDSetError, OSError, MemoryError, RuntimeError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            lines = [f"the file is not compared with random images: {reason}"]
        lines = [*contest.verdict(plan), *lines]
    if plan.total_bytes is not None:
        free = left_free(plan.total_bytes, size, why_free(plan))
        lines += [] if free is None else [free]
    return lines


def kept_work(error: OutputError, checkpoint: Path) -> OutputError:
    """Return an error of the output that also says where the work is, if it could be kept."""
    if not checkpoint.exists():
        return error
    return OutputError(f"{error}; {checkpoint.name} keeps the work, the same call with `resume` "
                       "goes on")  # fmt: skip


def identity_of(source: Source, settings: dict[str, Any], seconds: float | None) -> str:
    """Return a digest of all that decides an encode: checkpoints of another one are refused."""
    if seconds is not None:
        settings = settings | {"stages": {"seconds": seconds}}
    identity = {"params": settings, "source": source.digest(), "version": __version__}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def take_pace(plan: Plan, variables: PosterVariables, real: Real, run: Run, end: float) -> Plan:
    """Let ``run`` end at ``end``, a ``time.monotonic()``; return ``plan`` with steps for it.

    Or with those of a checkpoint to go on from, which has used some of the time.
    """
    assert run.checkpoint is not None
    left = end - time.monotonic()
    if any(stage.method == "rat" for stage in plan.stages):
        # Rates are constant there, so the run may simply stop when the time is over.
        run.deadline, run.open_end = end, True
        return plan
    if run.resume and run.checkpoint.exists():
        _, meta = checkpoint.load(run.checkpoint, run.identity)
        plan = plan.with_kept_stages(meta["stages"])
        if meta["decided"] < len(plan.stages):
            run.pace = Pace(end - min(meta["spent"], (1 - LEAST_SHARE) * left), left)
        return plan
    run.reporter.stage("timing a few steps", 0)
    timing = Distiller(cheapest_unrolled(plan), variables, real, replace(run, checkpoint=None))
    most = TIMING_SHARE * left
    asked = plan.stages[-1].threads

    def unrolled(threads: int | None) -> float:
        return timing.seconds_per_step(plan.stages[-1].method, most, threads)

    free = asked is None and run.device.type == "cpu"
    several = run.ranks.first(default_threads(*real[0].shape[-2:]) if free else 1)
    threads, cheapest = fastest_threads(unrolled, several, asked)
    kernel = timing.seconds_per_step(plan.stages[0].method, most, threads)
    run.pace = Pace(end, left)
    found = affordable(plan, kernel, cheapest, end - time.monotonic()).with_threads(threads)
    decided = {
        method: {name: run.ranks.agreed(value) for name, value in values.items()}
        for method, values in found.kept_stages().items()
    }
    return plan.with_kept_stages(decided)
