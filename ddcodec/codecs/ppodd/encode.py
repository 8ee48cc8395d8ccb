"""P-PoDD encoder: a poster a stage, each trained beside the frozen ones before it.

Progressive poster data set distillation: every stage trains on patches of all stages, drawn by the
dynamic stage weight, while only the newest poster and its labels learn (paper section 3).
"""

from __future__ import annotations

import contextlib
import shlex
import time
from dataclasses import replace
from typing import Any

from ...errors import OutputError, UsageError
from ...format import Manifest, write
from ...judge.recipe import Recipe
from ...preprocessing.transform import fit
from ...runtime import checkpoint
from ...runtime.outputs import checkpoint_of
from ...runtime.ranks import world_size
from ...runtime.rng import key
from ..base import Request
from ..options import spelled
from ..podd.encode import identity_of, kept_work, take_pace
from ..podd.initial import initial_variables
from ..podd.judging import Judge, shared_out
from ..podd.outer_loop import Distiller, Run
from ..podd.pack import arrays_of, describe, storage_of
from ..podd.plan import Plan
from ..podd.planning import make_plan, require_less, settled
from ..podd.presets import spelled_out, with_steps
from ..podd.variables import PosterVariables
from .options import PPoDD
from .pack import Stored, pack_stages, pack_within
from .stages import stage_weights
from .variables import StagedVariables

SHARE_OF_TIME = 0.9  # of ``time`` for the optimisation; the rest is for judging
STAGE_OPTIONS = ("stages", "stage_start", "stage_decay", "stage_boost", "stage_floor",
                 "stage_direction", "max_stages_bytes")  # fmt: skip


def encode(request: Request, options: PPoDD) -> Manifest:
    """Distil the images of a request in stages and write the file; return its manifest.

    Every stage gets the same number of outer steps, all of them together ``options.steps``, or as
    many as fit into ``options.time``. Where ``max_stages_bytes`` leaves no room for one stage,
    UsageError says so before the work begins.
    """
    if world_size() > 1:
        raise UsageError("the codec ppodd works in one process; torchrun is for the others")
    return _Encode(request, settled(options, request.device)).run()


