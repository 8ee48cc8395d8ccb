"""Students of other architectures than the recipe's, and in other precisions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ddcodec import UsageError, encode, load
from ddcodec.distill.networks import ConvNet
from ddcodec.evaluate.measure import train_students
from ddcodec.judge.students import fresh
from ddcodec.sources import Source

NET = ConvNet(1, 8, 8, 10, depth=2, filters=16)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, digits: Source) -> Path:
    out = tmp_path_factory.mktemp("students") / "x.ddset"
    encode(digits, ipc=1, steps=30, out=out, device="cpu")
    return out


@pytest.mark.parametrize("name", [None, "convnet3", "mobilenetv2"])
def test_fresh_weights_come_from_the_generator(name: str | None) -> None:
    before = torch.get_rng_state()
    a, b, c = (
        fresh(name, NET, torch.Generator().manual_seed(seed), CPU).parameters[0]
        for seed in (1, 1, 2)
    )
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_student_with_batch_norm_learns_and_is_tested_without_its_batch(
    path: Path, digits: Source
) -> None:
    ds, test = load(path), digits.require_test()
    settings = {"nets": 1, "steps": 40, "device": "cpu"}
    other = train_students(ds, test, architecture="convnet3", **settings)
    assert other.mean > 0.3
    assert other.mean != train_students(ds, test, **settings).mean
    again = train_students(ds, test, architecture="convnet3", **settings)
    assert again.per_net == other.per_net
    student = fresh("convnet3", NET, torch.Generator().manual_seed(1), CPU)
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    student.finish()
    whole, part = student.logits(x, torch.float32), student.logits(x[:2], torch.float32)
    assert torch.allclose(whole[:2], part, atol=1e-5)


def test_the_recipes_network_has_the_gradients_of_its_loss() -> None:
    student = fresh(None, NET, torch.Generator().manual_seed(1), CPU)
    g = torch.Generator().manual_seed(2)
    x, labels = torch.randn(6, 1, 8, 8, generator=g), torch.rand(6, 10, generator=g)
    (flat,) = student.parameters
    expected = torch.nn.functional.cross_entropy(NET(flat, x), labels)
    loss, (gradient,) = student.gradients(x, labels, torch.float32)
    torch.testing.assert_close(loss, expected.detach())
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, flat)[0])
    torch.testing.assert_close(student.logits(x, torch.float32), NET(flat, x).detach())


def test_dropout_is_keyed_by_the_student_and_its_step() -> None:
    pytest.importorskip("timm")
    net = ConvNet(3, 32, 32, 4)
    g = torch.Generator().manual_seed(2)
    x, labels = torch.randn(4, 3, 32, 32, generator=g), torch.rand(4, 4, generator=g)

    def losses(seed: int) -> list[float]:
        torch.rand(seed + 1)  # another state of the global generator every time
        student = fresh(
            "torchvision:mobilenet_v3_small", net, torch.Generator().manual_seed(1), CPU
        )
        return [float(student.gradients(x, labels, torch.float32)[0]) for _ in range(2)]

    first = losses(0)
    assert losses(5) == first
    assert first[0] != first[1]  # the same weights, another draw


def test_bfloat16_learns_as_well(path: Path, digits: Source) -> None:
    ds, test = load(path), digits.require_test()
    settings = {"nets": 1, "steps": 40, "device": "cpu"}
    half = train_students(ds, test, precision="bfloat16", **settings).mean
    assert half == pytest.approx(train_students(ds, test, **settings).mean, abs=0.1)


def test_an_unknown_architecture_is_named() -> None:
    with pytest.raises(UsageError, match="unknown architecture 'x'"):
        fresh("x", NET, torch.Generator(), CPU)
