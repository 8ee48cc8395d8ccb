"""Recorded runs give what plain ones give, and anything that goes wrong goes on plainly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ddcodec.distill.inner_runs import MOST_WINDOWS, InnerRuns
from ddcodec.distill.inner_step import InnerLoop
from ddcodec.distill.networks import ConvNet
from ddcodec.distill.rat_bptt import AdamState, Inputs, inner_steps, meta_gradient
from ddcodec.runtime.rng import generator
from tests.helpers.replay import replay_recorder

NET = ConvNet(2, 8, 8, 4, depth=2, filters=6)
AUGMENTATIONS = ["none", "flip_rotate", "shift_rotate"]


class Counted:
    """A recorder that counts its recordings and their replays."""

    def __init__(self) -> None:
        self.recordings = self.replays = 0

    def __call__(self, work: Callable[[], None]) -> Callable[[], None]:
        replay = replay_recorder(work)
        self.recordings += 1

        def counted() -> None:
            self.replays += 1
            replay()

        return counted


def problem(key: int) -> tuple[AdamState, Tensor, Tensor, Tensor, Tensor]:
    g = generator(key, "problem")
    patches = torch.randn(10, 2, 8, 8, generator=g, dtype=torch.float64)
    labels = torch.rand(10, 4, generator=g, dtype=torch.float64).softmax(1)
    real = torch.randn(9, 2, 8, 8, generator=g, dtype=torch.float64)
    state = AdamState.fresh(NET.init(g).double())
    return state, patches, labels, real, torch.randint(4, (9,), generator=g)


def batches(key: int, steps: int, whole: bool) -> list[Tensor | None]:
    g = generator(key, "batches")
    return [None if whole else torch.randperm(10, generator=g)[:6] for _ in range(steps)]


def close(found: Tensor, expected: Tensor) -> None:
    # Float32 maps move pixels by a ten-millionth, which Adam's first steps enlarge.
    assert float((found - expected).norm() / expected.norm()) < 1e-4


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
@pytest.mark.parametrize("whole", [True, False])
def test_recorded_steps_and_windows_give_what_plain_ones_give(
    augmentation: str, whole: bool
) -> None:
    recorder = Counted()
    notes: list[str] = []
    runs = InnerRuns(NET, recorder, notes.append)
    for key in range(3):
        start, patches, labels, real_x, real_y = problem(key)
        inner = InnerLoop(
            lr=0.01,
            augment=augmentation,
            seed=(0, 3, 6)[key],  # a flip, a crop and a rotation of the real batch
            real_chunk=5,
        )
        before = batches(key, (5, 70, 3)[key], whole)  # one of them over the rows of a recording
        state = runs.advance(Inputs(start, patches, labels, before, inner))
        plain = inner_steps(NET, Inputs(start, patches, labels, before, inner))
        close(state.flat, plain.flat)
        close(state.v, plain.v)
        assert state.step == plain.step == len(before)
        window = batches(key + 10, 4, whole)
        found = runs.unroll(Inputs(plain, patches, labels, window, inner, (real_x, real_y)))
        expected = meta_gradient(
            NET, Inputs(plain, patches, labels, window, inner, (real_x, real_y))
        )
        close(found.loss, expected.loss)
        close(found.grad_patches, expected.grad_patches)
        close(found.grad_labels, expected.grad_labels)
        close(found.end_state.flat, expected.end_state.flat)
        assert found.end_state.step == expected.end_state.step
    chosen = {
        int(torch.randint(3, (1,), generator=generator(s, "augment real"))) for s in (0, 3, 6)
    }
    assert chosen == {0, 1, 2}
    assert not notes
    assert recorder.recordings == 2
    assert recorder.replays == 5 + 70 + 3 + 3


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_plain_first_and_later_runs_give_the_same_bits(dtype: torch.dtype | None) -> None:
    # So a resumed run, which records anew, ends as one that was never interrupted.
    old = InnerRuns(NET, Counted())
    inner = InnerLoop(lr=0.01, dtype=dtype)
    for key in range(3):
        start, *data = (x.float() if isinstance(x, Tensor) else x for x in problem(key))
        flat = start.flat.float()
        state = AdamState.fresh(flat)
        patches, labels, real_x, real_y = data
        real = real_x, real_y.long()
        before, window = batches(key, 30, whole=False), batches(key + 10, 8, whole=False)
        found = []
        for runs in (old, InnerRuns(NET, Counted()), InnerRuns(NET, None)):
            end = runs.advance(Inputs(state, patches, labels, before, inner))
            meta = runs.unroll(Inputs(end, patches, labels, window, inner, real))
            found.append((end.flat, meta.loss, meta.grad_patches, meta.end_state.v))
        for other in found[1:]:
            assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_a_run_that_diverges_does_not_stop_the_recording() -> None:
    runs = InnerRuns(NET, Counted())
    state, patches, labels, real_x, real_y = problem(0)
    real = real_x, real_y
    inputs = Inputs(state, patches * float("nan"), labels, [None] * 3, InnerLoop(lr=0.01), real)
    assert runs.advance(inputs).flat.isnan().any()
    assert runs.unroll(inputs).loss.isnan()
    assert runs.recorded == (1, 1)


def test_results_are_not_overwritten_by_the_next_replay() -> None:
    runs = InnerRuns(NET, Counted())
    inner = InnerLoop(lr=0.01)
    kept = []
    for key in range(4):
        state, patches, labels, real_x, real_y = problem(key)
        found = runs.unroll(Inputs(state, patches, labels, [None] * 3, inner, (real_x, real_y)))
        moved = runs.advance(Inputs(state, patches, labels, [None] * 3, inner))
        parts = (found.loss, found.grad_patches, found.end_state.m, moved.flat)
        kept.append([(part, part.clone()) for part in parts])
    for pairs in kept:
        assert all(torch.equal(part, copy) for part, copy in pairs)


def test_other_settings_are_recorded_anew_and_the_oldest_window_goes() -> None:
    recorder = Counted()
    runs = InnerRuns(NET, recorder)
    state, patches, labels, real_x, real_y = problem(0)
    inner = InnerLoop(lr=0.01)
    for steps in (2, 3, 4, 5):
        for rate in (0.01, 0.02):
            other = replace(inner, lr=rate)
            expected = meta_gradient(
                NET, Inputs(state, patches, labels, [None] * steps, other, (real_x, real_y))
            )
            for _ in range(2):
                found = runs.unroll(
                    Inputs(state, patches, labels, [None] * steps, other, (real_x, real_y))
                )
                close(found.grad_patches, expected.grad_patches)
    assert recorder.recordings == 8
    assert runs.recorded == (0, MOST_WINDOWS)


@pytest.mark.parametrize("what", ["advance", "unroll"])
@pytest.mark.parametrize("fault", ["cannot record", "wrong"])
def test_a_recording_that_fails_or_errs_is_dropped_with_one_note(what: str, fault: str) -> None:
    def broken(work: Callable[[], None]) -> Callable[[], None]:
        if fault == "cannot record":
            raise RuntimeError("CUDA error: operation not permitted\nmore lines")
        work()
        return lambda: None  # replays nothing

    notes: list[str] = []
    runs = InnerRuns(NET, broken, notes.append)
    state, patches, labels, real_x, real_y = problem(0)
    inner = InnerLoop(lr=0.01)
    for _ in range(2):
        if what == "advance":
            expected = inner_steps(NET, Inputs(state, patches, labels, [None] * 3, inner)).flat
            found = runs.advance(Inputs(state, patches, labels, [None] * 3, inner)).flat
        else:
            expected = meta_gradient(
                NET, Inputs(state, patches, labels, [None] * 3, inner, (real_x, real_y))
            ).grad_patches
            found = runs.unroll(
                Inputs(state, patches, labels, [None] * 3, inner, (real_x, real_y))
            ).grad_patches
        assert torch.equal(found, expected)
    assert len(notes) == 1
    assert "\n" not in notes[0]
    assert ("not permitted" if fault == "cannot record" else "another result") in notes[0]


def test_norms_unknown_augmentations_and_mixed_batches_are_not_recorded() -> None:
    recorder = Counted()
    runs = InnerRuns(NET, recorder)
    state, patches, labels, _, _ = problem(0)
    norms: list[Tensor] = []
    plain, other = InnerLoop(lr=0.01), InnerLoop(lr=0.01, augment="dsa")
    runs.advance(Inputs(state, patches, labels, [None] * 3, plain), norms)
    assert len(norms) == 3
    runs.advance(Inputs(state, patches, labels, [None], other))
    runs.advance(Inputs(state, patches, labels, [None, torch.tensor([1, 2])], plain))
    runs.advance(Inputs(state, patches, labels, [], plain))
    assert recorder.recordings == 0


def test_only_a_gpu_records() -> None:
    assert InnerRuns.on(torch.device("cpu"), NET)._recorder is None
    assert InnerRuns.on(torch.device("cuda"), NET)._recorder is not None
