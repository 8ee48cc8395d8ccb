"""PoDD encoder: load -> order -> labels -> distil -> quantise -> pack."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import OutputError
from ...format import Manifest, read_manifest
from ...preprocessing.transform import fit
from ...runtime import checkpoint
from ...runtime.outputs import checkpoint_of
from ...runtime.ranks import joined
from ...sources.base import Source
from ...version import __version__
from ..base import Request
from .budget import fit_bytes
from .initial import Real, initial_variables, real_tensors
from .options import PoDD
from .outer_loop import Distiller, Run
from .pack import pack
from .plan import Plan
from .planning import make_plan, orders, settled
from .presets import with_steps
from .variables import PosterVariables


def encode(request: Request, options: PoDD) -> Manifest:
    """Distil the images of a request into its file; return the manifest.

    ``options.time`` bounds the optimisation. With the profile ``quick`` the number of steps that
    fits is measured first and then fixed, so that the same file can be made again by it. Else, or
    where a number of steps is given, it bounds this call: where the run takes longer, the file
    holds what was reached and the checkpoint stays, to go on from.
    """
    options = settled(options, request.device)
    source = request.source
    request.reporter.stage("reading images, ordering classes", 0)
    if options.total_bytes is None:
        assert options.ipc is not None  # checked with the options
        plan = make_plan(source, options.ipc, options, request)
    else:
        ordered = orders(source, options, request.seed)

        def plan_for(ipc: float) -> Plan:
            return make_plan(source, ipc, options, request, ordered)

        plan = fit_bytes(source, plan_for, options.total_bytes)
    for note in plan.notes:
        request.reporter.note(note)
    with joined() as ranks:
        run = Run(ranks.device(request.device), request.reporter, resume=request.resume,
                  ranks=ranks)  # fmt: skip
        if options.profile == "quick" and options.steps is None:
            return _distilled(source, plan, run, request.out, seconds=options.time)
        return _distilled(source, plan, run, request.out, lease=options.time)


def _distilled(
    source: Source,
    plan: Plan,
    run: Run,
    out: Path,
    *,
    seconds: float | None = None,
    lease: float | None = None,
) -> Manifest:
    """Distil and write; ``seconds`` fix the number of steps, ``lease`` only bounds this call."""
    run.reporter.stage("preprocessing", 0)
    preprocessing = dict(fit(source.train.images, plan.preprocessing))
    real = real_tensors(source, preprocessing, run.device)
    variables: PosterVariables = initial_variables(plan, real, run.device)
    run.checkpoint = checkpoint_of(out)
    run.identity = identity_of(source, plan.settings(), seconds)
    if seconds is not None:
        run.reporter.stage("timing a few steps", 0)
        plan = fit_steps(plan, variables, real, run, seconds)
    if lease is not None:
        run.deadline = time.monotonic() + lease
    distiller = Distiller(plan, variables, real, run)
    steps = distiller.distil()
    if run.ranks.rank > 0:
        run.ranks.wait()
        return read_manifest(out)[0]
    unfinished = steps < plan.steps
    if unfinished:
        distiller.keep()
    run.reporter.stage("packing", 0)
    try:
        manifest = pack(source, plan, variables, preprocessing, steps, out)
    except KeyboardInterrupt:
        distiller.keep()
        raise
    except OutputError as error:
        with contextlib.suppress(OutputError):
            distiller.keep()
        raise kept_work(error, run.checkpoint) from None
    if unfinished:
        run.reporter.note(
            f"{steps:,} of {plan.steps:,} steps are done and in {out.name}; the same call with "
            "`resume` goes on"
        )
    else:
        run.checkpoint.unlink(missing_ok=True)
    run.ranks.wait()
    return manifest


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


def fit_steps(
    plan: Plan,
    variables: PosterVariables,
    real: Real,
    run: Run,
    seconds: float,
) -> Plan:
    """Return ``plan`` with as many steps as fit into ``seconds``."""
    assert run.checkpoint is not None
    if run.resume and run.checkpoint.exists():
        _, meta = checkpoint.load(run.checkpoint, run.identity)
        return with_steps(plan, sum(meta["steps"]))
    start = time.monotonic()
    if any(stage.method == "rat" for stage in plan.stages):
        # Rates are constant there, so the run may simply stop when the time is over.
        run.deadline, run.open_end = start + seconds, True
        return plan
    timing = Distiller(plan, variables, real, replace(run, checkpoint=None))
    cost = {stage.method: timing.seconds_per_step(stage.method) for stage in plan.stages}
    left = seconds - (time.monotonic() - start)

    def fits(steps: int) -> bool:
        stages = with_steps(plan, steps).stages
        return sum(stage.steps * cost[stage.method] for stage in stages) <= left

    low = len(plan.stages)
    high = 2 * low
    while fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return with_steps(plan, run.ranks.first(low))
