"""Patches come out of the poster the same, cut on demand or once."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddcodec.codecs import samples as base
from ddcodec.codecs.podd.decode import PosterSamples
from ddcodec.codecs.podd.poster import PosterGeometry
from tests.helpers.plans import cut_out


def samples(g: PosterGeometry, channels: int) -> tuple[PosterSamples, np.ndarray]:
    poster = torch.randn(
        channels, g.height, g.width, generator=torch.Generator().manual_seed(g.num_patches)
    )
    labels = np.ones((g.num_patches, 1), np.float32)
    return PosterSamples.from_poster(poster, g, labels), cut_out(g, poster.numpy())


@given(
    st.integers(1, 6), st.integers(1, 6), st.integers(0, 9), st.integers(0, 9),
    st.integers(1, 5), st.integers(1, 5), st.sampled_from([1, 3]), st.booleans(),
)  # fmt: skip
def test_a_batch_is_the_patches_of_the_poster(
    h: int, w: int, down: int, across: int, p_x: int, p_y: int, channels: int, views: bool,
) -> None:  # fmt: skip
    geometry = PosterGeometry(h + down, w + across, h, w, p_x, p_y)
    found, expected = samples(geometry, channels)
    with pytest.MonkeyPatch.context() as patch:
        if views:
            patch.setattr(base, "HELD_BYTES", 0)
        random = torch.Generator().manual_seed(1)
        index = torch.randint(geometry.num_patches, (7,), generator=random)
        batch = found.take(index.numpy())
        assert (found.rows is None) is views
    assert batch.is_contiguous()
    assert np.array_equal(batch.numpy(), expected[index.numpy()])


def test_a_batch_is_a_copy_and_the_pickle_is_small() -> None:
    found, expected = samples(PosterGeometry(40, 40, 8, 8, 20, 20), 3)
    found.take(np.arange(400)).fill_(0)
    assert np.array_equal(found.take(np.arange(400)).numpy(), expected)
    assert len(pickle.dumps(found)) < 4 * expected.nbytes / 10
