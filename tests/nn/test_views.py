"""Views: crops that lie within the image, mixtures, and labels that follow both."""

from __future__ import annotations

import pickle

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ddcodec.errors import UsageError
from ddcodec.nn.augment import AUGMENTATIONS, augment
from ddcodec.nn.views import NAMES, VIEWS, Draw, crops, drawn, find_draw, mixture
from ddcodec.runtime.rng import generator


class Mean:
    """A teacher of two classes who looks at the mean of a view."""

    def __init__(self) -> None:
        self.asked: list[torch.dtype] = []

    def labels(self, views: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        self.asked.append(dtype)
        share = views.mean((1, 2, 3))
        return torch.stack([share, 1 - share], 1)

    def to(self, device: torch.device | str) -> Mean:
        del device
        return self


def pixels(n: int = 6, shape: tuple[int, int, int] = (3, 8, 10), key: int = 0) -> Tensor:
    return torch.rand(n, *shape, generator=generator(key, "images"))


def one_hot(n: int = 6, classes: int = 4) -> Tensor:
    return F.one_hot(torch.arange(n) % classes, classes).float()


def places(height: int, width: int) -> Tensor:
    """Two channels that say which row and column a pixel is."""
    rows = torch.arange(float(height))[:, None].expand(height, width)
    columns = torch.arange(float(width)).expand(height, width)
    return torch.stack([rows, columns])


def test_a_crop_is_a_part_of_the_image_enlarged() -> None:
    n, height, width = 400, 24, 16
    x = places(height, width).expand(n, 2, height, width)
    found = crops(x, generator(1))
    assert found.min() >= 0
    assert found[:, 0].max() <= height - 1
    # In the middle, away from the edges that are held, steps are those of the crop.
    tall = (found[:, 0, 18, 8] - found[:, 0, 6, 8]) / 12
    wide = (found[:, 1, 12, 12] - found[:, 1, 12, 4]) / 8
    area = tall * wide.abs()
    assert 0.39 < area.min() < 0.5
    assert 0.9 < area.max() < 1.01
    ratio = tall / wide.abs()
    assert 3 / 4 - 0.01 < ratio.min() < 0.8
    assert 1.25 < ratio.max() < 4 / 3 + 0.01
    assert 0.4 < (wide < 0).float().mean() < 0.6  # mirrored
    across = (crops(x, generator(1), mirror=False)[:, 1, 12, 12] - x[0, 1, 12, 4]).sign()
    assert (across >= 0).all()


def test_crops_reach_every_edge() -> None:
    x = places(12, 12).expand(300, 2, 12, 12)
    found = crops(x, generator(2))
    for channel in (0, 1):
        assert (found[:, channel].amin((1, 2)) < 0.3).float().mean() > 0.1
        assert (found[:, channel].amax((1, 2)) > 10.7).float().mean() > 0.1


@given(st.integers(1, 9), st.integers(1, 7), st.integers(1, 7), st.integers(0, 50))
def test_labels_are_mixed_in_the_shares_of_the_pixels(n: int, h: int, w: int, key: int) -> None:
    found = mixture(n, h, w, generator(key))
    numbers = torch.arange(float(n))
    x = F.one_hot(torch.arange(n)).float().view(n, n, 1, 1).expand(n, n, h, w)
    y = F.one_hot(torch.arange(n)).float()
    torch.testing.assert_close(found.of_images(x).mean((2, 3)), found.of_labels(y))
    torch.testing.assert_close(found.of_labels(y).sum(1), torch.ones(n))
    assert sorted(found.partners.tolist()) == numbers.long().tolist()
    assert found.own.min() >= 0
    assert found.own.max() <= 1


def test_images_are_laid_over_each_other_or_cut_into_each_other_by_batches() -> None:
    kinds = [mixture(5, 6, 6, generator(key)).own for key in range(60)]
    cut = [own for own in kinds if own.shape[2:] == (6, 6)]
    assert 15 < len(cut) < 45
    assert all(set(own.unique().tolist()) <= {0.0, 1.0} for own in cut)
    assert any(0 < own.mean() < 1 for own in cut)
    laid = torch.cat([own.flatten() for own in kinds if own.shape[2:] == (1, 1)])
    assert laid.min() < 0.1
    assert laid.max() > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_drawn_pairs_repeat_and_keep_their_shapes(name: str) -> None:
    x, y = pixels(), one_hot()
    found, labels = drawn(x, y, name, generator(3))
    again, same = drawn(x, y, name, generator(3))
    assert torch.equal(found, again)
    assert torch.equal(labels, same)
    assert (found.shape, labels.shape) == (x.shape, y.shape)
    if name in AUGMENTATIONS:
        assert torch.equal(found, augment(x, name, generator(3)))
        assert labels is y
    else:
        assert not torch.equal(labels, y)
        assert not torch.equal(found, drawn(x, y, name, generator(4))[0])


def test_only_mirrored_views_are_mirrored() -> None:
    # Columns rise: whatever is not mirrored still does, mixed with its like or not.
    x = torch.arange(12.0).expand(50, 1, 12, 12)
    rises = {
        name: (drawn(x, one_hot(50), name, generator(5))[0].diff(dim=3).amin() >= -1e-5)
        for name in VIEWS
    }
    assert [bool(rises[name]) for name in VIEWS] == [not mirror for mirror in VIEWS.values()]


@pytest.mark.parametrize("name", ["views", "flip", "dsa"])
def test_a_teacher_labels_what_comes_out(name: str) -> None:
    x, y, teacher = pixels(), torch.full((6, 2), 0.5), Mean()
    found, labels = drawn(x, y, name, generator(6), teacher, torch.bfloat16)
    assert torch.equal(labels, Mean().labels(found))
    assert teacher.asked == [torch.bfloat16]
    plain, own = drawn(x, y, "none", generator(6), teacher)
    assert plain is x
    assert own is y
    assert len(teacher.asked) == 1


def test_a_loader_is_told_in_a_name_or_a_function() -> None:
    assert find_draw("none", "flip", Mean()) is None
    x, y = pixels(), torch.full((6, 2), 0.5)
    how = find_draw("views", "none", Mean())
    assert how == Draw("views", how.teacher if how else None)
    assert how is not None
    seen, labels = how(x, y, generator(7))
    wanted = drawn(x, y, "views", generator(7), Mean())
    assert torch.equal(seen, wanted[0])
    assert torch.equal(labels, wanted[1])
    halved = find_draw(lambda images, random: images / 2, "none", Mean(), hard=True)
    assert halved is not None
    seen, labels = halved(x, y.argmax(1), generator(7))
    assert torch.equal(seen, x / 2)
    assert labels.tolist() == [1] * 6  # dark
    mixed = pickle.loads(pickle.dumps(find_draw("views", "none")))  # noqa: S301 (our own bytes)
    assert torch.equal(mixed(x, y, generator(8))[0], drawn(x, y, "views", generator(8))[0])


def test_class_indices_cannot_be_mixed_but_may_be_a_teachers() -> None:
    with pytest.raises(UsageError, match="load without `hard_labels`"):
        find_draw("views", "none", hard=True)
    assert find_draw("views", "none", Mean(), hard=True) is not None
    assert find_draw("flip", "none", hard=True) is not None
    with pytest.raises(UsageError, match="augment='blur' is unknown"):
        find_draw("blur", "none")


def test_the_recipes_augmentation_is_for_who_asks_and_for_teachers() -> None:
    teacher = Mean()
    assert find_draw("auto", "flip") is None
    assert find_draw("auto", "flip", teacher) == Draw("flip", teacher)
    assert find_draw("recipe", "flip") == Draw("flip")
    assert find_draw("auto", "none", teacher) is None
    with pytest.raises(UsageError, match="augment='blur' is unknown"):
        find_draw("recipe", "blur")
