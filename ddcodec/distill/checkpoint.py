"""Checkpoints: tensors and a little JSON in one safetensors file, written whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from ..errors import CheckpointMismatch
from ..format.atomic import write_atomically


def save(path: Path, tensors: dict[str, Tensor], meta: dict[str, Any], fingerprint: str) -> None:
    """Write a checkpoint atomically; ``fingerprint`` names the run that it belongs to."""
    header = {"ddcodec": json.dumps({"fingerprint": fingerprint, "meta": meta}, sort_keys=True)}
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, to_bytes(plain, metadata=header))


def load(path: str | os.PathLike[str], fingerprint: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return (tensors, meta); raises CheckpointMismatch where another run wrote the file."""
    try:
        with safe_open(path, framework="pt") as file:
            stored = json.loads(file.metadata()["ddcodec"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        raise CheckpointMismatch(
            f"{path}: not a readable checkpoint; delete it to start again"
        ) from None
    if stored["fingerprint"] != fingerprint:
        raise CheckpointMismatch(
            f"{path}: belongs to an encode with another source, settings or version; "
            "repeat that command, or delete the checkpoint to start again"
        )
    return tensors, stored["meta"]
