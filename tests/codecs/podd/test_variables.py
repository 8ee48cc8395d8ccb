"""The variables of an encode: patches as the decoder cuts them, gradients by their adjoint."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddcodec.codecs.podd.poster import PosterGeometry
from ddcodec.codecs.podd.variables import PosterVariables, added_by_index, added_by_products
from tests.helpers.plans import cut_out


def test_patches_are_those_of_the_geometry_and_gradients_their_adjoint() -> None:
    geometry = PosterGeometry(9, 14, 5, 6, 7, 4)
    g = torch.Generator().manual_seed(0)
    poster = torch.randn(3, 9, 14, generator=g)
    labels = np.ones((28, 1), np.float32)
    variables = PosterVariables(geometry, poster, fixed=labels)
    patches = variables.patches()
    assert np.array_equal(patches.numpy(), cut_out(geometry, poster.numpy()))
    way = torch.randn(patches.shape, generator=g)
    back = variables.pull_back(way, None)[0]
    assert float((patches * way).sum()) == pytest.approx(float((poster * back).sum()), rel=1e-4)


def test_overlapping_patches_are_added_up_alike_by_index_and_by_products() -> None:
    g = torch.Generator().manual_seed(1)
    cut = torch.randn(3, 12, 20, generator=g, dtype=torch.float64)
    rows, columns = torch.randint(7, (12,), generator=g), torch.randint(9, (20,), generator=g)
    found = [add(cut, rows, columns, (7, 9)) for add in (added_by_index, added_by_products)]
    torch.testing.assert_close(found[0], found[1])
    assert float(found[0].sum()) == pytest.approx(float(cut.sum()))
