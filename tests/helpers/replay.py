"""A stand-in for CUDA graphs on any device: record operations and do them again in place.

As with a graph, what a recorded operation reads and writes are the same tensors in every replay,
and numbers that were not tensors stay what they were. What a graph cannot hold (a value read back,
random numbers) fails while recording, as it does there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Recording(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[Callable[..., Any], Any, Any, Any]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("operation not permitted when stream is capturing: a value is read")
        if any(isinstance(leaf, torch.Generator) for leaf in tree_leaves((args, kwargs))):
            raise RuntimeError("operation not permitted when stream is capturing: random numbers")
        found = func(*args, **kwargs)
        self.done.append((func, args, kwargs, found))
        return found

    def replay(self) -> None:
        for func, args, kwargs, before in self.done:
            found = func(*args, **kwargs)
            given = {leaf.data_ptr() for leaf in tree_leaves((args, kwargs)) if is_full(leaf)}
            for new, old in zip(tree_leaves(found), tree_leaves(before), strict=True):
                # Views and changes in place have written where they should already.
                if is_full(new) and is_full(old) and new.data_ptr() != old.data_ptr():
                    assert old.data_ptr() not in given
                    old.copy_(new)


def is_full(leaf: object) -> bool:
    return isinstance(leaf, Tensor) and leaf.numel() > 0


def replay_recorder(work: Callable[[], None]) -> Callable[[], None]:
    """Do ``work`` once, then again while it is recorded; return what replays it."""
    work()
    recording = _Recording()
    with recording:
        work()
    return recording.replay
