"""The hand-written adjoint against autograd through a plain unrolled chain."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ddcodec.distill import inner_step
from ddcodec.distill.convnet_grad import Tape, loss_gradient
from ddcodec.distill.inner_step import BETAS, InnerLoop
from ddcodec.distill.networks import ConvNet
from ddcodec.distill.rat_bptt import EPS, AdamState, Inputs, inner_steps, meta_gradient
from ddcodec.nn.augment import augment
from ddcodec.runtime.rng import generator
from tests.judge.plain import plain, soft_cross_entropy


def plain_meta_gradient(
    net: ConvNet,
    state: AdamState,
    patches: Tensor,
    labels: Tensor,
    batches: list[Tensor | None],
    real: tuple[Tensor, Tensor],
    inner: InnerLoop,
) -> tuple[Tensor, Tensor, Tensor]:
    """Unroll with one big graph: slow, obvious, the reference."""
    patches = patches.clone().requires_grad_()
    labels = labels.clone().requires_grad_()
    flat, m, v = state.flat.clone().requires_grad_(), state.m, state.v
    b1, b2 = BETAS
    for i, batch in enumerate(batches):
        x, y = (patches, labels) if batch is None else (patches[batch], labels[batch])
        step = state.step + i
        x = augment(x, inner.augment, generator(inner.seed, "augment", step))
        loss = soft_cross_entropy(plain(net, flat, x), y)
        (g,) = torch.autograd.grad(loss, flat, create_graph=True)
        t = step + 1
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g * g
        flat = flat - inner.lr * (m / (1 - b1**t)) / (v / (1 - b2**t) + EPS**2).sqrt()
    x = augment(real[0], inner.augment, generator(inner.seed, "augment real"))
    loss = F.cross_entropy(plain(net, flat, x), real[1])
    to_patches, to_labels = torch.autograd.grad(loss, (patches, labels))
    return loss.detach(), to_patches, to_labels


def problem(dtype: torch.dtype) -> tuple[ConvNet, AdamState, Tensor, Tensor, tuple[Tensor, Tensor]]:
    net = ConvNet(2, 8, 8, 4, depth=2, filters=6)
    g = generator(7, "problem")
    patches = torch.randn(10, 2, 8, 8, generator=g).to(dtype)
    labels = torch.rand(10, 4, generator=g).to(dtype).softmax(1)
    real = torch.randn(23, 2, 8, 8, generator=g).to(dtype), torch.randint(4, (23,), generator=g)
    state = AdamState.fresh(net.init(g).to(dtype))
    return net, state, patches, labels, real


def relative(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).norm() / b.double().norm())


@pytest.mark.parametrize("augmentation", ["none", "flip_rotate", "shift", "shift_rotate"])
@pytest.mark.parametrize("whole", [True, False])
def test_the_adjoint_equals_autograd_in_float64(augmentation: str, whole: bool) -> None:
    net, state, patches, labels, real = problem(torch.float64)
    inner = InnerLoop(lr=0.01, augment=augmentation, seed=5, real_chunk=7)
    g = generator(1, "batches")
    batches: list[Tensor | None] = [
        None if whole else torch.randperm(10, generator=g)[:6] for _ in range(6)
    ]
    state = inner_steps(net, Inputs(state, patches, labels, batches[:3], inner))
    got = meta_gradient(net, Inputs(state, patches, labels, batches, inner, real))
    loss, to_patches, to_labels = plain_meta_gradient(
        net, state, patches, labels, batches, real, inner
    )
    assert float((got.loss - loss).abs()) < 1e-12
    assert relative(got.grad_patches, to_patches) < 1e-9
    assert relative(got.grad_labels, to_labels) < 1e-9
    assert got.end_state.step == state.step + 6


def test_float32_stays_within_a_ten_thousandth_of_float64() -> None:
    inner = InnerLoop(lr=0.005)
    results = []
    for dtype in (torch.float32, torch.float64):
        net, state, patches, labels, real = problem(dtype)
        # Past the first steps, where Adam divides tiny numbers by each other.
        state = inner_steps(net, Inputs(state, patches, labels, [None] * 5, inner))
        results.append(meta_gradient(net, Inputs(state, patches, labels, [None] * 8, inner, real)))
    low, high = results
    assert relative(low.grad_patches, high.grad_patches) < 1e-4
    assert relative(low.grad_labels, high.grad_labels) < 1e-4


def test_a_parameter_that_never_gets_a_gradient_counts_as_a_constant() -> None:
    # Channel 1 is zero in every patch, so its weights never move; Adam's derivative there is
    # 1 / eps, and following it would drown the gradients of everything else.
    net, state, patches, labels, real = problem(torch.float64)
    patches[:, 1] = 0
    inner = InnerLoop(lr=0.01)
    got = meta_gradient(net, Inputs(state, patches, labels, [None] * 4, inner, real))
    _, to_patches, to_labels = plain_meta_gradient(
        net, state, patches, labels, [None] * 4, real, inner
    )
    assert relative(got.grad_patches[:, 0], to_patches[:, 0]) < 1e-9
    assert relative(got.grad_labels, to_labels) < 1e-9
    assert float(to_patches[:, 1].norm() / to_patches[:, 0].norm()) > 1e4
    assert 0 < float(got.grad_patches[:, 1].norm() / got.grad_patches[:, 0].norm()) < 10


@pytest.mark.parametrize("augmentation", ["none", "flip_rotate"])
def test_the_window_ends_where_plain_training_does(augmentation: str) -> None:
    net, state, patches, labels, real = problem(torch.float32)
    inner = InnerLoop(lr=0.01, augment=augmentation, seed=2)
    batches: list[Tensor | None] = [torch.tensor([0, 3, 4]), None, torch.tensor([9, 1])]
    end = inner_steps(net, Inputs(state, patches, labels, batches, inner))
    got = meta_gradient(net, Inputs(state, patches, labels, batches, inner, real))
    assert torch.equal(got.end_state.flat, end.flat)
    assert torch.equal(got.end_state.v, end.v)
    assert got.end_state.step == 3


@pytest.mark.parametrize("augmentation", ["none", "flip_rotate"])
def test_what_is_kept_changes_no_bit(augmentation: str) -> None:
    net, state, patches, labels, real = problem(torch.float32)
    batches: list[Tensor | None] = [torch.tensor([0, 3, 4]), None, torch.tensor([9, 1])]
    one_step = net.tape_numbers(10) * 4
    got = []
    for kept_bytes in (0, one_step, 1 << 40):
        inner = InnerLoop(lr=0.01, augment=augmentation, seed=2, kept_bytes=kept_bytes)
        got.append(meta_gradient(net, Inputs(state, patches, labels, batches, inner, real)))
    for other in got[1:]:
        assert torch.equal(other.grad_patches, got[0].grad_patches)
        assert torch.equal(other.grad_labels, got[0].grad_labels)
        assert torch.equal(other.end_state.flat, got[0].end_state.flat)


@pytest.mark.parametrize("augmentation", ["none", "shift"])
@pytest.mark.parametrize("kept_bytes", [0, 1 << 40])
def test_steps_in_parts_are_steps_in_one(
    augmentation: str, kept_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, state, patches, labels, real = problem(torch.float64)
    batches: list[Tensor | None] = [None, torch.tensor([0, 3, 4, 9]), None]
    inner = InnerLoop(lr=0.01, augment=augmentation, seed=2, kept_bytes=kept_bytes)
    inputs = Inputs(state, patches, labels, batches, inner, real)
    whole = meta_gradient(net, inputs)
    sizes = []

    def seen(net: ConvNet, flat: Tensor, x: Tensor, *more: Any) -> Tape:
        sizes.append(len(x))
        return loss_gradient(net, flat, x, *more)

    monkeypatch.setattr(inner_step, "loss_gradient", seen)
    monkeypatch.setattr(ConvNet, "at_once", lambda net, device, dtype: 3)
    parts = meta_gradient(net, inputs)
    once = [3, 3, 3, 1, 3, 1, 3, 3, 3, 1]
    assert sizes == (once if kept_bytes else [*once, *once[6:], *once[4:6], *once[:4]])
    for name in ("grad_patches", "grad_labels"):
        assert relative(getattr(parts, name), getattr(whole, name)) < 1e-10
    assert relative(parts.end_state.flat, whole.end_state.flat) < 1e-12


def test_the_size_of_a_real_chunk_changes_nothing_but_rounding() -> None:
    net, state, patches, labels, real = problem(torch.float64)
    whole, cut = (
        meta_gradient(
            net, Inputs(state, patches, labels, [None] * 2, InnerLoop(0.01, real_chunk=size), real)
        )
        for size in (500, 4)
    )
    assert relative(cut.grad_patches, whole.grad_patches) < 1e-10
    assert float((cut.loss - whole.loss).abs()) < 1e-12


def test_the_inner_step_is_the_usual_adam() -> None:
    net, state, patches, labels, _ = problem(torch.float32)
    theirs = state.flat.clone().requires_grad_()
    adam = torch.optim.Adam([theirs], lr=0.01)
    for _ in range(12):
        adam.zero_grad()
        soft_cross_entropy(plain(net, theirs, patches), labels).backward()
        adam.step()
    ours = inner_steps(net, Inputs(state, patches, labels, [None] * 12, InnerLoop(lr=0.01)))
    moved = (theirs.detach() - state.flat).norm()
    assert float((ours.flat - theirs.detach()).norm() / moved) < 1e-3


def test_inner_training_lowers_the_loss() -> None:
    net, state, patches, labels, _ = problem(torch.float32)
    hard = F.one_hot(labels.argmax(1), 4).float()
    after = inner_steps(net, Inputs(state, patches, hard, [None] * 40, InnerLoop(lr=0.01)))
    before_loss = soft_cross_entropy(plain(net, state.flat, patches), hard)
    assert soft_cross_entropy(plain(net, after.flat, patches), hard) < 0.2 * before_loss