class _Encode:
    """An encode in progress; ``plan`` is that of one stage."""

    def __init__(self, request: Request, options: PPoDD) -> None:
        assert options.ipc is not None  # checked with the options
        source = request.source
        self.request, self.options, self.note = request, options, request.reporter.note
        request.reporter.stage("reading images, ordering classes", 0)
        require_less(source, options.ipc)
        self.plan = make_plan(source, options.ipc, options, request)
        for note in self.plan.notes:
            self.note(note)
        request.reporter.stage("preprocessing", 0)
        space = self.plan.preprocessing, self.plan.kernel
        self.preprocessing = dict(fit(source.train.images, *space))
        self.images = shared_out(source, self.plan, self.preprocessing, request.device)
        self.real = self.images.real
        self.variables = initial_variables(
            self.plan, self.real, request.device, StagedVariables, self.images.means
        )
        self._check_room()
        self.stage_options = {name: getattr(options, name) for name in STAGE_OPTIONS}
        settings = self.plan.settings() | {"ppodd": self.stage_options}
        self.file = checkpoint_of(request.out)
        self.loop = Run(
            request.device,
            request.reporter,
            self.file,
            identity_of(source, settings, options.time),
            request.resume and self.file.exists(),
        )

    def run(self) -> Manifest:
        variables, stages = self.variables, self.options.stages
        if self.loop.resume:
            kept = checkpoint.load(self.file, self.loop.identity)
            variables.take(*kept, self.plan.stored)
        self._fit_steps()
        for stage in range(len(variables.frozen), stages):
            here = self._plan_of(stage)
            if stage and not self.loop.resume:
                self._begin(here)
            distiller = Distiller(here, variables, self.real, self.loop)
            done = distiller.distil()
            with contextlib.suppress(OutputError):
                distiller.keep()  # judging a stage again is cheap, training it is not
            if stage == 0:
                # What the first stage had time for is for all.
                self.plan = with_steps(self.plan, done) if self.loop.open_end else distiller.plan
            self.loop = replace(self.loop, resume=False, deadline=None, open_end=False, pace=None)
            self.request.reporter.stage(f"testing poster {stage + 1} of {stages}", 0)
            score = self._judge()
            variables.freeze(score, self.plan.stored)
            self.note(f"poster {stage + 1} of {stages}: {100 * score:.1f} % of {self.images.words}")
        self.request.reporter.stage("packing", 0)
        try:
            manifest = self._write()
        except OutputError as error:
            raise kept_work(error, self.file) from None
        self.file.unlink(missing_ok=True)
        return manifest

    def _fit_steps(self) -> None:
        """Give the plan the steps of one stage (paper section 3.5)."""
        options, plan, loop = self.options, self.plan, self.loop
        if options.time is not None:
            share = SHARE_OF_TIME * options.time / options.stages
            end = time.monotonic() + share
            self.plan = take_pace(plan, self.variables, self.real, loop, end)
            if self.variables.frozen:  # later stages take as many steps as the first
                loop.deadline, loop.open_end, loop.pace = None, False, None
            return
        kernel = None if options.kernel_steps is None else options.kernel_steps // options.stages
        self.plan = with_steps(plan, plan.steps // options.stages, kernel)

    def _plan_of(self, stage: int) -> Plan:
        plan = self.plan
        if stage == 0:
            return plan
        seed = key(plan.seed, "poster", stage) % 2**31
        if self.options.stage_start != "copy":
            return replace(plan, seed=seed)
        # A copy is past the warm start, which would only undo it.
        last = next(stage for stage in reversed(plan.stages) if stage.steps)
        return replace(plan, seed=seed, stages=(replace(last, steps=plan.steps),))

    def _begin(self, plan: Plan) -> None:
        """Set the newest poster and labels to what a stage starts from, and the shares for it."""
        frozen, start = self.variables.frozen, self.options.stage_start
        learned = frozen[-1].learned
        if start != "copy":
            last, device = learned, self.request.device
            learned = initial_variables(plan, self.real, device, PosterVariables).learned
            if start == "blend":
                learned = {name: (last[name] + new) / 2 for name, new in learned.items()}
        self.variables.begin(learned, self._weights(len(frozen) + 1))

    def _weights(self, stages: int) -> list[float]:
        options = self.options
        return stage_weights(
            [stage.accuracy for stage in self.variables.frozen],
            stages,
            decay=options.stage_decay,
            boost=options.stage_boost,
            floor=options.stage_floor,
            direction=options.stage_direction,
        )

    def _judge(self) -> float:
        """Return the accuracy (A_t) of the newest stage, a share of 1.

        Of networks that learn from its patches alone, as the file will hold them.
        """
        recipe = Recipe.of(describe(self.request.source, self.plan, self.preprocessing, 1))
        return Judge(self.plan, recipe, self.images.test).accuracy(self.variables)

    def _write(self) -> Manifest:
        """Write the stages that fit."""
        options, stages = self.options, self.options.stages
        weights = self._weights(stages)
        packed, kept = pack_within(self._stored(weights), weights, options.max_stages_bytes)
        if len(kept) < stages:
            numbers = ", ".join(str(i + 1) for i in range(stages) if i not in kept)
            self.note(f"left out for {options.max_stages_bytes} bytes: poster {numbers}")
        whole = sum(weights[i] for i in kept)
        short = [max(1e-6, float(f"{weights[i] / whole:.6g}")) for i in kept]
        params: dict[str, Any] = {"weights": short}
        if packed.differences:
            params["differences"] = packed.differences
        source, steps = self.request.source, self.plan.steps * stages
        manifest = describe(source, spelled_out(self.plan, stages), self.preprocessing, steps)
        words = shlex.join(["--codec", "ppodd", *spelled(self.stage_options, PPoDD)])
        command = f"{manifest.provenance['command']} {words}"
        manifest = replace(
            manifest,
            codec={"name": "ppodd", "version": 1, "params": params},
            provenance={**manifest.provenance, "command": command},
        )
        return write(self.request.out, manifest, packed.arrays, packed.storage)

    def _stored(self, weights: list[float]) -> list[Stored]:
        """Return the tensors of every stage and how they are stored."""
        stages = []
        for frozen in self.variables.frozen:
            self.variables.begin(frozen.learned, [*weights, 1.0])
            stages.append(self._newest())
        return stages

    def _newest(self) -> Stored:
        arrays = arrays_of(self.variables, self.plan)
        return {k: a.copy() for k, a in arrays.items()}, storage_of(arrays, self.plan.stored)

    def _check_room(self) -> None:
        most = self.options.max_stages_bytes
        if most is not None and (size := pack_stages([self._newest()]).total) > most:
            raise UsageError(
                f"`max_stages_bytes`={most}: one stage takes about {size}; use a "
                "lower `quality` or a smaller `ipc`"
            )
