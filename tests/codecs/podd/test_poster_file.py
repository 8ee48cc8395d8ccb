"""Files whose poster is stored as coefficients."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddcodec import DistilledDataset
from ddcodec.codecs.podd.poster_file import poster_of, poster_size, stored_pixels
from ddcodec.codecs.podd.transform import synthesised
from ddcodec.codecs.registry import CODECS
from ddcodec.errors import LimitExceeded
from ddcodec.format import read, to_bytes
from ddcodec.inspection.info import examined, info
from ddcodec.inspection.preview import render
from ddcodec.inspection.verify import verify
from ddcodec.limits import Limits
from tests.helpers.expanded_files import grown
from tests.helpers.small_files import STORAGE, arrays, manifest
from tests.helpers.transformed_files import (
    STEP,
    STORED,
    analysed,
    transformed,
    transformed_arrays,
    transformed_valid,
)
from tests.helpers.vectors import colour, samples_of

POSTER = synthesised(transformed_arrays()["poster"], (6, 10), STEP)


def small() -> bytes:
    return to_bytes(transformed(), transformed_arrays(), STORED)[0]


def test_a_poster_is_what_its_file_says() -> None:
    file = read(small())
    assert poster_size(file.manifest) == (6, 10)
    for found in (poster_of(file.manifest, file.arrays), stored_pixels(file.manifest, file.arrays)):
        assert np.array_equal(found, POSTER)
    assert np.abs(POSTER - arrays()["poster"]).max() < 4 * STEP

    file = read(to_bytes(grown([9, 15]), arrays(), {})[0])
    assert poster_of(file.manifest, file.arrays).shape == (1, 9, 15)
    assert np.array_equal(stored_pixels(file.manifest, file.arrays), arrays()["poster"])

    file = read(to_bytes(manifest(), arrays(), {})[0])
    assert np.array_equal(poster_of(file.manifest, file.arrays), arrays()["poster"])


@pytest.mark.parametrize("pooling", ["cell", "area", "majority"])
def test_patches_and_labels_are_those_of_its_pixels(pooling: str) -> None:
    changes: dict[str, Any] = {"labels": {"kind": "learned", "pooling": pooling, "grid": [4, 2]}}
    tensors = transformed_arrays()
    if pooling == "majority":
        changes["labels"] = {"kind": "fixed", "pooling": "majority"}
        del tensors["labels"]
    pixels = tensors | {"poster": POSTER}
    ours = samples_of(read(to_bytes(transformed(**changes), tensors, {})[0]))
    theirs = samples_of(read(to_bytes(manifest(**changes), pixels, {})[0]))
    assert all(map(np.array_equal, ours, theirs))


def test_info_says_pixels_coefficients_and_step(tmp_path: Path) -> None:
    path = tmp_path / "a.ddset"
    path.write_bytes(small())
    found, rows = examined(path)
    assert (found["pixels"], found["ipc"]) == (60, 60 / (3 * 16))
    coded = {"block": 8, "step": STEP}
    assert found["poster"] == {"height": 6, "width": 10, "bits": None, "transform": coded}
    assert ("poster", "6 x 10 from 8 x 8 coefficients, step 0.25") in rows
    assert info(path, equivalents=True)["equivalents"]["png"]["images"] > 60
    assert verify(path) == []


def test_pictures_are_of_its_pixels() -> None:
    file = read(small())
    drawn = CODECS["podd"].pictures(file.manifest, file.arrays, 8)
    assert np.array_equal(drawn.posters[0], POSTER)
    assert (max(drawn.left) + 4, max(drawn.top) + 4) == (10, 6)
    assert render(DistilledDataset(file)).height > 100


def test_smooth_posters_take_fewer_bytes_than_their_pixels() -> None:
    kept, tensors, how = transformed_valid(colour()[0])["podd-transform-colour"]
    pixels = {"poster": poster_of(kept, tensors)}
    plain = replace(kept, codec={"name": "podd", "version": 1, "params": {}})
    coded = len(to_bytes(kept, tensors, how)[0])
    assert coded < len(to_bytes(plain, pixels, {"poster": STORAGE["poster"]})[0]) - 100


def test_pixels_count_against_the_limit_before_they_are_there() -> None:
    size = (16, 17)  # 6 blocks, which have more pixels than the poster
    tensors = transformed_arrays() | {"poster": analysed(np.zeros((1, *size)), STEP)}
    data = to_bytes(transformed(size), tensors, STORED)[0]
    read(data, limits=Limits(decoded_bytes=4 * 16 * 17))
    with pytest.raises(LimitExceeded, match="poster: expands to 1088 bytes") as refused:
        read(data, limits=Limits(decoded_bytes=4 * 16 * 17 - 1))
    assert refused.value.code == "DDS-E040"
