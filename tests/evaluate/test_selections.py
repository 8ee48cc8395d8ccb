"""Images selected by herding and by k-centres: what is taken, in which order, of what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcodec import encode, load
from ddcodec.coresets.draws import images_by_class
from ddcodec.evaluate.measure import protocol
from ddcodec.evaluate.selections import (
    Select,
    features_of,
    herding,
    k_centres,
    selected_draw,
)
from ddcodec.sources import Source

FEW = st.tuples(st.integers(1, 12), st.integers(1, 4), st.integers(0, 99))


def points(n: int, d: int, seed: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


@settings(deadline=None)
@given(FEW)
def test_herding_brings_the_mean_of_what_is_taken_closest_to_the_mean_of_all(
    size: tuple[int, int, int],
) -> None:
    x = points(*size).double()
    taken = herding(x, len(x)).tolist()
    assert sorted(taken) == list(range(len(x)))
    for k in range(len(x)):
        left = [i for i in range(len(x)) if i not in taken[:k]]
        gaps = {i: float((x[[*taken[:k], i]].mean(0) - x.mean(0)).norm()) for i in left}
        assert gaps[taken[k]] == pytest.approx(min(gaps.values()), abs=1e-9)


@settings(deadline=None)
@given(FEW)
def test_k_centres_takes_what_is_farthest_from_all_it_has(size: tuple[int, int, int]) -> None:
    x = points(*size).double()
    taken = k_centres(x, len(x)).tolist()
    assert sorted(taken) == list(range(len(x)))
    assert taken[0] == int((x - x.mean(0)).norm(dim=1).argmin())
    for k in range(1, len(x)):
        near = torch.cdist(x, x[taken[:k]]).amin(1)
        assert float(near[taken[k]]) == pytest.approx(float(near.max()))


@pytest.mark.parametrize("select", [herding, k_centres])
def test_nothing_is_taken_twice_where_all_are_alike(select: Select) -> None:
    assert sorted(select(torch.ones(5, 2), 5).tolist()) == [0, 1, 2, 3, 4]


def test_every_student_gets_the_same_images_chosen_by_learned_features(
    tmp_path: Path, rows_and_columns: Source
) -> None:
    encode(rows_and_columns, ipc=1.0, out=tmp_path / "x.ddset", steps=2)
    ds = load(tmp_path / "x.ddset")
    by_class = images_by_class(rows_and_columns)

    def made(seed: int) -> np.ndarray:
        trial = protocol(ds, rows_and_columns.require_test(), nets=2, device="cpu", seed=seed)
        features = features_of(trial, rows_and_columns.train, by_class, ds.preprocess, steps=3)
        assert features(0).shape == (16, trial.recipe.filters)
        draw = selected_draw(by_class, features, herding)
        assert draw(2, 0) is draw(2, 5)
        places = herding(features(1), 2).numpy()
        assert np.array_equal(draw(2, 0)[1], by_class[1][places])
        return draw(8, 0)

    first, again, other = made(0), made(0), made(1)
    assert first.shape == (2, 8, 8, 8, 1)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
