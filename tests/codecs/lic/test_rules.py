"""The rules of the codec lic, and the second reader against the first."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ddcodec.errors import LimitExceeded
from ddcodec.format import read, to_bytes
from ddcodec.limits import Limits
from tests.helpers.lic_files import (
    lic_arrays,
    lic_manifest,
    lic_valid,
    small_teacher_file,
    small_teacher_manifest,
)
from tests.helpers.second_reader import both_readers_agree

VALID = lic_valid()


@pytest.mark.parametrize("name", VALID)
def test_the_second_reader_finds_the_same_samples(name: str) -> None:
    both_readers_agree(VALID[name])


@given(
    kind=st.sampled_from(["logits", "top", "index"]),
    cells=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    size=st.tuples(st.sampled_from([1, 3]), st.integers(5, 12), st.integers(5, 12)),
    count=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_any_geometry_reads_alike_in_both(
    kind: str, cells: tuple[int, int], size: tuple[int, int, int], count: int, seed: int
) -> None:
    found = lic_manifest(kind, cells, size=size)
    data, _ = to_bytes(found, lic_arrays(found, count, seed=seed), {})
    both_readers_agree(data)


@given(
    size=st.integers(1, 24),
    image=st.tuples(st.sampled_from([1, 3]), st.integers(2, 40), st.integers(2, 40)),
    seed=st.integers(0, 99),
)
@settings(max_examples=12)
@example(size=50, image=(1, 2, 2), seed=0)
@example(size=2, image=(1, 131, 128), seed=0)
def test_any_small_network_labels_alike_in_both(
    size: int, image: tuple[int, int, int], seed: int
) -> None:
    both_readers_agree(small_teacher_file(small_teacher_manifest(size, image), seed=seed))


def test_regions_count_against_the_limits() -> None:
    with pytest.raises(LimitExceeded, match="20 regions, the limit is 19"):
        read(VALID["lic-logits"], limits=Limits(patches=19))
    data = VALID["lic-teacher-convnet3"]
    with pytest.raises(LimitExceeded, match="needs 13386240 products, the limit is 13386239"):
        read(data, limits=Limits(teacher_products=13_386_239))
    assert read(data, limits=Limits(teacher_products=13_386_240)).manifest.labels["scale"] == 8000.5
    # 299,136 weights as float64 and once again, which the tensors' own sizes do not show.
    with pytest.raises(LimitExceeded, match="a layer of the teacher needs too much memory"):
        read(data, limits=Limits(decoded_bytes=2_300_000))
    found = lic_manifest("index", classes=tuple(f"class {i}" for i in range(300)))
    data, _ = to_bytes(found, lic_arrays(found), {})
    with pytest.raises(LimitExceeded, match="regions x classes"):
        read(data, limits=Limits(decoded_bytes=20 * 300 * 8 - 1))
    assert len(read(data, limits=Limits(decoded_bytes=20 * 300 * 8)).arrays["labels"]) == 4
