"""Fitting modules to a loss: AdamW, a falling rate, averaged weights, checkpoints."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..runtime import checkpoint
from ..runtime.progress import Reporter
from ..runtime.steps import seconds_per_step, take_steps

WARM_UP = 100  # steps, or a tenth
AVERAGE = 0.999  # decay of the averaged weights, less at the beginning
CLIP = 1.0  # norm of the gradient

State = dict[str, Tensor]


class Fit:
    """One training. What is random in a loss must be keyed by the number of the step."""

    def __init__(
        self, modules: Mapping[str, Any], lr: float, identity: str, saved_at: Path
    ) -> None:
        """Take modules by name; the checkpoint is the file ``saved_at``."""
        self._weights: State = {
            f"{name}/{key}": weight
            for name, module in modules.items()
            for key, weight in module.named_parameters()
        }
        self._modules, self._lr = modules, lr
        self._identity, self._saved_at = identity, saved_at
        self._optimiser = torch.optim.AdamW(list(self._weights.values()), lr=lr, weight_decay=0.01)
        self._average = {name: w.detach().clone() for name, w in self._weights.items()}
        self.steps = self.step = 0
        self._losses: list[float] = []  # the last ones that were told

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
        self.steps, self._loss_of = steps, loss_of
        if self._saved_at.exists():
            self.restore(*checkpoint.load(self._saved_at, self._identity))
        elif seconds is not None:
            reporter.stage("timing a few steps", 0)
            self.steps = max(1, int(seconds / seconds_per_step(self)))
        self._saved_at.parent.mkdir(exist_ok=True)
        reporter.stage(stage, self.steps)

        def tell(step: int, loss: float) -> None:
            self._losses = [*self._losses[-19:], loss]
            reporter.step(step, loss)

        take_steps(self, self.steps, self._saved_at, self._identity, tell)
        checkpoint.save(self._saved_at, *self.state(), self._identity)
        for module in self._modules.values():
            module.eval()
        return statistics.mean(self._losses)

    def use_average(self) -> None:
        """Put the averaged weights into the modules."""
        with torch.no_grad():
            for name, weight in self._weights.items():
                weight.copy_(self._average[name])

    def take_step(self) -> Tensor:
        warm = max(1, min(WARM_UP, self.steps // 10))
        share = self.step / max(1, self.steps)
        rate = self._lr * min(1.0, (self.step + 1) / warm) * 0.5 * (1 + math.cos(math.pi * share))
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        loss = self._loss_of(self.step)
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

    def state(self) -> tuple[State, dict[str, Any]]:
        tensors = {f"w/{name}": w for name, w in self._weights.items()}
        tensors |= {f"a/{name}": w for name, w in self._average.items()}
        for name, weight in self._weights.items():
            state = self._optimiser.state.get(weight, {})
            tensors |= {f"{key}/{name}": state[key] for key in ("exp_avg", "exp_avg_sq")
                        if key in state}  # fmt: skip
        return tensors, {"step": self.step, "steps": self.steps, "losses": self._losses}

    def restore(self, tensors: State, meta: dict[str, Any]) -> None:
        self.step, self.steps, self._losses = meta["step"], meta["steps"], meta["losses"]
        with torch.no_grad():
            for name, weight in self._weights.items():
                weight.copy_(tensors[f"w/{name}"])
                self._average[name].copy_(tensors[f"a/{name}"])
        self._optimiser.state.clear()
        for name, weight in self._weights.items():
            if f"exp_avg/{name}" in tensors:
                self._optimiser.state[weight] = {
                    "step": torch.tensor(float(self.step)),
                    "exp_avg": tensors[f"exp_avg/{name}"].to(weight.device),
                    "exp_avg_sq": tensors[f"exp_avg_sq/{name}"].to(weight.device),
                }
