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
from typing import Any

import torch
from torch import Tensor

from ...errors import OutputError, UsageError
from ...evaluate.measure import Recipe, Trial
from ...format import Manifest, write
from ...preprocessing.transform import fit
from ...runtime import checkpoint
from ...runtime.progress import SILENT
from ...runtime.rng import generator, key
from ...sources.base import Source
from ..podd.decode import PosterSamples
from ..podd.encode import fingerprint_of, fit_steps, initial_variables, real_tensors
from ..podd.outer_loop import Distiller, Run
from ..podd.pack import describe, tensors_of
from ..podd.params import PoDDParams
from ..podd.plan import Plan, with_steps
from ..podd.variables import PosterVariables
from .pack import Packed, pack_stages, pack_within
from .params import PPoDDOptions
from .variables import StagedVariables

JUDGES = 2  # networks that a finished stage trains
JUDGED = 2000  # training images, at most, on which they are tested
SHARE_OF_TIME = 0.9  # of --time for the optimisation; the rest is for judging


def encode(
    source: Source,
    plan: Plan,
    options: PPoDDOptions,
    run: Run,
    out: Path,
    *,
    seconds: float | None,
) -> Manifest:
    """Distil ``source`` in stages and write the file at ``out``; return its manifest.

    Every stage gets the same number of outer steps, all of them together ``plan.params.steps`` or
    as many as fit into ``seconds``. Where ``--max-stages-bytes`` leaves no room for one stage,
    UsageError says so before the work begins.
    """
    preprocessing = dict(fit(source.train.images, plan.params.preprocessing))
    real = real_tensors(source, preprocessing, run.device)
    variables = initial_variables(plan, real, run.device, StagedVariables)
    file = run.checkpoint = out.with_name(out.name + ".checkpoint")
    _check_room(variables, plan.params, options)
    settings = plan.params.as_dict() | {"ppodd": options.as_dict()}
    fingerprint = fingerprint_of(source, settings, seconds)
    if run.resume and file.exists():
        variables.take(*checkpoint.load(file, fingerprint), plan.params.precision)
    each = _steps_of_a_stage(plan.params, options, variables, real, run, fingerprint, seconds)
    recipe = Recipe.of(describe(source, plan, each, preprocessing, 1))
    for stage in range(len(variables.frozen), options.stages):
        here = _stage_params(each, options, stage)
        if not (run.resume and file.exists()):
            _begin(variables, plan, here, options, stage, real)
        distiller = Distiller(here, variables, real, run, fingerprint)
        done = distiller.distil()
        with contextlib.suppress(OutputError):
            distiller.keep()  # judging a stage again is cheap, training it is not
        if done < each.steps:
            each = with_steps(each, done)  # what the first stage had time for is for all
        run = replace(run, resume=False, deadline=None, open_end=False)
        score = judge(variables, plan, recipe, real)
        variables.freeze(score, each.precision)
        run.reporter.note(
            f"poster {stage + 1} of {options.stages}: {100 * score:.1f} % of training images"
        )
    manifest = describe(source, plan, each, preprocessing, each.steps * options.stages)
    try:
        manifest = _write(out, manifest, variables, each, options, run)
    except OutputError as error:
        raise OutputError(
            f"{error}; {file.name} keeps the work, run the same command with --resume"
        ) from None
    file.unlink(missing_ok=True)
    return manifest


def _write(
    out: Path,
    manifest: Manifest,
    variables: StagedVariables,
    params: PoDDParams,
    options: PPoDDOptions,
    run: Run,
) -> Manifest:
    """Write the stages that fit; ``manifest`` is that of a ``podd`` file of the same settings."""
    packed, kept, weights = _packed(variables, params, options)
    if len(kept) < options.stages:
        numbers = ", ".join(str(i + 1) for i in range(options.stages) if i not in kept)
        run.reporter.note(f"left out for --max-stages-bytes {options.max_bytes}: poster {numbers}")
    command = manifest.provenance["command"]
    words = shlex.join(["--codec", "ppodd", *options.words()])
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
    precision, device = plan.params.precision, variables.poster.device
    poster = precision.rounded(variables.poster)
    labels = variables.labels(precision).cpu()
    samples = PosterSamples.from_poster(poster.cpu(), plan.geometry, labels.numpy()).to(device)
    x, y = real
    chosen = torch.randperm(len(y), generator=generator(plan.params.seed, "judged"))[:JUDGED]
    test = x[chosen.to(device)], y[chosen.to(device)]
    trial = Trial(recipe, test, JUDGES, key(plan.params.seed, "judges"), SILENT)
    on_device = labels.to(device)
    return trial.run("", lambda _: (samples, on_device)).mean


