"""The optimisation of a poster: stages of outer steps, checkpoints, interruption, time."""

from __future__ import annotations

import statistics
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...distill.inner_runs import InnerRuns
from ...distill.networks import ConvNet
from ...distill.outer import EmaClip, OuterAdam, falling
from ...errors import OutputError
from ...runtime import checkpoint
from ...runtime.device import threads_for
from ...runtime.progress import Reporter
from ...runtime.ranks import Ranks
from .initial import Real
from .meta_batch import MetaBatch, Work
from .pace import KERNEL_TIME, Pace
from .plan import Plan, Stage
from .variables import PosterVariables

LONG = 100  # steps of a stage, beside which two more are little
SNAPSHOT_SECONDS = 1.0  # how much work an interruption may lose
SAVE_SECONDS = 10.0  # how much a killed process may lose
Snapshot = tuple[dict[str, Tensor], dict[str, Any]]
STAGE_NAMES = {"kernel": "kernel warm start", "pool": "unrolling", "rat": "RaT-BPTT"}


@dataclass
class Run:
    """How to run, as opposed to what to compute: only ``open_end`` and ``pace`` change the result.

    Attributes:
        device: where tensors live.
        reporter: told of every step.
        checkpoint: file to save to, or None; ``identity`` is what it must have been saved with.
        resume: go on from the checkpoint if it is there.
        deadline: ``time.monotonic()`` after which no further step starts; each call takes one.
        open_end: the deadline is the end of a stage of constant rates, whose last steps are then
            not known before.
        pace: decides the number of steps of every stage; None leaves those of the plan.
        ranks: the processes that share the meta-batches of a step.
    """

    device: torch.device
    reporter: Reporter
    checkpoint: Path | None = None
    identity: str = ""
    resume: bool = False
    deadline: float | None = None
    open_end: bool = False
    pace: Pace | None = None
    ranks: Ranks = field(default_factory=Ranks)


