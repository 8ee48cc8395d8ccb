"""Record work on a GPU as a CUDA graph, and leave the process as it was where that fails."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable
from typing import Any

import torch


class CudaRecorder:
    """Called with some work, runs it once, records it and returns what replays it.

    All recordings of one share a pool of memory: what one leaves there between its replays must
    have been copied before the next is replayed. What recorded work reads must live outside.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: torch.cuda.Stream | None = None
        self._pool: Any = None  # a handle

    def __call__(self, work: Callable[[], None]) -> Callable[[], None]:
        """Record ``work``; raises RuntimeError where the device cannot."""
        with torch.cuda.device(self._device):
            if self._stream is None:
                self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
                self._pool = torch.cuda.graph_pool_handle()
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                work()  # libraries choose kernels and take memory: not in a graph
            torch.cuda.current_stream().wait_stream(self._stream)
            torch.cuda.synchronize()
            gc.collect()
            torch.cuda.empty_cache()  # a graph's memory is apart: make room for it
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.stream(self._stream):
                self._record(graph, work)
            return graph.replay

    def _record(self, graph: torch.cuda.CUDAGraph, work: Callable[[], None]) -> None:
        # Other threads (of NCCL, say) may go on asking the device for what they like.
        graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
        try:
            work()
        except BaseException:
            # The error of the work says more than that of a recording that it broke.
            with contextlib.suppress(RuntimeError):
                self._end(graph)
            raise
        self._end(graph)

    def _end(self, graph: torch.cuda.CUDAGraph) -> None:
        try:
            graph.capture_end()
        except RuntimeError:
            # Else every later allocation of the process would go to this graph's pool.
            with contextlib.suppress(Exception):
                torch._C._cuda_endAllocateToPool(torch.cuda.current_device(), self._pool)
            raise
