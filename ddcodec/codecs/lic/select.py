"""Stage 1: the key samples of a class, those that the observer knows best (paper, section 2.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import SourceError
from ...observers.file import Trained
from ...sources.by_class import ByClass
from ..shared.selection import candidates, ranked
from .params import LICParams


def select(
    pool: ByClass, label: int, name: str, observer: Trained, params: LICParams, device: torch.device
) -> Tensor:
    """Return N x IPC images of a class, the best first: uint8 (n, C, H, W) on ``device``.

    Raises SourceError where the class has too few images, naming it.
    """
    wanted, there = params.squeeze * params.ipc, pool.count(label)
    if there < wanted:
        raise SourceError(
            f"class '{name}' has {there} training images, {params.ipc} a class of "
            f"{params.squeeze} each need {wanted}; use a smaller `ipc` or `squeeze`"
        )
    count = min(there, params.candidates if params.selection != "random" else wanted)
    images = candidates(pool, label, count, params.seed, device)
    return ranked(images, label, observer, params.selection, params.seed)[:wanted]
