"""Keyed randomness, networks, outer optimiser, pool, kernel stage."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from ddcodec.distill.kernel import kernel_gradient
from ddcodec.distill.networks import CPU_PASS_BYTES, ConvNet
from ddcodec.distill.outer import FINAL, EmaClip, OuterAdam, falling
from ddcodec.distill.pool import NetworkPool
from ddcodec.distill.rat_bptt import AdamState
from ddcodec.runtime.rng import generator


def test_a_key_depends_on_every_part_of_its_path() -> None:
    paths: list[tuple[int | str, ...]] = [(0,), (1,), (0, "a"), (0, "b"), (0, "a", 1), (0, 1, "a")]
    drawn = {float(torch.rand(1, generator=generator(0, *path))) for path in paths}
    drawn.add(float(torch.rand(1, generator=generator(1, 0))))
    assert len(drawn) == len(paths) + 1
    first = torch.rand(3, generator=generator(5, "x"))
    assert torch.equal(first, torch.rand(3, generator=generator(5, "x")))


def test_equal_keys_give_equal_networks_and_others_do_not() -> None:
    net = ConvNet(1, 8, 8, 10, depth=2, filters=16)
    first, again = net.init(generator(0, "a", 1)), net.init(generator(0, "a", 1))
    other = net.init(generator(0, "a", 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert 0.05 < float(first[: 16 * 9].std()) < 0.4


def test_outer_adam_equals_torch_and_survives_a_checkpoint() -> None:
    ours = [torch.ones(4), torch.full((3,), 2.0)]
    theirs = [t.clone().requires_grad_() for t in ours]
    reference = torch.optim.Adam(
        [{"params": [theirs[0]], "lr": 0.1}, {"params": [theirs[1]], "lr": 0.02}]
    )
    adam = OuterAdam(ours, [0.1, 0.02], betas=(0.9, 0.999))
    for i in range(6):
        gradients = [
            torch.randn(t.shape, generator=generator(i, "g", j)) for j, t in enumerate(ours)
        ]
        for t, g in zip(theirs, gradients, strict=True):
            t.grad = g.clone()
        reference.step()
        adam.step(gradients)
        if i == 2:
            state = adam.tensors()
            adam = OuterAdam(ours, [0.1, 0.02], betas=(0.9, 0.999))
            adam.restore(state)
    torch.testing.assert_close(ours[0], theirs[0].detach())
    torch.testing.assert_close(ours[1], theirs[1].detach())


def test_clipping_bounds_a_spike_and_leaves_calm_gradients_alone() -> None:
    clip = EmaClip()
    calm = torch.ones(4)
    for _ in range(20):
        assert torch.equal(clip(calm), calm)
    spike = clip(100 * calm)
    assert clip.mean is not None
    assert float(spike.norm()) == pytest.approx(2 * (0.9 * 2 + 0.1 * 200), rel=1e-4)
    assert bool(torch.isfinite(clip(torch.zeros(4))).all())


@pytest.mark.parametrize("decay", [0.0, 0.4, 1.0])
def test_rates_fall_over_the_last_part_to_the_final_share(decay: float) -> None:
    values = [falling(i, 100, decay) for i in range(101)]
    kept = round((1 - decay) * 100)
    assert values[: kept + 1] == [1.0] * (kept + 1)
    assert decay == 0 or values[-1] == pytest.approx(FINAL)
    assert values == sorted(values, reverse=True)
    assert len(set(values[kept:])) == 101 - kept


def test_the_kernel_gradient_lowers_its_own_loss() -> None:
    net = ConvNet(1, 8, 8, 3, depth=2, filters=8)
    g = generator(0, "kernel")
    flat = net.init(g)
    patches, labels = (
        torch.randn(6, 1, 8, 8, generator=g),
        F.one_hot(torch.arange(6) % 3, 3).float(),
    )
    x, y = torch.randn(40, 1, 8, 8, generator=g), torch.randint(3, (40,), generator=g)
    first, to_patches, to_labels = kernel_gradient(net, flat, patches, labels, x, y)
    moved = patches - 0.05 * to_patches / to_patches.norm()
    relabelled = labels - 0.05 * to_labels / to_labels.norm()
    assert kernel_gradient(net, flat, moved, labels, x, y)[0] < first
    assert kernel_gradient(net, flat, patches, relabelled, x, y)[0] < first


def test_a_restored_pool_goes_on_as_the_original() -> None:
    net = ConvNet(1, 8, 8, 3, depth=1, filters=4)
    pools = [NetworkPool(net, 3, (2, 4), 11, torch.device("cpu")) for _ in range(2)]

    def age(pool: NetworkPool, times: int) -> None:
        for i in range(times):
            s = pool[i % 3]
            pool.replace(i % 3, AdamState(s.flat + 1, s.m + 1, s.v, s.step + 1))

    age(pools[0], 7)
    pools[1].restore(pools[0].tensors())
    age(pools[0], 9)
    age(pools[1], 9)
    for slot in range(3):
        assert torch.equal(pools[0][slot].flat, pools[1][slot].flat)
        assert 0 <= pools[0][slot].step < 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("side", [8, 64, 224, 2048])
def test_as_many_images_pass_at_once_as_their_bound_holds(side: int, dtype: torch.dtype) -> None:
    net = ConvNet(3, side, side, 10)
    images = net.at_once(torch.device("cpu"), dtype)
    assert images == 1 or net.tape_numbers(images) * dtype.itemsize <= CPU_PASS_BYTES
    assert net.tape_numbers(images + 1) * dtype.itemsize > CPU_PASS_BYTES
