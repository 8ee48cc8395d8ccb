"""The package's reader beside the second one, ``examples/read_ddset.py``: same file, same bits."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import torch

from ddcodec.codecs.base import ModelPlace
from ddcodec.codecs.registry import CODECS
from ddcodec.codecs.samples import Samples
from ddcodec.format import DDSetFile, read

SECOND = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "read_ddset.py"))


def decoded(file: DDSetFile) -> Samples:
    """Return the samples of a file that needs no model."""
    return CODECS[file.manifest.codec["name"]].decode(file, ModelPlace())


def both_readers_agree(data: bytes) -> None:
    """Read a file by both and compare every image and label."""
    samples = decoded(read(data))
    images = samples.gather(torch.arange(len(samples))).numpy()
    found = list(SECOND["samples"](*SECOND["read"](data)))
    assert len(found) == len(samples)
    assert np.array_equal(np.stack([image for image, _ in found]), images)
    assert np.array_equal(np.stack([label for _, label in found]), samples.labels)
