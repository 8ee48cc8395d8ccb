"""The rules of the codec d3m, and the second reader against the first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ddcodec import info, verify
from ddcodec.codecs.d3m.decode import patch_labels
from ddcodec.errors import InvalidFile, LimitExceeded
from ddcodec.format import read, to_bytes
from ddcodec.limits import Limits
from tests.helpers.d3m_files import MODEL, d3m_arrays, d3m_manifest, d3m_valid
from tests.helpers.second_reader import SECOND
from tests.helpers.small_files import images_arrays, images_manifest

VALID = d3m_valid()


@pytest.mark.parametrize("name", VALID)
def test_the_second_reader_finds_the_same_labels_and_says_what_is_missing(name: str) -> None:
    file = read(VALID[name])
    own = patch_labels(file.manifest, file.arrays)
    manifest, tensors = SECOND["read"](VALID[name])
    assert np.array_equal(np.stack(list(SECOND["generated_labels"](manifest, tensors))), own)
    assert np.allclose(own.sum(1), 1)
    with pytest.raises(SystemExit, match="'tiny'"):
        next(SECOND["samples"](manifest, tensors))


def test_looking_at_a_file_needs_no_model(tmp_path: Path) -> None:
    path = tmp_path / "x.ddset"
    path.write_bytes(VALID["d3m-variations"])
    assert verify(path) == []
    facts = info(path)
    assert facts["external"] == [MODEL]
    assert facts["generated"]["variations"] == 3
    assert facts["pixels"] == 3 * 4 * 64  # of one variation
    assert facts["ipc"] == 4


def test_patches_count_against_the_limits() -> None:
    with pytest.raises(LimitExceeded, match="12 patches, the limit is 11"):
        read(VALID["d3m-logits"], limits=Limits(patches=11))
    found = d3m_manifest("top", tuple(f"class {i}" for i in range(300)), images=2)
    data, _ = to_bytes(found, d3m_arrays(found), {})
    with pytest.raises(LimitExceeded, match="patches x classes"):
        read(data, limits=Limits(decoded_bytes=600 * 300 * 8 - 1))
    read(data, limits=Limits(decoded_bytes=600 * 300 * 8))


def test_a_model_may_be_named_by_other_codecs_but_only_with_weights() -> None:
    data, _ = to_bytes(images_manifest(external=(MODEL,)), images_arrays(), {})
    assert read(data).manifest.external == (MODEL,)
    with pytest.raises(InvalidFile, match="files"):
        read(to_bytes(images_manifest(external=({**MODEL, "files": {"a.py": "0" * 64}},)),
                      images_arrays(), {})[0])  # fmt: skip
