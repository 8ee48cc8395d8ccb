"""Recordings of inner runs: what they read and write is always the same memory.

A recorded operation knows addresses, not arguments. So each recording owns its inputs, which a run
fills before it replays, and its results, which a run copies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..nn.warp import draw
from ..runtime.rng import generator
from .inner_step import Drawn
from .networks import ConvNet
from .rat_bptt import AdamState, Inputs, MetaGradient, inner_steps, meta_gradient

# Takes some work, runs it once, records it and returns what replays it.
Recorder = Callable[[Callable[[], None]], Callable[[], None]]
ROWS = 64  # plain steps whose draws are carried over together


class Recording:
    """Work on inputs of one shape, recorded once and replayed with others.

    Raises RuntimeError where the device cannot record.
    """

    title: ClassVar[str]
    plainly: ClassVar[Callable[..., Any]]  # does the same, operation by operation
    compared: ClassVar[tuple[str, ...]]  # attributes of a result

    def __init__(self, net: ConvNet, like: Inputs, recorder: Recorder, rows: int) -> None:
        self._net = net
        self._memory = Memory(rows, like)
        self._replay = recorder(self._work)

    @staticmethod
    def key(inputs: Inputs) -> tuple[object, ...]:
        """Return what a recording is bound to: shapes and settings, not random numbers."""
        settings = replace(inputs.inner, seed=0, drawn=None)
        return inputs.patches.shape, inputs.labels.shape, inputs.size, settings

    def _work(self) -> None:
        raise NotImplementedError

    def run(self, inputs: Inputs) -> Any:
        """Return what ``plainly`` returns."""
        raise NotImplementedError


class PlainStep(Recording):
    """One training step, in place, with the next row of what was drawn."""

    title = "step"
    plainly = staticmethod(inner_steps)
    compared = ("flat", "v")

    def __init__(self, net: ConvNet, like: Inputs, recorder: Recorder) -> None:
        self._row = torch.zeros(1, dtype=torch.int64, device=like.patches.device)
        super().__init__(net, like, recorder, ROWS)

    def _work(self) -> None:
        self._memory.keep(inner_steps(self._net, self._memory.read(self._row)))
        self._row.add_(1)

    def run(self, inputs: Inputs) -> AdamState:
        self._memory.take(inputs)
        first, count = inputs.state.step, len(inputs.batches)
        for start in range(0, count, ROWS):
            some = inputs.batches[start : start + ROWS]
            self._memory.take_rows(some, first + start, inputs)
            self._row.zero_()
            for _ in some:
                self._replay()
        return replace(self._memory.state, step=first + count).clone()


class Window(Recording):
    """A whole window: forward, the loss of the real batch, and back."""

    title = "window"
    plainly = staticmethod(meta_gradient)
    compared = ("grad_patches", "loss", "grad_labels")

    def __init__(self, net: ConvNet, like: Inputs, recorder: Recorder) -> None:
        super().__init__(net, like, recorder, len(like.batches))

    @staticmethod
    def key(inputs: Inputs) -> tuple[object, ...]:
        assert inputs.real is not None
        return (*Recording.key(inputs), len(inputs.batches), len(inputs.real[1]))

    def _work(self) -> None:
        self._result = meta_gradient(self._net, self._memory.read(None))

    def run(self, inputs: Inputs) -> MetaGradient:
        self._memory.take(inputs)
        self._memory.take_rows(inputs.batches, inputs.state.step, inputs)
        self._replay()
        found = self._result
        end = replace(found.end_state, step=inputs.state.step + len(inputs.batches)).clone()
        loss, grad_patches, grad_labels = found.loss, found.grad_patches, found.grad_labels
        return MetaGradient(loss.clone(), grad_patches.clone(), grad_labels.clone(), end)


class Memory:
    """Inputs of one shape, and what differs from step to step, a row a step.

    All is zeros at first, so that a recording that computes nothing is found out.
    """

    def __init__(self, rows: int, like: Inputs) -> None:
        patches, inner = torch.zeros_like(like.patches), replace(like.inner, seed=0)
        real = like.real
        if real is not None:
            real = torch.zeros_like(real[0]), torch.zeros_like(real[1])
        self._like = Inputs(
            like.state.clone(), patches, torch.zeros_like(like.labels), [], inner, real
        )
        self._shape = (like.size or len(patches), *patches.shape[1:])
        self._index = None
        if like.size is not None:
            self._index = torch.zeros(rows, like.size, dtype=torch.int64, device=patches.device)
        self._rates = like.state.flat.new_zeros(rows, 2)
        self._maps = self._real_maps = None
        if inner.augment != "none":
            self._maps = patches.new_zeros(rows, self._shape[0], 2, 3)
            if real is not None:
                self._real_maps = patches.new_zeros(len(real[0]), 2, 3)

    @property
    def state(self) -> AdamState:
        return self._like.state

    def keep(self, state: AdamState) -> None:
        """Copy a state, but for its number of steps."""
        self.state.flat.copy_(state.flat)
        self.state.m.copy_(state.m)
        self.state.v.copy_(state.v)

    def take(self, inputs: Inputs) -> None:
        """Copy all but what differs from step to step."""
        self.keep(inputs.state)
        self._like.patches.copy_(inputs.patches)
        self._like.labels.copy_(inputs.labels)
        for memory, part in zip(self._like.real or (), inputs.real or (), strict=True):
            memory.copy_(part)
        if self._real_maps is not None and self._like.real is not None:
            g = generator(inputs.inner.seed, "augment real")
            maps = draw(inputs.inner.augment, self._like.real[0].shape, g)
            _upload(maps, self._real_maps)

    def take_rows(self, batches: Sequence[Tensor | None], first: int, inputs: Inputs) -> None:
        """Take the draws of the steps that follow ``first`` ones."""
        count, inner = len(batches), inputs.inner
        if self._index is not None:
            self._index[:count].copy_(torch.stack([b for b in batches if b is not None]))
        rates = [inner.rates(first + t + 1) for t in range(count)]
        _upload(torch.tensor(rates, dtype=torch.float64), self._rates[:count])
        if self._maps is not None:
            keys = range(first, first + count)
            maps = [
                draw(inner.augment, self._shape, generator(inner.seed, "augment", k)) for k in keys
            ]
            _upload(torch.stack(maps), self._maps[:count])

    def read(self, row: Tensor | None) -> Inputs:
        """Return inputs in this memory, of the row that ``row`` (1,) counts, or of all."""

        def picked(tensor: Tensor) -> Tensor:
            return tensor if row is None else tensor.index_select(0, row)

        maps = None if self._maps is None else picked(self._maps)
        drawn = Drawn(picked(self._rates), maps, self._real_maps)
        batches: Sequence[Tensor | None] = [None] * len(drawn.rates)
        if self._index is not None:
            batches = picked(self._index).unbind()
        inner = replace(self._like.inner, drawn=drawn)
        return replace(self._like, state=replace(self.state, step=0), batches=batches, inner=inner)


def _upload(drawn: Tensor, memory: Tensor) -> None:
    # Converted first: a copy that also converts would wait for the device.
    memory.copy_(drawn.to(memory.dtype), non_blocking=True)
