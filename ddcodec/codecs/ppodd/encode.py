"""P-PoDD encoder: a poster a stage, each trained beside the frozen ones before it.

Progressive poster data set distillation: every stage trains on patches of all stages, drawn by the
dynamic stage weight, while only the newest poster and its labels learn (paper section 3).
"""

from __future__ import annotations

import contextlib
import shlex
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from ...errors import OutputError, UsageError
from ...format import Manifest, write
from ...judge.recipe import Recipe
from ...judge.trial import Trial
from ...preprocessing.transform import fit
from ...runtime import checkpoint
from ...runtime.progress import SILENT
from ...runtime.ranks import world_size
from ...runtime.rng import generator, key
from ..base import Request
from ..options import spelled
from ..podd.decode import PosterSamples
from ..podd.encode import fit_steps, identity_of, kept_work
from ..podd.initial import initial_variables, real_tensors
from ..podd.outer_loop import Distiller, Run
from ..podd.pack import describe, tensors_of
from ..podd.params import PoDDParams
from ..podd.plan import Plan, make_plan, settled
from ..podd.presets import with_steps
from ..podd.variables import PosterVariables
from .options import PPoDD
from .pack import Packed, pack_stages, pack_within
from .stages import Direction, stage_weights
from .variables import StagedVariables

JUDGES = 2  # networks that a finished stage trains
JUDGED = 2000  # training images, at most, on which they are tested
SHARE_OF_TIME = 0.9  # of ``time`` for the optimisation; the rest is for judging


def encode(request: Request, options: PPoDD) -> Manifest:
    """Distil the images of a request in stages and write the file; return its manifest.

    Every stage gets the same number of outer steps, all of them together ``options.steps``, or as
    many as fit into ``options.time``. Where ``max_stages_bytes`` leaves no room for one stage,
    UsageError says so before the work begins.
    """
    if world_size() > 1:
        raise UsageError("the codec ppodd works in one process; torchrun is for the others")
    options, source = settled(options, request.device), request.source
    assert options.ipc is not None  # checked with the options
    plan = make_plan(source, options.ipc, options, request)
    for note in plan.notes:
        request.reporter.note(note)
    run = Run(request.device, request.reporter, resume=request.resume)
    preprocessing = dict(fit(source.train.images, plan.params.preprocessing))
    real = real_tensors(source, preprocessing, run.device)
    variables = initial_variables(plan, real, run.device, StagedVariables)
    file = run.checkpoint = request.out.with_name(request.out.name + ".checkpoint")
    _check_room(variables, plan.params, options)
    settings = plan.params.as_dict() | {"ppodd": stage_options(options)}
    identity = identity_of(source, settings, options.time)
    if run.resume and file.exists():
        variables.take(*checkpoint.load(file, identity), plan.params.stored)
    each = _steps_of_a_stage(plan.params, options, variables, real, run, identity)
    recipe = Recipe.of(describe(source, plan, each, preprocessing, 1))
    for stage in range(len(variables.frozen), options.stages):
        here = _stage_params(each, options, stage)
        if not (run.resume and file.exists()):
            _begin(variables, plan, here, options, stage, real)
        distiller = Distiller(here, variables, real, run, identity)
        done = distiller.distil()
        with contextlib.suppress(OutputError):
            distiller.keep()  # judging a stage again is cheap, training it is not
        if done < each.steps:
            each = with_steps(each, done)  # what the first stage had time for is for all
        run = replace(run, resume=False, deadline=None, open_end=False)
        score = judge(variables, plan, recipe, real)
        variables.freeze(score, each.stored)
        run.reporter.note(
            f"poster {stage + 1} of {options.stages}: {100 * score:.1f} % of training images"
        )
    manifest = describe(source, plan, each, preprocessing, each.steps * options.stages)
    try:
        manifest = _write(request.out, manifest, variables, each, options, run)
    except OutputError as error:
        raise kept_work(error, file) from None
    file.unlink(missing_ok=True)
    return manifest


def _write(
    out: Path,
    manifest: Manifest,
    variables: StagedVariables,
    params: PoDDParams,
    options: PPoDD,
    run: Run,
) -> Manifest:
    """Write the stages that fit; ``manifest`` is that of a ``podd`` file of the same settings."""
    packed, kept, weights = _packed(variables, params, options)
    if len(kept) < options.stages:
        numbers = ", ".join(str(i + 1) for i in range(options.stages) if i not in kept)
        run.reporter.note(f"left out for {options.max_stages_bytes} bytes: poster {numbers}")
    command = manifest.provenance["command"]
    words = shlex.join(["--codec", "ppodd", *spelled(stage_options(options), PPoDD)])
    manifest = replace(
        manifest,
        codec={"name": "ppodd", "version": 1, "params": _params(packed, weights)},
        provenance={**manifest.provenance, "command": f"{command} {words}"},
    )
    return write(out, manifest, packed.arrays, packed.storage)


