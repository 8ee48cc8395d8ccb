"""Inner runs as CUDA graphs: recorded once, replayed with other numbers in the same memory.

A step of a small network is some hundred operations that a GPU finishes sooner than a processor
starts them. A graph starts them all at once. What differs between steps (batches, augmentation,
Adam's rates) is drawn beforehand and carried over in a few pieces, so nothing waits for the
processor between two steps.

The first run of each recording is also computed operation by operation. Where the two disagree,
or nothing can be recorded, everything goes on operation by operation and a note says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from ..nn.warp import WARPS
from .cuda_graph import CudaRecorder
from .networks import ConvNet
from .rat_bptt import AdamState, MetaGradient, inner_steps, meta_gradient
from .recordable import Inputs, PlainStep, Real, Recorder, Window

T = TypeVar("T")
MOST_RECORDINGS = 2  # of windows, each with inputs and results of its own
TOLERANCE = 1e-3  # relative; the same operations in the same order should differ in nothing


class InnerRuns:
    """``inner_steps`` and ``meta_gradient`` of one network, recorded where ``recorder`` is given.

    All meta-batches of a process share one, since each recorded window keeps memory.

    Args:
        net: the student.
        recorder: makes a replay of some work, ``CudaRecorder`` on GPUs; None records nothing.
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
        return cls(net, CudaRecorder(device) if device.type == "cuda" else None, note)

    @property
    def recorded(self) -> tuple[int, int]:
        """How many kinds of plain steps and of windows are replayed."""
        return len(self._plain), len(self._windows)

    def advance(self, inputs: Inputs, norms: list[Tensor] | None = None) -> AdamState:
        """Return what ``inner_steps`` returns."""
        i = inputs

        def plainly() -> AdamState:
            return inner_steps(self._net, i.state, i.patches, i.labels, i.batches, i.inner, norms)

        recorder = self._recorder_for(inputs, norms)
        if recorder is None:
            return plainly()
        key = (i.patches.shape, i.labels.shape, i.size, i.settings)
        step = self._plain.get(key)
        if step is not None:
            return step.run(inputs)
        expected = plainly()
        try:
            step = PlainStep(self._net, inputs)
            step.record(recorder)
            found = step.run(inputs)
            if not _agree((found.flat, expected.flat), (found.v, expected.v)):
                return self._gives_up("a recorded step gave another result", expected)
        except RuntimeError as error:
            return self._gives_up(str(error), expected)
        self._plain[key] = step
        return found

    def unroll(self, inputs: Inputs, real: Real, norms: list[Tensor] | None = None) -> MetaGradient:
        """Return what ``meta_gradient`` returns."""
        i = inputs

        def plainly() -> MetaGradient:
            return meta_gradient(
                self._net, i.state, i.patches, i.labels, i.batches, *real, i.inner, norms
            )

        recorder = self._recorder_for(inputs, norms)
        if recorder is None:
            return plainly()
        lengths = (len(i.batches), i.size, len(real[1]))
        key = (i.patches.shape, i.labels.shape, lengths, i.settings)
        window = self._windows.get(key)
        if window is not None:
            return window.run(inputs, real)
        expected = plainly()
        while len(self._windows) >= MOST_RECORDINGS:
            del self._windows[next(iter(self._windows))]  # the oldest
        try:
            window = Window(self._net, inputs, real)
            window.record(recorder)
            found = window.run(inputs, real)
            pairs = [(found.grad_patches, expected.grad_patches), (found.loss, expected.loss)]
            if not _agree(*pairs, (found.grad_labels, expected.grad_labels)):
                return self._gives_up("a recorded window gave another result", expected)
        except RuntimeError as error:
            return self._gives_up(str(error), expected)
        self._windows[key] = window
        return found

    def _recorder_for(self, inputs: Inputs, norms: list[Tensor] | None) -> Recorder | None:
        """Return the recorder where these steps can be recorded."""
        movable = ("none", *WARPS)
        fits = (
            norms is None
            and len({None if b is None else len(b) for b in inputs.batches}) == 1
            and inputs.inner.augment in movable
        )
        return self._recorder if fits else None

    def _gives_up(self, why: str, result: T) -> T:
        self._recorder = None
        self._plain.clear()
        self._windows.clear()
        reason = why.strip().splitlines()[0] if why.strip() else "no reason given"
        self._note(f"steps are not recorded on this device, which is slower: {reason}")
        return result


def _agree(*pairs: tuple[Tensor, Tensor]) -> bool:
    """Say whether each first tensor is the second, or both are not finite; waits for the device."""
    for found, expected in pairs:
        difference = (found - expected).norm()
        if not bool(expected.isfinite().all()):
            if bool(found.isfinite().all()):
                return False
        elif not bool(difference <= TOLERANCE * expected.norm()):
            return False
    return True
