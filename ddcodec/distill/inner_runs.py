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
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..nn.warp import WARPS
from .cuda_graph import CudaRecorder
from .networks import ConvNet
from .rat_bptt import AdamState, Inputs, MetaGradient
from .recordable import PlainStep, Recorder, Recording, Window

MOST_WINDOWS = 2  # recorded, each with inputs and results of its own
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
        self._recordings: dict[tuple[object, ...], Recording] = {}

    @classmethod
    def on(
        cls, device: torch.device, net: ConvNet, note: Callable[[str], None] | None = None
    ) -> InnerRuns:
        """Return the runs that suit a device: recorded on a GPU."""
        return cls(net, CudaRecorder(device) if device.type == "cuda" else None, note)

    @property
    def recorded(self) -> tuple[int, int]:
        """How many kinds of plain steps and of windows are replayed."""
        windows = sum(kind is Window for kind, *_ in self._recordings)
        return len(self._recordings) - windows, windows

    def advance(self, inputs: Inputs, norms: list[Tensor] | None = None) -> AdamState:
        """Return what ``inner_steps`` returns."""
        end: AdamState = self._run(PlainStep, replace(inputs, real=None), norms)
        return end

    def unroll(self, inputs: Inputs, norms: list[Tensor] | None = None) -> MetaGradient:
        """Return what ``meta_gradient`` returns."""
        found: MetaGradient = self._run(Window, inputs, norms)
        return found

    def _run(self, kind: Any, inputs: Inputs, norms: list[Tensor] | None) -> Any:
        recorder = self._recorder_for(inputs, norms)
        if recorder is None:
            return kind.plainly(self._net, inputs, norms)
        key = (kind, *kind.key(inputs))
        if key in self._recordings:
            return self._recordings[key].run(inputs)
        expected = kind.plainly(self._net, inputs, norms)
        if kind is Window and self.recorded[1] >= MOST_WINDOWS:
            del self._recordings[next(k for k in self._recordings if k[0] is Window)]  # the oldest
        try:
            recording = kind(self._net, inputs, recorder)
            found = recording.run(inputs)
            pairs = ((getattr(found, p), getattr(expected, p)) for p in kind.compared)
            if not all(_agree(*pair) for pair in pairs):
                raise RuntimeError(f"a recorded {kind.title} gave another result")
        except RuntimeError as error:
            self._give_up(str(error).strip())
            return expected
        self._recordings[key] = recording
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

    def _give_up(self, why: str) -> None:
        self._recorder = None
        self._recordings.clear()
        reason = why.splitlines()[0] if why else "no reason given"
        self._note(f"steps are not recorded on this device, which is slower: {reason}")


def _agree(found: Tensor, expected: Tensor) -> bool:
    """Say whether both tensors are one, or neither is finite; waits for the device."""
    if not bool(expected.isfinite().all()):
        return not bool(found.isfinite().all())
    return bool((found - expected).norm() <= TOLERANCE * expected.norm())
