"""Inner runs as CUDA graphs: recorded once, replayed with other numbers in the same memory.

A step of a small network is some hundred operations that a GPU finishes sooner than a processor
starts them. A graph starts them all at once. What differs between steps (batches, augmentation,
Adam's corrections) is drawn beforehand and carried over in one piece, so nothing waits for the
processor between two steps.

The first run of each recording is also computed operation by operation. Where the two disagree,
or nothing can be recorded, everything goes on operation by operation and a note says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from .networks import ConvNet
from .rat_bptt import AdamState, MetaGradient, inner_steps, meta_gradient
from .recording import Inputs, PlainStep, Real, Recorder, Window
from .warp import WARPS

T = TypeVar("T")
MOST_RECORDINGS = 2  # of windows: each keeps the memory of a whole one
TOLERANCE = 0.05  # relative; the same kernels in the same order should differ in nothing


def cuda_recorder(work: Callable[[], None]) -> Callable[[], None]:
    """Return what replays the operations of ``work``, which is run once before it is recorded."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # libraries choose kernels and take memory: not in a graph
        work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    # Other threads (of NCCL, say) may go on asking the device for what they like.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        work()
    return graph.replay


class InnerRuns:
    """``inner_steps`` and ``meta_gradient`` of one network, recorded where ``recorder`` is given.

    Args:
        net: the student.
        recorder: makes a replay of some work, ``cuda_recorder`` on GPUs; None records nothing.
        note: told once where recording fails.
    """

    def __init__(
        self, net: ConvNet, recorder: Recorder | None, note: Callable[[str], None] | None = None
    ) -> None:
        self._net = net
        self._recorder = recorder
        self._note = note or (lambda text: None)
        self._plain: dict[object, PlainStep] = {}
        self._windows: dict[object, Window] = {}

    @classmethod
    def on(
        cls, device: torch.device, net: ConvNet, note: Callable[[str], None] | None = None
    ) -> InnerRuns:
        """Return the runs that suit a device: recorded on a GPU."""
        return cls(net, cuda_recorder if device.type == "cuda" else None, note)

    def advance(self, inputs: Inputs, norms: list[Tensor] | None = None) -> AdamState:
        """Return what ``inner_steps`` returns."""
        i = inputs

        def plainly() -> AdamState:
            return inner_steps(self._net, i.state, i.patches, i.labels, i.batches, i.inner, norms)

        if not self._can_record(inputs, norms):
            return plainly()
        key = (i.patches.shape, i.labels.shape, i.size, i.settings)
        step = self._plain.get(key)
        if step is not None:
            return step.run(inputs)
        expected = plainly()
        try:
            step = PlainStep(self._net, inputs)
            step.record(self._recording())
            found = step.run(inputs)
        except RuntimeError as error:
            return self._gives_up(str(error), expected)
        if not _agree((found.flat - i.state.flat, expected.flat - i.state.flat)):
            return self._gives_up("a recorded step gave another result", expected)
        self._plain[key] = step
        return expected

    def unroll(self, inputs: Inputs, real: Real, norms: list[Tensor] | None = None) -> MetaGradient:
        """Return what ``meta_gradient`` returns."""
        i = inputs

        def plainly() -> MetaGradient:
            return meta_gradient(
                self._net, i.state, i.patches, i.labels, i.batches, *real, i.inner, norms
            )

        if not self._can_record(inputs, norms):
            return plainly()
        lengths = (len(i.batches), i.size, len(real[1]))
        key = (i.patches.shape, i.labels.shape, lengths, i.settings)
        window = self._windows.get(key)
        if window is not None:
            return window.run(inputs, real)
        expected = plainly()
        if len(self._windows) >= MOST_RECORDINGS:
            return expected
        try:
            window = Window(self._net, inputs, real)
            window.record(self._recording())
            found = window.run(inputs, real)
        except RuntimeError as error:
            return self._gives_up(str(error), expected)
        pairs = [(found.grad_patches, expected.grad_patches), (found.loss, expected.loss)]
        if not _agree(*pairs, (found.grad_labels, expected.grad_labels)):
            return self._gives_up("a recorded window gave another result", expected)
        self._windows[key] = window
        return expected

    def _can_record(self, inputs: Inputs, norms: list[Tensor] | None) -> bool:
        movable = ("none", *WARPS)
        return (
            self._recorder is not None
            and norms is None
            and len({None if b is None else len(b) for b in inputs.batches}) == 1
            and inputs.inner.augment_synthetic in movable
            and inputs.inner.augment_real in movable
        )

    def _recording(self) -> Recorder:
        assert self._recorder is not None
        return self._recorder

    def _gives_up(self, why: str, result: T) -> T:
        self._recorder = None
        self._plain.clear()
        self._windows.clear()
        reason = why.strip().splitlines()[0] if why.strip() else "no reason given"
        self._note(f"steps are not recorded on this device, which is slower: {reason}")
        return result


def _agree(*pairs: tuple[Tensor, Tensor]) -> bool:
    """Say whether each first tensor is the second but for rounding; waits for the device."""
    for found, expected in pairs:
        if not bool((found - expected).norm() <= TOLERANCE * expected.norm() + 1e-12):
            return False
    return True
