"""The networks of the field: they see images of any size, and learn by their own recipes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from ddcodec import MissingExtra, UsageError
from ddcodec.judge.field import STUDENTS, UNSETTLED, names_of, norm_of, way_of
from ddcodec.judge.networks import fresh
from ddcodec.judge.norms import ImageNorm, with_norm
from ddcodec.judge.recipe import Recipe
from ddcodec.judge.transformer import Transformer
from ddcodec.observers import zoo

RECIPE = Recipe((1, 8, 8), 10, 2, 16, 0.01, 3, 4, "none")


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def made(name: str, image: tuple[int, int, int] = (1, 8, 8), seed: int = 1) -> nn.Sequential:
    network = fresh(replace(RECIPE, image=image), torch.Generator().manual_seed(seed), name)
    assert isinstance(network, nn.Sequential)
    return network


@pytest.mark.parametrize("name", STUDENTS)
def test_networks_tell_images_of_any_size_apart(name: str) -> None:
    # Eight pixels become one in the deep networks, where instance norm alone leaves zeros.
    for image in ((1, 8, 8), (3, 5, 9)):
        network = made(name, image)
        logits = network(noise(4, *image))
        assert logits.shape == (4, 10)
        assert torch.isfinite(logits).all()
        assert logits.std(0).max() > 1e-3
        logits.square().sum().backward()
        for weight in network.parameters():
            assert weight.grad is not None
            assert torch.isfinite(weight.grad).all()


@pytest.mark.parametrize("name", STUDENTS)
def test_all_weights_come_from_the_generator(name: str) -> None:
    one, same, other = (list(made(name, seed=seed).parameters()) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", STUDENTS)
def test_the_norm_is_the_one_that_is_told(name: str) -> None:
    first, network = made(name)
    assert isinstance(first, ImageNorm)
    found = {type(module) for module in network.modules()}
    norms = {
        "batch": {nn.BatchNorm2d}, "group": {nn.GroupNorm}, "layer": {nn.LayerNorm}, "none": set(),
    }  # fmt: skip
    kinds = {kind for kind in found if "Norm" in kind.__name__}
    if norm_of(name) == "instance":
        assert {kind.__name__ for kind in kinds} == {"LastingInstanceNorm"}
    else:
        assert kinds == norms[norm_of(name)]


@pytest.mark.parametrize(
    ("name", "parameters"),
    # Convolutions without biases, norms and heads, counted by hand.
    [("vgg11", 9_228_362), ("resnet18-in", 11_173_962), ("mlp", 411_146)],
)
def test_networks_have_the_published_number_of_parameters(name: str, parameters: int) -> None:
    network = made(name, (3, 32, 32))
    assert sum(weight.numel() for weight in network.parameters()) == parameters


def test_places_weigh_more_than_patches_when_a_transformer_begins() -> None:
    # Else they are never learned from few samples.
    for image in ((1, 8, 8), (3, 32, 32)):
        _, network = made("vit", image)
        assert isinstance(network, Transformer)
        assert network.places.weight.std() > network.cut(noise(4, *image)).std()


@pytest.mark.parametrize("name", STUDENTS)
def test_brightness_and_contrast_of_an_image_say_nothing(name: str) -> None:
    # The file's own network does not see them, and statistics of batch norm would.
    network, x = made(name, (3, 8, 8)), noise(4, 3, 8, 8)
    network(x)  # statistics that are kept
    contrast, brightness = torch.tensor([0.5, 1, 2, 3])[:, None, None, None], noise(4, 3, 1, 1)
    other = contrast * x + brightness
    with torch.no_grad():
        network.eval()
        torch.testing.assert_close(network(other), network(x), rtol=1e-2, atol=1e-3)
    flat = ImageNorm()(torch.full((1, 3, 4, 4), 7.0))
    assert torch.equal(flat, torch.zeros(1, 3, 4, 4))


def test_an_image_norm_keeps_what_channels_are_worth_to_each_other() -> None:
    x = noise(2, 3, 8, 8) * torch.tensor([1.0, 2, 4])[:, None, None]
    out = ImageNorm()(x)
    torch.testing.assert_close(out.mean((2, 3)), torch.zeros(2, 3), atol=1e-6, rtol=0)
    torch.testing.assert_close(out.square().mean((1, 2, 3)), torch.ones(2), rtol=1e-4, atol=0)
    wanted = x.std((2, 3)) / x.std((2, 3))[:, :1]
    torch.testing.assert_close(out.std((2, 3)) / out.std((2, 3))[:, :1], wanted)


def test_an_instance_norm_keeps_what_one_pixel_says() -> None:
    layer = with_norm(nn.Sequential(nn.BatchNorm2d(8)), "instance")[0]
    x = noise(2, 8, 1, 1)
    out = layer(x)
    torch.testing.assert_close(out, nn.functional.group_norm(x, 1))
    wide = noise(2, 8, 3, 3)
    torch.testing.assert_close(layer(wide), nn.functional.instance_norm(wide))


def test_names_are_taken_once_and_all_means_every_one() -> None:
    assert names_of("vit, mlp,vit") == ["vit", "mlp"]
    assert names_of("all") == [name for name in STUDENTS if name not in UNSETTLED]
    assert names_of("all,mobilenetv2")[-1] == "mobilenetv2"
    assert names_of("mlp,all")[0] == "mlp"


@pytest.mark.parametrize("asked", ["", "vgg", "mlp,,vit", "convnet3_in"])
def test_an_unknown_name_is_refused(asked: str) -> None:
    with pytest.raises(UsageError, match=r"unknown architecture '.*'; known: convnet3, convnet3-"):
        names_of(asked)


def test_a_librarys_network_needs_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(library: str) -> list[str]:
        raise MissingExtra(f"{library}, whose models were asked for,", zoo.EXTRA)

    monkeypatch.setattr(zoo, "_known", absent)
    with pytest.raises(MissingExtra, match="observers"):
        names_of("timm:resnet18")


@given(st.integers(1, 300), st.floats(0, 1), st.floats(1e-4, 1))
def test_the_rate_rises_in_a_line_and_falls_by_a_cosine(
    steps: int, warmup: float, lr: float
) -> None:
    recipe = replace(RECIPE, steps=steps, warmup=warmup, lr=lr, schedule="cosine")
    rates = [recipe.rate(step) for step in range(steps)]
    rising = round(warmup * steps)
    assert all(0 < rate <= lr for rate in rates)
    assert rates[:rising] == sorted(rates[:rising])
    assert rates[rising:] == sorted(rates[rising:], reverse=True)
    assert rising == steps or rates[rising] == lr


@pytest.mark.parametrize("name", ["mlp", "timm:anything"])
def test_a_way_keeps_batches_and_augmentation_of_the_file(name: str) -> None:
    own = replace(RECIPE, steps=5000, augment="flip")
    way = way_of(name)
    recipe = way.recipe(own)
    assert (recipe.steps, recipe.batch_size, recipe.augment) == (5000, 4, "flip")
    assert (recipe.lr, recipe.schedule) == (way.lr, "cosine")
    assert way.recipe(replace(own, steps=1)).steps == way.steps
    assert way.recipe(own, 7).steps == 7
