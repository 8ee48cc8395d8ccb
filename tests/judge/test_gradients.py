"""The judge's autograd and the engine's hand-written derivatives agree, and share no code."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddcodec.distill.convnet_grad import loss_gradient
from ddcodec.distill.networks import ConvNet as FlatNet
from ddcodec.judge.networks import fresh
from ddcodec.judge.recipe import Recipe

# (channels, height, width), depth, filters; the last pools no more in its second block.
SHAPES = {
    "grey 8x8": ((1, 8, 8), 2, 64),
    "rgb 32x32": ((3, 32, 32), 3, 32),
    "odd sides": ((2, 9, 7), 2, 5),
    "a side of one": ((2, 3, 10), 2, 4),
}


def both(name: str) -> tuple[nn.Module, FlatNet, Tensor, Tensor]:
    """Return the judge's network, the engine's, and images and labels in float64."""
    image, depth, filters = SHAPES[name]
    g = torch.Generator().manual_seed(1)
    network = fresh(Recipe(image, 10, depth, filters, 0.01, 1, 1, "none"), g).double()
    with torch.no_grad():
        for weight in network.parameters():  # norms too, away from 1 and 0
            weight += 0.1 * torch.randn(weight.shape, generator=g, dtype=torch.float64)
    x = torch.randn(6, *image, generator=g, dtype=torch.float64)
    labels = torch.rand(6, 10, generator=g, dtype=torch.float64)  # they need not sum to 1
    return network, FlatNet(*image, 10, depth, filters), x, labels


def flat_of(network: nn.Module) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])


@pytest.mark.parametrize(("dtype", "most"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("name", SHAPES)
def test_judge_and_engine_have_the_same_loss_and_gradients(
    name: str, dtype: torch.dtype, most: float
) -> None:
    network, net, x, labels = both(name)
    network, x, labels = network.to(dtype), x.to(dtype), labels.to(dtype)
    x.requires_grad_()
    loss = F.cross_entropy(network(x), labels)
    to_x, *gradients = torch.autograd.grad(loss, (x, *network.parameters()))
    tape = loss_gradient(net, flat_of(network), x.detach(), labels, images=True)
    assert tape.to_x is not None
    assert float((tape.loss / loss.detach() - 1).abs()) < most
    by_hand = [part.view_as(g) for part, g in zip(net.views(tape.gradient), gradients, strict=True)]
    # Layer by layer: a fault in a small one would drown in the norm of all.
    for theirs, ours in zip([tape.to_x, *by_hand], [to_x, *gradients], strict=True):
        assert float((theirs - ours).norm() / ours.norm()) < most


@pytest.mark.parametrize("name", SHAPES)
def test_fresh_weights_are_those_of_the_engine(name: str) -> None:
    image, depth, filters = SHAPES[name]
    recipe = Recipe(image, 10, depth, filters, 0.01, 1, 1, "none")
    network = fresh(recipe, torch.Generator().manual_seed(4))
    flat = FlatNet(*image, 10, depth, filters).init(torch.Generator().manual_seed(4))
    torch.testing.assert_close(flat_of(network), flat)


def test_the_judge_loads_nothing_of_the_engine() -> None:
    program = (
        "import sys, ddcodec.judge.trial\n"
        "print(*(m for m in sys.modules if m.startswith('ddcodec.')))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split()
    rooms = {name.split(".")[1] for name in loaded}
    assert not rooms & {"distill", "evaluate", "encoder"}
    # The registry is there with the package; no method is.
    assert {name for name in loaded if "codecs." in name} <= {"ddcodec.codecs.registry"}
