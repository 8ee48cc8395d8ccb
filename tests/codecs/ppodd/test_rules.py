"""The rules of the codec ppodd, and the second reader against the first."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcodec.codecs.ppodd.stages import added, stage_arrays, stage_shares
from ddcodec.errors import LimitExceeded
from ddcodec.format import Storage, read, to_bytes
from ddcodec.limits import Limits
from tests.helpers.ppodd_files import FIXED, ppodd_arrays, ppodd_manifest, ppodd_valid
from tests.helpers.second_reader import both_readers_agree, decoded

VALID = ppodd_valid()


@pytest.mark.parametrize("name", VALID)
def test_the_second_reader_finds_the_same_samples(name: str) -> None:
    both_readers_agree(VALID[name])


@given(
    stages=st.integers(1, 4),
    bits=st.sampled_from([None, 2, 5, 8]),
    fixed=st.booleans(),
    chosen=st.sets(st.sampled_from([f"{k}_{i}" for k in ("labels", "poster") for i in (2, 3, 4)])),
    seed=st.integers(0, 99),
)
def test_any_stages_read_alike_in_both(
    stages: int, bits: int | None, fixed: bool, chosen: set[str], seed: int
) -> None:
    names = sorted(n for n in chosen if int(n[-1]) <= stages and not (fixed and n[0] == "l"))
    found = ppodd_manifest(stages, tuple(names), **({"labels": FIXED} if fixed else {}))
    arrays = ppodd_arrays(found, seed)
    data, _ = to_bytes(found, arrays, {name: Storage(bits=bits) for name in arrays})
    both_readers_agree(data)


def test_differences_add_up_from_stage_to_stage() -> None:
    found = ppodd_manifest(3, ("labels_2", "poster_2", "poster_3"))
    arrays = ppodd_arrays(found)
    file = read(to_bytes(found, arrays, {})[0])
    one, two, three = stage_arrays(file.manifest, file.arrays)
    assert np.array_equal(two["poster"], added(arrays["poster_1"], arrays["poster_2"], "poster"))
    assert np.array_equal(three["poster"], added(two["poster"], arrays["poster_3"], "poster"))
    assert np.array_equal(three["labels"], arrays["labels_3"])
    assert (two["labels"] >= 0).all()
    assert one["labels"].shape == (2, 4, 3)
    assert stage_shares(file.manifest) == (0.5, 0.25, 0.25)


def test_stages_count_against_the_limits() -> None:
    with pytest.raises(LimitExceeded, match="24 patches, the limit is 23"):
        read(VALID["ppodd-stages"], limits=Limits(patches=23))
    assert len(decoded(read(VALID["ppodd-stages"], limits=Limits(patches=24)))) == 24
