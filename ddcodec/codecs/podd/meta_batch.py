"""One stream of meta-gradients: its own randomness, its own networks, one result an outer step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...distill.inner_runs import InnerRuns
from ...distill.inner_step import InnerLoop
from ...distill.kernel import kernel_gradient
from ...distill.networks import ConvNet
from ...distill.pool import NetworkPool
from ...distill.rat_bptt import AdamState, Inputs, MetaGradient
from ...distill.truncation import AdaptiveTruncation, sample_truncation
from ...runtime.device import kept_bytes
from ...runtime.rng import generator
from .initial import Real
from .plan import Plan
from .variables import PosterVariables

# Adam's first steps divide tiny gradients by their own size. What flows back through them is noise
# tens of times larger than any signal, so networks of a pool are this old before they are unrolled.
WARM_STEPS = 10
POOL = 8  # networks


@dataclass(frozen=True)
class Work:
    """What one outer step works on, the same for every meta-batch.

    patches float32 (P, C, h, w) and labels float32 (P, n); all real images and their labels.
    """

    step: int
    patches: Tensor
    labels: Tensor
    real: Real


@dataclass(frozen=True)
class _Step:
    work: Work
    g: torch.Generator
    real: tuple[Tensor, Tensor]


@dataclass
class MetaBatch:
    """Meta-batch ``index`` of every outer step; their gradients are averaged.

    Everything random is keyed by (seed, stage, step, index), so it does not matter which process
    a meta-batch runs in.
    """

    index: int
    plan: Plan
    variables: PosterVariables
    net: ConvNet
    device: torch.device
    dtype: torch.dtype | None
    runs: InnerRuns

    def __post_init__(self) -> None:
        self._kept_bytes = kept_bytes(self.device)

    def begin(self, stage_index: int) -> None:
        """Make what a stage starts with."""
        self._stage_index = stage_index
        self._stage = stage = self.plan.stages[stage_index]
        self._pool: NetworkPool | None = None
        self._truncation: AdaptiveTruncation | None = None
        if stage.method == "rat":
            if stage.truncation == "adaptive":
                self._truncation = AdaptiveTruncation(stage.window, stage.total_steps)
            return
        lifetime = (min(WARM_STEPS, stage.total_steps), stage.total_steps)
        seed = self.plan.seed * 1000 + stage_index + 1_000_003 * self.index
        self._pool = NetworkPool(self.net, POOL, lifetime, seed, self.device)

    def gradient(self, work: Work) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return loss (0-d) and the gradients of patches (P, C, h, w) and labels (P, n)."""
        path: tuple[int | str, ...] = ("outer", self._stage_index, work.step)
        g = generator(self.plan.seed, *path, *(("meta-batch", self.index) if self.index else ()))
        at = _Step(work, g, self._real_batch(work, g))
        if self._stage.method == "kernel":
            return self._kernel_step(at)
        result = self._pool_step(at) if self._stage.method == "pool" else self._rat_step(at)
        return result.loss, result.grad_patches, result.grad_labels

    def tensors(self) -> dict[str, Tensor]:
        """Return what a checkpoint must hold of the stage."""
        if self._truncation is not None:
            return {f"truncation{self.index}": self._truncation.norms.clone()}
        found = {} if self._pool is None else self._pool.tensors()
        return {f"{name}.{self.index}": tensor for name, tensor in found.items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take a checkpoint's tensors; the stage has begun."""
        if self._truncation is not None:
            self._truncation.norms = tensors[f"truncation{self.index}"].clone()
        if self._pool is not None:
            end = f".{self.index}"
            own = {k.removesuffix(end): v for k, v in tensors.items() if k.endswith(end)}
            self._pool.restore(own)

    def _kernel_step(self, at: _Step) -> tuple[Tensor, Tensor, Tensor]:
        pool, slot = self._slot(at)
        state, work = pool[slot], at.work
        result = kernel_gradient(
            self.net, state.flat, work.patches, work.labels, *at.real, self.dtype
        )
        pool.replace(slot, self.runs.advance(self._inputs(at, state, steps=1)))
        return result

    def _pool_step(self, at: _Step) -> MetaGradient:
        pool, slot = self._slot(at)
        state = pool[slot]
        if state.step < WARM_STEPS:
            state = self.runs.advance(self._inputs(at, state, WARM_STEPS - state.step))
        result = self.runs.unroll(self._inputs(at, state, self._stage.window))
        pool.replace(slot, result.end_state)
        return result

    def _rat_step(self, at: _Step) -> MetaGradient:
        stage, adaptive = self._stage, self._truncation
        if adaptive is None:
            before, window = sample_truncation(at.g, stage.window, stage.total_steps), stage.window
        else:
            before, window = adaptive.sample(at.g, at.work.step / max(1, stage.steps))
        state = AdamState.fresh(self.net.init(at.g, self.device))
        norms: list[Tensor] | None = None if adaptive is None else []
        state = self.runs.advance(self._inputs(at, state, before), norms)
        result = self.runs.unroll(self._inputs(at, state, window), norms)
        if adaptive is not None and norms:
            adaptive.observe(0, torch.stack(norms))
        return result

    def _inputs(self, at: _Step, state: AdamState, steps: int) -> Inputs:
        stage, work = self._stage, at.work
        batches = self.variables.draw(stage.distilled_batch, steps, at.g)
        inner = InnerLoop(
            lr=stage.inner_lr,
            augment=stage.augment,
            seed=int(torch.randint(2**31, (1,), generator=at.g)),
            dtype=self.dtype,
            kept_bytes=self._kept_bytes,
        )
        return Inputs(state, work.patches, work.labels, batches, inner, at.real)

    def _real_batch(self, work: Work, g: torch.Generator) -> tuple[Tensor, Tensor]:
        (x, y), wanted = work.real, self._stage.real_batch
        if wanted >= len(y):
            return x[:], y
        # With replacement: a permutation of a large data set each step would cost more.
        index = torch.randint(len(y), (wanted,), generator=g).to(self.device, non_blocking=True)
        return x[index], y[index]

    def _slot(self, at: _Step) -> tuple[NetworkPool, int]:
        assert self._pool is not None
        return self._pool, int(torch.randint(len(self._pool), (1,), generator=at.g))
