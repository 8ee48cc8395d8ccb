"""A device that only pretends: shapes, types and memory as on a GPU, no numbers.

Tensors on ``PRETEND`` hold nothing, so a whole outer step of a large preset takes seconds. What
would fail on a GPU fails here (two devices in one operation), and what would make the processor
wait for it is counted.
"""

from __future__ import annotations

import os
import traceback
import weakref
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import ddcodec

PRETEND = torch.device("meta")
PACKAGE = str(Path(ddcodec.__file__).parent) + os.sep
ROUNDING = 512  # bytes, of PyTorch's allocator on GPUs
aten = torch.ops.aten
# These take tensors of the processor beside those of a device, as they do with a GPU's.
MOVING = {aten._to_copy.default, aten.copy_.default}


class PretendDevice(TorchDispatchMode):
    """Within it, operations on ``PRETEND`` are checked and counted.

    Attributes:
        peak: most bytes that lived there at a time.
        waits: a line of the package for every value that the processor asked for, and for every
            tensor that it carried over and waited for.
        operations: how many there were.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = self._live = self.operations = 0
        self.waits: list[str] = []
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        tensors = [a for a in tree_leaves((args, kwargs)) if isinstance(a, Tensor)]
        there = [t for t in tensors if t.is_meta]
        if there:
            here = [t for t in tensors if not t.is_meta and t.dim()]
            assert not here or func in MOVING, f"{func} takes tensors of two devices, {_line()}"
            self.operations += 1
            if func is aten.copy_.default and _waits(args, kwargs):
                self.waits.append(_line())
            target = kwargs.get("device")
            if func is aten._local_scalar_dense.default:
                self.waits.append(_line())
                return torch.ones((), dtype=there[0].dtype).item()
            if func is aten._to_copy.default and target is not None and target.type == "cpu":
                self.waits.append(_line())
                return torch.ones(there[0].shape, dtype=kwargs.get("dtype") or there[0].dtype)
        target = kwargs.get("device")
        if tensors and not there and target == PRETEND and not kwargs.get("non_blocking"):
            self.waits.append(_line())
        found = func(*args, **kwargs)
        for tensor in tree_leaves(found):
            if isinstance(tensor, Tensor) and tensor.is_meta:
                self._count(tensor.untyped_storage())
        return found

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._known:
            return
        self._known.add(key)
        size = -(-storage.nbytes() // ROUNDING) * ROUNDING
        self._live += size
        self.peak = max(self.peak, self._live)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._live -= size


def _waits(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Say whether ``copy_`` brings something back, or carries it over and stays for it."""
    lets_go = args[2] if len(args) > 2 else kwargs.get("non_blocking")
    return not args[0].is_meta or (not args[1].is_meta and not lets_go)


def _line() -> str:
    frames = [f for f in traceback.extract_stack() if f.filename.startswith(PACKAGE)]
    return f"{frames[-1].filename.rsplit('/', 1)[-1]}: {frames[-1].line}" if frames else "a test"
