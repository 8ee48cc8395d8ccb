"""What a recording of inner runs reads and writes: always the same memory.

A recorded operation knows addresses, not arguments. So each recording owns its inputs, which a run
fills before it replays, and its results, which a run copies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..nn.warp import draw
from ..runtime.rng import generator
from .networks import ConvNet
from .rat_bptt import AdamState, Drawn, InnerLoop, MetaGradient, inner_steps, meta_gradient

# Takes some work, runs it once, records it and returns what replays it.
Recorder = Callable[[Callable[[], None]], Callable[[], None]]
Real = tuple[Tensor, Tensor]  # images float32 (B, C, h, w), labels int64 (B,)
ROWS = 64  # plain steps whose draws are carried over together


@dataclass(frozen=True)
class Inputs:
    """The arguments of ``inner_steps``, and of ``meta_gradient`` without the real batch."""

    state: AdamState
    patches: Tensor
    labels: Tensor
    batches: Sequence[Tensor | None]
    inner: InnerLoop

    @property
    def size(self) -> int | None:
        """Patches of a step; None is all."""
        return None if self.batches[0] is None else len(self.batches[0])

    @property
    def settings(self) -> InnerLoop:
        """What a recording is bound to: all but the random numbers."""
        return replace(self.inner, seed=0, drawn=None)


class PlainStep:
    """One training step, in place, with the next row of what was drawn."""

    def __init__(self, net: ConvNet, like: Inputs) -> None:
        self._net = net
        self._inner = like.settings
        self._memory = _Memory(like)
        self._rows = _Rows(ROWS, like)
        self._row = torch.zeros(1, dtype=torch.int64, device=like.patches.device)
        self._replay: Callable[[], None] = lambda: None

    def record(self, recorder: Recorder) -> None:
        """Record the step; raises RuntimeError where the device cannot."""
        self._replay = recorder(self._work)

    def _work(self) -> None:
        batches, drawn = self._rows.read(self._row)
        m = self._memory
        inner = replace(self._inner, drawn=drawn)
        m.keep(inner_steps(self._net, m.state(), m.patches, m.labels, batches, inner))
        self._row.add_(1)

    def run(self, inputs: Inputs) -> AdamState:
        """Return the state after all batches of ``inputs``."""
        self._memory.take(inputs)
        count = len(inputs.batches)
        for start in range(0, count, ROWS):
            some = inputs.batches[start : start + ROWS]
            self._rows.take(some, inputs.state.step + start, inputs.inner)
            self._row.zero_()
            for _ in some:
                self._replay()
        return self._memory.state(inputs.state.step + count).clone()


class Window:
    """A whole window: forward, the loss of the real batch, and back."""

    def __init__(self, net: ConvNet, like: Inputs, real: Real) -> None:
        self._net = net
        self._inner = like.settings
        self._memory = _Memory(like)
        self._rows = _Rows(len(like.batches), like)
        self._real_x, self._real_y = torch.zeros_like(real[0]), torch.zeros_like(real[1])
        self._real_maps: Tensor | None = None
        if like.inner.augment != "none":
            self._real_maps = self._real_x.new_zeros(len(self._real_x), 2, 3)
        self._result: MetaGradient | None = None
        self._replay: Callable[[], None] = lambda: None

    def record(self, recorder: Recorder) -> None:
        """Record the window; raises RuntimeError where the device cannot."""
        self._replay = recorder(self._work)

    def _work(self) -> None:
        batches, drawn = self._rows.read(None)
        m, real = self._memory, (self._real_x, self._real_y)
        inner = replace(self._inner, drawn=replace(drawn, real_maps=self._real_maps))
        self._result = meta_gradient(
            self._net, m.state(), m.patches, m.labels, batches, *real, inner
        )

    def run(self, inputs: Inputs, real: Real) -> MetaGradient:
        """Return what ``meta_gradient`` returns for as many steps as were recorded."""
        first = inputs.state.step
        self._memory.take(inputs)
        self._rows.take(inputs.batches, first, inputs.inner)
        self._real_x.copy_(real[0])
        self._real_y.copy_(real[1])
        if self._real_maps is not None:
            g = generator(inputs.inner.seed, "augment real")
            _upload(draw(inputs.inner.augment, self._real_x.shape, g), self._real_maps)
        self._replay()
        found = self._result
        assert found is not None
        return MetaGradient(
            found.loss.clone(),
            found.grad_patches.clone(),
            found.grad_labels.clone(),
            replace(found.end_state, step=first + len(inputs.batches)).clone(),
        )


class _Memory:
    """A state of the network, patches and labels.

    Patches are zeros at first, so that a recording that computes nothing is found out.
    """

    def __init__(self, like: Inputs) -> None:
        self.patches, self.labels = torch.zeros_like(like.patches), torch.zeros_like(like.labels)
        self._state = like.state.clone()

    def take(self, inputs: Inputs) -> None:
        self.keep(inputs.state)
        self.patches.copy_(inputs.patches)
        self.labels.copy_(inputs.labels)

    def keep(self, state: AdamState) -> None:
        self._state.flat.copy_(state.flat)
        self._state.m.copy_(state.m)
        self._state.v.copy_(state.v)

    def state(self, step: int = 0) -> AdamState:
        return replace(self._state, step=step)


class _Rows:
    """What differs from step to step, a row a step."""

    def __init__(self, rows: int, like: Inputs) -> None:
        patches, size = like.patches, like.size
        self._shape = (size or len(patches), *patches.shape[1:])
        self._index: Tensor | None = None
        if size is not None:
            self._index = torch.zeros(rows, size, dtype=torch.int64, device=patches.device)
        self._rates = like.state.flat.new_zeros(rows, 2)
        self._maps: Tensor | None = None
        if like.inner.augment != "none":
            self._maps = patches.new_zeros(rows, self._shape[0], 2, 3)

    def take(self, batches: Sequence[Tensor | None], first: int, inner: InnerLoop) -> None:
        """Take the draws of the steps that follow ``first`` ones."""
        count = len(batches)
        if self._index is not None:
            self._index[:count].copy_(torch.stack([b for b in batches if b is not None]))
        rates = [inner.rates(first + t + 1) for t in range(count)]
        _upload(torch.tensor(rates, dtype=torch.float64), self._rates[:count])
        if self._maps is not None:
            name, keys = inner.augment, range(first, first + count)
            maps = [draw(name, self._shape, generator(inner.seed, "augment", k)) for k in keys]
            _upload(torch.stack(maps), self._maps[:count])

    def read(self, row: Tensor | None) -> tuple[list[Tensor | None], Drawn]:
        """Return batches and draws: of the row that ``row`` (1,) counts, or of all."""

        def picked(tensor: Tensor) -> Tensor:
            return tensor if row is None else tensor.index_select(0, row)

        maps = None if self._maps is None else picked(self._maps)
        drawn = Drawn(picked(self._rates), maps)
        if self._index is None:
            return [None] * len(drawn.rates), drawn
        return list(picked(self._index).unbind()), drawn


def _upload(drawn: Tensor, memory: Tensor) -> None:
    # Converted first: a copy that also converts would wait for the device.
    memory.copy_(drawn.to(memory.dtype), non_blocking=True)
