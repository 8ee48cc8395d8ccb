"""The loop that fits modules: AdamW, a falling rate, averaged weights, checkpoints."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..runtime import checkpoint
from ..runtime.progress import Reporter

SNAPSHOT_SECONDS = 5.0  # at most this much work is lost by an interruption
SAVE_SECONDS = 60.0
TIMED_STEPS = 5
WARM_UP = 100  # steps, or a tenth
AVERAGE = 0.999  # decay of the averaged weights, less at the beginning
CLIP = 1.0  # norm of the gradient

State = dict[str, Tensor]


class Fit:
    """One run. A step's randomness must be keyed by its number: then this is the whole state."""

    def __init__(
        self, modules: Mapping[str, Any], lr: float, fingerprint: str, saved_at: Path
    ) -> None:
        """Take modules by name; the checkpoint is the file ``saved_at``."""
        self._weights: State = {
            f"{name}/{key}": weight
            for name, module in modules.items()
            for key, weight in module.named_parameters()
        }
        self._modules, self._lr = modules, lr
        self._fingerprint, self._saved_at = fingerprint, saved_at
        self._optimiser = torch.optim.AdamW(list(self._weights.values()), lr=lr, weight_decay=0.01)
        self._average = {name: w.detach().clone() for name, w in self._weights.items()}
        self.steps = self.step = 0

    def run(
        self,
        stage: str,
        loss_of: Callable[[int], Tensor],
        steps: int,
        seconds: float | None,
        reporter: Reporter,
    ) -> float:
        """Take all steps, or as many as fit into ``seconds``, and return the last losses' mean.

        Goes on from the checkpoint where there is one. Raises KeyboardInterrupt after saving it.
        """
        for module in self._modules.values():
            module.train()
        self.steps = steps
        losses: list[float] = []
        if self._saved_at.exists():
            losses = self._restore()
        elif seconds is not None:
            self.steps = max(1, int(seconds / self._seconds_per_step(loss_of)))
        self._saved_at.parent.mkdir(exist_ok=True)
        reporter.stage(stage, self.steps)
        snapshot = self._snapshot(losses)
        taken = saved = time.monotonic()
        try:
            while self.step < self.steps:
                loss = self._one_step(loss_of)
                self.step += 1
                if self.step % 10 == 0 or self.step == self.steps:
                    losses = [*losses[-19:], float(loss)]
                    reporter.step(self.step, losses[-1])
                now = time.monotonic()
                if now - taken >= SNAPSHOT_SECONDS:
                    snapshot, taken = self._snapshot(losses), now
                if now - saved >= SAVE_SECONDS:
                    checkpoint.save(self._saved_at, *snapshot, self._fingerprint)
                    saved = now
        except KeyboardInterrupt:
            checkpoint.save(self._saved_at, *snapshot, self._fingerprint)
            raise
        checkpoint.save(self._saved_at, *self._snapshot(losses), self._fingerprint)
        for module in self._modules.values():
            module.eval()
        return statistics.mean(losses)

    def use_average(self) -> None:
        """Put the averaged weights into the modules."""
        with torch.no_grad():
            for name, weight in self._weights.items():
                weight.copy_(self._average[name])

    def _one_step(self, loss_of: Callable[[int], Tensor]) -> Tensor:
        warm = max(1, min(WARM_UP, self.steps // 10))
        share = self.step / max(1, self.steps)
        rate = self._lr * min(1.0, (self.step + 1) / warm) * 0.5 * (1 + math.cos(math.pi * share))
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        loss = loss_of(self.step)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._weights.values(), CLIP)
        self._optimiser.step()
        decay = min(AVERAGE, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self._average.values()), list(self._weights.values()), 1 - decay
            )
        return loss.detach()

    def _seconds_per_step(self, loss_of: Callable[[int], Tensor]) -> float:
        """Return how long a step takes, without keeping its effect (a median)."""
        self.steps = TIMED_STEPS
        before, meta = self._snapshot([])
        times = []
        for _ in range(TIMED_STEPS):
            start = time.monotonic()
            float(self._one_step(loss_of))
            times.append(time.monotonic() - start)
        self._load(before, meta)
        self._optimiser.state.clear()
        return statistics.median(times)

    def _snapshot(self, losses: list[float]) -> tuple[State, dict[str, Any]]:
        tensors = {f"w/{name}": w for name, w in self._weights.items()}
        tensors |= {f"a/{name}": w for name, w in self._average.items()}
        for name, weight in self._weights.items():
            state = self._optimiser.state.get(weight, {})
            tensors |= {f"{key}/{name}": state[key] for key in ("exp_avg", "exp_avg_sq")
                        if key in state}  # fmt: skip
        copies = {name: value.detach().to("cpu", copy=True) for name, value in tensors.items()}
        return copies, {"step": self.step, "steps": self.steps, "losses": losses}

    def _restore(self) -> list[float]:
        tensors, meta = checkpoint.load(self._saved_at, self._fingerprint)
        self._load(tensors, meta)
        return [float(loss) for loss in meta["losses"]]

    def _load(self, tensors: State, meta: dict[str, Any]) -> None:
        self.step, self.steps = int(meta["step"]), int(meta["steps"])
        with torch.no_grad():
            for name, weight in self._weights.items():
                weight.copy_(tensors[f"w/{name}"])
                self._average[name].copy_(tensors[f"a/{name}"])
        for name, weight in self._weights.items():
            if f"exp_avg/{name}" in tensors:
                self._optimiser.state[weight] = {
                    "step": torch.tensor(float(self.step)),
                    "exp_avg": tensors[f"exp_avg/{name}"].to(weight.device),
                    "exp_avg_sq": tensors[f"exp_avg_sq/{name}"].to(weight.device),
                }
