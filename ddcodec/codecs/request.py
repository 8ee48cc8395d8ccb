"""What a caller asks of a codec that stores or describes images, beside the codec's own options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..runtime.progress import Reporter


@dataclass(frozen=True)
class Request:
    """One call of ``encode``, checked as far as codecs have it in common.

    Attributes:
        device: where to compute.
        target: the file to write.
        ipc: budget in images per class, > 0.
        steps: iterations, > 0; None for the codec's default.
        labels: kind of labels, a word of the codec, or ``auto``.
        seed: >= 0.
        size: side that the source's images were scaled to, or None; for the file's command.
        resume: go on from what an earlier call kept.
        download: fetch what is not here.
        reporter: told of stages and steps.
    """

    device: torch.device
    target: Path
    ipc: float
    steps: int | None
    labels: str
    seed: int
    size: int | None
    resume: bool
    download: bool
    reporter: Reporter

    def settings(self, shape: Sequence[int], classes: int) -> dict[str, Any]:
        """Return what a codec's ``make_params`` is told of the call and images (C, H, W)."""
        return {
            "ipc": self.ipc,
            "height": shape[1],
            "width": shape[2],
            "classes": classes,
            "iterations": self.steps,
            "labels": self.labels,
            "seed": self.seed,
        }
