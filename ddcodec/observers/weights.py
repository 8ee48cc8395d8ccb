"""Weights of a local checkpoint for an observer: tensors alone, nothing in it is executed."""

from __future__ import annotations

import hashlib
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import InvalidFile, UsageError
from ..format.opening import reading

WRAPPINGS = ("state_dict", "model_state_dict", "model", "state_dict_ema", "net")
PREFIXES = re.compile(r"^(?:(?:module|_orig_mod|model)\.)+")
# What the readers of both formats raise for files that are none.
MALFORMED = (
    SafetensorError,
    pickle.UnpicklingError,
    RuntimeError,
    ValueError,
    EOFError,
    LookupError,
    AttributeError,
    TypeError,
    AssertionError,
)


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], str]:
    """Return the tensors of a safetensors file or of a ``torch.save``, and its SHA-256.

    A ``torch.save`` is read with ``weights_only``: where it needs more than tensors it is refused.

    Raises SourceError for a file that cannot be read, InvalidFile for one that is no checkpoint.
    """
    with reading(path), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        if path.suffix == ".safetensors":
            found: Any = load_file(path)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what it warns of ends in an error below
                found = torch.load(path, map_location="cpu", weights_only=True)
    except MALFORMED:
        raise InvalidFile(
            f"{path}: is no checkpoint of tensors (safetensors, or torch.save of a state dict)"
        ) from None
    for name in WRAPPINGS:
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            found = found[name]
    if not isinstance(found, dict):
        raise InvalidFile(f"{path}: holds no state dict")
    tensors = {k: v for k, v in found.items() if isinstance(k, str) and isinstance(v, Tensor)}
    return tensors, digest


def put_weights(network: nn.Module, tensors: dict[str, Tensor], where: str) -> list[str]:
    """Put weights into a network; return the names of those that stay as they were.

    Those are weights for another number of classes. Names may differ by usual prefixes.

    Raises UsageError, beginning with ``where``, for weights of another network.
    """
    state = network.state_dict()
    wanted = [name for name in state if not name.endswith("num_batches_tracked")]
    given = {_bare(name): tensor for name, tensor in tensors.items()}
    missing = [name for name in wanted if _bare(name) not in given]
    if missing:
        raise UsageError(
            f"{where}: holds no weights '{_bare(missing[0])}'"
            f"{f' and {len(missing) - 1} more' if len(missing) > 1 else ''} of this network; "
            "name the `architecture` that it was made with"
        )
    kept = []
    for name in wanted:
        ours, theirs = state[name], given[_bare(name)]
        if ours.shape == theirs.shape:
            if ours.is_floating_point() and not bool(torch.isfinite(theirs).all()):
                raise UsageError(f"{where}: '{_bare(name)}' holds values that are not finite")
            ours.copy_(theirs)
        elif ours.ndim == theirs.ndim and ours.shape[1:] == theirs.shape[1:]:
            kept.append(_bare(name))
        else:
            raise UsageError(
                f"{where}: '{_bare(name)}' is {_shape(theirs)}, this network has {_shape(ours)}; "
                "name the `architecture` that it was made with"
            )
    if kept and kept != list(dict.fromkeys(_bare(name) for name in wanted[-len(kept) :])):
        raise UsageError(f"{where}: '{kept[0]}' has another shape, and is not of the last layer")
    return kept


def _bare(name: str) -> str:
    return PREFIXES.sub("", name)


def _shape(x: Tensor) -> str:
    return "x".join(map(str, x.shape)) or "a number"
