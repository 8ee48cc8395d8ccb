"""Posters that are stored smaller than those that their patches are cut from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from ddcodec import DistilledDataset, InvalidFile
from ddcodec.codecs.podd import expand
from ddcodec.codecs.podd.expand import expanded
from ddcodec.codecs.registry import CODECS
from ddcodec.errors import LimitExceeded
from ddcodec.format import read, to_bytes
from ddcodec.inspection.info import examined, info
from ddcodec.inspection.preview import render
from ddcodec.limits import Limits
from tests.helpers.expanded_files import grown
from tests.helpers.small_files import STORAGE, arrays, manifest
from tests.helpers.vectors import samples_of

SIDES = st.integers(1, 7).flatmap(lambda n: st.tuples(st.just(n), st.integers(n, 8 * n)))


def one_by_one(poster: np.ndarray, height: int, width: int) -> np.ndarray:
    """The specification's sum, a number at a time."""
    channels, h, w = poster.shape
    out = np.empty((channels, height, width), np.float32)
    for c, i, j in np.ndindex(out.shape):
        (k, a1), (m, b1) = (
            divmod((2 * at + 1) * n - to, 2 * to) for at, n, to in ((i, h, height), (j, w, width))
        )
        a0, b0 = 2 * height - a1, 2 * width - b1
        (y0, y1), (x0, x1) = (max(k, 0), min(k + 1, h - 1)), (max(m, 0), min(m + 1, w - 1))
        v00, v01, v10, v11 = (float(poster[c, y, x]) for y in (y0, y1) for x in (x0, x1))
        total = (v00 * b0 + v01 * b1) * a0 + (v10 * b0 + v11 * b1) * a1
        out[c, i, j] = np.float32(total / (4 * height * width))
    return out


@given(SIDES, SIDES, st.integers(0, 2**32 - 1), st.integers(-30, 30), st.integers(1, 99))
def test_values_are_those_of_the_specification(
    down: tuple[int, int], across: tuple[int, int], seed: int, power: int, part: int
) -> None:
    random = np.random.default_rng(seed)
    poster = (random.normal(size=(2, down[0], across[0])) * 10.0**power).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expand, "PART_VALUES", part)
        found = expanded(poster, (down[1], across[1]))
    if poster.shape == found.shape:
        assert np.array_equal(found, poster)
    else:
        assert np.array_equal(found, one_by_one(poster, down[1], across[1]))


@given(SIDES, SIDES)
def test_it_is_the_expansion_that_is_known(down: tuple[int, int], across: tuple[int, int]) -> None:
    poster = np.random.default_rng(4).normal(size=(3, down[0], across[0])).astype(np.float32)
    size = (down[1], across[1])
    known = interpolate(torch.from_numpy(poster)[None].double(), size, mode="bilinear")[0]
    assert np.allclose(expanded(poster, size), known, rtol=0, atol=1e-6)


def test_the_largest_values_stay_finite() -> None:
    most = np.finfo(np.float32).max
    poster = np.array([[[most, most], [-most, -most], [most, most]]], np.float32)
    found = expanded(poster, (7, 16))
    assert np.isfinite(found).all()
    assert found[0, 0, 0] == most


@pytest.mark.parametrize("pooling", ["cell", "area", "majority"])
def test_patches_and_labels_are_those_of_the_larger_poster(pooling: str) -> None:
    changes: dict[str, Any] = {"labels": {"kind": "learned", "pooling": pooling, "grid": [4, 2]}}
    tensors = arrays()
    if pooling == "majority":
        changes["labels"] = {"kind": "fixed", "pooling": "majority"}
        del tensors["labels"]
    small = grown([9, 15], **changes)
    large = tensors | {"poster": expanded(tensors["poster"], (9, 15))}
    ours = samples_of(read(to_bytes(small, tensors, {})[0]))
    theirs = samples_of(read(to_bytes(manifest(**changes), large, {})[0]))
    assert all(map(np.array_equal, ours, theirs))


def test_info_counts_stored_pixels_and_says_both_sizes(tmp_path: Path) -> None:
    path = tmp_path / "a.ddset"
    path.write_bytes(to_bytes(grown([9, 15]), arrays(), STORAGE)[0])
    found, rows = examined(path)
    assert (found["pixels"], found["ipc"]) == (60, 60 / (3 * 16))
    assert found["poster"] == {"height": 6, "width": 10, "bits": 8, "expanded": [9, 15]}
    assert ("poster", "6 x 10 expanded to 9 x 15, 8 bits") in rows
    assert info(path, equivalents=True)["equivalents"]["png"]["images"] > 9 * 15


def test_pictures_are_of_the_expanded_poster() -> None:
    file = read(to_bytes(grown([9, 15]), arrays(), {})[0])
    drawn = CODECS["podd"].pictures(file.manifest, file.arrays, 8)
    assert np.array_equal(drawn.posters[0], expanded(arrays()["poster"], (9, 15)))
    assert (max(drawn.left) + 4, max(drawn.top) + 4) == (15, 9)
    ds = DistilledDataset(file)
    assert render(ds).height > 100


@pytest.mark.parametrize(
    "size",
    [
        [6, 10], [5, 20], [9, 9], [49, 10], [6, 81], [9], [9, 15, 3], [9, 0], [9.0, 15], [9, True],
        "9x15", {"height": 9}, None, 9, [2**53, 2**53],
    ],
)  # fmt: skip
def test_sizes_that_no_poster_expands_to_are_refused(size: Any) -> None:
    with pytest.raises(InvalidFile, match=r"codec: .*expanded") as refused:
        read(to_bytes(grown(size), arrays(), STORAGE)[0])
    assert refused.value.code == "DDS-E012"


def test_the_largest_expansion_is_read() -> None:
    file = read(to_bytes(grown([48, 80]), arrays(), STORAGE)[0])
    assert file.manifest.codec["params"] == {"expanded": [48, 80]}


def test_another_field_is_refused() -> None:
    file = grown([9, 15])
    file.codec["params"]["filter"] = "bilinear"
    with pytest.raises(InvalidFile, match="codec: unknown field") as refused:
        read(to_bytes(file, arrays(), STORAGE)[0])
    assert refused.value.code == "DDS-E010"


def test_the_expanded_poster_counts_against_the_limit() -> None:
    data = to_bytes(grown([40, 70]), arrays(), STORAGE)[0]
    read(data, limits=Limits(decoded_bytes=4 * 40 * 70))
    with pytest.raises(LimitExceeded, match="expands to 11200 bytes") as refused:
        read(data, limits=Limits(decoded_bytes=4 * 40 * 70 - 1))
    assert refused.value.code == "DDS-E040"


def test_patches_are_measured_against_the_expanded_poster() -> None:
    tensors = arrays() | {"poster": arrays()["poster"][:, :3, :2]}
    read(to_bytes(grown([4, 6]), tensors, STORAGE)[0])
    with pytest.raises(InvalidFile, match="larger than the poster") as refused:
        read(to_bytes(grown([3, 6]), tensors, STORAGE)[0])
    assert refused.value.code == "DDS-E012"
    narrow = grown([6, 11], patches=manifest().patches | {"grid": [6, 2], "origins": "per-class"})
    with pytest.raises(InvalidFile, match="do not fit into the class cells"):
        read(to_bytes(narrow, arrays(), STORAGE)[0])
    read(to_bytes(replace(narrow, codec=grown([6, 12]).codec), arrays(), STORAGE)[0])
