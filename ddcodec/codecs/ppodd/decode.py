"""Posters of all stages back to one training set, drawn as the file's weights say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...format import Manifest
from ..podd.decode import PosterSamples
from ..podd.decode import decode as decode_poster
from .rules import stage_view
from .stages import stage_arrays, stage_shares


def decode(manifest: Manifest, arrays: Mapping[str, NDArray[Any]]) -> PosterSamples:
    """Turn a P-PoDD file's arrays into samples, stage after stage; exact on every machine."""
    stages = stage_arrays(manifest, arrays)
    parts = [decode_poster(stage_view(manifest, i), stage) for i, stage in enumerate(stages, 1)]
    return stacked(parts, stage_shares(manifest))


def stacked(parts: list[PosterSamples], shares: tuple[float, ...]) -> PosterSamples:
    """Return the samples of several posters of one shape as those of one poster.

    The posters lie one below the other, so a batch from all of them is still one gather.
    """
    height = parts[0].poster.shape[1]
    return PosterSamples(
        torch.cat([part.poster for part in parts], dim=1),
        torch.cat([part.top + i * height for i, part in enumerate(parts)]),
        torch.cat([part.left for part in parts]),
        np.concatenate([part.labels for part in parts]),
        parts[0].image_shape,
        shares,
    )
