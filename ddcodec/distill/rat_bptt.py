"""RaT-BPTT: gradients of a real batch's loss through the last steps of an inner training run.

Feng et al., "Embarrassingly simple dataset distillation", as used by PoDD (paper section 3). The
inner optimiser is Adam. Its adjoint and the network's second derivatives (``inner_step``) are
written by hand. The window runs forward once and is walked backwards step by step. Every step keeps
its state and gradient, and the last ones, as many as memory allows, both passes through the
network; the others make their passes again on the way back, to the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..nn.augment import augment
from ..nn.warp import resample
from ..runtime.rng import generator
from .convnet_grad import loss_gradient
from .inner_step import BETAS, InnerLoop, InnerStep, maps_of
from .networks import ConvNet

EPS = 1e-8  # the root of the inner Adam is sqrt(v + EPS^2), which has a derivative at 0

Real = tuple[Tensor, Tensor]  # images float32 (B, C, h, w), labels int64 (B,)


@dataclass(frozen=True)
class AdamState:
    """Parameters and moments, float32 (num_params,) each, after ``step`` steps."""

    flat: Tensor
    m: Tensor
    v: Tensor
    step: int

    @classmethod
    def fresh(cls, flat: Tensor) -> AdamState:
        """Return the state before the first step."""
        return cls(flat, torch.zeros_like(flat), torch.zeros_like(flat), 0)

    def clone(self) -> AdamState:
        """Return a copy with memory of its own."""
        return AdamState(self.flat.clone(), self.m.clone(), self.v.clone(), self.step)


@dataclass(frozen=True)
class MetaGradient:
    """Loss on the real batch (0-d), gradients for patches (P, C, h, w) and labels (P, n), end."""

    loss: Tensor
    grad_patches: Tensor
    grad_labels: Tensor
    end_state: AdamState


@dataclass(frozen=True)
class Inputs:
    """What an inner run works on.

    Attributes:
        state: where it begins.
        patches: float32 (P, C, h, w); labels: float32 (P, n).
        batches: of every step, int64 indices of patches; None is the whole set.
        real: float32 (B, C, h, w) and int64 (B,), what ``meta_gradient`` is the loss of.
    """

    state: AdamState
    patches: Tensor
    labels: Tensor
    batches: Sequence[Tensor | None]
    inner: InnerLoop
    real: Real | None = None

    @property
    def size(self) -> int | None:
        """Patches of a step; None is all."""
        return None if self.batches[0] is None else len(self.batches[0])


def inner_steps(net: ConvNet, inputs: Inputs, norms: list[Tensor] | None = None) -> AdamState:
    """Train on the distilled set, one step for each of the batches, without a way back.

    The norm (0-d) of every gradient is added to ``norms`` where it is given.
    """
    state = inputs.state
    for batch in inputs.batches:
        gradient = _step(net, state, inputs, batch).gradient()
        if norms is not None:
            norms.append(gradient.norm())
        state = _adam(state, gradient, inputs.inner)
    return state


def meta_gradient(net: ConvNet, inputs: Inputs, norms: list[Tensor] | None = None) -> MetaGradient:
    """Unroll one step for each of the batches and differentiate the loss of the real batch.

    ``norms`` takes the norm (0-d) of every inner gradient.
    """
    state, batches, inner = inputs.state, inputs.batches, inputs.inner
    largest = max((len(inputs.patches) if b is None else len(b) for b in batches), default=0)
    size = (inner.dtype or state.flat.dtype).itemsize
    kept = inner.kept_bytes // max(1, net.tape_numbers(largest) * size)
    states = [state]
    gradients: list[Tensor] = []
    steps: list[InnerStep] = []
    for t, batch in enumerate(batches):
        step, keep = _step(net, states[-1], inputs, batch), t >= len(batches) - kept
        gradients.append(step.gradient(keep))
        if norms is not None:
            norms.append(gradients[-1].norm())
        if keep:
            steps.append(step)
        states.append(_adam(states[-1], gradients[-1], inner))
    assert inputs.real is not None
    loss, back_flat = _real_loss(net, states[-1], *inputs.real, inner)
    back_m, back_v = torch.zeros_like(back_flat), torch.zeros_like(back_flat)
    grad_patches, grad_labels = torch.zeros_like(inputs.patches), torch.zeros_like(inputs.labels)
    for t in range(len(gradients) - 1, -1, -1):
        back_gradient, back_m, back_v = _adam_adjoint(
            states[t + 1], gradients[t], back_flat, back_m, back_v, inner
        )
        batch = batches[t]
        step = steps.pop() if steps else _step(net, states[t], inputs, batch)
        to_flat, to_images, to_labels = step.back(back_gradient)
        back_flat = back_flat + to_flat
        if batch is None:
            grad_patches += to_images
            grad_labels += to_labels
        else:
            grad_patches.index_add_(0, batch, to_images)
            grad_labels.index_add_(0, batch, to_labels)
    return MetaGradient(loss, grad_patches, grad_labels, states[-1])


def _step(net: ConvNet, state: AdamState, inputs: Inputs, batch: Tensor | None) -> InnerStep:
    x, y = inputs.patches, inputs.labels
    if batch is not None:
        x, y = x.index_select(0, batch), y.index_select(0, batch)
    return InnerStep.of(net, state.flat, x, y, state.step, inputs.inner)


def _adam(state: AdamState, gradient: Tensor, inner: InnerLoop) -> AdamState:
    b1, b2 = BETAS
    t = state.step + 1
    rate, factor = inner.rates(t)
    m = state.m * b1 + gradient * (1 - b1)
    v = state.v * b2 + gradient * gradient * (1 - b2)
    root = (v * factor + EPS**2).sqrt_()
    flat = state.flat - rate * m / root
    return AdamState(flat, m, v, t)


def _adam_adjoint(
    after: AdamState,
    gradient: Tensor,
    back_flat: Tensor,
    back_m: Tensor,
    back_v: Tensor,
    inner: InnerLoop,
) -> tuple[Tensor, Tensor, Tensor]:
    """Carry adjoints of (flat, m, v) after a step to adjoints of (gradient, m, v) before it.

    With rate a, factor c and r = sqrt(c v + eps^2): d flat / d m = -a / r, d flat / d v =
    a c m / (2 r^3).
    A parameter whose gradient has been zero in every step so far (v = 0) counts as a constant.
    """
    b1, b2 = BETAS
    rate, factor = inner.rates(after.step)
    root = (after.v * factor + EPS**2).sqrt_()
    # Its true derivative is 1 / eps: a kink that would drown every other contribution.
    root = root.masked_fill_(after.v == 0, float("inf"))
    step = back_flat * rate / root
    total_m = back_m - step
    # Two divisions by r, not one by r^3, which underflows float32 for tiny gradients.
    total_v = back_v + step * (after.m / root) / root * (0.5 * factor)
    back_gradient = (1 - b1) * total_m + (2 * (1 - b2)) * gradient * total_v
    return back_gradient, b1 * total_m, b2 * total_v


def _real_loss(
    net: ConvNet, state: AdamState, x: Tensor, y: Tensor, inner: InnerLoop
) -> tuple[Tensor, Tensor]:
    name, g = inner.augment, generator(inner.seed, "augment real")
    maps = maps_of(name, x, g) if inner.drawn is None else inner.drawn.real_maps
    x = augment(x, name, g) if maps is None else resample(x, maps)
    # Not F.one_hot, which reads the smallest and largest class back on some devices.
    hard = (y[:, None] == torch.arange(net.classes, device=y.device)).to(x.dtype)
    total = torch.zeros((), device=x.device, dtype=x.dtype)
    gradient = torch.zeros_like(state.flat)
    chunk = min(inner.real_chunk, net.at_once(x.device, inner.dtype or state.flat.dtype))
    for start in range(0, len(y), chunk):
        part = slice(start, start + chunk)
        tape = loss_gradient(net, state.flat, x[part], hard[part], inner.dtype)
        share = len(x[part]) / len(y)
        gradient.add_(tape.gradient, alpha=share)
        total += share * tape.loss
    return total, gradient