def _steps_of_a_stage(
    params: PoDDParams,
    options: PPoDDOptions,
    variables: StagedVariables,
    real: tuple[Tensor, Tensor],
    run: Run,
    fingerprint: str,
    seconds: float | None,
) -> PoDDParams:
    """Return ``params`` with the steps of one stage (paper section 3.5)."""
    if seconds is not None:
        share = SHARE_OF_TIME * seconds / options.stages
        started = time.monotonic()
        fitted = fit_steps(params, variables, real, run, fingerprint, share)
        # Constant rates may stop at any step; later stages then take as many as the first.
        stops = any(stage.method == "rat" for stage in params.stages) and not variables.frozen
        run.deadline, run.open_end = (started + share, True) if stops else (None, False)
        return fitted
    if params.steps < options.stages:
        raise UsageError(
            f"--steps {params.steps} is less than one for each of {options.stages} stages"
        )
    return with_steps(params, params.steps // options.stages)


def _stage_params(each: PoDDParams, options: PPoDDOptions, stage: int) -> PoDDParams:
    if stage == 0:
        return each
    seed = key(each.seed, "poster", stage) % 2**31
    if options.start != "copy":
        return replace(each, seed=seed)
    # A copy is past the warm start, which would only undo it.
    return replace(each, seed=seed, stages=(replace(each.stages[-1], steps=each.steps),))


def _begin(
    variables: StagedVariables,
    plan: Plan,
    params: PoDDParams,
    options: PPoDDOptions,
    stage: int,
    real: tuple[Tensor, Tensor],
) -> None:
    """Set the newest poster and labels to what a stage starts from, and the shares for it."""
    if stage == 0:
        return
    last = variables.frozen[-1]
    poster, labels = last.poster, last.label_array
    if options.start != "copy":
        new: PosterVariables = initial_variables(replace(plan, params=params), real, poster.device)
        blend = options.start == "blend"
        poster = (poster + new.poster) / 2 if blend else new.poster
        if labels is not None and new.label_array is not None:
            labels = (labels + new.label_array) / 2 if blend else new.label_array
    accuracies = [f.accuracy for f in variables.frozen]
    variables.begin(poster, labels, options.weights(accuracies, stage + 1))


def _packed(
    variables: StagedVariables, params: PoDDParams, options: PPoDDOptions
) -> tuple[Packed, list[int], list[float]]:
    """Return the tensors of the stages that fit, their numbers from 0, and their shares."""
    accuracies = [stage.accuracy for stage in variables.frozen]
    weights = options.weights(accuracies, options.stages)
    stages = []
    for frozen in variables.frozen:
        variables.begin(frozen.poster, frozen.label_array, [*weights, 1.0])
        arrays, storage = tensors_of(variables, params)
        stages.append(({name: array.copy() for name, array in arrays.items()}, storage))
    packed, kept = pack_within(stages, weights, options.max_bytes)
    return packed, kept, [weights[i] for i in kept]


def _params(packed: Packed, weights: list[float]) -> dict[str, Any]:
    whole = sum(weights)
    short = [max(1e-6, float(f"{w / whole:.6g}")) for w in weights]
    found: dict[str, Any] = {"weights": short}
    return found | ({"differences": packed.differences} if packed.differences else {})


def _check_room(variables: StagedVariables, params: PoDDParams, options: PPoDDOptions) -> None:
    if options.max_bytes is None:
        return
    size = pack_stages([tensors_of(variables, params)]).total
    if size > options.max_bytes:
        raise UsageError(
            f"--max-stages-bytes {options.max_bytes}: one stage takes about {size}; use a lower "
            "--quality or a smaller --ipc"
        )