class Distiller:
    """One encode in progress. Everything random is keyed by (seed, stage, step, meta-batch).

    Several processes do the same steps to the same variables; each computes its own meta-batches
    and all exchange the gradients. Rank 0 reads the clock and writes checkpoints.

    Attributes:
        plan: what was asked for; with a pace its stages have the steps that were decided so far.
        before: what the present stage began with, by the names of ``variables.learned``.
    """

    def __init__(
        self,
        plan: Plan,
        variables: PosterVariables,
        real: Real,
        run: Run,
    ) -> None:
        self.plan = plan
        self.variables = variables
        self.real = real  # float32 (N, C, h, w) preprocessed, int64 (N,)
        self.run = run
        channels, height, width = (int(s) for s in real[0].shape[1:])
        classes = int(variables.labels().shape[1])
        self.net = ConvNet(channels, height, width, classes, plan.depth)
        # Stages whose number of steps is known.
        self.decided = len(plan.stages) if run.pace is None else 0
        self._started = time.monotonic()
        self._warned = False  # that there is no checkpoint
        self.before: dict[str, Tensor] = {}
        self.stage_index = 0
        self.step = 0  # within the stage
        self._begin_stage()

    def distil(self) -> int:
        """Run every stage that is left; return the number of outer steps done in all.

        Raises KeyboardInterrupt after saving a checkpoint, CheckpointMismatch on a resume from
        another run's checkpoint.
        """
        if self.run.resume and self.run.checkpoint and self.run.checkpoint.exists():
            self._load(*checkpoint.load(self.run.checkpoint, self.run.identity))
        else:
            self._hold_the_most()
        snapshot = self._snapshot()
        taken = saved = time.monotonic()
        stop = False
        try:
            while self.stage_index < len(self.plan.stages):
                stage = self._announced()
                while (self._is_open or self.step < stage.steps) and not stop:
                    loss = self._outer_step(stage)
                    self.run.reporter.step(self.step, loss)
                    if self._is_open and self._decide():
                        stage = self._announced()
                    now = time.monotonic()
                    # All processes take a snapshot together, so only with what they save.
                    wait = SNAPSHOT_SECONDS if self.run.ranks.world == 1 else SAVE_SECONDS
                    if self._agreed(now - taken >= wait):
                        snapshot, taken = self._snapshot(), now
                    if now - saved >= SAVE_SECONDS:
                        self._save_if_possible(snapshot)
                        saved = now
                    deadline = self.run.deadline
                    stop = self._agreed(deadline is not None and time.monotonic() >= deadline)
                if self.step < stage.steps:
                    break
                self.stage_index += 1
                self.step = 0
                if self.stage_index < len(self.plan.stages):
                    self._begin_stage()
                snapshot = self._snapshot()
                if stop:
                    break
        except KeyboardInterrupt:
            self._save(snapshot)
            raise
        self.latest = self._snapshot()
        done = sum(s.steps for s in self.plan.stages[: self.stage_index])
        return done + self.step

    def keep(self) -> None:
        """Save a checkpoint of what ``distil`` reached; raises OutputError where it cannot."""
        self._save(self.latest)

    def seconds_per_step(self, method: str, most: float, threads: int | None = None) -> float:
        """Time a step of a method without keeping its effect: the median of three.

        Of fewer, one at least, where they take more than ``most`` seconds. ``threads`` as those of
        a stage. In every process the same, by the clock of rank 0: a step needs all of them.
        """
        before = self._snapshot()
        self.plan = self.plan.with_threads(threads)
        index = next(i for i, s in enumerate(self.plan.stages) if s.method == method)
        stage, self.stage_index = self.plan.stages[index], index
        self._begin_stage()
        times = []
        for _ in range(4):  # the first one warms up
            start = time.perf_counter()
            self._outer_step(stage)
            times.append(time.perf_counter() - start)
            if self._agreed(len(times) > 1 and sum(times) > most):
                break
        self._load(*before)
        return self.run.ranks.first(round(1e9 * statistics.median(times[1:]))) / 1e9

    def _hold_the_most(self) -> None:
        """Take two steps of the last stage, and undo them.

        So an estimate that is given in an earlier, cheaper stage states the memory of all.
        """
        last, long = self.plan.stages[-1], len(self.plan.stages) > 1
        # On a GPU what is recorded for them would stay.
        if long and self.run.pace is None and last.steps >= LONG and self.run.device.type == "cpu":
            self.seconds_per_step(last.method, 0.0)

    def _announced(self) -> Stage:
        stage = self.plan.stages[self.stage_index]
        self.run.reporter.stage(STAGE_NAMES[stage.method], stage.steps)
        return stage

    @property
    def _is_open(self) -> bool:
        """Whether it is not known yet how many steps the present stage has."""
        return self.stage_index >= self.decided

    def _decide(self) -> bool:
        """Fix the steps of the present stage if it is time to; say whether it was."""
        assert self.run.pace is not None
        stages = list(self.plan.stages)
        stage = stages[self.stage_index]
        # Rates, and rounding unless all steps see it, follow from how many steps there are.
        last = max(stage.decay, stage.aware if stage.aware < 1 else 0)
        steps = self.run.ranks.first(self.run.pace.length(self.step, last) or 0)
        if not steps:
            return False
        stages[self.stage_index] = replace(stage, steps=steps)
        self.plan, self.decided = replace(self.plan, stages=tuple(stages)), self.stage_index + 1
        return True

    def _agreed(self, mine: bool) -> bool:
        """Return rank 0's answer, since clocks differ."""
        return bool(self.run.ranks.first(mine))

    def _is_aware(self, stage: Stage) -> bool:
        """Say whether this step sees poster and labels rounded."""
        if not stage.aware:
            return False
        if self._is_open:
            return stage.aware == 1
        # Where a stage of constant rates ends by the clock, all of it is aware.
        open_end = stage.method == "rat" and self.run.open_end
        return open_end or self.step >= round((1 - stage.aware) * stage.steps)

    def _begin_stage(self) -> None:
        stage = self.plan.stages[self.stage_index]
        rates = [stage.lr_poster, stage.lr_labels]
        self.net = replace(self.net, filters=stage.width)
        dtype = torch.bfloat16 if self.plan.activations == "bfloat16" else None
        runs = InnerRuns.on(self.run.device, self.net, self.run.reporter.note)
        self.meta_batches = [
            MetaBatch(index, self.plan, self.variables, self.net, self.run.device, dtype, runs)
            for index in range(self.plan.meta_batches)
            if self.run.ranks.mine(index)
        ]
        self.adam = OuterAdam(list(self.variables.learned.values()), rates, betas=stage.betas)
        self.clip = EmaClip()
        self.step = 0
        self.before = {name: x.clone() for name, x in self.variables.learned.items()}
        with self._threads(stage):
            for meta_batch in self.meta_batches:
                meta_batch.begin(self.stage_index)
        if self.run.pace is not None:
            last = self.stage_index == len(self.plan.stages) - 1
            self.run.pace.begin(1.0 if last else KERNEL_TIME)

    def _threads(self, stage: Stage) -> AbstractContextManager[None]:
        return threads_for(self.net.height, self.net.width, stage.threads)

    def _outer_step(self, stage: Stage) -> float:
        with self._threads(stage):
            loss = self._step(stage)
        self.step += 1
        return loss

    def _step(self, stage: Stage) -> float:
        stored = self.plan.stored if self._is_aware(stage) else None
        if stored is not None:
            self.variables.settle()
        patches, labels = self.variables.expand(stored)
        loss, poster, *rest = self._mean_gradient(Work(self.step, patches, labels, self.real))
        scale = 1.0 if self._is_open else falling(self.step, stage.steps, stage.decay)
        self.adam.step([self.clip(poster), *rest], scale)  # the paper's code clips the poster only
        self.variables.project()
        return float(loss)

    def _mean_gradient(self, work: Work) -> list[Tensor]:
        """Return loss and gradients of what is learned, averaged over all meta-batches.

        They are added up in the order of their indices, wherever they were computed.
        """
        rows = []
        for meta_batch in self.meta_batches:
            loss, to_patches, to_labels = meta_batch.gradient(work)
            found = [loss, *self.variables.pull_back(to_patches, to_labels)]
            rows.append(torch.cat([part.flatten() for part in found]))
        mean = self.run.ranks.gathered(torch.stack(rows)).sum(0) / self.plan.meta_batches
        parts = torch.split(mean, [part.numel() for part in found])
        return [part.view(like.shape) for part, like in zip(parts, found, strict=True)]

    def _snapshot(self) -> Snapshot:
        more, values = self.variables.kept()
        learned = {name: tensor.clone() for name, tensor in self.variables.learned.items()}
        before = {f"before.{name}": tensor for name, tensor in self.before.items()}
        tensors = {**learned, **before, **more, **self.adam.tensors()}
        if self.clip.mean is not None:
            tensors["clip.mean"] = self.clip.mean.clone()
        for found in self.run.ranks.to_first([batch.tensors() for batch in self.meta_batches]):
            tensors |= found
        at: dict[str, Any] = {"stage": self.stage_index, "step": self.step, "decided": self.decided}
        at["spent"] = time.monotonic() - self._started  # of the time, by all calls
        return tensors, {**values, **at, "stages": self.plan.kept_stages()}

    def _load(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        self.plan, self.decided = self.plan.with_kept_stages(meta["stages"]), meta["decided"]
        self.stage_index = meta["stage"]
        if self.stage_index < len(self.plan.stages):
            self._begin_stage()
        self.step, self._started = meta["step"], time.monotonic() - meta["spent"]
        self.variables.set(tensors)
        for name, tensor in self.before.items():
            tensor.copy_(tensors[f"before.{name}"])
        self.adam.restore(tensors)
        if "clip.mean" in tensors:
            self.clip.mean = tensors["clip.mean"].to(self.run.device)
        for meta_batch in self.meta_batches:
            meta_batch.restore(tensors)

    def _save_if_possible(self, snapshot: Snapshot) -> None:
        """Save a checkpoint; where the disk is full the run goes on, and a note says so once."""
        try:
            self._save(snapshot)
        except OutputError as error:
            if not self._warned:
                self.run.reporter.note(f"{error}; the run goes on without a checkpoint")
            self._warned = True

    def _save(self, snapshot: Snapshot) -> None:
        if self.run.checkpoint is not None and self.run.ranks.rank == 0:
            tensors, meta = snapshot
            checkpoint.save(self.run.checkpoint, tensors, meta, self.run.identity)
