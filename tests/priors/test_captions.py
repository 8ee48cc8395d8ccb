"""Views and what is said of them."""

from __future__ import annotations

import torch

from ddcodec.priors.captions import View, caption, collage, described, draw, show
from ddcodec.runtime.rng import generator


def test_a_collage_shows_its_images_row_by_row() -> None:
    images = torch.arange(4).float().view(4, 1, 1, 1).expand(4, 3, 8, 8) / 3
    found = collage(images, 2, (8, 8))
    assert found.shape == (3, 8, 8)
    corners = [found[0, y, x].item() for y in (0, 7) for x in (0, 7)]
    assert torch.allclose(torch.tensor(corners), torch.tensor([0, 1 / 3, 2 / 3, 1]), atol=1e-4)


def test_views_do_what_they_are_called() -> None:
    image = torch.rand(1, 1, 8, 8, generator=generator(1))
    assert torch.equal(show(image, View(), (8, 8)), image[0])
    assert torch.equal(show(image, View(negative=True), (8, 8)), 1 - image[0])


def test_captions_name_class_and_layout_and_sometimes_a_negative() -> None:
    random = generator(2)
    plain = {caption("red_ant", View(2), random) for _ in range(50)}
    assert plain == {"", "a 2 x 2 collage of red ant"}
    wide = {caption("ant", View(negative=True), random) for _ in range(100)}
    assert wide == {"", "a photo of ant", "a negative photo of ant"}
    assert described("*", 1) == "a photo of *"


def test_collages_are_no_finer_than_can_be_seen_and_plain_views_no_negatives() -> None:
    random = generator(3)
    views = [draw("plain", random, 8) for _ in range(50)]
    assert {view.layout for view in views} == {1, 2}
    assert not any(view.negative for view in views)
    wide = [draw("wide", random, 16) for _ in range(50)]
    assert {view.layout for view in wide} == {1, 2, 4}
    assert {view.negative for view in wide} == {False, True}
