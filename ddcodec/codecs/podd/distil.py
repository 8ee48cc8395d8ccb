"""The optimisation of a poster: stages of outer steps, checkpoints, interruption, time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...distill import checkpoint
from ...distill.compute import activation_type
from ...distill.kernel import kernel_gradient
from ...distill.networks import ConvNet
from ...distill.outer import EmaClip, OuterAdam, cosine
from ...distill.pool import NetworkPool
from ...distill.progress import Reporter
from ...distill.rat_bptt import (
    AdamState,
    InnerLoop,
    MetaGradient,
    inner_steps,
    meta_gradient,
    sample_truncation,
)
from ...distill.rate import poster_rate
from ...distill.rng import generator
from ...distill.threads import threads_for
from ...errors import OutputError
from .params import PoDDParams, Stage
from .variables import PosterVariables

SNAPSHOT_SECONDS = 1.0  # how much work an interruption may lose
SAVE_SECONDS = 10.0  # how much a killed process may lose
Snapshot = tuple[dict[str, Tensor], dict[str, Any]]
STAGE_NAMES = {"kernel": "kernel warm start", "pool": "unrolling", "rat": "RaT-BPTT"}


@dataclass
class Run:
    """How to run, as opposed to what to compute: nothing here changes the result.

    Attributes:
        device: where tensors live.
        reporter: told of every step.
        checkpoint: file to save to, or None.
        resume: go on from the checkpoint if it is there.
        deadline: ``time.monotonic()`` after which no further step of a ``rat`` stage starts.
    """

    device: torch.device
    reporter: Reporter
    checkpoint: Path | None = None
    resume: bool = False
    deadline: float | None = None


@dataclass(frozen=True)
class _Step:
    """What one outer step works on: its settings and randomness, the distilled and the real data.

    patches float32 (P, C, h, w), labels float32 (P, n), x float32 (B, C, h, w), y int64 (B,).
    """

    stage: Stage
    g: torch.Generator
    patches: Tensor
    labels: Tensor
    x: Tensor
    y: Tensor


class Distiller:
    """One encode in progress. Everything random is keyed by (seed, stage, step)."""

    def __init__(
        self,
        params: PoDDParams,
        variables: PosterVariables,
        real: tuple[Tensor, Tensor],
        run: Run,
        fingerprint: str,
    ) -> None:
        self.params = params
        self.variables = variables
        self.real_x, self.real_y = real  # float32 (N, C, h, w) preprocessed, int64 (N,)
        self.run = run
        self.fingerprint = fingerprint
        channels, height, width = (int(s) for s in self.real_x.shape[1:])
        classes = int(variables.labels().shape[1])
        self.net = ConvNet(channels, height, width, classes, params.depth, params.width)
        self.dtype = activation_type(run.device, height, width)
        self.losses: list[float] = []
        self.stage_index = 0
        self.step = 0  # within the stage
        self._begin_stage()

    def distil(self) -> int:
        """Run every stage that is left; return the number of outer steps done in all.

        Raises KeyboardInterrupt after saving a checkpoint, CheckpointMismatch on a resume from
        another run's checkpoint.
        """
        if self.run.resume and self.run.checkpoint and self.run.checkpoint.exists():
            self._restore()
        with threads_for(self.net.height, self.net.width):
            return self._run_stages()

    def _run_stages(self) -> int:
        snapshot = self._snapshot()
        taken = saved = time.monotonic()
        try:
            while self.stage_index < len(self.params.stages):
                stage = self.params.stages[self.stage_index]
                self.run.reporter.stage(STAGE_NAMES[stage.method], stage.steps)
                while self.step < stage.steps and not self._out_of_time(stage):
                    loss = self._outer_step(stage)
                    self.step += 1
                    self.run.reporter.step(self.step, loss)
                    now = time.monotonic()
                    if now - taken >= SNAPSHOT_SECONDS:
                        snapshot, taken = self._snapshot(), now
                    if now - saved >= SAVE_SECONDS:
                        self._save(snapshot)
                        saved = now
                if self._out_of_time(stage):
                    break
                self.stage_index += 1
                self.step = 0
                if self.stage_index < len(self.params.stages):
                    self._begin_stage()
                snapshot = self._snapshot()
        except KeyboardInterrupt:
            self._save(snapshot)
            raise
        done = sum(s.steps for s in self.params.stages[: self.stage_index])
        return done + self.step

    def keep(self) -> None:
        """Save a checkpoint of the present state, if that is possible."""
        with contextlib.suppress(OutputError):
            self._save(self._snapshot())

    def seconds_per_step(self, method: str, repeat: int = 3) -> float:
        """Time a step of each method without keeping its effect (the median of ``repeat``)."""
        index = next(i for i, s in enumerate(self.params.stages) if s.method == method)
        stage = self.params.stages[index]
        before = self._snapshot()
        self.stage_index = index
        self._begin_stage()
        times = []
        with threads_for(self.net.height, self.net.width):
            for _ in range(repeat + 1):  # the first one warms up
                start = time.perf_counter()
                self._outer_step(stage)
                self.step += 1
                times.append(time.perf_counter() - start)
        self._load(*before)
        return sorted(times[1:])[repeat // 2]

    def _out_of_time(self, stage: Stage) -> bool:
        deadline = self.run.deadline
        started = self.step > 0
        return (
            deadline is not None
            and stage.method == "rat"
            and started
            and time.monotonic() >= deadline
        )

    def _is_aware(self, stage: Stage) -> bool:
        """Say whether this step sees poster and labels rounded."""
        if not stage.aware:
            return False
        # Where a run ends that stops by the clock is not known: all of it is aware.
        by_clock = stage.method == "rat" and self.run.deadline is not None
        return by_clock or self.step >= round((1 - stage.aware) * stage.steps)

    def _begin_stage(self) -> None:
        stage = self.params.stages[self.stage_index]
        v = self.variables
        tensors = [v.poster] if v.label_array is None else [v.poster, v.label_array]
        self.adam = OuterAdam(tensors, [stage.lr_poster, stage.lr_labels], betas=stage.betas)
        self.clip = EmaClip()
        self.step = 0
        self.pool: NetworkPool | None = None
        if stage.method != "rat":
            lifetime = (min(10, stage.total_steps), stage.total_steps)
            seed = self.params.seed * 1000 + self.stage_index
            self.pool = NetworkPool(
                self.net, self.params.pool_size, lifetime, seed, self.run.device
            )

    def _outer_step(self, stage: Stage) -> float:
        g = generator(self.params.seed, "outer", self.stage_index, self.step)
        real_x, real_y = self._real_batch(stage, g)
        precision = self.params.precision if self._is_aware(stage) else None
        patches, labels = self.variables.expand(precision)
        methods: dict[str, Callable[[_Step], tuple[float, Tensor, Tensor | None]]] = {
            "kernel": self._kernel_step,
            "pool": self._pool_step,
            "rat": self._rat_step,
        }
        at = _Step(stage, g, patches, labels, real_x, real_y)
        loss, grad_patches, grad_labels = methods[stage.method](at)
        gradients = self.variables.pull_back(grad_patches, grad_labels)
        bits = self.params.precision.poster_bits
        if self.params.rate_weight and bits is not None:
            _, rate_gradient = poster_rate(self.variables.poster, bits)
            gradients.poster.add_(rate_gradient, alpha=self.params.rate_weight)
        scale = cosine(self.step, stage.steps) if stage.cosine else 1.0
        poster_gradient = self.clip(gradients.poster)  # the paper's code clips the poster only
        moves: list[Tensor | None] = [poster_gradient]
        if self.variables.label_array is not None:
            warm = self.step < stage.label_warmup
            moves.append(None if warm else gradients.labels)
        self.adam.step(moves, scale)
        self.variables.project()
        return loss

    def _kernel_step(self, at: _Step) -> tuple[float, Tensor, Tensor]:
        pool = self._pool()
        slot = int(torch.randint(len(pool), (1,), generator=at.g))
        state = pool[slot]
        result = kernel_gradient(
            self.net, state.flat, at.patches, at.labels, at.x, at.y, self.dtype
        )
        pool.replace(slot, self._advance(at, state, steps=1))
        return float(result.loss), result.grad_patches, result.grad_labels

    def _pool_step(self, at: _Step) -> tuple[float, Tensor, Tensor | None]:
        pool = self._pool()
        slot = int(torch.randint(len(pool), (1,), generator=at.g))
        result = self._meta(at, pool[slot])
        pool.replace(slot, result.end_state)
        return float(result.loss), result.grad_patches, result.grad_labels

    def _rat_step(self, at: _Step) -> tuple[float, Tensor, Tensor | None]:
        before = sample_truncation(at.g, at.stage.window, at.stage.total_steps)
        state = AdamState.fresh(self.net.init(at.g, self.run.device))
        state = self._advance(at, state, before)
        result = self._meta(at, state)
        return float(result.loss), result.grad_patches, result.grad_labels

    def _meta(self, at: _Step, state: AdamState) -> MetaGradient:
        batches = self.variables.draw(at.stage.distilled_batch, at.stage.window, at.g)
        return meta_gradient(
            self.net, state, at.patches, at.labels, batches, at.x, at.y, self._inner(at)
        )

    def _advance(self, at: _Step, state: AdamState, steps: int) -> AdamState:
        batches = self.variables.draw(at.stage.distilled_batch, steps, at.g)
        return inner_steps(self.net, state, at.patches, at.labels, batches, self._inner(at))

    def _inner(self, at: _Step) -> InnerLoop:
        return InnerLoop(
            lr=at.stage.inner_lr,
            augment_synthetic=at.stage.augment_synthetic,
            augment_real=at.stage.augment_real,
            seed=int(torch.randint(2**31, (1,), generator=at.g)),
            dtype=self.dtype,
        )

    def _real_batch(self, stage: Stage, g: torch.Generator) -> tuple[Tensor, Tensor]:
        count = len(self.real_y)
        if stage.real_batch >= count:
            return self.real_x, self.real_y
        # With replacement: a permutation of a large data set each step would cost more.
        index = torch.randint(count, (stage.real_batch,), generator=g).to(self.run.device)
        return self.real_x[index], self.real_y[index]

    def _pool(self) -> NetworkPool:
        assert self.pool is not None
        return self.pool

    def _snapshot(self) -> Snapshot:
        v = self.variables
        tensors = {"poster": v.poster.clone(), **self.adam.tensors()}
        if v.label_array is not None:
            tensors["labels"] = v.label_array.clone()
        if self.clip.mean is not None:
            tensors["clip.mean"] = self.clip.mean.clone()
        if self.pool is not None:
            tensors |= self.pool.tensors()
        more, values = v.kept()
        tensors |= more
        meta = {
            **values,
            "stage": self.stage_index,
            "step": self.step,
            "steps": [stage.steps for stage in self.params.stages],
        }
        return tensors, meta

    def _load(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        v = self.variables
        self.stage_index = meta["stage"]
        if self.stage_index < len(self.params.stages):
            self._begin_stage()
        self.step = meta["step"]
        v.poster.copy_(tensors["poster"])
        if v.label_array is not None:
            v.label_array.copy_(tensors["labels"])
        self.adam.restore(tensors)
        if "clip.mean" in tensors:
            self.clip.mean = tensors["clip.mean"].to(self.run.device)
        if self.pool is not None:
            self.pool.restore(tensors)

    def _save(self, snapshot: Snapshot) -> None:
        if self.run.checkpoint is not None:
            tensors, meta = snapshot
            checkpoint.save(self.run.checkpoint, tensors, meta, self.fingerprint)

    def _restore(self) -> None:
        assert self.run.checkpoint is not None
        tensors, meta = checkpoint.load(self.run.checkpoint, self.fingerprint)
        self._load(tensors, meta)
