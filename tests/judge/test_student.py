"""Students: the recipe's network and others, what is random in them, other precisions."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddcodec import UsageError, encode, load
from ddcodec.evaluate.measure import train_students
from ddcodec.judge import student
from ddcodec.judge.networks import Halve, fresh
from ddcodec.judge.recipe import Recipe
from ddcodec.judge.student import endless_batches, train
from ddcodec.nn.views import drawn as drawn_views
from ddcodec.runtime.rng import generator
from ddcodec.sources import Source

RECIPE = Recipe((1, 8, 8), 10, 2, 16, 0.01, 3, 4, "flip")


class Numbered:
    """Images that say which they are."""

    def __init__(
        self, count: int, shares: tuple[float, ...] | None = None, variations: int = 1
    ) -> None:
        self.count, self.shares, self.variations = count, shares, variations

    def __len__(self) -> int:
        return self.count

    def gather(self, index: Tensor) -> Tensor:
        return index[:, None, None, None].float()


class Few(Numbered):
    """Images of noise, the same every time."""

    def __init__(self, image: tuple[int, int, int], count: int = 8) -> None:
        super().__init__(count)
        self.images = torch.randn(count, *image, generator=torch.Generator().manual_seed(2))

    def gather(self, index: Tensor) -> Tensor:
        return self.images[index]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, digits: Source) -> Path:
    out = tmp_path_factory.mktemp("students") / "x.ddset"
    encode(digits, ipc=1, steps=30, out=out, device="cpu")
    return out


@pytest.fixture(autouse=True)
def global_numbers_untouched() -> Iterator[None]:
    before = torch.get_rng_state()
    yield
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", [None, "convnet3", "mobilenetv2"])
def test_fresh_weights_come_from_the_generator(name: str | None) -> None:
    a, b, c = (
        next(fresh(RECIPE, torch.Generator().manual_seed(seed), name).parameters())
        for seed in (1, 1, 2)
    )
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_a_batch_in_parts_teaches_what_it_teaches_as_a_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images, labels = Few((1, 8, 8), 32), torch.eye(10)[torch.arange(32) % 10]
    recipe = replace(RECIPE, batch_size=32, augment="none", lr=1e-3)
    weights, told = [], []
    for most in (student.WHOLE_PIXELS, 32 * 64 - 1):
        monkeypatch.setattr(student, "WHOLE_PIXELS", most)
        monkeypatch.setattr(student, "PASS_BYTES", 1)  # at least eight go together
        network = fresh(recipe, torch.Generator().manual_seed(1))
        passes: list[int] = []
        network.register_forward_pre_hook(lambda _, x, n=passes: n.append(len(x[0])))
        train(network, images, labels, recipe, (0, 0), report=lambda *said: told.append(said[1]))
        weights.append([weight.detach().clone() for weight in network.parameters()])
        assert passes == ([32] * 3 if most > 32 * 64 else [2, 4] + [8] * 12)
    for a, b in zip(*weights, strict=True):
        assert torch.allclose(a, b, atol=1e-4)
    half = len(told) // 2
    assert torch.allclose(torch.stack(told[:half]), torch.stack(told[half:]), rtol=1e-4)


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
    student = fresh(RECIPE, torch.Generator().manual_seed(1), "convnet3")
    few = Few(RECIPE.image)
    train(student, few, torch.full((8, 10), 0.1), RECIPE, (0, 0))
    with torch.no_grad():
        torch.testing.assert_close(student(few.images)[:2], student(few.images[:2]))


@pytest.mark.parametrize("augment", ["flip", "dsa"])
def test_a_student_is_the_same_for_the_same_seed(augment: str) -> None:
    recipe = replace(RECIPE, augment=augment)

    def trained(seed: tuple[int, int]) -> Tensor:
        student = fresh(recipe, torch.Generator().manual_seed(1))
        train(student, Few(recipe.image), torch.eye(10)[:8], recipe, seed)
        return next(student.parameters()).detach()

    assert torch.equal(trained((0, 1)), trained((0, 1)))
    assert not torch.equal(trained((0, 1)), trained((0, 2)))


def test_dropout_is_keyed_by_the_student_and_has_another_draw_a_step() -> None:
    recipe = replace(RECIPE, steps=20, batch_size=8, augment="none", lr=0.0)

    def losses(index: int) -> list[float]:
        network = nn.Sequential(nn.Dropout(), fresh(recipe, torch.Generator().manual_seed(1)))
        found: list[float] = []
        few, labels = Few(recipe.image), torch.eye(10)[:8]
        train(
            network,
            few,
            labels,
            recipe,
            (0, index),
            report=lambda _, loss: found.append(float(loss)),
        )
        return found

    first = losses(0)
    assert losses(0) == first
    assert first[0] != first[1]  # the same weights and images
    assert losses(1) != first


def test_one_image_of_one_pixel_a_channel_is_learned() -> None:
    recipe = replace(RECIPE, image=(1, 4, 4), depth=4)  # its last block has one pixel
    network = fresh(recipe, torch.Generator().manual_seed(1))
    network(torch.zeros(1, 1, 4, 4)).sum().backward()
    assert all(torch.isfinite(weight.grad).all() for weight in network.parameters())


@pytest.mark.parametrize("size", [(2, 2), (8, 6), (9, 7), (3, 10)])
def test_halving_is_average_pooling(size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    ours, theirs = (x.clone().requires_grad_() for _ in range(2))
    out, wanted = Halve()(ours), nn.functional.avg_pool2d(theirs, 2)
    torch.testing.assert_close(out, wanted)
    (gradient,) = torch.autograd.grad(out, ours, out.detach() ** 2)
    (expected,) = torch.autograd.grad(wanted, theirs, out.detach() ** 2)
    assert torch.equal(gradient, expected)
    given = out.detach().double().requires_grad_()
    assert torch.autograd.gradgradcheck(Halve(), (x.double().requires_grad_(),), (given,))


def drawn(images: Numbered, batch_size: int, batches: int) -> list[list[int]]:
    """Return the numbers of the images in the first batches; labels must go with them."""
    found = []
    batch = endless_batches(images, torch.arange(len(images))[:, None], batch_size, 5)
    for _ in range(batches):
        x, y = next(batch)
        assert torch.equal(x.flatten().long(), y.flatten())
        found.append(y.flatten().tolist())
    return found


def test_sgd_steps_as_the_specification_says() -> None:
    recipe = replace(
        RECIPE, augment="none", optimizer="sgd", schedule="half", weight_decay=0.1, batch_size=8
    )
    images = Few(recipe.image)
    labels = torch.eye(10)[:8]
    network = fresh(recipe, torch.Generator().manual_seed(1))
    other = copy.deepcopy(network)
    train(network, images, labels, recipe, (0, 0))
    speed = [torch.zeros_like(p) for p in other.parameters()]
    for rate in (0.01, 0.01, 0.001):
        loss = F.cross_entropy(other(images.images), labels)
        found = torch.autograd.grad(loss, list(other.parameters()))
        with torch.no_grad():
            for p, v, g in zip(other.parameters(), speed, found, strict=True):
                v.mul_(0.9).add_(g + 0.1 * p)
                p.sub_(rate * v)
    for ours, theirs in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_a_set_that_fits_is_one_batch_and_others_come_in_epochs() -> None:
    assert drawn(Numbered(4), 4, 2) == [[0, 1, 2, 3]] * 2
    first, second, third, fourth = drawn(Numbered(7), 3, 4)
    assert len({*first, *second}) == len({*third, *fourth}) == 6
    assert [first, second] != [third, fourth]


def test_stages_are_drawn_by_their_shares_and_sets_in_turn() -> None:
    (epoch,) = drawn(Numbered(8, shares=(0.25, 0.75)), 8, 1)
    assert np.bincount([i // 4 for i in epoch]).tolist() == [2, 6]
    sets = [{i // 4 for i in batch} for batch in drawn(Numbered(8, variations=2), 8, 4)]
    assert sets == [{0}, {1}, {0}, {1}]


def test_bfloat16_learns_as_well(path: Path, digits: Source) -> None:
    ds, test = load(path), digits.require_test()
    settings = {"nets": 1, "steps": 40, "device": "cpu"}
    half = train_students(ds, test, precision="bfloat16", **settings).mean
    assert half == pytest.approx(train_students(ds, test, **settings).mean, abs=0.1)


def test_an_unknown_architecture_is_named() -> None:
    with pytest.raises(UsageError, match="unknown architecture 'x'"):
        fresh(RECIPE, torch.Generator(), "x")


class Certain:
    """A teacher who is sure that every view is of one class."""

    def __init__(self, label: int) -> None:
        self.answer, self.asked = torch.eye(10)[label], []

    def labels(self, views: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        self.asked.append((tuple(views.shape), dtype))
        return self.answer.expand(len(views), -1)

    def to(self, device: torch.device | str) -> Certain:
        del device
        return self


def first_losses(
    recipe: Recipe, teacher: Certain | None, precision: str = "float32"
) -> list[float]:
    found: list[float] = []
    network = fresh(recipe, torch.Generator().manual_seed(1))
    train(
        network, Few(recipe.image), torch.eye(10)[:8], recipe, (0, 0), precision,
        report=lambda _, loss: found.append(float(loss)), teacher=teacher,
    )  # fmt: skip
    return found


def test_a_teacher_labels_what_is_augmented_and_nothing_else() -> None:
    recipe, seen = replace(RECIPE, augment="views", steps=40, lr=0.01), Certain(3)
    losses = first_losses(recipe, seen)
    assert seen.asked == [((4, 1, 8, 8), torch.float32)] * 40
    assert losses[-1] < 0.2  # the labels of the images are of eight classes
    assert first_losses(recipe, None)[-1] > 0.5
    half = Certain(3)
    first_losses(replace(recipe, steps=1), half, "bfloat16")
    assert half.asked == [((4, 1, 8, 8), torch.bfloat16)]
    plain = Certain(3)
    assert first_losses(replace(RECIPE, augment="none"), plain) == first_losses(
        replace(RECIPE, augment="none"), None
    )
    assert plain.asked == []


def test_labels_are_mixed_where_images_are() -> None:
    recipe = replace(RECIPE, augment="views", steps=1, batch_size=8)
    network = fresh(recipe, torch.Generator().manual_seed(1))
    told: list[float] = []
    few, labels = Few(recipe.image), torch.eye(10)[:8]
    other = copy.deepcopy(network)
    train(network, few, labels, recipe, (2, 1), report=lambda _, loss: told.append(float(loss)))
    x, y = drawn_views(few.images, labels, "views", generator(2, "student augment", 1))
    assert told == [pytest.approx(F.cross_entropy(other(x), y).item(), rel=1e-5)]