def judge(
    variables: StagedVariables, plan: Plan, recipe: Recipe, real: tuple[Tensor, Tensor]
) -> float:
    """Return the accuracy (A_t) of the newest stage, a share of 1.

    Fresh networks are trained by the file's recipe on its patches alone, as the file will hold
    them, and tested on training images: the test split is never looked at.
    """
    stored, device = plan.params.stored, variables.poster.device
    poster = stored.rounded(variables.poster)
    labels = variables.labels(stored).cpu()
    samples = PosterSamples.from_poster(poster.cpu(), plan.geometry, labels.numpy()).to(device)
    x, y = real
    chosen = torch.randperm(len(y), generator=generator(plan.params.seed, "judged"))[:JUDGED]
    test = x[chosen.to(device)], y[chosen.to(device)]
    trial = Trial(recipe, test, JUDGES, key(plan.params.seed, "judges"), SILENT)
    on_device = labels.to(device)
    return trial.run("", lambda _: (samples, on_device)).mean


def stage_options(options: PPoDD) -> dict[str, Any]:
    """Return the options of stages alone, in the order in which a command lists them."""
    names = ("stages", "stage_start", "stage_decay", "stage_boost", "stage_floor",
             "stage_direction", "max_stages_bytes")  # fmt: skip
    return {name: getattr(options, name) for name in names}


def weights_of(options: PPoDD, accuracies: list[float], stages: int) -> list[float]:
    """Return the share of each of ``stages`` stages (see ``stage_weights``)."""
    return stage_weights(
        accuracies,
        stages,
        decay=options.stage_decay,
        boost=options.stage_boost,
        floor=options.stage_floor,
        direction=cast(Direction, options.stage_direction),
    )


def _steps_of_a_stage(
    params: PoDDParams,
    options: PPoDD,
    variables: StagedVariables,
    real: tuple[Tensor, Tensor],
    run: Run,
    identity: str,
) -> PoDDParams:
    """Return ``params`` with the steps of one stage (paper section 3.5)."""
    if options.time is not None:
        share = SHARE_OF_TIME * options.time / options.stages
        started = time.monotonic()
        fitted = fit_steps(params, variables, real, run, identity, share)
        # Constant rates may stop at any step; later stages then take as many as the first.
        stops = any(stage.method == "rat" for stage in params.stages) and not variables.frozen
        run.deadline, run.open_end = (started + share, True) if stops else (None, False)
        return fitted
    if params.steps < options.stages:
        raise UsageError(
            f"`steps`={params.steps} is less than one for each of {options.stages} stages"
        )
    return with_steps(params, params.steps // options.stages)


def _stage_params(each: PoDDParams, options: PPoDD, stage: int) -> PoDDParams:
    if stage == 0:
        return each
    seed = key(each.seed, "poster", stage) % 2**31
    if options.stage_start != "copy":
        return replace(each, seed=seed)
    # A copy is past the warm start, which would only undo it.
    return replace(each, seed=seed, stages=(replace(each.stages[-1], steps=each.steps),))


def _begin(
    variables: StagedVariables,
    plan: Plan,
    params: PoDDParams,
    options: PPoDD,
    stage: int,
    real: tuple[Tensor, Tensor],
) -> None:
    """Set the newest poster and labels to what a stage starts from, and the shares for it."""
    if stage == 0:
        return
    last = variables.frozen[-1]
    poster, labels = last.poster, last.label_array
    if options.stage_start != "copy":
        new: PosterVariables = initial_variables(replace(plan, params=params), real, poster.device)
        blend = options.stage_start == "blend"
        poster = (poster + new.poster) / 2 if blend else new.poster
        if labels is not None and new.label_array is not None:
            labels = (labels + new.label_array) / 2 if blend else new.label_array
    accuracies = [f.accuracy for f in variables.frozen]
    variables.begin(poster, labels, weights_of(options, accuracies, stage + 1))


def _packed(
    variables: StagedVariables, params: PoDDParams, options: PPoDD
) -> tuple[Packed, list[int], list[float]]:
    """Return the tensors of the stages that fit, their numbers from 0, and their shares."""
    accuracies = [stage.accuracy for stage in variables.frozen]
    weights = weights_of(options, accuracies, options.stages)
    stages = []
    for frozen in variables.frozen:
        variables.begin(frozen.poster, frozen.label_array, [*weights, 1.0])
        arrays, storage = tensors_of(variables, params)
        stages.append(({name: array.copy() for name, array in arrays.items()}, storage))
    packed, kept = pack_within(stages, weights, options.max_stages_bytes)
    return packed, kept, [weights[i] for i in kept]


def _params(packed: Packed, weights: list[float]) -> dict[str, Any]:
    whole = sum(weights)
    short = [max(1e-6, float(f"{w / whole:.6g}")) for w in weights]
    found: dict[str, Any] = {"weights": short}
    return found | ({"differences": packed.differences} if packed.differences else {})


def _check_room(variables: StagedVariables, params: PoDDParams, options: PPoDD) -> None:
    if options.max_stages_bytes is None:
        return
    size = pack_stages([tensors_of(variables, params)]).total
    if size > options.max_stages_bytes:
        raise UsageError(
            f"`max_stages_bytes`={options.max_stages_bytes}: one stage takes about {size}; use a "
            "lower `quality` or a smaller `ipc`"
        )
