"""The observers' shapes, and that weights come from the given generator alone."""

from __future__ import annotations

import pytest
import torch

from ddcodec.errors import UsageError
from ddcodec.observers.build import build, initialise
from ddcodec.observers.networks import ARCHITECTURES


def fresh(name: str, shape: tuple[int, int, int], classes: int, seed: int = 0):  # type: ignore[no-untyped-def]
    network = initialise(build(name, *shape, classes), torch.Generator().manual_seed(seed))
    return network.eval()


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (3, 20, 36)])
def test_images_of_any_size_give_logits_and_deep_features(
    name: str, shape: tuple[int, int, int]
) -> None:
    network = fresh(name, shape, 7)
    x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert network(x).shape == (2, 7)
        features = network.features(x)
    assert features.shape[0] == 2
    assert features.ndim == 4
    assert torch.isfinite(features).all()


# Parameters of the published networks: He et al. and Sandler et al. with 10 classes, CIFAR stems;
# the ConvNets are 128 x (9 x in + 2) a block and a head over 4x4x128 features.
@pytest.mark.parametrize(
    ("name", "count"),
    [("convnet3", 319_626), ("resnet18", 11_173_962), ("mobilenetv2", 2_236_682)],
)
def test_networks_have_the_published_number_of_parameters(name: str, count: int) -> None:
    network = build(name, 3, 32, 32, 10)
    assert sum(weight.numel() for weight in network.parameters()) == count


@pytest.mark.parametrize("side", [32, 64, 224])
def test_stems_reduce_only_large_images(side: int) -> None:
    for name, reduction in (("resnet18", 8), ("mobilenetv2", 8)):
        network = build(name, 3, side, side, 10)
        out = network.features(torch.empty(1, 3, side, side, device="meta"))
        assert out.shape[-1] == side // (reduction if side <= 64 else 32)


def test_a_convnet_is_compared_in_the_block_before_the_last() -> None:
    for name, channels in (("convnet3", (128, 8, 8)), ("convnet4", (128, 4, 4))):
        features = build(name, 3, 32, 32, 10).features(torch.empty(1, 3, 32, 32, device="meta"))
        assert tuple(features.shape[1:]) == channels


def test_weights_come_from_the_generator_and_leave_the_global_one_alone() -> None:
    before = torch.get_rng_state()
    a, b, c = (fresh("mobilenetv2", (3, 16, 16), 3, seed).state_dict() for seed in (4, 4, 5))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["blocks.0.0.weight"], c["blocks.0.0.weight"])


def test_an_unknown_architecture_names_those_that_are_known() -> None:
    with pytest.raises(UsageError, match=r"unknown architecture 'vgg'; known: convnet3"):
        build("vgg", 3, 32, 32, 10)
