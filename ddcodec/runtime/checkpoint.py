"""Checkpoints: tensors and a little JSON in one safetensors file, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, BinaryIO

import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from torch import Tensor

from ..errors import CheckpointMismatch, OutputError
from .atomic import write_atomically

KEY = "ddcodec"  # the one entry of the safetensors metadata
DTYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8",
    torch.uint64: "U64", torch.uint32: "U32", torch.uint16: "U16", torch.uint8: "U8",
    torch.bool: "BOOL",
}  # fmt: skip


def require_free(path: Path, resume: bool, overwrite: bool) -> None:
    """Raise OutputError where a run would begin anew over an unfinished one at ``path``.

    Its checkpoint may hold a day's work, and a forgotten ``resume`` must not cost it.
    """
    if path.exists() and not (resume or overwrite):
        raise OutputError(
            f"{path}: holds an unfinished run; `resume` goes on with it, `overwrite` starts again"
        )


def save(path: Path, tensors: dict[str, Tensor], meta: dict[str, Any], identity: str) -> None:
    """Write a checkpoint atomically; ``identity`` differs between runs that must not share it.

    Tensors of a dtype in ``DTYPES`` and of any shape and device come back bit for bit, on the CPU;
    ``meta`` is JSON without NaN. Raises OutputError where the file cannot be written; an earlier
    one stays. Beside the tensors there is memory for one of them at most.
    """
    body = _canonical({"identity": identity, "meta": meta})
    entry = _canonical({"body": body, "digest": _digest(body, tensors)})
    write_atomically(path, lambda file: _write(file, tensors, {KEY: entry}))


def _write(file: BinaryIO, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    # The library's own writer needs all bytes twice, and networks have gigabytes.
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name in order:
        tensor, start = tensors[name], end
        end += tensor.numel() * tensor.element_size()
        shape = list(tensor.shape)
        header[name] = {"dtype": DTYPES[tensor.dtype], "shape": shape, "data_offsets": [start, end]}
    text = _canonical(header).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for name in order:
        file.write(_bytes(tensors[name]).data)


def _bytes(tensor: Tensor) -> NDArray[Any]:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()


def load(path: str | os.PathLike[str], identity: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return (tensors, meta) as they were saved.

    Raises CheckpointMismatch for no file, a damaged file, or one that another run wrote.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise CheckpointMismatch(
            f"{path}: cannot read the checkpoint: {error.strerror}; go without `resume`"
        ) from None
    try:
        tensors = from_bytes(data)
        length = int.from_bytes(data[:8], "little")
        stored = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][KEY])
        if stored["digest"] != _digest(stored["body"], tensors):
            raise ValueError("digest differs")
        body = json.loads(stored["body"])
    except (SafetensorError, KeyError, TypeError, ValueError):
        raise CheckpointMismatch(
            f"{path}: not a readable checkpoint (damaged, or another kind of file); "
            "delete it to start again"
        ) from None
    if body.get("identity") != identity:
        raise CheckpointMismatch(
            f"{path}: belongs to a run with another source, settings or version; "
            "repeat that command, or delete the checkpoint to start again"
        )
    return tensors, body["meta"]


def _canonical(value: Any) -> str:
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def _digest(body: str, tensors: dict[str, Tensor]) -> str:
    # safetensors checks its header only; a flipped bit in the numbers would pass unseen.
    digest = hashlib.sha256(body.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(_canonical([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(_bytes(tensor).data)
    return digest.hexdigest()
