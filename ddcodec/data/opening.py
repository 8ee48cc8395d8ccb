"""Opening a ``.ddset`` file as a PyTorch data set."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from torch import Tensor

from ..codecs.base import CACHE_BYTES, ModelPlace
from ..errors import UsageError
from ..format import read
from ..hub import local
from ..runtime.arguments import whole
from .dataset import DistilledDataset


def load(
    path: str | os.PathLike[str],
    check: bool = True,
    *,
    transform: Callable[[Tensor], Any] | None = None,
    target_transform: Callable[[Tensor], Any] | None = None,
    hard_labels: bool = False,
    raw: bool = False,
    prior: str | os.PathLike[str] | None = None,
    cache: str | os.PathLike[str] | None = None,
    cache_bytes: int | None = None,
    download: bool = False,
) -> DistilledDataset:
    """Open a ``.ddset`` file as a data set. The whole file is read; nothing stays open.

    A file larger than memory is for ``ChunkedDataset``.

    Args:
        path: the file, or its address on the Hugging Face hub (``hf://datasets/...``), from where
            it is fetched into the client's cache.
        check: compare every digest; False saves time on a file that was verified before.
        transform, target_transform, hard_labels, raw: see ``DistilledDataset``.
        prior: for a file of the codec ``d3m``: the diffusion model that it names, a folder or an id
            of the hub that is in the local cache. Its weights must have the digests in the file.
        cache: folder that keeps generated images, at most ``cache_bytes`` (8 GiB) of them; it
            needs ``check``, for images are kept under the file's digest.
        download: fetch the model from the hub where it is not here.

    Raises:
        UsageError: ``cache`` without ``check``, or ``cache_bytes`` below 1.
        InvalidFile: the file breaks the format. Unsupported: it needs a newer version, or a model
        that is not given, not here or another one.
    """
    if cache is not None and not check:
        # A file that only claims a digest could put its images in the place of another's.
        raise UsageError("`cache` needs `check`: images are kept under the file's digest")
    if cache_bytes is not None:
        cache_bytes = whole("cache_bytes", cache_bytes, 1)
    return DistilledDataset(
        read(local(path), check=check),
        transform=transform,
        target_transform=target_transform,
        hard_labels=hard_labels,
        raw=raw,
        model=ModelPlace(prior, cache, cache_bytes or CACHE_BYTES, download),
    )
